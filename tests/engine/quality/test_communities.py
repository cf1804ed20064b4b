"""Clusters of one window: communities of its graph, joined where no gap lies between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.engine import GraphSettings, build_window_graph, find_clusters
from driftmap.engine.quality import communities
from driftmap.engine.quality.communities import MAX_CLUSTERS, find_communities, join_all, mix, sum_weights, thin
from driftmap.engine.types import FuzzyGraph


def make_graph(rows, n_neighbors=15):
    return build_window_graph(np.asarray(rows, dtype=np.float32), GraphSettings(n_neighbors=n_neighbors), 0).fuzzy


def make_heaps(sizes, apart=12.0, n_features=5, seed=0):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    middles = rng.permutation(len(sizes))[:, None] * np.eye(1, n_features) * apart
    return groups, middles[groups] + rng.normal(size=(len(groups), n_features))


@pytest.mark.parametrize("sizes", [(200, 150, 100), (600, 500), (40, 30, 20, 60, 50)])
def test_heaps_with_gaps_between_them_are_the_clusters_largest_first(sizes):
    groups, rows = make_heaps(sizes)
    found = find_clusters(make_graph(rows), 3)
    assert found.dtype == np.int32
    order = sorted(range(len(sizes)), key=lambda group: -sizes[group])
    assert found.tolist() == [order.index(group) for group in groups]


@pytest.mark.parametrize("most", [10**6, 300])
def test_rows_of_large_windows_are_merged_first_and_the_clusters_stay(most, monkeypatch):
    groups, rows = make_heaps((400, 300, 200))
    graph = make_graph(rows)
    monkeypatch.setattr(communities, "MERGED_ROWS", 800)
    monkeypatch.setattr(communities, "MOST_GROUPS", most)
    coarse, group_of = communities.coarsen(graph)
    assert coarse.n_rows == group_of.max() + 1 < (0.6 if most > 900 else 0.4) * graph.n_rows
    assert len(coarse.indices) <= 16.1 * coarse.n_rows
    assert find_clusters(graph, 3).tolist() == groups.tolist()


def test_data_without_gaps_keep_their_communities():
    graph = make_graph(np.random.default_rng(0).uniform(size=(600, 2)))
    found = find_clusters(graph, 0)
    assert 4 <= found.max() + 1 <= 30
    assert np.array_equal(found, find_clusters(graph, 0))


def test_rows_without_edges_and_tiny_groups_are_in_no_cluster():
    _, rows = make_heaps((60, 60))
    graph = make_graph(rows)
    pair = [graph.indptr[-1], graph.indptr[-1] + 1, graph.indptr[-1] + 2]
    wider = FuzzyGraph(
        np.concatenate([graph.indptr, pair[:1], pair[1:]]).astype(np.int64),
        np.concatenate([graph.indices, [122, 121]]).astype(np.int32),
        np.concatenate([graph.data, [1, 1]]).astype(np.float32),
    )
    found = find_clusters(wider, 0)
    assert found[120:].tolist() == [-1, -1, -1]
    assert (found[:120] >= 0).all()
    empty = FuzzyGraph(np.zeros(4, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    assert find_clusters(empty, 0).tolist() == [-1, -1, -1]


def test_of_very_many_pieces_the_largest_are_kept():
    n, size = 300, 6
    rows = np.repeat(np.arange(n * size), size - 1)
    columns = np.concatenate([np.delete(np.arange(size), i) + size * g for g in range(n) for i in range(size)])
    indptr = np.arange(0, len(rows) + 1, size - 1)
    graph = FuzzyGraph(indptr.astype(np.int64), columns.astype(np.int32), np.ones(len(rows), np.float32))
    found = find_communities(graph, None, 0)
    assert len(np.unique(found[found >= 0])) == MAX_CLUSTERS
    assert find_clusters(graph, 0).max() == MAX_CLUSTERS - 1


@given(st.integers(0, 2**32 - 1))
def test_mixing_is_one_where_edges_ignore_the_groups_and_zero_without_edges(seed):
    rng = np.random.default_rng(seed)
    degrees = rng.uniform(1, 5, size=2)
    shuffled = np.outer(degrees, degrees) / degrees.sum()
    assert mix(shuffled, shuffled.sum(axis=1))[0, 1] == pytest.approx(1)
    assert mix(np.diag(degrees), degrees).tolist() == [[0, 0], [0, 0]]


def test_sums_of_edges_and_joins_are_those_of_a_plain_loop():
    rng = np.random.default_rng(1)
    graph = make_graph(rng.normal(size=(80, 3)), 6)
    groups = rng.integers(-1, 4, size=80)
    expected = np.zeros((4, 4))
    for row in range(80):
        for edge in range(graph.indptr[row], graph.indptr[row + 1]):
            if groups[row] >= 0 and groups[graph.indices[edge]] >= 0:
                expected[groups[row], groups[graph.indices[edge]]] += graph.data[edge]
    sums = sum_weights(graph, groups, 4)
    assert sums == pytest.approx(expected)
    joins = join_all(sums, sums.sum(axis=1))
    assert len(joins.pairs) == 3
    assert (np.diff(joins.mixing) <= 0).all()
    assert joins.mixing[0] == pytest.approx(mix(sums, sums.sum(axis=1)).max())


def test_the_strongest_edges_are_kept_both_of_each_pair():
    graph = make_graph(np.random.default_rng(0).normal(size=(200, 8)))
    thinned = thin(graph, 6)
    assert thinned.n_rows == 200
    assert 6 * 200 <= len(thinned.data) < len(graph.data)
    assert thinned.data.min() >= np.sort(graph.data)[-len(thinned.data)]
    dense = np.zeros((200, 200))
    dense[np.repeat(np.arange(200), np.diff(thinned.indptr)), thinned.indices] = thinned.data
    assert (dense == dense.T).all()
    assert thin(graph, 100) is graph
