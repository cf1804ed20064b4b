"""Neighbours of neighbours: one round against a plain search of the same candidates, round after round to the end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftmap.engine import limit_threads
from driftmap.engine.neighbours.kernels import join_kernels as kernels
from driftmap.engine.neighbours.partitions.inverted_file import find_in_partitions


def make_lists(n=120, k=5, d=7, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)).astype(np.float32)
    others = [np.delete(np.arange(n), row) for row in range(n)]
    indices = np.array([rng.choice(other, k, replace=False) for other in others]).astype(np.int32)
    near = kernels.NearLists(indices, np.ones((n, k), np.bool_))
    kernels.order_lists(rows, near.indices, np.empty(k, np.float32))
    return rows, near


def reverse_all(near, n_places):
    n = len(near.indices)
    reverse = kernels.ReverseLists(np.empty((n, n_places), np.int32), np.empty((n, n_places), np.bool_))
    kernels.reverse_lists(near, reverse, np.empty(n, np.int32))
    return reverse


def join_all(rows, near, reverse, cuts):
    out = kernels.NearLists(*(array.copy() for array in near))
    for first, last in itertools.pairwise(cuts):
        scratch = kernels.Scratch(np.full(len(rows), -1, np.int32), np.empty(near.indices.shape[1], np.float32))
        kernels.join_rows(rows, (first, last), near, reverse, out, scratch)
    return out


def join_plainly(rows, near, reverse):
    """The nearest of each list, of those that hold the row, and of the lists of both, both ways."""
    n, k = near.indices.shape
    linked = [
        {*near.indices[row].tolist(), *reverse.indices[row][reverse.indices[row] >= 0].tolist()} for row in range(n)
    ]
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - rows[None], axis=2)
    found = []
    for row in range(n):
        candidates = set(linked[row]).union(*(linked[other] for other in linked[row])) - {row}
        found.append(sorted(candidates, key=lambda j: (apart[row, j], j))[:k])
    return np.array(found)


@pytest.mark.parametrize("n_places", [1, 5, 40])
def test_a_round_finds_the_nearest_of_the_neighbours_of_neighbours(n_places):
    rows, near = make_lists()
    reverse = reverse_all(near, n_places)
    out = join_all(rows, near, reverse, [0, 120])
    np.testing.assert_array_equal(out.indices, join_plainly(rows, near, reverse))
    held = [np.isin(one, other) for one, other in zip(out.indices, near.indices, strict=True)]
    np.testing.assert_array_equal(out.is_new, ~np.array(held))
    assert (np.diff(((rows[:, None] - rows[near.indices]) ** 2).sum(axis=2), axis=1) >= -1e-5).all()


def test_a_round_does_not_depend_on_how_rows_are_shared_out():
    rows, near = make_lists()
    reverse = reverse_all(near, 5)
    one, other = join_all(rows, near, reverse, [0, 120]), join_all(rows, near, reverse, [0, 17, 18, 90, 120])
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_later_rounds_leave_out_what_was_compared_before_and_find_the_same():
    rows, near = make_lists(k=8)
    for _ in range(6):
        reverse = reverse_all(near, 8)
        fresh = near._replace(is_new=np.ones_like(near.is_new))
        expected = join_all(rows, fresh, reverse._replace(is_new=np.ones_like(reverse.is_new)), [0, 120])
        near = join_all(rows, near, reverse, [0, 120])
        assert (near.indices == expected.indices).mean() > 0.995  # a reverse list that was full may hold others now
    exact = np.argsort(np.linalg.norm(rows[:, None] - rows[None], axis=2), axis=1)[:, 1:9]
    assert np.mean([np.isin(a, b).mean() for a, b in zip(exact, near.indices, strict=True)]) > 0.9


def test_reverse_lists_hold_those_that_name_a_row_first():
    lists = np.array([[1, 2], [2, 0], [1, 0], [1, 2]], np.int32)
    near = kernels.NearLists(lists, np.ones((4, 2), np.bool_))
    reverse = reverse_all(near, 2)
    np.testing.assert_array_equal(reverse.indices, [[1, 2], [0, 2], [1, 0], [-1, -1]])


def test_a_search_is_the_same_on_one_thread_and_on_two():
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(20, 40))[rng.integers(0, 20, 6000)] + rng.normal(size=(6000, 40))).astype(np.float32)
    found = []
    for n_threads in (1, 2):
        with limit_threads(n_threads):
            found.append(find_in_partitions(rows, 12, "euclidean", 0, 0.97))
    assert found[0].indices.tobytes() == found[1].indices.tobytes()
    assert found[0].distances.tobytes() == found[1].distances.tobytes()
