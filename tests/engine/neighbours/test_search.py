"""kNN graphs: exact to the last neighbour, whatever the scale of the data and the threads of BLAS."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests import naive

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours import search as knn_module
from driftmap.engine.neighbours.search import build_knn_graph

METRICS = ("euclidean", "cosine", "correlation")


def digest(graph):
    return hashlib.sha256(graph.indices.tobytes() + graph.distances.tobytes()).hexdigest()


def assert_is_nearest(graph, distances):
    """Every row's neighbours are nearest ones of the given float64 distances, up to float32's rounding."""
    n, k = graph.indices.shape
    own = np.arange(n)
    assert (graph.indices[:, 0] == own).all()
    assert (graph.distances[:, 0] == 0).all()
    assert all(len(set(row)) == k for row in graph.indices.tolist())
    taken = np.take_along_axis(distances, graph.indices, axis=1)
    taken[:, 0] = 0
    np.testing.assert_allclose(graph.distances, taken, rtol=1e-6, atol=1e-7 * taken.max() + 1e-12)
    best = distances.copy()
    best[own, own] = -1
    best = np.sort(best, axis=1)[:, :k]
    best[:, 0] = 0
    np.testing.assert_allclose(graph.distances, best, rtol=1e-6, atol=1e-7 * taken.max() + 1e-12)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40)
@given(
    hnp.arrays(np.int8, st.tuples(st.integers(3, 20), st.integers(1, 5)), elements=st.integers(-2, 2)),
    st.integers(2, 6),
)
def test_integers_with_many_ties_and_duplicates(metric, rows, k):
    k = min(k, len(rows))
    distances = naive.all_distances(rows, metric)
    graph = build_knn_graph(rows, k, metric)
    assert_is_nearest(graph, distances)
    if metric == "euclidean":  # whole numbers: ties are ties
        np.testing.assert_array_equal(graph.indices, naive.nearest(distances, k))


@pytest.mark.parametrize("metric", METRICS)
def test_equals_the_loop(metric):
    rows = np.random.default_rng(1).normal(size=(60, 7)).astype(np.float32)
    graph = build_knn_graph(rows, 10, metric)
    assert graph.indices.dtype == np.int32
    assert graph.distances.dtype == np.float32
    distances = naive.all_distances(rows, metric)
    assert_is_nearest(graph, distances)
    np.testing.assert_array_equal(graph.indices, naive.nearest(distances, 10))


@pytest.mark.parametrize("name", ["gapminder", "house_votes", "dask_commits", "baseball_batters"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_real_data(load_shared, name, metric):
    rows = load_shared(name)[0][0].astype(np.float64)
    if metric == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2) if len(rows) < 500 else None
    if distances is None:
        distances = np.stack([np.linalg.norm(rows - row, axis=1) for row in rows])
    graph = build_knn_graph(load_shared(name)[0][0], 15, metric)
    assert_is_nearest(graph, distances if metric == "euclidean" else distances**2 / 2)


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(1.0, 1e4), (1e-20, 0.0), (1e-30, 0.0), (1e18, 0.0), (1e37, 0.0)],
    ids=["far from the origin", "tiny", "tiniest", "huge", "hugest"],
)
def test_any_scale(scale, offset):
    rng = np.random.default_rng(2)
    rows = (rng.normal(size=(80, 6)) * scale + offset).astype(np.float32)
    exact = rows.astype(np.float64)
    distances = np.linalg.norm(exact[:, None] - exact[None], axis=2)
    graph = build_knn_graph(rows, 8)
    np.testing.assert_array_equal(graph.indices, naive.nearest(distances, 8))
    np.testing.assert_allclose(graph.distances, np.take_along_axis(distances, graph.indices, 1), rtol=1e-6)


def test_tight_groups_far_apart(monkeypatch):
    """Differences drown in float32 products here; the search turns to float64 and stays exact."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 5)) * 1e4
    rows = (centres[rng.integers(0, 4, 300)] + rng.normal(size=(300, 5))).astype(np.float32)
    exact = rows.astype(np.float64)
    monkeypatch.setattr(knn_module, "BLOCK_BYTES", 4 * 300 * 50)
    monkeypatch.setattr(knn_module, "EXACT_SUM_LIMIT", 2)
    distances = np.linalg.norm(exact[:, None] - exact[None], axis=2)
    np.testing.assert_array_equal(build_knn_graph(rows, 6).indices, naive.nearest(distances, 6))


def test_a_far_row_harms_none():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(100, 3)).astype(np.float32)
    rows[17] = 1e12
    exact = rows.astype(np.float64)
    distances = np.linalg.norm(exact[:, None] - exact[None], axis=2)
    # in float32, as the graph holds them: from the far row all others are equally far
    np.testing.assert_array_equal(build_knn_graph(rows, 5).indices, naive.nearest(distances.astype(np.float32), 5))


def test_duplicates_are_at_distance_zero_and_rows_come_first():
    rng = np.random.default_rng(5)
    rows = np.repeat(rng.normal(size=(10, 9)).astype(np.float32) + 100, 4, axis=0)
    for metric in METRICS:
        graph = build_knn_graph(rows, 4, metric)
        assert (graph.distances == 0).all()
        for i, row in enumerate(graph.indices.tolist()):
            group = range(i // 4 * 4, i // 4 * 4 + 4)
            assert row == [i, *(j for j in group if j != i)]


def test_cosine_of_scaled_rows_and_of_zeros():
    rows = np.array([[1, 2, 3], [3, 6, 9], [0, 0, 0], [-1, 2, 0], [0, 0, 0]], dtype=np.float32)
    graph = build_knn_graph(rows, 5, "cosine")
    assert graph.indices[0].tolist()[:2] == [0, 1]
    assert graph.distances[0, 1] == 0
    assert graph.indices[2].tolist() == [2, 4, 0, 1, 3]
    np.testing.assert_allclose(graph.distances[2], [0, 0, 1, 1, 1])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8, bool])
def test_types_are_converted(dtype):
    rows = np.random.default_rng(6).integers(0, 2, size=(30, 12)).astype(dtype)
    assert digest(build_knn_graph(rows, 5)) == digest(build_knn_graph(rows.astype(np.float32), 5))
    assert digest(build_knn_graph(np.asfortranarray(rows), 5)) == digest(build_knn_graph(rows, 5))


def test_same_bytes_on_any_threads_and_blocks(monkeypatch):
    from threadpoolctl import threadpool_limits

    from driftmap.engine.core.threads import limit_threads

    rows = np.random.default_rng(7).normal(size=(700, 33)).astype(np.float32)
    found = set()
    for n_threads in (1, 2, 4):
        for block_bytes in (1 << 24, 4 * 700 * 7, 1):
            monkeypatch.setattr(knn_module, "BLOCK_BYTES", block_bytes)
            with threadpool_limits(n_threads), limit_threads(n_threads):
                found.add(digest(build_knn_graph(rows, 15)))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("metric", "kwds"),
    [
        ("manhattan", {}),
        ("linf", {}),
        ("minkowski", {"p": 3}),
        ("canberra", {}),
        ("braycurtis", {}),
        ("hamming", {}),
        ("jaccard", {}),
        ("yule", {}),
    ],
)
def test_other_metrics_are_exact_by_scikit_learn(metric, kwds):
    from scipy.spatial.distance import cdist

    rows = np.random.default_rng(8).integers(0, 3, size=(50, 8)).astype(np.float32)
    rows[:, 0] = 1  # no row of zeros: some of these metrics are not defined there
    given_rows = rows != 0 if metric in knn_module.BOOLEAN_METRICS else rows.astype(np.float64)
    names = {"manhattan": "cityblock", "linf": "chebyshev"}
    distances = cdist(given_rows, given_rows, metric=names.get(metric, metric), **kwds)
    graph = build_knn_graph(rows, 6, metric, kwds)
    assert_is_nearest(graph, distances)
    np.testing.assert_array_equal(graph.indices, naive.nearest(distances.astype(np.float32), 6))


def test_precomputed_distances():
    rng = np.random.default_rng(9)
    distances = rng.uniform(1, 2, size=(20, 20))
    distances[3, 5:] = np.inf
    graph = build_knn_graph(distances, 7, "precomputed")
    np.testing.assert_array_equal(graph.indices[:3], naive.nearest(distances, 7)[:3])
    assert graph.indices[3].tolist()[5:] == [-1, -1]
    assert np.isinf(graph.distances[3, 5:]).all()
    distances[7, 9] = -1e-9  # rounding
    graph = build_knn_graph(distances, 3, "precomputed")
    assert graph.indices[7, :2].tolist() == [7, 9]
    assert graph.distances[7, 1] == 0


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_descent_finds_most_neighbours_with_exact_distances(monkeypatch, metric):
    rows = np.random.default_rng(10).normal(size=(500, 6)).astype(np.float32)
    rows[100:140] = rows[100]  # more duplicates than neighbours
    exact = build_knn_graph(rows, 12, metric)
    monkeypatch.setattr(knn_module, "EXACT_WORK", 0.0)
    monkeypatch.setattr(knn_module, "EXHAUSTIVE_WORK", 0.0)
    found = build_knn_graph(rows, 12, metric, seed=3)
    assert digest(found) == digest(build_knn_graph(rows, 12, metric, seed=3))
    assert (found.indices[:, 0] == np.arange(500)).all()
    assert (found.distances[100:140] == 0).all()
    assert (np.diff(found.distances, axis=1) >= 0).all()
    shared = [len(np.intersect1d(a, b)) / 12 for a, b in zip(found.indices, exact.indices, strict=True)]
    assert np.mean(shared[:100] + shared[140:]) > 0.95
    same = found.indices == exact.indices
    np.testing.assert_array_equal(found.distances[same], exact.distances[same])


@pytest.mark.slow
def test_a_metric_that_only_pynndescent_knows():
    rows = np.random.default_rng(11).uniform(size=(200, 5)).astype(np.float32)
    graph = build_knn_graph(rows, 8, "hellinger")
    shares = np.sqrt(rows / rows.sum(axis=1, keepdims=True))
    distances = np.sqrt(np.maximum(0, 1 - shares @ shares.T))
    nearest = naive.nearest(distances, 8)
    assert np.mean([len(np.intersect1d(a, b)) / 8 for a, b in zip(graph.indices, nearest, strict=True)]) > 0.95
    assert (graph.indices[:, 0] == np.arange(200)).all()


@pytest.mark.parametrize(
    ("rows", "k", "options", "message"),
    [
        (np.ones((4, 2)), 5, {}, "n_neighbors=5 needs at least 5 rows, got 4"),
        (np.ones((4, 2)), 1, {}, "n_neighbors must be at least 2, got 1"),
        (np.ones((4, 2)), 2.0, {}, "n_neighbors must be an integer, got 2.0"),
        (np.ones((4, 2)), True, {}, "n_neighbors must be an integer, got True"),
        (np.ones(4), 2, {}, r"rows must be a 2-D array .* got shape \(4,\)"),
        (np.ones((4, 0)), 2, {}, "at least one feature"),
        ([[1, 2], [3]], 2, {}, "unequal length"),
        ([["a"], ["b"]], 2, {}, "real numbers"),
        (np.array([[1], ["b"]], dtype=object), 2, {}, "real numbers"),
        ([[1.0], [np.nan], [2.0], [np.inf]], 2, {}, "NaN or infinity in rows 1, 3 of 4"),
        ([[1.0], [1e300], [2.0]], 2, {}, "too large for float32 in row 1 of 3; scale"),
        (np.ones((4, 2)), 2, {"metric": "cosine", "metric_kwds": {"p": 2}}, "takes no arguments"),
        (np.ones((4, 2)), 2, {"metric": "minkowski", "metric_kwds": {"q": 2}}, "'minkowski' with metric_kwds"),
        (np.ones((4, 2)), 2, {"metric": "precomputed"}, "square matrix"),
        (np.full((4, 4), np.nan), 2, {"metric": "precomputed"}, "NaN distances in rows 0, 1, 2, 3"),
        (np.full((4, 4), -1.0), 2, {"metric": "precomputed"}, "row 0 to row 0 is -1.0"),
    ],
)
def test_bad_input_is_named(rows, k, options, message):
    with pytest.raises(InvalidInputError, match=message):
        build_knn_graph(rows, k, **options)


@pytest.mark.slow
def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInputError, match=r"'euclid' is not known; give one of .*euclidean"):
        build_knn_graph(np.ones((4, 2)), 2, "euclid")
