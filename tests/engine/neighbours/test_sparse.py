"""Sparse rows: the neighbours of the same rows made dense, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from tests import naive

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.window_graph import build_window_graph
from driftmap.engine.neighbours import search as knn_module
from driftmap.engine.neighbours.rows import measure_pairs, read_new_rows, read_rows
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.settings import GraphSettings


def make(n=150, d=300, density=0.05, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.where(rng.uniform(size=(n, d)) < density, rng.normal(size=(n, d)), 0.0)
    rows[10:13] = rows[10]  # duplicates
    rows[20:22] = 0.0  # rows of zeros
    return sparse.csr_array(rows)


def assert_same(found, expected):
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.parametrize("metric", ["euclidean", "l2", "cosine"])
@pytest.mark.parametrize("density", [0.003, 0.05, 0.6])
def test_equals_the_dense_search(metric, density):
    rows = make(density=density)
    assert_same(build_knn_graph(rows, 12, metric), build_knn_graph(rows.toarray(), 12, metric))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equals_the_loop_where_ties_and_zeros_abound(metric):
    dense = np.random.default_rng(1).integers(0, 2, size=(30, 5)) * 2.0
    found = build_knn_graph(sparse.coo_matrix(dense), 6, metric)
    assert_same(found, build_knn_graph(dense, 6, metric))
    if metric == "euclidean":
        np.testing.assert_array_equal(found.indices, naive.nearest(naive.all_distances(dense, metric), 6))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_any_scale(scale):
    rows = make() * scale
    assert_same(build_knn_graph(rows, 8), build_knn_graph(rows.toarray(), 8))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr"])
def test_every_format_and_nothing_of_the_callers_changed(form):
    rows = make(60)
    given = rows.asformat(form)
    before = given.toarray()
    assert_same(build_knn_graph(given, 5), build_knn_graph(rows, 5))
    assert_same(build_knn_graph(sparse.csr_matrix(rows), 5), build_knn_graph(rows, 5))
    np.testing.assert_array_equal(given.toarray(), before)


def test_entries_given_twice_and_stored_zeros():
    data, columns, indptr = [1.0, 2.0, 0.0, 3.0, 5.0], [1, 1, 0, 2, 0], [0, 3, 4, 5]
    given = sparse.csr_matrix((data, columns, indptr), shape=(3, 3))
    assert_same(build_knn_graph(given, 3), build_knn_graph(given.toarray(), 3))
    assert given.nnz == 5
    read = read_rows(given)
    assert read.nnz == 3
    assert read.dtype == np.float32


@pytest.mark.parametrize(("metric", "other"), [("manhattan", "cityblock"), ("correlation", None), ("hamming", None)])
def test_other_metrics_by_pynndescents_functions(metric, other):
    rows = make(60, 40, 0.2)[30:]
    found = build_knn_graph(rows, 6, metric)
    distances = cdist(rows.toarray(), rows.toarray(), other or metric)
    taken = np.take_along_axis(distances, found.indices, axis=1)
    np.testing.assert_allclose(found.distances, taken, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.sort(taken, axis=1), np.sort(distances, axis=1)[:, :6], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cosine", pytest.param("hamming", marks=pytest.mark.long)])
def test_descent_finds_most_neighbours(monkeypatch, metric):
    rows = make(400, 8, 0.6)[22:]
    expected = build_knn_graph(rows, 10, metric)
    monkeypatch.setattr(knn_module, "EXACT_SPARSE_WORK", 0.0)
    monkeypatch.setattr(knn_module, "EXACT_FUNCTION_WORK", 0.0)
    found = build_knn_graph(rows, 10, metric, seed=1)
    # many rows are equally near by hamming distance: compared are the distances
    assert np.mean(found.distances <= expected.distances + 1e-6) > 0.95


def test_a_window_graph_of_sparse_rows():
    rows = make()
    settings = GraphSettings(n_neighbors=10, metric="cosine")
    found, expected = build_window_graph(rows, settings), build_window_graph(rows.toarray(), settings)
    np.testing.assert_array_equal(found.fuzzy.indices, expected.fuzzy.indices)
    np.testing.assert_array_equal(found.fuzzy.data, expected.fuzzy.data)


def test_pairs_of_rows():
    one, two = make(seed=1), make(seed=2)
    expected = np.linalg.norm(one.toarray() - two.toarray(), axis=1)
    for left, right in ((one, two), (one.toarray(), two), (one.toarray(), two.toarray())):
        np.testing.assert_allclose(measure_pairs(left, right), expected, rtol=1e-6)


def test_sparse_distances():
    dense = np.random.default_rng(3).uniform(1, 2, size=(20, 20))
    is_near = np.random.default_rng(4).uniform(size=(20, 20)) < 0.5
    dense[0, 1] = 0.0
    is_near[0, 1] = True
    is_near[5] = False
    rows, columns = np.nonzero(is_near)
    given = sparse.csr_matrix((dense[is_near], (rows, columns)), shape=(20, 20))
    assert_same(
        build_knn_graph(given, 5, "precomputed"), build_knn_graph(np.where(is_near, dense, np.inf), 5, "precomputed")
    )
    assert build_knn_graph(given, 5, "precomputed").indices[5].tolist() == [5, -1, -1, -1, -1]


def with_value(value, at=(3, 2)):
    rows = sparse.lil_matrix(np.ones((6, 4), dtype=type(value)))
    rows[at] = value
    return rows.tocsr()


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (with_value(np.nan), {}, "rows holds NaN or infinity in row 3 of 6"),
        (with_value(np.inf), {}, "rows holds NaN or infinity in row 3 of 6"),
        (with_value(1e300), {}, "values too large for float32 in row 3 of 6; scale"),
        (with_value(1j), {}, "real numbers, got dtype complex128"),
        (sparse.csr_matrix((6, 0)), {}, "at least one feature"),
        (with_value(1), {"metric": "cosine", "metric_kwds": {"p": 2}}, "takes no arguments"),
        (with_value(1), {"metric": "mahalanobis"}, "'mahalanobis' is not known for sparse rows; give one of .*cosine"),
        (with_value(1), {"metric": "precomputed"}, "square matrix"),
        (with_value(np.nan)[:4], {"metric": "precomputed"}, "rows holds NaN distances in row 3"),
        (with_value(-2.0)[:4], {"metric": "precomputed"}, "row 3 to row 2 is -2.0"),
    ],
)
def test_bad_rows_are_named(rows, options, message):
    with pytest.raises(InvalidInputError, match=message):
        build_knn_graph(rows, 2, **options)


def test_new_rows_must_fit_the_windows():
    rows = read_rows(make(30, 10))
    assert read_new_rows(make(25, 10)[:5], rows, "euclidean").shape == (5, 10)
    with pytest.raises(InvalidInputError, match="X has 9 columns, the window's rows have 10"):
        read_new_rows(np.ones((5, 9)), rows, "euclidean")
    with pytest.raises(InvalidInputError, match="distances to each of the window's rows"):
        read_new_rows(np.ones((5, 9)), np.ones((30, 30)), "precomputed")
