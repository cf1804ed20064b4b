"""Metrics that are functions: the caller's and pynndescent's, compiled and compared with formulae."""

from __future__ import annotations

import functools
import math

import numba
import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from tests import naive

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours import search as knn_module
from driftmap.engine.neighbours.search import build_knn_graph

ROWS = np.random.default_rng(0).uniform(0.1, 1, size=(50, 4)).astype(np.float32)


@numba.njit
def weighted(x, y, weights, power=2.0):
    total = 0.0
    for f in range(len(x)):
        total += weights[f] * abs(x[f] - y[f]) ** power
    return total ** (1 / power)


def plain(x, y):
    return np.abs(x - y).max()


@numba.njit
def with_gradient(x, y):
    return np.abs(x - y).sum(), np.sign(x - y)


@numba.njit
def sparse_difference(indices, values, other_indices, other_values):
    return abs(values.sum() - other_values.sum())


@numba.njit
def nearly_cosine(x, y):
    return np.float32(1.0) - (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())


def assert_nearest(found, distances, k=6):
    np.testing.assert_array_equal(found.indices, naive.nearest(distances.astype(np.float32), k))
    taken = np.take_along_axis(distances, found.indices, axis=1)
    np.testing.assert_allclose(found.distances, taken, rtol=2e-5, atol=1e-6)


def test_the_callers_functions():
    wide = ROWS.astype(np.float64)
    assert_nearest(build_knn_graph(ROWS, 6, plain), cdist(wide, wide, "chebyshev"))
    assert_nearest(build_knn_graph(ROWS, 6, with_gradient), cdist(wide, wide, "cityblock"))


def test_arguments_by_name_or_by_order():
    weights = [1.0, 2.0, 0.5, 0.0]
    distances = cdist(ROWS.astype(float), ROWS.astype(float), "minkowski", p=2, w=weights)
    for kwds in ({"weights": weights}, {"power": 2.0, "weights": np.array(weights)}, {"w": weights, "p": np.int64(2)}):
        assert_nearest(build_knn_graph(ROWS, 6, weighted, kwds), distances)


def test_a_distance_rounded_to_below_zero_is_zero():
    rows = np.repeat(ROWS[:10], 3, axis=0)
    graph = build_knn_graph(rows, 3, nearly_cosine)
    assert (graph.distances >= 0).all()
    np.testing.assert_allclose(graph.distances, 0, atol=1e-6)


def test_functions_of_sparse_rows():
    rows = sparse.csr_matrix(np.where(ROWS > 0.5, ROWS, 0))
    sums = rows.toarray().astype(float).sum(axis=1)
    assert_nearest(build_knn_graph(rows, 4, sparse_difference), np.abs(sums[:, None] - sums), 4)


@pytest.mark.parametrize(
    ("metric", "kwds", "other"),
    [
        ("seuclidean", {"V": [1.0, 4.0, 0.5, 2.0]}, {"metric": "seuclidean", "V": [1.0, 4.0, 0.5, 2.0]}),
        ("mahalanobis", {"vinv": np.diag([1.0, 2, 3, 4])}, {"metric": "mahalanobis", "VI": np.diag([1.0, 2, 3, 4])}),
        ("wminkowski", {"w": [1.0, 2, 3, 4], "p": 3}, {"metric": "minkowski", "w": [1.0, 2, 3, 4], "p": 3}),
        ("jensen_shannon", {}, None),
        ("hellinger", {}, None),
        ("spearmanr", {}, None),
        ("symmetric_kl", {}, None),
        ("wasserstein_1d", {}, None),
        ("true_angular", {}, None),
        ("tsss", {}, None),
    ],
)
def test_metrics_that_only_pynndescent_knows(metric, kwds, other):
    found = build_knn_graph(ROWS, 6, metric, kwds)
    assert (found.indices[:, 0] == np.arange(50)).all()
    if other is not None:
        assert_nearest(found, cdist(ROWS.astype(float), ROWS.astype(float), **other))
    else:
        import pynndescent

        distance = pynndescent.distances.named_distances[metric]
        distances = np.array([[distance(x, y) for y in ROWS] for x in ROWS], dtype=np.float64)
        best = np.sort(np.where(np.eye(50) > 0, -1, np.maximum(distances, 0)), axis=1)[:, 1:6]
        np.testing.assert_allclose(found.distances[:, 1:], best, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_descent_by_a_function(monkeypatch):
    exact = build_knn_graph(ROWS, 6, weighted, {"weights": np.ones(4)})
    monkeypatch.setattr(knn_module, "EXACT_FUNCTION_WORK", 0.0)
    found = build_knn_graph(ROWS, 6, weighted, {"weights": np.ones(4)}, seed=1)
    assert np.mean(found.indices == exact.indices) > 0.95


def uncompilable(x, y):
    return math.dist(sorted(set(x.tolist())), [len({"a": v}) for v in y])


@numba.njit
def row_like(x, y):
    return x - y


@numba.njit
def negative(x, y):
    return -1.0 * (x[0] != y[0])


@pytest.mark.parametrize(
    ("metric", "kwds", "message"),
    [
        (uncompilable, {}, "'uncompilable' cannot be compiled or called with two rows: .*numba.njit"),
        (row_like, {}, "'row_like' must give one number for two rows, got ndarray"),
        (negative, {}, r"the distance of row 0 to row 1 is -1.0, and of rows 0.*take another metric"),
        (weighted, {}, r"'weighted' needs metric_kwds with 'weights', got \{\}"),
        (weighted, {"a": 1, "b": 2, "c": 3}, r"takes 2 arguments \(weights, power\), got"),
        ("seuclidean", {}, "'seuclidean' needs metric_kwds with 'sigma'"),
        ("seuclidean", {"sigma": [1.0, 2.0]}, r"needs sigma of shape \(4,\) for 4 features, got \(2,\)"),
        ("mahalanobis", {"vinv": np.ones(4)}, r"needs vinv of shape \(4, 4\)"),
        ("euclid", {}, r"'euclid' is not known; give one of .*euclidean"),
    ],
)
def test_bad_metrics_are_named(metric, kwds, message):
    with pytest.raises(InvalidInputError, match=message):
        build_knn_graph(ROWS, 6, metric, kwds)


@numba.njit
def raising(x, y):
    if x[0] > 1.5:
        raise ValueError("that is too much")
    return np.abs(x - y).sum()


@numba.njit
def writing(x, y):
    x /= x.sum()
    y /= y.sum()
    return np.abs(x - y).sum()


@numba.njit
def sparse_writing(indices, values, other_indices, other_values):
    values[:] = 2 * values
    return abs(values.sum() - other_values.sum())


def test_what_a_metric_raises_is_said_of_it():
    with pytest.raises(InvalidInputError, match=r"metric 'raising' cannot compare these rows: that is too much \(Val"):
        build_knn_graph(np.vstack([ROWS, 2 * np.ones(4), np.zeros(4)]), 5, raising)
    with pytest.raises(InvalidInputError, match=r"metric 'raising' cannot compare"):  # the first row already
        build_knn_graph(ROWS + 2, 5, raising)


@pytest.mark.parametrize("metric", [functools.partial(plain), np.maximum, type("Metric", (), {"__call__": plain})()])
def test_what_can_be_called_and_is_no_function_is_refused(metric):
    with pytest.raises(InvalidInputError, match="which numba does not compile; give a function"):
        build_knn_graph(ROWS, 5, metric)


def test_a_metric_that_writes_changes_no_row():
    rows = ROWS.copy()
    found = build_knn_graph(rows, 6, writing)
    np.testing.assert_array_equal(rows, ROWS)
    shares = (ROWS / ROWS.sum(axis=1, keepdims=True)).astype(np.float64)
    assert_nearest(found, cdist(shares, shares, "cityblock"))
    stored = sparse.csr_array(ROWS)
    sums = ROWS.astype(np.float64).sum(axis=1)
    found = build_knn_graph(stored, 6, sparse_writing)
    np.testing.assert_array_equal(stored.toarray(), ROWS)
    expected = np.abs(2 * sums[:, None] - sums)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found.distances[:, 1:].min(), np.sort(expected, axis=1)[:, 1].min(), rtol=1e-4)


@pytest.mark.parametrize("name", ["jaccard", "dice", "rogerstanimoto", "russellrao", "sokalsneath", "yule"])
def test_metrics_of_zeros_are_those_of_pynndescent_also_for_equal_rows(name):
    from pynndescent.distances import named_distances

    rows = (np.random.default_rng(0).random((40, 6)) < 0.5).astype(np.float32)
    distances = np.array([[named_distances[name](one, two) for two in rows] for one in rows])
    np.fill_diagonal(distances, 0)
    found = build_knn_graph(rows, 8, name)
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :8], atol=1e-6)
