"""kNN graphs given by the caller: every common form means the same, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.precomputed import read_knn, read_knns
from driftmap.engine.neighbours.search import build_knn_graph

ROWS = np.random.default_rng(0).normal(size=(40, 3))
GRAPH = build_knn_graph(ROWS, 8)


def assert_same(found, expected):
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-6, atol=1e-6)
    assert found.indices.dtype == np.int32
    assert found.distances.dtype == np.float32


def test_with_the_row_itself_and_without():
    search = NearestNeighbors(n_neighbors=7).fit(ROWS)
    distances, indices = search.kneighbors()
    assert_same(read_knn((indices, distances), 40, 8), GRAPH)
    distances, indices = search.kneighbors(ROWS, 8)
    assert_same(read_knn([indices, distances], 40, 8), GRAPH)
    assert_same(read_knn((indices, distances, None), 40, 8), GRAPH)
    assert_same(read_knn(GRAPH, 40, 8), GRAPH)


def test_any_order_and_more_neighbours_than_wanted():
    turned = GRAPH.indices[:, ::-1], GRAPH.distances[:, ::-1].astype(np.float64)
    assert_same(read_knn(turned, 40, 8), GRAPH)
    assert_same(read_knn(turned, 40, 5), build_knn_graph(ROWS, 5))


def test_missing_neighbours_and_rows_that_duplicates_pushed_out():
    indices, distances = GRAPH.indices.copy(), GRAPH.distances.copy()
    indices[3, 5:], distances[3, 5:] = -1, np.nan
    distances[4, 6:] = np.inf
    others = [j for j in range(9) if j != 7][:8]
    indices[7], distances[7] = others, 0.0
    found = read_knn((indices, distances), 40, 8)
    assert found.indices[3].tolist() == [*GRAPH.indices[3, :5], -1, -1, -1]
    assert np.isinf(found.distances[3, 5:]).all()
    assert found.indices[4, 6:].tolist() == [-1, -1]
    assert found.indices[7].tolist() == [7, *others[:7]]


def test_nothing_of_the_callers_is_changed():
    indices, distances = GRAPH.indices[:, ::-1].copy(), GRAPH.distances[:, ::-1].copy()
    before = indices.copy(), distances.copy()
    read_knn((indices, distances), 40, 6)
    np.testing.assert_array_equal(indices, before[0])
    np.testing.assert_array_equal(distances, before[1])


def test_one_per_window():
    assert read_knns(None, [40, 5], [8, 8]) == [None, None]
    first, second = read_knns([None, GRAPH], [5, 40], [8, 6])
    assert first is None
    assert second.indices.shape == (40, 6)
    small = build_knn_graph(ROWS[:5], 5)
    assert read_knns([small], [5], [8])[0].indices.shape == (5, 5)
    for given, got in (([GRAPH], "1 entries"), ("knn", "str")):
        with pytest.raises(InvalidInputError, match=f"knn must be a list of 2 entries.*got {got}"):
            read_knns(given, [40, 40], [8, 8])


def changed(array, value):
    copy = array.copy()
    copy[2, 4] = value
    return copy


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (GRAPH.indices, r"pair \(indices, distances\), got ndarray"),
        ((GRAPH.indices,), "got 1 entries"),
        ((GRAPH.indices[:39], GRAPH.distances[:39]), r"shape \(40, neighbours\).*got \(39, 8\)"),
        ((GRAPH.indices, GRAPH.distances[:, 1:]), r"got \(40, 8\) and \(40, 7\)"),
        (([[1], [2, 3]], [[1], [2, 3]]), "unequal length"),
        ((GRAPH.indices.astype(float), GRAPH.distances), "integer indices and real distances, got float64"),
        ((GRAPH.indices[:, :7], GRAPH.distances[:, :7]), "7 neighbours per row, the row itself included, .*=8"),
        ((changed(GRAPH.indices, 40), GRAPH.distances), "indices outside -1 to 39 in row 2 of 40"),
        ((changed(GRAPH.indices, -2), GRAPH.distances), "indices outside -1 to 39 in row 2 of 40"),
        ((changed(GRAPH.indices, 2), GRAPH.distances), "a neighbour twice in row 2"),
        ((GRAPH.indices, changed(GRAPH.distances, np.nan)), "NaN distances in row 2"),
        ((GRAPH.indices, changed(GRAPH.distances, -1)), "distances below 0 in row 2"),
    ],
)
def test_bad_graphs_are_named(given, message):
    with pytest.raises(InvalidInputError, match=r"knn\[3\].*" + message):
        read_knn(given, 40, 8, "knn[3]")
