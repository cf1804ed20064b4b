"""Other starts of a small window: which windows have them, and that the one that ends best is kept."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.layout.start.chains import chain_graph

from driftmap.engine import BlockWindow, LayoutSettings, lay_out_block
from driftmap.engine.core.sizes import SMALL_ROWS
from driftmap.engine.layout import block
from driftmap.engine.layout.curve import fit_curve
from driftmap.engine.layout.loss import measure_loss
from driftmap.engine.layout.start.geodesic import geodesic_start
from driftmap.engine.layout.start.place_new import place_otherwise

N = 100


def relate(n_known):
    """A window before it of which the first rows are known, in a line of its own direction."""
    positions = (np.arange(n_known)[:, None] * [0.06, 0.08] + [5, -3]).astype(np.float32)
    return [(positions, np.arange(n_known, dtype=np.int32))]


def test_a_window_that_stands_alone_is_begun_by_shortest_paths_too():
    graph = chain_graph(N)
    for before in ([], relate(2)):
        (start,) = place_otherwise(graph, before, 2, 3)
        assert np.array_equal(start, geodesic_start(graph, 2, 3))


@pytest.mark.parametrize(("n_known", "n_starts"), [(81, 0), (80, 2), (30, 2), (29, 0)])
def test_a_window_of_which_some_rows_are_known_has_two_more_starts(n_known, n_starts):
    before = relate(n_known)
    starts = place_otherwise(chain_graph(N), before, 2, 0)
    assert len(starts) == n_starts
    for start in starts:
        assert start.dtype == np.float32
        assert np.isfinite(start).all()
        along = start - start[0]
        assert np.abs(along @ [0.8, -0.6]).max() < 0.6, "the path is turned onto the rows that are known"
        assert (np.diff((along @ [0.6, 0.8])[n_known + 2 : -5]) > -0.03).all()
    if starts:
        assert np.array_equal(starts[1][:n_known], before[0][0])


def test_rows_without_an_edge_are_neither_known_nor_fresh():
    graph = chain_graph(80, *[1] * 20)
    assert place_otherwise(graph, relate(80), 2, 0) == []
    assert len(place_otherwise(graph, relate(64), 2, 0)) == 2


def test_a_large_window_has_no_other_start():
    assert place_otherwise(chain_graph(SMALL_ROWS + 1), [], 2, 0) == []
    assert len(place_otherwise(chain_graph(SMALL_ROWS), [], 2, 0)) == 1


@pytest.mark.parametrize("is_better", [False, True])
def test_the_start_that_ends_best_is_kept(monkeypatch, is_better):
    """The carry pass alone, without a joint one: beside a start folded in two, or beside one far too narrow."""
    graph, settings = chain_graph(N), LayoutSettings(n_epochs=30)
    line = geodesic_start(graph, 2, 0)
    folded = line[np.minimum(np.arange(N), N - 1 - np.arange(N))]
    given = [line, folded] if is_better else [folded, line]
    monkeypatch.setattr(block, "place_new", lambda *_: given[1])
    monkeypatch.setattr(block, "place_otherwise", lambda *_: [])
    pace = block.PACE._replace(joint_share=0.0, fresh_share=0.0)
    (alone,) = lay_out_block([BlockWindow(graph, 0)], {}, settings, 0, pace=pace)
    monkeypatch.setattr(block, "place_otherwise", lambda *_: [given[0]])
    (kept,) = lay_out_block([BlockWindow(graph, 0)], {}, settings, 0, pace=pace)
    assert np.array_equal(kept, alone) is not is_better
    a, b = fit_curve(settings.min_dist, settings.spread)
    before, after = (sum(measure_loss(graph, y, a, b)) for y in (alone, kept))
    assert after < 0.95 * before if is_better else after == before


@pytest.mark.parametrize(("n_epochs", "n_asked"), [(94, 0), (100, 1)])
def test_a_window_that_follows_others_has_other_starts_where_its_carry_pass_settles_it(monkeypatch, n_epochs, n_asked):
    asked = []
    monkeypatch.setattr(block, "place_otherwise", lambda graph, before, *_: asked.append(len(before)) or [])
    windows = [BlockWindow(chain_graph(N), index) for index in range(2)]
    relations = {(0, 1): np.where(np.arange(N) < N / 2, np.arange(N), -1).astype(np.int32)}
    lay_out_block(windows, relations, LayoutSettings(n_epochs=n_epochs), 0)
    assert asked == [0, *[1] * n_asked], "the first, which stands alone, always has them"
