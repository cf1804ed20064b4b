"""Start positions: components apart, related rows in place, new rows among their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.layout.start.chains import chain_graph

from driftmap.engine.layout.start.initialise import (
    jitter,
    random_start,
    spectral_start,
    start_from_previous,
)


@pytest.mark.parametrize("n", [50, 900])
def test_spectral_start_unrolls_a_path(n):
    """900 rows go the iterative delta, 50 the direct one; the first eigenvector of a path is monotone along it."""
    first = spectral_start(chain_graph(n), 2, 0)[:, 0]
    steps = np.diff(np.sign(np.corrcoef(first, np.arange(n))[0, 1]) * first)
    inner = steps[n // 10 : -n // 10]
    assert (inner > -0.05).all()
    assert 8 < np.abs(first).max() <= 10.1


def test_spectral_start_puts_components_apart():
    start = spectral_start(chain_graph(60, 40), 2, 0)
    gap = np.linalg.norm(start[:60].mean(axis=0) - start[60:].mean(axis=0))
    assert gap > 6
    assert np.isfinite(start).all()


@pytest.mark.parametrize("n_components", [1, 2, 3, 10])
@pytest.mark.parametrize("lengths", [(2,), (3, 2), (16,)])
def test_spectral_start_of_tiny_windows_is_finite(lengths, n_components):
    start = spectral_start(chain_graph(*lengths), n_components, 0)
    assert start.shape == (sum(lengths), n_components)
    assert start.dtype == np.float32
    assert np.isfinite(start).all()
    assert len(np.unique(start, axis=0)) == sum(lengths)


def test_related_rows_start_where_they_were_and_new_rows_between_their_neighbours():
    known = np.array([[0, 0], [np.nan] * 2, [4, 2], [np.nan] * 2, [np.nan] * 2], np.float32)
    graph = chain_graph(5)
    start = start_from_previous(graph, known, known[[0]], 0)
    assert np.array_equal(start[[0, 2]], known[[0, 2]])
    assert start[1] == pytest.approx([2, 1], abs=0.06)  # the mean of rows 0 and 2, but for the jitter
    assert start[3] == pytest.approx([4, 2], abs=0.06)
    assert start[4] == pytest.approx([4, 2], abs=0.06)


def test_a_small_part_that_nothing_joins_to_placed_rows_starts_at_one_place_of_the_previous_window():
    known = np.full((43, 2), np.nan, np.float32)
    known[:40] = np.arange(40)[:, None] * [1, 0]
    fallback = np.array([[9.0, 9.0], [5.0, 5.0]], np.float32)
    start = start_from_previous(chain_graph(40, 3), known, fallback, 1)
    assert np.linalg.norm(start[40:] - start[40], axis=1).max() < 0.2
    assert np.linalg.norm(fallback - start[40], axis=1).min() < 0.1


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_large_part_that_nothing_joins_to_placed_rows_starts_beside_them(n_components):
    known = np.full((90, n_components), np.nan, np.float32)
    known[:50] = np.random.default_rng(3).normal(size=(50, n_components)) * 4 + 20
    start = start_from_previous(chain_graph(50, 40), known, known[:50], 0)
    assert np.array_equal(start[:50], known[:50])
    apart = np.linalg.norm(start[50:, None] - known[None, :50], axis=2)
    assert 0.3 < apart.min() < 12
    sizes = [np.abs(x - np.median(x, axis=0)).max() for x in (start[:50], start[50:])]
    assert 0.4 < sizes[1] / sizes[0] < 1.4


def test_starts_depend_on_the_seed_alone():
    graph = chain_graph(20)
    assert np.array_equal(spectral_start(graph, 2, 5), spectral_start(graph, 2, 5))
    assert not np.array_equal(random_start(5, 2, 1), random_start(5, 2, 2))
    assert np.abs(random_start(500, 3, 1)).max() <= 8
    still = np.zeros((4, 2), np.float32)
    moved = jitter(still, np.array([True, False, True, False]), 0)
    assert (moved[[0, 2]] != 0).all()
    assert (moved[[1, 3]] == 0).all()
