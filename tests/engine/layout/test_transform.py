"""Nearest rows of new ones: as by sorting whole rows of distances, whatever ties there are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from driftmap.engine import AlignedUMAP, build_knn_graph
from driftmap.engine.layout.transform import find_nearest_rows
from driftmap.engine.settings import GraphSettings


@pytest.mark.parametrize("n_neighbors", [2, 7, 40])
def test_ties_come_in_the_order_of_rows(n_neighbors):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, (40, 2)).astype(np.float32)
    new = rng.integers(0, 3, (25, 2)).astype(np.float32)
    indices, distances = find_nearest_rows(new, rows, GraphSettings(n_neighbors=n_neighbors))
    apart = np.linalg.norm(new[:, None] - rows[None], axis=2).astype(np.float32)
    expected = np.argsort(apart, axis=1, kind="stable")[:, :n_neighbors]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, np.take_along_axis(apart, expected, axis=1), rtol=1e-6)


def test_rows_that_are_no_neighbours_come_last():
    rows = np.zeros((6, 6), dtype=np.float32)
    apart = np.array([[np.inf, 2, np.inf, 1, np.inf, np.inf]], dtype=np.float32)
    settings = GraphSettings(n_neighbors=4, metric="precomputed")
    indices, distances = find_nearest_rows(apart, rows, settings)
    assert indices.tolist() == [[3, 1, 0, 2]]
    assert distances.tolist() == [[1, 2, np.inf, np.inf]]


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
@pytest.mark.parametrize("size", [1e16, 1e20, 5e37])
def test_large_numbers_are_compared_as_by_the_graph(metric, size):
    rows = (size * np.random.default_rng(0).uniform(-1, 1, size=(30, 4))).astype(np.float32)
    settings = GraphSettings(n_neighbors=5, metric=metric)
    graph = build_knn_graph(rows, 5, metric=metric)
    indices, distances = find_nearest_rows(rows[:7], rows, settings)
    np.testing.assert_array_equal(indices, graph.indices[:7])
    np.testing.assert_allclose(distances, graph.distances[:7], rtol=1e-6)


def test_rows_far_from_all_have_no_position():
    rows = np.random.default_rng(0).normal(size=(30, 4))
    model = AlignedUMAP(random_state=0, n_epochs=5, n_neighbors=5, metric="precomputed").fit([cdist(rows, rows)])
    apart = cdist(rows[:2], rows)
    apart[0] = np.inf
    placed = model.transform(apart)
    assert np.isnan(placed[0]).all()
    assert np.isfinite(placed[1]).all()
    far = np.full((1, 4), 3e38)
    assert np.isnan(AlignedUMAP(n_epochs=5, n_neighbors=5, metric="manhattan").fit([rows]).transform(far)).all()
