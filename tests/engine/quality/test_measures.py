"""Quality figures: loops from their papers, scikit-learn, and what must not change them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from tests import naive

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.quality import measures as quality
from driftmap.engine.quality.measures import (
    choose_rank_metric,
    count_bad_rows,
    drift,
    find_nearest_places,
    neighbour_preservation,
    neighbour_preservation_from_graph,
    trustworthiness,
)
from driftmap.engine.relations.relations import relate_ids


def make_map(seed=0, n=70, noise=0.5):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 6))
    return rows, rows[:, :2] + rng.normal(size=(n, 2)) * noise


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
@pytest.mark.parametrize("k", [1, 5, 34])
def test_trustworthiness_equals_the_loop_and_scikit_learn(metric, k):
    from sklearn.manifold import trustworthiness as oracle

    rows, positions = make_map()
    found = trustworthiness(rows, positions, k, metric)
    assert found == pytest.approx(naive.trustworthiness(rows, positions, k, metric), abs=1e-12)
    assert found == pytest.approx(oracle(rows, positions, n_neighbors=k, metric=metric), abs=1e-12)


def test_trustworthiness_in_blocks(monkeypatch):
    rows, positions = make_map(1)
    whole = trustworthiness(rows, positions)
    monkeypatch.setattr(quality, "BLOCK_BYTES", 8 * 70 * 9)
    assert trustworthiness(rows, positions) == whole


@pytest.mark.parametrize("name", ["gapminder", "house_votes"])
def test_figures_equal_scikit_learn_s_on_real_data(load_shared, name):
    from sklearn.manifold import trustworthiness as oracle
    from sklearn.neighbors import NearestNeighbors

    rows = load_shared(name)[0][0]
    positions = rows[:, :3] + np.random.default_rng(2).normal(size=(len(rows), 3)) * rows[:, :3].std()
    assert trustworthiness(rows, positions) == pytest.approx(oracle(rows, positions, n_neighbors=15), abs=2e-3)

    def near(x):
        found = NearestNeighbors(n_neighbors=16).fit(x).kneighbors(x, return_distance=False)
        return [set(row.tolist()) - {i} for i, row in enumerate(found)]

    expected = np.mean([len(a & b) / 15 for a, b in zip(near(rows), near(positions), strict=True)])
    assert neighbour_preservation(rows, positions) == pytest.approx(expected, abs=5e-3)  # votes tie often


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbour_preservation_equals_the_loop(metric):
    rows, positions = make_map(3)
    found = neighbour_preservation(rows, positions, 6, metric)
    assert found == pytest.approx(naive.neighbour_preservation(rows, positions, 6, metric), abs=1e-12)


def test_a_perfect_map_has_perfect_figures():
    _, positions = make_map(4)
    assert trustworthiness(positions, positions) == 1
    assert neighbour_preservation(positions, positions) == 1
    assert drift([positions, positions[::-1]], [np.arange(70)[::-1]]) == 0


def test_rows_without_a_place_are_left_out_and_counted():
    rows, positions = make_map(5)
    broken = positions.copy()
    broken[3] = np.nan
    broken[61, 1] = np.inf
    kept = np.isfinite(broken).all(axis=1)
    assert count_bad_rows(broken) == 2
    assert count_bad_rows(positions) == 0
    assert trustworthiness(rows, broken) == trustworthiness(rows[kept], broken[kept])
    assert neighbour_preservation(rows, broken) == neighbour_preservation(rows[kept], broken[kept])


def test_neighbour_preservation_of_some_rows_against_all():
    rows, positions = make_map(7)
    positions[:3] = positions[3]  # rows at one place
    knn = build_knn_graph(rows, 11)
    near = [set(row[1:]) for row in naive.nearest(naive.all_distances(positions), 11).tolist()]
    shares = [len(set(row[1:]) & near[i]) / 10 for i, row in enumerate(knn.indices.tolist())]
    for max_rows, asked in ((70, shares), (35, shares[::2]), (34, shares[::3])):
        found = neighbour_preservation_from_graph(knn.indices, positions, max_rows)
        assert found == pytest.approx(np.mean(asked), abs=1e-12)


def test_neighbour_preservation_from_a_stored_graph():
    rows, positions = make_map(6)
    knn = build_knn_graph(rows, 11)
    assert neighbour_preservation_from_graph(knn.indices, positions) == neighbour_preservation(rows, positions, 10)
    indices = knn.indices.copy()
    indices[0, 3:], indices[1, 1:] = -1, -1
    near = [set(row[1:]) for row in naive.nearest(naive.all_distances(positions), 11).tolist()]
    shares = [len(set(row[1:]) & near[i]) / 10 for i, row in enumerate(knn.indices.tolist()) if i > 1]
    two = set(naive.nearest(naive.all_distances(positions), 3)[0].tolist()[1:])
    shares.append(len(set(indices[0, 1:3].tolist()) & two) / 2)
    assert neighbour_preservation_from_graph(indices, positions) == pytest.approx(np.mean(shares), abs=1e-12)
    assert np.isnan(neighbour_preservation_from_graph(np.array([[0, -1], [1, -1]]), positions[:2]))
    broken = np.full((70, 2), np.nan)
    assert np.isnan(neighbour_preservation_from_graph(knn.indices, broken))


def test_rows_without_a_place_are_no_neighbours_either():
    positions = np.array([[0.0], [1.0], [2.1], [np.nan]])
    indices = np.array([[0, 3, 1], [1, 0, 3], [2, 1, 3], [3, 0, 1]])
    assert neighbour_preservation_from_graph(indices, positions) == 1


def test_the_tree_finds_what_the_exact_search_finds(monkeypatch):
    places = np.random.default_rng(7).normal(size=(300, 2)).astype(np.float32)
    exact = find_nearest_places(places, 12)
    monkeypatch.setattr(quality, "TREE_ROWS", 10)
    np.testing.assert_array_equal(find_nearest_places(places, 12), exact)
    places[100:200] = places[0]  # more duplicates than neighbours: each row still finds others, never itself
    near = find_nearest_places(places, 12)
    assert near.shape == (300, 12)
    assert (near != np.arange(300)[:, None]).all()
    assert (near[100:200] >= 0).all()


def make_run(seed, n_windows=5):
    """Places of rows that come and go, and the relations of consecutive windows."""
    rng = np.random.default_rng(seed)
    ids = [rng.permutation(60)[: rng.integers(30, 50)] for _ in range(n_windows)]
    places = [rng.normal(size=(len(window), 2)) + 3 for window in ids]
    places[2][4] = np.nan
    return places, [relate_ids(old, new) for old, new in itertools.pairwise(ids)]


@pytest.mark.parametrize("n_steps", [1, 2, 4])
def test_drift_equals_the_loop(n_steps):
    places, relations = make_run(0)
    assert drift(places, relations, n_steps) == pytest.approx(naive.drift(places, relations, n_steps), abs=1e-12)


def test_drift_knows_no_scale_turn_or_place():
    places, relations = make_run(1)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    moved = [7.0 * p @ turn + 100 for p in places]
    assert drift(moved, relations) == pytest.approx(drift(places, relations), rel=1e-9)
    rows, positions = make_map(8)
    turned = (100.0 * positions @ turn).astype(np.float32)
    assert trustworthiness(rows, turned) == pytest.approx(trustworthiness(rows, positions), abs=1e-3)


def test_drift_where_nothing_can_be_followed():
    places, relations = make_run(2)
    assert np.isnan(drift(places, relations, 5))
    assert np.isnan(drift(places, [np.full_like(r, -1) for r in relations]))
    assert np.isnan(drift([], []))
    assert np.isnan(drift([np.ones((3, 2))] * 2, [np.arange(3)]))
    lost = [*places[:2], np.full_like(places[2], np.nan), *places[3:]]
    assert np.isfinite(drift(lost, relations))
    assert np.isfinite(drift(lost, relations, 2))


def test_drift_on_real_data_equals_the_loop(load_shared):
    from driftmap.engine.relations.relations import as_relation

    rows, _, _, given_relations = load_shared("baseball_batters")
    rng = np.random.default_rng(3)
    places = [x[:, :2] / rows[0].std() + rng.normal(size=(len(x), 2)) for x in rows[:12]]
    relations = [as_relation(given_relations[t], len(places[t]), len(places[t + 1])) for t in range(11)]
    for n_steps in (1, 5):
        assert drift(places, relations, n_steps) == pytest.approx(naive.drift(places, relations, n_steps), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: trustworthiness(x, y, 35), "n_neighbors=35 must be below half of the 70 rows"),
        (lambda x, y: trustworthiness(x, y, 0), "n_neighbors must be at least 1, got 0"),
        (
            lambda x, y: trustworthiness(x, y, 5, "l1"),
            "metric must be one of euclidean, cosine, correlation, precomputed .*, got 'l1'",
        ),
        (lambda x, y: trustworthiness(x, y[1:]), "got 70 and 69"),
        (lambda x, y: trustworthiness(x, y[:, 0]), r"positions must be a 2-D array .* got shape \(70,\)"),
        (lambda x, y: neighbour_preservation(x, y, 70), "n_neighbors=71 needs at least 71 rows"),
        (neighbour_preservation_from_graph, "knn_indices must be integers"),
        (lambda x, y: neighbour_preservation_from_graph(np.zeros((69, 3), int), y), r"int64 \(69, 3\)"),
        (lambda x, y: drift([y, y], []), "one fewer than positions, got 0 for 2 windows"),
        (lambda x, y: drift([y, y], [np.arange(69)]), r"relations\[0\] must be integers, one for each of the 70 rows"),
        (lambda x, y: drift([y, y], [np.arange(70) + 1]), "below 70"),
        (lambda x, y: drift([y, x], [np.arange(70)]), r"positions\[0\] has 2 components and positions\[1\] 6"),
        (lambda x, y: drift([y, y], [np.arange(70)], 0), "n_steps must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call(*make_map(9))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sparse_rows_and_distances_give_the_figures_of_dense_rows(metric):
    rng = np.random.default_rng(12)
    rows = np.where(rng.uniform(size=(80, 30)) < 0.3, rng.normal(size=(80, 30)), 0.0).astype(np.float32)
    places = rng.normal(size=(80, 2)).astype(np.float32)
    places[[3, 50]] = np.nan
    rows[60] = 0.0
    distances = naive.all_distances(rows, metric)
    for measure in (trustworthiness, neighbour_preservation):
        expected = measure(rows, places, 7, metric)
        assert measure(csr_matrix(rows), places, 7, metric) == pytest.approx(expected, abs=1e-12)
        assert measure(distances, places, 7, "precomputed") == pytest.approx(expected, abs=1e-3)


def test_metrics_that_give_no_ranks_are_replaced():
    dense, sparse = np.ones((3, 2)), csr_matrix(np.ones((3, 2)))
    assert [choose_rank_metric(dense, m) for m in ("cosine", "precomputed", "l1", max)] == [
        "cosine",
        "precomputed",
        "euclidean",
        "euclidean",
    ]
    assert choose_rank_metric(dense, "correlation") == "correlation"
    assert choose_rank_metric(sparse, "correlation") == "euclidean"


@pytest.mark.parametrize(("scale", "shift"), [(1, 1e5), (1, 1e8), (1e-50, 0), (1e40, -1e42)])
def test_figures_do_not_depend_on_the_place_or_the_scale_of_a_map(scale, shift):
    rows, positions = make_map()
    graph = build_knn_graph(rows, 11, recall=1.0)
    for measure in (
        lambda places: trustworthiness(rows, places, 10),
        lambda places: neighbour_preservation(rows, places, 10),
        lambda places: neighbour_preservation_from_graph(graph.indices, places),
    ):
        assert measure(positions * scale + shift) == pytest.approx(measure(positions), abs=0.003)  # near ties


def test_rows_without_a_place_do_not_keep_a_map_from_being_moved():
    rows, positions = make_map()
    positions[3] = np.nan
    assert trustworthiness(rows, positions + 1e9, 10) == pytest.approx(trustworthiness(rows, positions, 10), abs=0.003)


@pytest.mark.parametrize("wrong", [70, -2])
def test_neighbours_that_are_no_rows_are_refused(wrong):
    rows, positions = make_map()
    indices = build_knn_graph(rows, 6).indices.copy()
    indices[4, 2] = wrong
    with pytest.raises(InvalidInputError, match=rf"knn_indices must be from -1, for none, to 69; got .*{wrong}"):
        neighbour_preservation_from_graph(indices, positions)


def test_relations_may_be_lists():
    maps = [np.random.default_rng(t).normal(size=(5, 2)) for t in range(3)]
    steps = [[0, 2, -1, 4, 1], [4, 3, 2, 1, 0]]
    assert drift(maps, steps, 2) == drift(maps, [np.array(step, dtype=np.int32) for step in steps], 2)
