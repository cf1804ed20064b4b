"""Candidates of rows beside numpy's sorting of the same numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftmap.engine.neighbours.kernels import candidate_kernels as kernels
from driftmap.engine.neighbours.scaling.normalise import new_graph


def make_whole(n=300, q=6, seed=0):
    return np.random.default_rng(seed).integers(-9, 9, size=(n, q)).astype(np.float32)


@pytest.mark.parametrize("cuts", [(0, 300), (0, 70, 71, 71, 300), (0, 10, 20, 300)])
def test_candidates_are_the_nearest_of_all_parts_whatever_their_order(cuts):
    whole = make_whole()
    norms = np.square(whole).sum(axis=1)
    own = np.array([5, 6, 40, 299], np.int32)
    found = new_graph(len(own), 20)
    parts = list(itertools.pairwise(cuts))
    for first, last in parts[::-1]:
        products = whole[own[1:]] @ whole[first:last].T
        kernels.add_candidates(products, (norms[first:last], first), np.arange(1, 4, dtype=np.int32), own, found)
    scores = norms - 2 * whole[own] @ whole.T
    scores[np.arange(4), own] = np.inf
    expected = np.lexsort((np.tile(np.arange(300), (4, 1)), scores), axis=1)[:, :20]
    np.testing.assert_array_equal(found[0][1:], expected[1:])
    np.testing.assert_array_equal(found[1][1:], np.take_along_axis(scores, expected, axis=1)[1:])
    assert (found[0][0] == -1).all()  # not among `some`


def test_fewer_candidates_than_places():
    whole = make_whole(10)
    found = new_graph(1, 20)
    norms = np.square(whole).sum(axis=1)
    own = np.array([3], np.int32)
    kernels.add_candidates(whole[own] @ whole.T, (norms, 0), np.zeros(1, np.int32), own, found)
    assert sorted(found[0][0, :9]) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert (found[0][0, 9:] == -1).all()


def test_measured_candidates_are_in_the_order_of_the_exact_search():
    rows = make_whole(50).astype(np.float32)
    order = np.random.default_rng(1).permutation(50).astype(np.int32)
    numbers, data = np.arange(50, dtype=np.int32), (rows, np.ones(50), 0.0)
    candidates = np.full((50, 52), -1, np.int32)
    for position in range(50):
        candidates[position, :49] = np.delete(np.arange(50), position)
    found, expected = new_graph(50, 7), new_graph(50, 7)
    kernels.measure_candidates(candidates, order, order, numbers, data, found)
    kernels.measure_all(numbers, numbers, data, expected)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(apart, -1.0)
    nearest = np.lexsort((np.tile(numbers, (50, 1)), apart), axis=1)[:, :7]
    for lists in (found, expected):
        np.testing.assert_array_equal(lists[0], nearest)
        np.testing.assert_allclose(lists[1][:, 1:], np.take_along_axis(apart, nearest, axis=1)[:, 1:], rtol=1e-6)


def test_the_smallest_of_each_row_ties_by_column():
    scores = make_whole(40, 30)
    nearest = np.empty((40, 8), np.int32)
    kernels.find_smallest(scores, nearest)
    np.testing.assert_array_equal(nearest, np.argsort(scores, axis=1, kind="stable")[:, :8])
