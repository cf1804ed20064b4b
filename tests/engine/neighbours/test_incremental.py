"""Neighbours carried from window to window: exactly those of a search of each window by itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftmap.engine import AlignedUMAP, GraphSettings, build_knn_graph, relate_ids
from driftmap.engine.neighbours import incremental as reuse

SETTINGS = GraphSettings(n_neighbors=8)


@pytest.fixture(autouse=True)
def small_windows_too(monkeypatch):
    monkeypatch.setattr(reuse, "MIN_WORK", 0.0)


def cut(rows, n_rows, stride, seed=0):
    """Windows of a stream, the rows of each in an order of its own, and their relations."""
    rng = np.random.default_rng(seed)
    ids = [start + rng.permutation(n_rows) for start in range(0, len(rows) - n_rows + 1, stride)]
    return [rows[i] for i in ids], [relate_ids(a, b) for a, b in itertools.pairwise(ids)]


def make_stream(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def assert_exact(found, windows, settings):
    for graph, rows, now in zip(found, windows, settings, strict=True):
        expected = build_knn_graph(rows, now.n_neighbors, now.metric)
        np.testing.assert_array_equal(graph.indices, expected.indices)
        np.testing.assert_array_equal(graph.distances, expected.distances)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
@pytest.mark.parametrize("stride", [10, 50, 100])
def test_the_same_bytes_as_window_by_window(metric, stride):
    windows, steps = cut(make_stream(600), 200, stride)
    settings = [GraphSettings(n_neighbors=8, metric=metric)] * len(windows)
    assert_exact(reuse.find_in_sequence(windows, steps, settings), windows, settings)


def test_only_rows_without_enough_known_neighbours_are_compared_with_all(monkeypatch):
    windows, steps = cut(make_stream(1000), 400, 40)
    n_compared = []
    compare = reuse._compare_with_all

    def count(window, own, lists, bars):
        n_compared.append(len(own))
        return compare(window, own, lists, bars)

    monkeypatch.setattr(reuse, "_compare_with_all", count)
    list(reuse.find_in_sequence(windows, steps, [SETTINGS] * len(windows)))
    assert n_compared[0] == 400
    assert sum(n_compared[1:]) < 0.3 * 400 * (len(windows) - 1)


def test_duplicates_and_ties_keep_their_order():
    rows = np.random.default_rng(2).integers(0, 3, size=(500, 3)).astype(np.float32)  # 27 different rows
    windows, steps = cut(rows, 150, 30)
    settings = [SETTINGS] * len(windows)
    assert_exact(reuse.find_in_sequence(windows, steps, settings), windows, settings)


def test_tight_groups_far_apart_are_left_to_the_plain_search():
    rows = make_stream(400) * 1e-4 + 1e4 * (np.arange(400) % 2)[:, None].astype(np.float32)
    windows, steps = cut(rows.astype(np.float32), 200, 40)
    settings = [SETTINGS] * len(windows)
    for graph, rows in zip(reuse.find_in_sequence(windows, steps, settings), windows, strict=True):
        if graph is not None:
            np.testing.assert_array_equal(graph.indices, build_knn_graph(rows, 8).indices)


def test_related_rows_whose_vectors_changed_count_as_new():
    windows, steps = cut(make_stream(400), 200, 20)
    windows[3] = windows[3].copy()
    windows[3][:30] += 0.5
    settings = [SETTINGS] * len(windows)
    assert_exact(reuse.find_in_sequence(windows, steps, settings), windows, settings)


def test_neighbours_may_differ_from_window_to_window():
    windows, steps = cut(make_stream(400), 200, 20)
    settings = [GraphSettings(n_neighbors=5 + 4 * (t % 4)) for t in range(len(windows))]
    assert_exact(reuse.find_in_sequence(windows, steps, settings), windows, settings)


@pytest.mark.parametrize(
    ("change", "n_known"),
    [
        ({}, 3),
        ({"metric": "manhattan"}, 0),
        ({"unchanged": False}, 0),
        ({"min_work": 1e12}, 0),
    ],
)
def test_what_cannot_be_reused_is_left_out(monkeypatch, change, n_known):
    if "min_work" in change:
        monkeypatch.setattr(reuse, "MIN_WORK", change["min_work"])
    windows, steps = cut(make_stream(300), 200, 50)
    if not change.get("unchanged", True):
        windows = [rows + np.float32(t) for t, rows in enumerate(windows)]
    settings = [GraphSettings(n_neighbors=8, metric=change.get("metric", "euclidean"))] * 3
    found = list(reuse.find_in_sequence(windows, steps, settings))
    assert sum(graph is not None for graph in found) == n_known


def test_the_estimator_gives_the_maps_that_it_gave_without(monkeypatch):
    windows, steps = cut(make_stream(500), 200, 50)
    arguments = {"random_state": 0, "n_epochs": 20, "n_neighbors": 8}
    found = AlignedUMAP(**arguments).fit(windows, relations=steps)
    monkeypatch.setattr(reuse, "MIN_WORK", np.inf)
    expected = AlignedUMAP(**arguments).fit(windows, relations=steps)
    for a, b in zip(found.embeddings_, expected.embeddings_, strict=True):
        np.testing.assert_array_equal(a, b)
