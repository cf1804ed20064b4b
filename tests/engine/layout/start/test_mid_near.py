"""Mid-near rows: what they draw, against a plain reference; and which windows of a block are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.engine.layout.start.chains import chain_graph

from driftmap.engine.core.threads import SMALL_ROWS
from driftmap.engine.layout import block
from driftmap.engine.layout.block import BlockWindow, lay_out_block
from driftmap.engine.layout.start import mid_near
from driftmap.engine.layout.start.geodesic import geodesic_start
from driftmap.engine.layout.start.memory import MID_NEAR_ROWS
from driftmap.engine.settings import LayoutSettings

N = 300


def _fold(n):
    """A path whose second half lies back over the first."""
    along = np.minimum(np.arange(n), np.arange(n)[::-1]).astype(np.float32)
    return np.stack([along, np.random.default_rng(0).normal(size=n)], axis=1).astype(np.float32)


def test_rows_go_half_way_to_the_mean_of_their_partners():
    """A plain loop, row by row, over the same draws."""
    graph, folded = chain_graph(N), _fold(N)
    axes = geodesic_start(graph, mid_near.N_AXES, 5)
    rng = np.random.default_rng([5, 2])
    partners = [set() for _ in range(N)]
    for _ in range(mid_near.N_PARTNERS):
        for row, drawn in enumerate(rng.integers(0, N, (N, mid_near.N_DRAWN))):
            second = sorted(drawn, key=lambda other, row=row: float(np.sum((axes[other] - axes[row]) ** 2)))[1]
            partners[row].add(int(second))
            partners[second].add(row)
    expected = folded.astype(np.float64)
    centre, extent = expected.mean(axis=0), np.sqrt(((expected - expected.mean(axis=0)) ** 2).sum(axis=1).mean())
    for _ in range(mid_near.N_ROUNDS):
        means = np.array([np.mean([expected[other] for other in sorted(own)], axis=0) for own in partners])
        expected = (expected + means) / 2
        expected -= expected.mean(axis=0)
        expected *= extent / np.sqrt((expected**2).sum(axis=1).mean())
    found = mid_near.draw_mid_near(graph, folded, 5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected + centre, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_a_path_that_was_laid_out_roughly_is_straightened_at_its_extent(seed):
    rough = np.stack([np.arange(N), np.zeros(N)], axis=1) + np.random.default_rng(seed).normal(scale=100, size=(N, 2))
    rough = rough.astype(np.float32)
    drawn = mid_near.draw_mid_near(chain_graph(N), rough, seed)
    one, two = np.random.default_rng(1).integers(0, N, (2, 4_000))

    def follows(positions):
        return spearmanr(np.abs(one - two), np.linalg.norm(positions[one] - positions[two], axis=1)).statistic

    assert follows(rough) < 0.5
    assert follows(drawn) > 0.9
    np.testing.assert_allclose(drawn.mean(axis=0), rough.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(drawn.var(axis=0).sum(), rough.var(axis=0).sum(), rtol=1e-4)


def test_rows_without_an_edge_stay_out_of_it():
    graph = chain_graph(1, N - 1)
    positions = _fold(N)
    positions[0] = np.nan
    drawn = mid_near.draw_mid_near(graph, positions, 0)
    assert np.isnan(drawn[0]).all()
    assert np.isfinite(drawn[1:]).all()


@pytest.mark.parametrize("lengths", [(2,), (3,), (2, 2), (200, 60, 1)])
def test_windows_of_few_rows_and_of_parts_stay_finite(lengths):
    n = sum(lengths)
    positions = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    drawn = mid_near.draw_mid_near(chain_graph(*lengths), positions, 0)
    assert drawn.shape == (n, 3)
    assert np.isfinite(drawn).all()


def test_rows_at_one_spot_stay_finite():
    assert np.isfinite(mid_near.draw_mid_near(chain_graph(N), np.ones((N, 2), np.float32), 0)).all()


@pytest.mark.parametrize(
    ("n", "is_drawn"),
    [(SMALL_ROWS, False), (SMALL_ROWS + 1, True), (MID_NEAR_ROWS, True), (MID_NEAR_ROWS + 1, False)],
)
def test_only_windows_between_the_bounds_are_drawn(monkeypatch, n, is_drawn):
    drawn = []
    monkeypatch.setattr(block, "draw_mid_near", lambda _graph, positions, _seed: drawn.append(1) or positions)
    lay_out_block([BlockWindow(chain_graph(n), 0)], {}, LayoutSettings(n_epochs=1), 0)
    assert len(drawn) == is_drawn


def test_a_window_that_follows_another_is_not_drawn_and_one_that_stands_alone_is(monkeypatch):
    drawn = []
    monkeypatch.setattr(block, "draw_mid_near", lambda graph, positions, _seed: drawn.append(graph) or positions)
    n = SMALL_ROWS + 50
    windows = [BlockWindow(chain_graph(n), index) for index in range(3)]
    related = {(0, 1): np.arange(n, dtype=np.int32), (1, 2): np.full(n, -1, np.int32)}
    lay_out_block(windows, related, LayoutSettings(n_epochs=100), 0)
    assert [graph is window.graph for graph, window in zip(drawn, (windows[0], windows[2]), strict=True)] == [True] * 2


def test_a_start_that_was_given_is_not_drawn(monkeypatch):
    monkeypatch.setattr(block, "draw_mid_near", lambda *_: pytest.fail("drawn"))
    n = SMALL_ROWS + 50
    lay_out_block([BlockWindow(chain_graph(n), 0, start=_fold(n))], {}, LayoutSettings(n_epochs=5), 0)
