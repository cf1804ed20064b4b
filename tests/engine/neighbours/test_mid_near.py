"""Mid-near rows against a slow choice from all distances, and wherever they are found: alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from driftmap.engine.core.sizes import LARGE_ROWS
from driftmap.engine.graph.window_graph import build_window_graph, build_window_graph_from_blocks
from driftmap.engine.neighbours import mid_near as module
from driftmap.engine.neighbours.mid_near import find_mid_near
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.settings import GraphSettings

ROWS = np.random.default_rng(3).normal(loc=0.5, size=(90, 6)).astype(np.float32)


def choose_slowly(distances):
    """Each mid-near row by sorting the distances of the rows that it is chosen from."""
    drawn = module._draw(len(distances)).reshape(len(distances), module.N_MID_NEAR, module.N_COMPARED)
    return [
        [sorted(several, key=lambda other, row=row: distances[row, other])[1] for several in of_row]
        for row, of_row in enumerate(drawn.tolist())
    ]


@pytest.mark.parametrize("metric", ["euclidean", "l2", "cosine", "correlation"])
def test_each_is_the_second_nearest_of_twelve(metric):
    distances = cdist(ROWS, ROWS, "euclidean" if metric == "l2" else metric)
    found = find_mid_near(ROWS, GraphSettings(metric=metric))
    assert found.dtype == np.int32
    assert found.tolist() == choose_slowly(distances)


def test_a_matrix_of_distances_says_it_too_and_infinite_ones_are_none():
    distances = cdist(ROWS, ROWS)
    settings = GraphSettings(metric="precomputed")
    assert find_mid_near(distances, settings).tolist() == choose_slowly(distances)
    distances[:45, 45:] = distances[45:, :45] = np.inf
    found = find_mid_near(distances, settings)
    assert ((found < 45) | (np.arange(90)[:, None] >= 45)).all()
    assert ((found == -1) | ((found < 45) == (np.arange(90)[:, None] < 45))).all()
    assert 0 < (found == -1).sum() < 90


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sparse_rows_have_those_of_dense_ones(metric):
    rows = np.where(np.random.default_rng(1).random((90, 30)) < 0.2, 1.0 + np.arange(30) / 7, 0).astype(np.float32)
    rows[[4, 9]] = 0
    settings = GraphSettings(metric=metric)
    assert np.array_equal(find_mid_near(csr_array(rows), settings), find_mid_near(rows, settings))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
@pytest.mark.parametrize("block_rows", [1, 25, 89, 90, 200])
def test_blocks_give_those_of_the_whole_window(metric, block_rows):
    rows = ROWS.copy()
    rows[[2, 50]] = 0.25 if metric == "correlation" else 0
    settings = GraphSettings(metric=metric)
    found = build_window_graph_from_blocks(lambda first, last: rows[first:last], 90, settings, block_rows)
    assert np.array_equal(found.mid_near, build_window_graph(rows, settings).mid_near)


def test_what_has_none():
    assert find_mid_near(ROWS, GraphSettings(metric="manhattan")) is None
    assert find_mid_near(csr_array(ROWS), GraphSettings(metric="correlation")) is None
    assert find_mid_near(csr_array(cdist(ROWS, ROWS)), GraphSettings(metric="precomputed")) is None
    assert find_mid_near(np.zeros((LARGE_ROWS + 1, 1), np.float32), GraphSettings()) is None
    assert find_mid_near(np.zeros((LARGE_ROWS, 1), np.float32), GraphSettings()) is not None


def test_windows_of_the_same_rows_are_drawn_alike():
    moved = ROWS + np.random.default_rng(9).normal(scale=0.02, size=ROWS.shape).astype(np.float32)
    one, two = find_mid_near(ROWS, GraphSettings()), find_mid_near(moved, GraphSettings())
    assert 0.9 < (one == two).mean() < 1
    assert np.array_equal(one, find_mid_near(ROWS, GraphSettings()))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
def test_a_graph_that_came_with_the_rows_has_them_where_it_is_theirs(metric):
    rows = cdist(ROWS, ROWS) if metric == "precomputed" else ROWS
    settings = GraphSettings(metric=metric)
    knn = build_knn_graph(rows, 15, metric)
    own = build_window_graph(rows, settings, knn=knn)
    assert np.array_equal(own.mid_near, build_window_graph(rows, settings).mid_near)
    assert build_window_graph(None, settings, knn=knn).mid_near is None
    assert build_window_graph(rows[::-1], settings, knn=knn).mid_near is None
    assert build_window_graph(np.zeros((90, 90)), settings, knn=knn).mid_near is None
