"""Graphs made smaller by merging rows: no weight is lost, and what lies near is merged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.engine.afar import Afar

from driftmap.engine import FuzzyGraph, GraphSettings, build_window_graph
from driftmap.engine.graph.merge import drop_diagonal, merge_rows, sum_rows


@pytest.fixture(scope="module")
def blobs():
    """The graph of three groups that lie apart, and the group of each row."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3, 600)
    rows = (rng.normal(size=(600, 4)) + 40 * groups[:, None]).astype(np.float32)
    return build_window_graph(rows, GraphSettings(n_neighbors=8)).fuzzy, groups


def to_matrix(graph):
    return csr_array((graph.data.astype(np.float64), graph.indices, graph.indptr), shape=(graph.n_rows, graph.n_rows))


@pytest.mark.parametrize("n_times", [1, 2])
def test_merged_graphs_keep_all_weight(blobs, n_times):
    graph = blobs[0]
    part, smaller = merge_rows(graph, n_times)
    assert smaller.n_rows == part.max() + 1 < 0.7**n_times * graph.n_rows
    into = csr_array((np.ones(len(part)), (np.arange(len(part)), part)))
    expected = (into.T @ to_matrix(graph) @ into).toarray()
    np.testing.assert_allclose(to_matrix(smaller).toarray(), expected, rtol=1e-5)
    np.testing.assert_allclose(np.bincount(part, sum_rows(graph)), sum_rows(smaller), rtol=1e-5)


@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_a_graph_that_is_read_some_rows_at_a_time_is_merged_to_the_same_bytes(blobs, n_times):
    (part, smaller), (other_part, other) = (merge_rows(graph, n_times) for graph in (blobs[0], Afar(blobs[0])))
    assert part.tobytes() == other_part.tobytes()
    for one, two in zip(smaller, other, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


def test_rows_of_groups_that_no_edge_joins_are_not_merged(blobs):
    part, _ = merge_rows(blobs[0], 3)
    assert all(len(set(blobs[1][part == group])) == 1 for group in range(part.max() + 1))


def test_no_merge_leaves_the_graph_as_it_is(blobs):
    part, same = merge_rows(blobs[0], 0)
    assert same is blobs[0]
    assert np.array_equal(part, np.arange(600))


def test_the_weight_within_groups_is_left_out_where_there_is_other():
    pair = to_graph([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 2, 3], [0, 0, 3, 0]])
    assert to_matrix(drop_diagonal(pair)).toarray().tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 3], [0, 0, 3, 0]]
    alone = to_graph([[5, 0, 0], [0, 0, 0], [0, 0, 2]])
    assert to_matrix(drop_diagonal(alone)).toarray().tolist() == [[5, 0, 0], [0, 0, 0], [0, 0, 2]]


def to_graph(dense):
    matrix = csr_array(np.array(dense, np.float32))
    return FuzzyGraph(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
