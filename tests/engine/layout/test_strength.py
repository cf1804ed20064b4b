"""The strength of the alignment left to the data: weights, strengths, and what must not depend on it."""

from __future__ import annotations

import numpy as np
import pytest
from tests import naive

from driftmap.engine import AlignedUMAP, BlockWindow, LayoutSettings, find_block_strengths, relate_ids
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.fuzzy import build_fuzzy_graph
from driftmap.engine.layout.block import lay_out_block
from driftmap.engine.layout.exchange import lay_out_in_exchange
from driftmap.engine.layout.flatten import Shuffle, flatten_block
from driftmap.engine.layout.strength import LEAST, POWER, RISE, strengthen
from driftmap.engine.neighbours.search import build_knn_graph

AUTO = LayoutSettings()


def make_windows(sizes=(60, 70, 65), noise=0.3, seed=0):
    """Overlapping windows of one set of rows, each with noise of its own, and all relations between them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(max(sizes) + 10 * len(sizes), 5))
    ids = [np.arange(10 * t, 10 * t + n) for t, n in enumerate(sizes)]
    data = [(rows[i] + rng.normal(size=(len(i), 5)) * noise).astype(np.float32) for i in ids]
    graphs = [build_fuzzy_graph(build_knn_graph(x, 8)) for x in data]
    pairs = [(i, j) for j in range(len(sizes)) for i in range(j)]
    return graphs, {(i, j): relate_ids(ids[i], ids[j]) for i, j in pairs}, data, ids


def test_the_default_is_auto():
    assert AlignedUMAP().alignment_regularisation == "auto" == LayoutSettings().alignment_regularisation


def test_strength_rises_with_overlap():
    found = strengthen(np.linspace(0, 1, 20, dtype=np.float32))
    assert found.dtype == np.float32
    assert found[0] == LEAST
    assert found[-1] == pytest.approx(LEAST + RISE)
    assert (np.diff(found) >= 0).all()


def test_weights_and_strengths_equal_the_loop():
    graphs, relations, _, _ = make_windows()
    shuffles = [Shuffle(graph, t) for t, graph in enumerate(graphs)]
    block = flatten_block(graphs, relations, shuffles, [200] * 3, is_auto=[True, False, True])
    pulls, plain = np.zeros(3), np.zeros(3)
    expected = {}
    for (i, j), relation in relations.items():
        overlap = naive.jaccard(graphs[i], graphs[j], relation)
        for row in np.flatnonzero((relation >= 0) & (overlap > 0)):
            weight = np.exp(1 - (j - i)) * overlap[row]
            found = weight * (float(LEAST) + float(RISE) * overlap[row] ** POWER)
            here = block.offsets[i] + shuffles[i].places[row]
            there = block.offsets[j] + shuffles[j].places[relation[row]]
            expected[here, there] = weight if i == 1 else found
            expected[there, here] = weight if j == 1 else found
            for t in (i, j):
                pulls[t] += found
                plain[t] += weight
    rows = np.repeat(np.arange(len(block.row_rates)), np.diff(block.related_indptr))
    stored = dict(zip(zip(rows.tolist(), block.related.tolist(), strict=True), block.related_weights, strict=True))
    assert stored == pytest.approx(expected, rel=1e-5)
    settings = LayoutSettings(alignment_regularisation=["auto", 0.2, "auto"])
    windows = [BlockWindow(graph, t) for t, graph in enumerate(graphs)]
    found = find_block_strengths(windows, relations, settings)
    assert found == pytest.approx([pulls[0] / plain[0], 0.2, pulls[2] / plain[2]], rel=1e-5)


def test_a_window_without_related_rows_has_no_strength():
    graphs, relations, _, _ = make_windows()
    only = {pair: np.full_like(relation, -1) if 2 in pair else relation for pair, relation in relations.items()}
    found = find_block_strengths([BlockWindow(graph, t) for t, graph in enumerate(graphs)], only, AUTO)
    assert np.isnan(found[2])
    assert np.isfinite(found[:2]).all()


def test_data_that_keep_their_neighbours_are_pulled_harder():
    strengths = []
    for noise in (0.0, 0.2, 1.0):
        _, _, data, ids = make_windows(noise=noise)
        strengths.append(np.mean(AlignedUMAP(n_neighbors=8, n_epochs=5, random_state=0).fit(data, ids=ids).strengths_))
    assert LEAST + RISE >= strengths[0] > 1.5 * strengths[1] > 1.5 * strengths[2] > 1.5 * LEAST * 0.9


def test_the_strength_found_is_shown():
    _, _, data, ids = make_windows()
    model = AlignedUMAP(n_neighbors=8, n_epochs=5, random_state=0).fit(data, ids=ids)
    assert [row["strength"] for row in model.quality_] == model.strengths_
    model.update(data[-1], ids=ids[-1], alignment_regularisation=0.3)
    assert model.strengths_[-1] == 0.3
    assert len(model.strengths_) == 4


@pytest.mark.parametrize("value", ["automatic", "", "0.1"])
def test_other_words_are_refused(value):
    _, _, data, ids = make_windows()
    with pytest.raises(InvalidInputError, match="alignment_regularisation must be"):
        AlignedUMAP(alignment_regularisation=value).fit(data, ids=ids)


def test_auto_in_one_window_and_a_number_in_another():
    _, _, data, ids = make_windows()
    mixed = AlignedUMAP(alignment_regularisation=["auto", 0.05, "auto"], n_neighbors=8, n_epochs=20, random_state=0)
    assert all(np.isfinite(m).all() for m in mixed.fit(data, ids=ids).embeddings_)


def test_rows_that_step_together_are_not_held_back():
    """Two windows pulled without end, and an edge that draws both the same delta: they go, but only with `auto`."""
    graphs, relations, _, _ = make_windows(sizes=(60, 60), noise=0.0)
    windows = [BlockWindow(graph, t) for t, graph in enumerate(graphs)]
    start = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32) * 8
    there = relations[0, 1]
    second = start.copy()
    second[there[there >= 0]] = start[there >= 0]
    placed = [BlockWindow(w.graph, w.index, positions=p) for w, p in zip(windows, (start, second), strict=True)]
    moved = {}
    for strength in ("auto", 1e4):
        maps = lay_out_block(placed, relations, LayoutSettings(alignment_regularisation=strength, n_epochs=100), 0)
        moved[strength] = np.median(np.linalg.norm(maps[0] - start, axis=1))
    assert moved["auto"] > 1.5 * moved[1e4]


def test_blocks_with_an_exchange_in_every_epoch_have_the_bytes_of_one_joint_layout():
    graphs, relations, _, _ = make_windows()
    windows = [BlockWindow(graph, t) for t, graph in enumerate(graphs)]
    settings = LayoutSettings(n_epochs=20)
    joint = lay_out_block(windows, relations, settings, 5)
    parts = lay_out_in_exchange(windows, relations, settings, 5, [range(2), range(2, 3)], n_exchanges=38)
    assert all(np.array_equal(a, b) for a, b in zip(joint, parts, strict=True))
