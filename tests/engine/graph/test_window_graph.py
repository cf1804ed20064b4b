"""A window's graphs: the parts put together, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.fuzzy import build_fuzzy_graph
from driftmap.engine.graph.window_graph import build_window_graph
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.settings import GraphSettings


def test_settings_reach_their_parts():
    rows = np.random.default_rng(0).normal(size=(60, 5))
    settings = GraphSettings(n_neighbors=8, metric="cosine", set_op_mix_ratio=0.3, local_connectivity=2.0)
    graph = build_window_graph(rows, settings, seed=1)
    knn = build_knn_graph(rows, 8, "cosine")
    fuzzy = build_fuzzy_graph(knn, set_op_mix_ratio=0.3, local_connectivity=2.0)
    for found, expected in zip((*graph.knn, *graph.fuzzy), (*knn, *fuzzy), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert graph.knn.indices.shape == (60, 8)
    assert graph.fuzzy.n_rows == 60
    manhattan = build_window_graph(rows, GraphSettings(metric="minkowski", metric_kwds={"p": 1}))
    np.testing.assert_array_equal(
        manhattan.knn.indices, build_window_graph(rows, GraphSettings(metric="l1")).knn.indices
    )


def test_defaults_and_pickling():
    rows = np.random.default_rng(1).normal(size=(30, 4))
    graph = build_window_graph(rows)
    assert graph.knn.indices.shape == (30, 15)
    again = pickle.loads(pickle.dumps(graph))
    np.testing.assert_array_equal(again.fuzzy.data, graph.fuzzy.data)


def test_as_many_rows_as_neighbours_are_enough():
    graph = build_window_graph(np.arange(15.0)[:, None])
    assert (np.sort(graph.knn.indices, axis=1) == np.arange(15)).all()


def test_a_window_of_equal_rows():
    graph = build_window_graph(np.ones((40, 3)))
    assert (graph.fuzzy.data == 1).all()
    assert len(graph.fuzzy.data) > 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((14, 3)), "n_neighbors=15 needs at least 15 rows, got 14; lower n_neighbors or give more rows"),
        (np.where(np.eye(20)[:, :4] > 0, np.nan, 1.0), "NaN or infinity in rows 0, 1, 2, 3 of 20"),
        (np.full((20, 2), np.inf), "NaN or infinity in rows 0, 1, 2, 3, 4 and 15 more of 20"),
        (np.ones((20, 2, 2)), r"must be a 2-D array .* got shape \(20, 2, 2\)"),
        (np.ones((20, 2), dtype=complex), "real numbers, got dtype complex128"),
        (np.empty((0, 3)), "needs at least 15 rows, got 0"),
    ],
)
def test_bad_windows_are_named(rows, message):
    with pytest.raises(InvalidInputError, match=message):
        build_window_graph(rows)
