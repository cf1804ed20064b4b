"""Neighbours from parts of the data: most of the nearest, at exact distances, whatever the threads."""

from __future__ import annotations

import itertools
import json
import re
import sys

import numpy as np
import pytest
from tests.memory import AS_IN_WORKERS, run_python
from threadpoolctl import threadpool_limits

from driftmap.engine import build_knn_graph
from driftmap.engine.neighbours import search as knn_module
from driftmap.engine.neighbours.partitions import inverted_file as module
from driftmap.engine.neighbours.partitions.inverted_file import find_in_partitions
from driftmap.engine.neighbours.partitions.sample import Sample


def make_sheet(n, d=24, seed=0):
    """Rows near a curved surface of four dimensions."""
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(n, 4))
    return (np.tanh(flat @ rng.normal(size=(4, d))) + 0.05 * rng.normal(size=(n, d))).astype(np.float32)


def count_found(found, exact):
    return np.mean([np.isin(a[1:], b[1:]).mean() for a, b in zip(exact.indices, found.indices, strict=True)])


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_most_neighbours_at_exact_distances(metric):
    rows = make_sheet(4000)
    exact, found = build_knn_graph(rows, 12, metric), find_in_partitions(rows, 12, metric, 0, 0.98)
    assert count_found(found, exact) >= 0.97
    assert (found.indices[:, 0] == np.arange(len(rows))).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()
    same = found.indices == exact.indices
    np.testing.assert_array_equal(found.distances[same], exact.distances[same])


def test_the_same_bytes_on_any_number_of_threads_and_for_one_seed():
    rows = make_sheet(3000)
    digests = set()
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            found = find_in_partitions(rows, 10, "euclidean", 5, 0.98)
        digests.add((found.indices.tobytes(), found.distances.tobytes()))
    assert len(digests) == 1
    other = find_in_partitions(rows, 10, "euclidean", 6, 0.98)
    assert other.indices.tobytes() not in {indices for indices, _ in digests}


def test_duplicates_and_far_rows():
    rows = make_sheet(1500)
    rows[100:140] = rows[100]
    rows[7] *= 1e6
    found = find_in_partitions(rows, 12, "euclidean", 0, 0.98)
    assert (found.distances[100:140] == 0).all()
    assert np.isfinite(found.distances).all()
    assert (found.indices >= 0).all()


@pytest.mark.parametrize("n", [2, 5, 40])
def test_few_rows(n):
    rows = make_sheet(n)
    found = find_in_partitions(rows, n, "euclidean", 0, 0.98)
    np.testing.assert_array_equal(found.indices, build_knn_graph(rows, n).indices)


def test_a_large_window_is_searched_in_parts_and_noise_as_far_as_that_leads(monkeypatch):
    rows = make_sheet(4000)
    monkeypatch.setattr(knn_module, "EXACT_WORK", 0.0)
    monkeypatch.setattr(knn_module, "EXHAUSTIVE_WORK", 0.0)
    expected = find_in_partitions(rows, 12, "euclidean", 3, 0.98)
    np.testing.assert_array_equal(build_knn_graph(rows, 12, seed=3).indices, expected.indices)
    noise = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    assert find_in_partitions(noise, 12, "euclidean", 0, 0.98) is None
    with pytest.warns(UserWarning, match=r"2,000 rows about \d\d% were found, and 98% .*knn_recall=1") as said:
        found = build_knn_graph(noise, 12)
    assert (found.indices >= 0).all()
    share = count_found(found, knn_module.find_exact(noise, 12, "euclidean"))
    assert 0.7 < share < 0.98
    assert abs(share - int(re.search(r"about (\d\d)%", str(said[0].message))[1]) / 100) < 0.02


def test_a_large_window_is_searched_so_by_default_and_finds_98_of_100():
    rows = make_sheet(16_000)
    assert len(rows) ** 2 * (rows.shape[1] + 180) > knn_module.EXACT_WORK
    exact, found = knn_module.find_exact(rows, 15, "euclidean"), build_knn_graph(rows, 15)
    assert found.indices.tobytes() != exact.indices.tobytes()
    is_as_near = found.distances[:, 1:] <= exact.distances[:, -1:]
    assert is_as_near.mean() >= 0.98


def test_rows_that_cells_do_not_part_are_searched_exactly(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(900, 200)).astype(np.float32)
    monkeypatch.setattr(knn_module, "EXACT_WORK", 0.0)
    found, exact = build_knn_graph(rows, 8), knn_module.find_exact(rows, 8, "euclidean")
    assert find_in_partitions(rows, 8, "euclidean", 0, 0.98) is None
    np.testing.assert_array_equal(found.indices, exact.indices)
    np.testing.assert_array_equal(found.distances, exact.distances)


def test_no_round_is_begun_where_none_can_find_enough(monkeypatch):
    monkeypatch.setattr(module, "improve_lists", lambda *_: pytest.fail("a round was begun"))
    noise = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    assert find_in_partitions(noise, 12, "euclidean", 0, 0.98) is None


def test_rounds_end_where_those_to_come_cannot_find_enough(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(5000, 16)).astype(np.float32)
    monkeypatch.setattr(module, "WHOLE_SHARE", 0.0)
    monkeypatch.setattr(module, "WHOLE_SECONDS", 0.0)
    shares, measure = [], Sample.measure_recall

    def measure_recall(*given):
        shares.append(measure(*given))
        return shares[-1]

    monkeypatch.setattr(Sample, "measure_recall", measure_recall)
    find_in_partitions(rows, 12, "euclidean", 0, 0.98)
    steps = list(itertools.pairwise(shares))
    assert len(steps) > 1
    can_go_on = [after + (after - before) >= 0.985 for before, after in steps]
    assert can_go_on == [True] * (len(steps) - 1) + [False]


def test_where_rounds_find_too_little_more_parts_are_searched(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(5000, 12)).astype(np.float32)
    exact, expected = knn_module.find_exact(rows, 12, "euclidean"), find_in_partitions(rows, 12, "euclidean", 0, 0.98)
    assert count_found(expected, exact) >= 0.98
    rounds = []
    monkeypatch.setattr(module, "WHOLE_SHARE", 0.0)
    monkeypatch.setattr(module, "WHOLE_SECONDS", 0.0)
    monkeypatch.setattr(module, "improve_lists", lambda *given, **_: rounds.append(given))
    found = find_in_partitions(rows, 12, "euclidean", 0, 0.98)
    assert len(rounds) == 1
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are counted as Linux does")
def test_few_pages_are_new_where_the_allocator_keeps_none():
    """New arrays for every block had 21 times the rows' size cleared by the system; 55 times with 100,000 rows."""
    code = (
        "import json, resource, numpy as np\n"
        "from driftmap.engine import build_knn_graph\n"
        "rows = np.random.default_rng(0).normal(size=(60_000, 3)) @ np.random.default_rng(1).normal(size=(3, 64))\n"
        "rows = rows.astype(np.float32)\n"
        "build_knn_graph(rows[:20_000], 15)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "build_knn_graph(rows, 15)\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "print(json.dumps((after - before) * resource.getpagesize() / rows.nbytes))\n"
    )
    times = json.loads(run_python(code, NUMBA_NUM_THREADS="1", **AS_IN_WORKERS))
    assert times < 15
