"""Eigenvectors of large graphs by way of smaller ones: against those that are known, and the start made of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from driftmap.engine.layout.start import initialise, multilevel
from driftmap.engine.types import FuzzyGraph


def make_grid(height, width, seed=None):
    """Rows on a grid, each joined with its neighbours; with a seed, in any order."""
    places = np.arange(height * width).reshape(height, width)
    ends = [np.concatenate([places[:-1].ravel(), places[:, :-1].ravel()])]
    ends.append(np.concatenate([places[1:].ravel(), places[:, 1:].ravel()]))
    names = np.arange(height * width) if seed is None else np.random.default_rng(seed).permutation(height * width)
    one, two = names[ends[0]], names[ends[1]]
    n = height * width
    matrix = csr_array(coo_array((np.ones(2 * len(one)), (np.r_[one, two], np.r_[two, one])), shape=(n, n)))
    indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    return FuzzyGraph(indptr, indices, matrix.data.astype(np.float32)), names


def to_matrix(graph):
    return csr_array((graph.data.astype(np.float64), graph.indices, graph.indptr), shape=(graph.n_rows, graph.n_rows))


def quotients(graph, vectors):
    graph = to_matrix(graph)
    sums = np.asarray(graph.sum(axis=1)).ravel()
    scaled = vectors / np.sqrt(sums)[:, None]
    return np.einsum("ij,ij->j", scaled, graph @ scaled) / np.einsum("ij,ij->j", scaled, sums[:, None] * scaled)


@pytest.mark.parametrize("seed", [None, 0])
def test_the_waves_of_a_grid_are_found(seed):
    height, width = 60, 150
    graph, names = make_grid(height, width, seed)
    found = multilevel.find_eigenvectors(graph, 2, initialise._solve)
    column = np.empty(height * width)
    column[names] = np.tile(np.arange(width), height)
    waves = [np.cos(np.pi * order * (column + 0.5) / width) for order in (1, 2)]
    for vector, wave in zip(found.T, waves, strict=True):
        assert abs(np.corrcoef(vector, wave)[0, 1]) > 0.99
    exact = initialise._solve(graph, 2)
    assert (quotients(graph, found) > quotients(graph, exact) - 2e-5).all()


def test_vectors_are_at_right_angles_to_each_other_and_to_the_constant_one():
    graph, _ = make_grid(70, 100, 1)
    found = multilevel.find_eigenvectors(graph, 3, initialise._solve)
    constant = np.sqrt(np.asarray(to_matrix(graph).sum(axis=1)).ravel())
    products = found.T @ np.column_stack([found, constant / np.linalg.norm(constant)])
    np.testing.assert_allclose(products, np.eye(3, 4), atol=1e-6)


def test_a_graph_that_no_merge_makes_smaller_is_solved_as_it_is(monkeypatch):
    monkeypatch.setattr(multilevel, "COARSE_ROWS", 10)
    monkeypatch.setattr(multilevel, "_LEAST_MERGED", 1.0)
    graph, _ = make_grid(8, 9)
    found = multilevel.find_eigenvectors(graph, 1, initialise._solve)
    expected = initialise._solve(graph, 1 + multilevel.N_SPARE)[:, :1]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_a_large_window_starts_so_and_a_small_one_as_before(monkeypatch):
    called = []
    find = multilevel.find_eigenvectors
    monkeypatch.setattr(multilevel, "find_eigenvectors", lambda *given: called.append(given) or find(*given))
    grid, names = make_grid(110, 200, 3)
    start = initialise.spectral_start(grid, 2, 0)
    assert len(called) == 1
    column = np.empty(len(names))
    column[names] = np.tile(np.arange(200), 110)
    assert abs(np.corrcoef(start[:, 0], column)[0, 1]) > 0.95
    assert start.tobytes() == initialise.spectral_start(grid, 2, 0).tobytes()
    monkeypatch.setattr(initialise, "LARGE_ROWS", len(names))
    initialise.spectral_start(grid, 2, 0)
    assert len(called) == 2
