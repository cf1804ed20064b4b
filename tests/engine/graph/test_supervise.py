"""Targets: the same graphs as umap-learn's, and what is refused."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.metrics import pairwise_distances

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.fuzzy import build_fuzzy_graph
from driftmap.engine.graph.supervise import (
    intersect_graphs,
    intersect_with_labels,
    read_target,
    read_targets,
    reset_local_connectivity,
    supervise_graph,
)
from driftmap.engine.graph.window_graph import build_window_graph
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.settings import GraphSettings, TargetSettings
from driftmap.engine.types import FuzzyGraph


@pytest.fixture(scope="module")
def peer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("umap.umap_")


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(rows):
    return build_window_graph(rows, GraphSettings(n_neighbors=10)).fuzzy


def as_matrix(graph):
    return csr_matrix((graph.data.copy(), graph.indices, graph.indptr), shape=(graph.n_rows, graph.n_rows))


def as_target(y, **settings):
    return read_target(y, len(y), TargetSettings(**settings), "y")


def assert_equal_to_peer(graph, expected, atol=1e-7):
    expected = expected.tocsr()
    expected.sort_indices()
    assert as_matrix(graph).has_sorted_indices
    found = as_matrix(graph)
    assert found.nnz == expected.nnz
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_labels_equal_umap_learn(peer, graph, weight):
    labels = np.random.default_rng(1).integers(-1, 4, size=120)
    found = supervise_graph(graph, as_target(labels, weight=weight), 10)
    far = 2.5 / (1 - weight) if weight < 1 else 1e12
    expected = peer.discrete_metric_simplicial_set_intersection(as_matrix(graph), labels, far_dist=far)
    assert_equal_to_peer(found, expected)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize(("metric", "n_neighbors"), [("euclidean", -1), ("l1", 6)])
def test_values_equal_umap_learn(peer, rows, graph, weight, metric, n_neighbors):
    values = np.random.default_rng(2).normal(size=(120, 2))
    target = as_target(values, metric=metric, weight=weight, n_neighbors=n_neighbors)
    found = supervise_graph(graph, target, 10)
    k = 10 if n_neighbors == -1 else n_neighbors
    other, _, _ = peer.fuzzy_simplicial_set(pairwise_distances(values, metric=metric), k, None, "precomputed")
    mixed = peer.general_simplicial_set_intersection(as_matrix(graph), other, weight)
    # the target's own graph is equal to 1e-5 only: see tests/engine/graph/test_fuzzy.py
    assert_equal_to_peer(found, peer.reset_local_connectivity(mixed), atol=1e-5)


def test_parts_equal_umap_learn(peer, rows, graph):
    other = build_fuzzy_graph(build_knn_graph(rows[:, :1], 5))
    mixed = intersect_graphs(graph, other, 0.4)
    expected = peer.general_simplicial_set_intersection(as_matrix(graph), as_matrix(other), 0.4)
    assert_equal_to_peer(mixed, coo_matrix(expected))
    assert_equal_to_peer(reset_local_connectivity(graph), peer.reset_local_connectivity(as_matrix(graph)))


def test_labels_weaken_what_they_tell_apart(graph):
    labels = np.arange(120) % 2
    found = intersect_with_labels(graph, labels, 3.0)
    one = np.repeat(labels, np.diff(graph.indptr))
    same = one == labels[graph.indices]
    np.testing.assert_array_equal(found.data[same], graph.data[same])
    np.testing.assert_allclose(found.data[~same], graph.data[~same] * np.exp(-3), rtol=1e-6)
    unknown = intersect_with_labels(graph, np.full(120, -1), 3.0)
    np.testing.assert_allclose(unknown.data, graph.data * np.exp(-1), rtol=1e-6)


def test_values_keep_float64s_differences(graph):
    moved = np.random.default_rng(3).uniform(size=120)
    one, two = (supervise_graph(graph, as_target(v, metric="euclidean"), 10) for v in (moved, moved + 1.7e9))
    np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_allclose(one.data, two.data, rtol=1e-3)


def test_rows_and_graphs_without_edges():
    graph = FuzzyGraph(np.array([0, 1, 2, 2]), np.array([1, 0], np.int32), np.array([0.5, 0.5], np.float32))
    found = supervise_graph(graph, as_target([0, 0, 0]), 2)
    assert found.indptr.tolist() == [0, 1, 2, 2]
    assert found.data.tolist() == [1, 1]
    # a row that shares no label with a neighbour loses all its edges at weight 1
    assert len(supervise_graph(graph, as_target([0, 1, 0], weight=1.0), 2).data) == 0
    assert len(supervise_graph(graph, as_target([0.0, 1, 3], metric="l1"), 2).data) > 2


def test_labels_of_other_types():
    plain = as_target([0, 1, -1, 1]).values
    for given in (np.array([0.0, 1, -1, 1]), np.array([[0], [1], [-1], [1]], np.int8)):
        np.testing.assert_array_equal(as_target(given).values, plain)
    np.testing.assert_array_equal(as_target(["b", "a", "c", "b"]).values, [1, 0, 2, 1])
    np.testing.assert_array_equal(as_target(np.array(["b", "a"], object)).values, [1, 0])
    np.testing.assert_array_equal(as_target([True, False]).values, [1, 0])
    for values in ([2, 0, -1, 2**62], [True, False], [np.True_, np.int8(3), 2.0, np.float32(5)]):
        found = as_target(np.array(values, dtype=object)).values
        assert found.dtype == np.int64
        assert found.tolist() == values
    np.testing.assert_array_equal(as_target(np.array([b"b", b"a"], dtype=object)).values, [1, 0])
    np.testing.assert_array_equal(as_target(pd.Series([3, 1], dtype="Int64")).values, [3, 1])


def test_windows_without_a_target():
    plain = [TargetSettings()] * 2
    assert read_targets(None, [3, 2], plain) == [None, None]
    first, second = read_targets([None, [0, 1]], [3, 2], plain)
    assert first is None
    assert second is not None


@pytest.mark.parametrize(
    ("y", "metric", "message"),
    [
        (3, "categorical", "one label or value for each of the window's 4 rows, got one int"),
        ([1, 2], "categorical", "for each of the window's 4 rows, got 2 entries"),
        ([1, 2, 0.5, 3], "categorical", r"holds .*0\.5.* in row 2, which is no label.*target_metric='euclidean'"),
        ([1, np.nan, 0, 3], "categorical", "in row 1, which is no label: give integers, -1 for unknown"),
        ([1, None, 0, None], "categorical", "holds None in rows 1, 3, which is no label: give integers, -1 for unkn"),
        ([None] * 4, "categorical", "holds None in rows 0, 1, 2, 3, which is no label"),
        (pd.Series([1, 2, None, 3], dtype="Int64"), "categorical", "holds (nan|<NA>) in row 2, which is no label"),
        (np.array([1, 2, 0.5, np.nan], object), "categorical", "holds 0.5 in rows 2, 3, which is no label"),
        (np.array([1, np.inf, 2, 2**63], object), "categorical", "holds inf in rows 1, 3, which is no label"),
        (np.ones((4, 2), int), "categorical", r"1-D array of labels, got shape \(4, 2\)"),
        (np.ones(4, complex), "categorical", "integer labels"),
        ([[1], [2, 3], [4], [5]], "categorical", "unequal length"),
        (["a", "b", "c", "d"], "euclidean", "real numbers"),
        ([1, np.nan, 0, 3], "euclidean", "NaN or infinity in row 1 of 4"),
        ([[50, 8], [1, 2], [0, 0], [-40, 3]], "haversine", r"has latitudes beyond pi/2 in rows 0, 3 of 4"),
        ([1, 2, 0, 1], "haversine", r"has 1 values per row, and target_metric='haversine' takes latitude"),
        ([1.5, 2, 3, 4], "jaccard", r"holds no 0, and target_metric='jaccard' asks only which values are 0"),
    ],
)
def test_bad_targets_are_named(y, metric, message):
    with pytest.raises(InvalidInputError, match=r"y\[1\].*" + message):
        read_target(y, 4, TargetSettings(metric=metric), "y[1]")


def test_a_target_metric_that_is_not_known_is_named_before_any_work():
    message = r"^target_metric must be 'categorical' or the name of a metric, got 'nonsense': .*euclidean"
    with pytest.raises(InvalidInputError, match=message):
        as_target([1, 2, 3], metric="nonsense")


def test_a_metric_that_fails_on_a_target_is_said_to_be_the_targets(graph):
    target = as_target(np.arange(120), metric="mahalanobis")
    message = r"^the target \(y\) cannot be compared by target_metric='mahalanobis': "
    with pytest.raises(InvalidInputError, match=message):
        supervise_graph(graph, target, 10)


@pytest.mark.parametrize(
    ("y", "got"),
    [([0, 1, 2], "3 entries"), ("labels", "one str"), (3, "one int"), ({0: [1] * 4, 1: [2] * 4}, "one dict")],
)
def test_one_entry_per_window_is_wanted(y, got):
    with pytest.raises(InvalidInputError, match=f"y must be a list of 2 entries.*got {got}"):
        read_targets(y, [4, 4], [TargetSettings()] * 2)
