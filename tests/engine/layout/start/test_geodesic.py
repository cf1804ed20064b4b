"""Starts by shortest paths: paths unrolled, classical scaling, and lengths that are scipy's to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, shortest_path
from scipy.spatial.distance import pdist
from tests.engine.layout.start.chains import chain_graph

from driftmap.engine.layout.start.geodesic import N_LANDMARKS, find_shortest_paths, geodesic_start
from driftmap.engine.types import FuzzyGraph


@pytest.mark.parametrize("n", [40, N_LANDMARKS, 500])
def test_geodesic_start_unrolls_a_path(n):
    """500 rows are placed by their distances to landmarks."""
    start = geodesic_start(chain_graph(n), 2, 0)
    first = np.sign(start[-1, 0] - start[0, 0]) * start[:, 0]
    inner = first[n // 20 : -n // 20]  # beyond, rows are clipped
    assert (np.diff(inner) > -0.03).all()
    assert np.corrcoef(inner, np.arange(len(inner)))[0, 1] > 0.999
    assert np.abs(start[:, 1]).max() < 0.1
    assert 8 < first.max() <= 10.1


def test_geodesic_start_is_classical_scaling_of_shortest_paths():
    """A tree of three arms: with all rows as landmarks equal to scaling, with some of them still an arm apart."""
    small, large = (_join_arms(length) for length in (30, 100))
    found = geodesic_start(small, 3, 0)
    apart = shortest_path(csr_array((small.data, small.indices, small.indptr)), directed=False)
    values, vectors = np.linalg.eigh(-0.5 * _centre(apart**2))
    expected = vectors[:, :-4:-1] * np.sqrt(values[:-4:-1])
    assert np.corrcoef(pdist(found), pdist(expected))[0, 1] > 0.999  # three equal arms may be turned
    for graph, n in ((small, 30), (large, 100)):
        ends = geodesic_start(graph, 2, 0)[[n, 2 * n, 3 * n]]
        sides = np.linalg.norm(ends - ends[[1, 2, 0]], axis=1)
        assert sides.max() < 1.3 * sides.min()
        assert sides.min() > 8


def _join_arms(n):
    """Row 0 with three paths of n rows from it."""
    arms = [np.r_[0, np.arange(1 + n * arm, 1 + n * (arm + 1))] for arm in range(3)]
    row = np.concatenate([np.r_[arm[:-1], arm[1:]] for arm in arms])
    column = np.concatenate([np.r_[arm[1:], arm[:-1]] for arm in arms])
    matrix = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(3 * n + 1, 3 * n + 1))
    matrix.sort_indices()
    return FuzzyGraph(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)


def _centre(squared):
    return squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()


@pytest.mark.parametrize("lengths", [(1,), (2,), (3, 1), (200, 60, 1)])
def test_geodesic_start_of_tiny_windows_and_parts_is_finite(lengths):
    start = geodesic_start(chain_graph(*lengths), 3, 0)
    assert start.shape == (sum(lengths), 3)
    assert np.isfinite(start).all()
    assert np.abs(start).max() < 11


def test_landmarks_that_all_lie_equally_far_apart_have_a_start():
    n = 400  # rows without a path between: all eigenvalues but one are equal
    first = np.arange(0, n, 2)
    indices = (np.arange(n) ^ 1).astype(np.int32)
    graph = FuzzyGraph(np.arange(n + 1, dtype=np.int64), indices, np.ones(n, dtype=np.float32))
    start = geodesic_start(graph, 2, 0)
    assert start.shape == (n, 2)
    assert np.isfinite(start).all()
    assert len(np.unique(start[first], axis=0)) > 2


def test_shortest_paths_are_those_of_scipy_to_the_last_bit():
    rng = np.random.default_rng(0)
    n = 300
    row, column = rng.integers(0, n - 20, size=(2, 600))  # the last rows have no edge, others lie in parts
    matrix = csr_array((rng.exponential(size=600), (row, column)), shape=(n, n))
    matrix = (matrix + matrix.T).tocsr()
    matrix.sort_indices()
    sources = np.array([0, 7, 150, n - 1])
    found = find_shortest_paths(
        matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data, sources.astype(np.int64)
    )
    expected = dijkstra(matrix, indices=sources)
    assert np.isinf(expected).any()
    assert np.array_equal(found.T, expected)
