"""Neighbours of wide rows by candidates on their main axes: most of the nearest, at exact distances, any threads."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import limit_threads
from driftmap.engine.core.threads import share_rows
from driftmap.engine.neighbours.partitions import candidates as module
from driftmap.engine.neighbours.partitions.candidates import find_by_candidates
from driftmap.engine.neighbours.partitions.inverted_file import find_in_partitions
from driftmap.engine.neighbours.scaling.normalise import COSINE_TINY, as_graph, scale_rows
from driftmap.engine.neighbours.search import find_exact


def make_sheet(n=3000, d=300, seed=0):
    """Rows near a curved surface of six dimensions, most of whose variance is on few axes."""
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(n, 6))
    noise = 0.05 * rng.normal(size=(n, d))
    return (np.tanh(flat @ rng.normal(size=(6, 20))) @ rng.normal(size=(20, d)) + noise).astype(np.float32)


def search(rows, k=12, metric="euclidean", seed=0, wanted=0.988):
    rows, scales = scale_rows(rows, metric)
    data = rows, scales, 0.0 if metric == "euclidean" else COSINE_TINY
    with share_rows() as share:
        found = find_by_candidates(data, k, np.random.default_rng(seed), wanted, share)
    return None if found is None else as_graph(*found, metric)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_most_neighbours_at_exact_distances_in_order(metric):
    rows = make_sheet() + np.float32(3.0)
    exact, found = find_exact(rows, 12, metric), search(rows, metric=metric)
    assert (found.distances[:, 1:] <= exact.distances[:, -1:]).mean() >= 0.98
    assert (found.indices[:, 0] == np.arange(len(rows))).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert (np.diff(np.sort(found.indices, axis=1), axis=1) > 0).all()
    same = found.indices == exact.indices
    np.testing.assert_array_equal(found.distances[same], exact.distances[same])


def test_the_same_bytes_on_any_number_of_threads_and_for_one_seed():
    rows = make_sheet(5000)
    digests = set()
    for n_threads in (1, 2):
        with limit_threads(n_threads):
            found = search(rows, seed=5)
        digests.add((found.indices.tobytes(), found.distances.tobytes()))
    assert len(digests) == 1
    assert search(rows, seed=6).indices.tobytes() not in {indices for indices, _ in digests}


def test_blocks_of_rows_change_nothing(monkeypatch):
    rows = make_sheet()
    expected = search(rows)
    monkeypatch.setattr(module, "CANDIDATE_BYTES", 50_000)
    np.testing.assert_array_equal(search(rows).indices, expected.indices)


def test_wide_rows_are_searched_so():
    rows = make_sheet()
    found = find_in_partitions(rows, 12, "euclidean", 3, 0.98)
    np.testing.assert_array_equal(found.indices, search(rows, seed=3).indices)


def test_duplicates_far_rows_and_small_groups_apart():
    rows = make_sheet()
    rows[100:190] = rows[100]
    rows[7] *= 1e6
    rows[20:25] += 1e4  # fewer than neighbours are wanted, in parts of their own
    found = search(rows)
    assert (found.distances[100:190] == 0).all()
    np.testing.assert_array_equal(found.indices[150], [150, *range(100, 111)])
    assert (found.indices >= 0).all()
    assert np.isfinite(found.distances).all()
    np.testing.assert_array_equal(np.sort(found.indices[20:25, :5], axis=1), np.tile(np.arange(20, 25), (5, 1)))


def test_rows_in_parts_of_too_few_are_compared_with_all(monkeypatch):
    rows = make_sheet()
    monkeypatch.setattr(module, "_choose_effort", lambda *_: module._Effort(1, 12))
    monkeypatch.setattr(module, "PARTS_PER_ROOT", 20.0)
    exact, found = find_exact(rows, 12, "euclidean"), search(rows)
    is_whole = (found.indices == exact.indices).all(axis=1)
    assert is_whole.mean() > 0.5
    assert (found.indices >= 0).all()


@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).normal(size=(2500, 300)).astype(np.float32),  # no few axes
        np.ones((2500, 300), np.float32),
        make_sheet(1000),  # few
        make_sheet(d=200),  # narrow
    ],
    ids=["noise", "constant", "few", "narrow"],
)
def test_left_to_the_other_searches(rows):
    assert search(rows) is None


def test_candidates_that_do_not_hold_enough_are_given_up():
    rng = np.random.default_rng(0)
    centres = 30.0 * rng.normal(size=(8, 300))  # axes tell the groups, and nothing within them
    rows = (centres[rng.integers(0, 8, 4000)] + rng.normal(size=(4000, 300))).astype(np.float32)
    assert search(rows) is None
