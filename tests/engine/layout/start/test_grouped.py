"""The start of a large window: far rows far, parts beside each other, the same bytes on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from tests.engine.layout.start.test_multilevel import make_grid

from driftmap.engine import limit_threads
from driftmap.engine.layout.start import grouped, initialise, place_new
from driftmap.engine.types import FuzzyGraph


@pytest.mark.parametrize("seed", [None, 0])
def test_distances_on_a_grid_are_those_of_its_rows(seed):
    height, width = 130, 180
    graph, names = make_grid(height, width, seed)
    start = grouped.grouped_start(graph, 2, 0)
    corners = np.stack(np.divmod(np.arange(height * width), width), axis=1).astype(np.float64)
    some = np.random.default_rng(1).choice(height * width, 500, replace=False)
    assert np.corrcoef(pdist(start[names][some]), pdist(corners[some]))[0, 1] > 0.95
    assert np.abs(start).max() <= 10.1
    assert 7.5 < np.quantile(np.abs(start), 0.95, axis=0).max() < 8.5


def test_bytes_do_not_depend_on_threads():
    graph, _ = make_grid(110, 200, 3)
    many = grouped.grouped_start(graph, 3, 5)
    with limit_threads(1):
        one = grouped.grouped_start(graph, 3, 5)
    assert many.shape == (22_000, 3)
    assert many.tobytes() == one.tobytes()


def test_a_large_window_starts_so_and_a_smaller_one_by_its_spectrum(monkeypatch):
    graph, _ = make_grid(110, 200, 3)
    placed = place_new.place_new(graph, [], 2, 0)
    assert placed.tobytes() == grouped.grouped_start(graph, 2, 0).tobytes()
    monkeypatch.setattr(place_new, "LARGE_ROWS", graph.n_rows)
    assert place_new.place_new(graph, [], 2, 0).tobytes() == initialise.spectral_start(graph, 2, 0).tobytes()


def test_the_graph_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(grouped, "LARGE_ROWS", 100)
    for shape in ((40, 50), (110, 200)):
        graph, _ = make_grid(*shape, 2)
        before = [array.copy() for array in graph]
        for array in graph:
            array.setflags(write=False)
        monkeypatch.setattr(grouped, "MOST_GROUPS", 1_500 if shape[0] > 40 else 5_000)  # the smaller is not merged
        assert np.isfinite(grouped.grouped_start(graph, 2, 0)).all()
        assert all(np.array_equal(here, there) for here, there in zip(graph, before, strict=True))


def test_parts_lie_beside_each_other(monkeypatch):
    monkeypatch.setattr(grouped, "LARGE_ROWS", 1_000)
    monkeypatch.setattr(grouped, "MOST_GROUPS", 200)
    grid, _ = make_grid(60, 60, 4)
    n = grid.n_rows
    both = FuzzyGraph(
        np.concatenate([grid.indptr, grid.indptr[1:] + grid.indptr[-1]]),
        np.concatenate([grid.indices, grid.indices + np.int32(n)]),
        np.concatenate([grid.data, grid.data]),
    )
    start = grouped.grouped_start(both, 2, 0)
    apart = np.linalg.norm(start[:n].mean(axis=0) - start[n:].mean(axis=0))
    assert apart > 2 * start[:n].std()


def test_rows_that_all_hang_on_one_are_placed_too():
    n = 21_000
    ends = np.arange(1, n)
    matrix = csr_array((np.ones(2 * n - 2, np.float32), (np.r_[ends, 0 * ends], np.r_[0 * ends, ends])), shape=(n, n))
    star = FuzzyGraph(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    start = grouped.grouped_start(star, 2, 0)
    assert np.isfinite(start).all()
    assert len(np.unique(start, axis=0)) == n
