"""Laying out a block: what moves, what stays, what ties windows, and that threads leave no trace."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from driftmap.engine import (
    BlockWindow,
    GraphSettings,
    InvalidInputError,
    LayoutSettings,
    build_window_graph,
    drift,
    lay_out_block,
    lay_out_in_exchange,
    relate_ids,
    trustworthiness,
)
from driftmap.engine.layout import flatten
from driftmap.engine.layout.optimiser import Optimiser
from driftmap.engine.types import FuzzyGraph

N_WINDOWS, N_ROWS = 5, 90
SETTINGS = LayoutSettings(n_epochs=60)


@pytest.fixture(scope="module")
def windows():
    """Three drifting clusters in five windows; each window loses 10 entities and gains 10."""
    rng = np.random.default_rng(3)
    n_entities = N_ROWS + 10 * (N_WINDOWS - 1)
    centre = rng.normal(size=(3, 6)) * 6
    base = centre[np.arange(n_entities) % 3] + rng.normal(size=(n_entities, 6))
    step = rng.normal(size=(n_entities, 6)) * 0.15
    ids = [np.arange(10 * t, 10 * t + N_ROWS) for t in range(N_WINDOWS)]
    return [(base + t * step)[ids[t]].astype(np.float32) for t in range(N_WINDOWS)], ids


@pytest.fixture(scope="module")
def graphs(windows):
    return [build_window_graph(rows, GraphSettings(n_neighbors=10)).fuzzy for rows in windows[0]]


def relate(ids, reach=3):
    n = len(ids)
    return {(i, j): relate_ids(ids[i], ids[j]) for i in range(n) for j in range(i + 1, min(i + reach + 1, n))}


def lay_out(graphs, ids, settings=SETTINGS, random_state=0, **changes):
    block = [BlockWindow(graph, index) for index, graph in enumerate(graphs)]
    return lay_out_block(block, relate(ids), settings, random_state, **changes)


def test_maps_keep_neighbours_and_related_rows_stay_near(windows, graphs):
    rows, ids = windows
    maps = lay_out(graphs, ids)
    assert all(trustworthiness(x, y, 10) > 0.9 for x, y in zip(rows, maps, strict=True))
    steps = [relate_ids(a, b) for a, b in itertools.pairwise(ids)]
    tied, untied = drift(maps, steps), drift(lay_out(graphs, [i + 1000 * t for t, i in enumerate(ids)]), steps)
    assert tied < 0.15
    assert untied > 5 * tied


def test_same_seed_same_bytes_and_another_seed_another_map(windows, graphs):
    first, again, other = (lay_out(graphs, windows[1], random_state=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_same_bytes_on_one_two_and_four_threads(windows, graphs, tmp_path):
    np.savez(tmp_path / "in.npz", **{f"{n}{t}": getattr(g, n) for t, g in enumerate(graphs) for n in g._fields})
    code = f"""
import hashlib, json, numba, numpy as np
from driftmap.engine import BlockWindow, LayoutSettings, lay_out_block, relate_ids
from driftmap.engine.layout import flatten
from driftmap.engine.layout.optimiser import Optimiser
from driftmap.engine.types import FuzzyGraph
given = np.load({str(tmp_path / "in.npz")!r})
graphs = [FuzzyGraph(*(given[f"{{n}}{{t}}"] for n in FuzzyGraph._fields)) for t in range({N_WINDOWS})]
ids = [np.arange(10 * t, 10 * t + {N_ROWS}) for t in range({N_WINDOWS})]
pairs = {{(t, t + 1): relate_ids(ids[t], ids[t + 1]) for t in range({N_WINDOWS} - 1)}}
found = {{}}
for n_threads in (1, 2, 4):
    numba.set_num_threads(n_threads)
    maps = lay_out_block([BlockWindow(g, t) for t, g in enumerate(graphs)], pairs, LayoutSettings(n_epochs=40), 0)
    found[n_threads] = hashlib.sha256(b"".join(m.tobytes() for m in maps)).hexdigest()
print(json.dumps(found))
"""
    env = {**os.environ, "NUMBA_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=300
    )
    digests = json.loads(done.stdout)
    assert set(digests) == {"1", "2", "4"}
    assert len(set(digests.values())) == 1


def test_fixed_windows_come_back_unchanged_and_later_ones_follow_them(windows, graphs):
    ids = windows[1]
    maps = lay_out(graphs[:4], ids[:4])
    block = [BlockWindow(graphs[t], t, maps[t], is_fixed=True) for t in range(1, 4)]
    before = [m.copy() for m in maps]
    placed = lay_out_block([*block, BlockWindow(graphs[4], 4)], relate(ids[1:]), SETTINGS, 0)
    for t in range(3):
        assert np.array_equal(placed[t], before[t + 1])
        assert np.array_equal(maps[t + 1], before[t + 1])
    assert drift([placed[2], placed[3]], [relate_ids(ids[3], ids[4])]) < 0.2


def test_windows_that_stay_are_not_compared_with_each_other(windows, graphs, monkeypatch):
    maps, relations = lay_out(graphs[:3], windows[1][:3]), relate(windows[1][:4])
    block = [BlockWindow(graphs[t], t, maps[t], is_fixed=t < 2) for t in range(3)] + [BlockWindow(graphs[3], 3)]
    expected = lay_out_block(block, {pair: known for pair, known in relations.items() if pair != (0, 1)}, SETTINGS, 0)
    compared = []
    weigh = flatten.alignment_weights
    monkeypatch.setattr(flatten, "alignment_weights", lambda *given: compared.append(given) or weigh(*given))
    found = lay_out_block(block, relations, SETTINGS, 0)
    assert len(compared) == len(relations) - 1
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def test_provisional_windows_move_a_little_when_a_new_one_comes(windows, graphs):
    ids = windows[1]
    maps = lay_out(graphs[:4], ids[:4])
    block = [BlockWindow(graphs[t], t, maps[t], is_fixed=t < 2) for t in range(4)]
    placed = lay_out_block([*block, BlockWindow(graphs[4], 4)], relate(ids), SETTINGS, 0)
    assert np.array_equal(placed[1], maps[1])
    moved = np.linalg.norm(placed[3] - maps[3], axis=1)
    assert 0 < np.median(moved) < 0.2 * maps[3].std()


def test_an_entity_that_skips_a_window_is_still_tied(windows, graphs):
    """Half of the entities are away in window 1; the pull between windows 0 and 2 is what holds them."""
    rows, ids = windows
    away = np.arange(0, N_ROWS, 2)
    stay = np.setdiff1d(np.arange(N_ROWS), away)
    some = build_window_graph(rows[1][stay], GraphSettings(n_neighbors=10)).fuzzy
    three, names = [graphs[0], some, graphs[2]], [ids[0], ids[1][stay], ids[2]]
    block = [BlockWindow(graph, index) for index, graph in enumerate(three)]
    pairs = relate(names)
    follow = pairs[0, 2].copy()
    follow[pairs[0, 1] >= 0] = -1  # those that window 1 does not have
    assert (follow >= 0).sum() > 20
    bridged = lay_out_block(block, pairs, SETTINGS, 0)
    cut = lay_out_block(block, {(0, 1): pairs[0, 1], (1, 2): pairs[1, 2]}, SETTINGS, 0)
    assert drift([bridged[0], bridged[2]], [follow]) < 0.8 * drift([cut[0], cut[2]], [follow])


def test_an_isolated_row_is_nan_alone_and_never_spreads(windows, graphs):
    ids = windows[1]
    lonely = []
    for graph in graphs[:3]:
        rows = np.repeat(np.arange(graph.n_rows), np.diff(graph.indptr))
        keep = (rows != 20) & (graph.indices != 20)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[keep], minlength=graph.n_rows))])
        lonely.append(FuzzyGraph(indptr, graph.indices[keep], graph.data[keep]))
    maps = lay_out(lonely, ids[:3])
    for positions in maps:
        assert np.flatnonzero(~np.isfinite(positions).all(axis=1)).tolist() == [20]
    block = [BlockWindow(lonely[t], t, maps[t], is_fixed=True) for t in range(3)]
    new = lay_out_block([*block, BlockWindow(graphs[3], 3)], relate(ids[:4]), SETTINGS, 0)[3]
    assert np.isfinite(new).all()


def test_windows_without_any_relation_are_laid_out_by_themselves(graphs):
    block = [BlockWindow(graph, index) for index, graph in enumerate(graphs[:2])]
    nothing = {(0, 1): np.full(N_ROWS, -1, np.int32)}
    maps = lay_out_block(block, nothing, SETTINGS, 0)
    assert all(np.isfinite(m).all() for m in maps)
    assert all(np.array_equal(a, b) for a, b in zip(maps, lay_out_block(block, {}, SETTINGS, 0), strict=True))


def test_the_last_window_is_pulled_as_the_first_is(windows, graphs):
    """Turning time round must not change who is tied: both end windows drift alike."""
    ids = windows[1]
    forward = lay_out(graphs, ids)
    ends = [drift([forward[t], forward[t + 1]], [relate_ids(ids[t], ids[t + 1])]) for t in (0, N_WINDOWS - 2)]
    assert 0.4 < ends[0] / ends[1] < 2.5


def test_callback_sees_every_epoch_and_may_stop_the_layout(windows, graphs):
    seen = []
    lay_out(graphs[:2], windows[1][:2], on_epoch=lambda done, total: seen.append((done, total)))
    # 60 for the first window, 6 to carry the second, and 114 in which both move
    assert seen == [*((n, 294) for n in range(1, 67)), *((n, 294) for n in range(68, 295, 2))]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lay_out(graphs[:2], windows[1][:2], on_epoch=stop)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"positions": None, "is_fixed": True}, r"windows\[0\] is fixed but has no positions"),
        ({"positions": np.zeros((3, 2), np.float32)}, r"windows\[0\].positions must have shape \(90, 2\).*\(3, 2\)"),
    ],
)
def test_positions_that_do_not_fit_are_refused(graphs, window, message):
    with pytest.raises(InvalidInputError, match=message):
        lay_out_block([BlockWindow(graphs[0], 0, **window)], {}, SETTINGS, 0)


def test_an_empty_block_is_empty():
    assert lay_out_block([], {}, SETTINGS, 0) == []


@pytest.mark.parametrize("is_exchanged", [False, True])
def test_positions_that_overflow_are_refused(windows, graphs, is_exchanged):
    block = [BlockWindow(graph, index) for index, graph in enumerate(graphs)]
    given = block, relate(windows[1]), LayoutSettings(n_epochs=20, a=1000.0, b=10.0), 0
    expected = r"layout of window 0 .* overflows: \d+ of 90 rows .* lower learning_rate"
    with pytest.raises(InvalidInputError, match=expected):
        lay_out_in_exchange(*given, [range(2), range(2, N_WINDOWS)]) if is_exchanged else lay_out_block(*given)


def test_one_row_that_overflows_is_enough(windows, graphs, monkeypatch):
    read = Optimiser.get_positions

    def lose_one(self, place):
        positions = read(self, place)
        if place == 2:
            positions[3] = np.inf
        return positions

    monkeypatch.setattr(Optimiser, "get_positions", lose_one)
    with pytest.raises(InvalidInputError, match=r"layout of window 2 .* 1 of 90 rows"):
        lay_out(graphs, windows[1])
