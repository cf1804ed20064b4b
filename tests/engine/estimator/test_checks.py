"""AlignedUMAP on what is not a dense array with a named metric, and with targets."""

from __future__ import annotations

import pickle
import warnings

import numba
import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.metrics import silhouette_score

from driftmap.engine import AlignedUMAP, InvalidInputError, build_knn_graph

N = 60


@numba.njit
def manhattan(x, y):
    return np.abs(x - y).sum()


def plain_manhattan(x, y):
    return np.abs(x - y).sum()


def make(n_windows=3, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(N, 5)) + 5 * (np.arange(N) % 2)[:, None]
    return [(base + rng.normal(scale=0.1, size=base.shape)).astype(np.float32) for _ in range(n_windows)]


WINDOWS = make()
IDS = [np.arange(N)] * 3


def quick(**parameters):
    return AlignedUMAP(**{"random_state": 0, "n_epochs": 30, "n_neighbors": 8, **parameters})


def fit_and_update(model, windows, **arguments):
    """Two windows in `fit`, the third in `update`; lists of per-window arguments are split alike."""
    first = {name: value[:2] for name, value in arguments.items()}
    model.fit(windows[:2], ids=IDS[:2], **first)
    return model.update(windows[2], ids=IDS[2], **{name: value[2] for name, value in arguments.items()})


def assert_same_maps(one, two):
    assert len(one.embeddings_) == len(two.embeddings_)
    for a, b in zip(one.embeddings_, two.embeddings_, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_differ(one, two):
    assert not np.allclose(one.embeddings_[0], two.embeddings_[0], atol=1e-3)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sparse_windows_give_the_maps_of_dense_ones(metric):
    dense = [np.where(w > 1, w, 0) for w in WINDOWS]
    forms = [sparse.csr_matrix(dense[0]), sparse.coo_array(dense[1]), sparse.csc_array(dense[2])]
    found, expected = fit_and_update(quick(metric=metric), forms), fit_and_update(quick(metric=metric), dense)
    assert_same_maps(found, expected)
    again = pickle.loads(pickle.dumps(found))
    assert_same_maps(again, expected)
    placed = found.transform(sparse.csr_matrix(dense[2][:9]))
    np.testing.assert_allclose(placed, expected.transform(dense[2][:9]), atol=0.05)
    np.testing.assert_array_equal(placed, found.transform(dense[2][:9]))


def test_sparse_windows_are_looked_at_for_inverse_relations():
    rng = np.random.default_rng(0)
    old, order = np.where(rng.uniform(size=(N, 9)) < 0.5, 1.0, 0) * rng.normal(size=(N, 9)), rng.permutation(N)
    new = np.empty_like(old)
    new[order] = old
    model = quick().fit([sparse.csr_matrix(old)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.update(sparse.csr_matrix(new), relations=order)
    with pytest.warns(UserWarning, match="from new row to old row"):
        quick().fit([old]).update(sparse.csr_matrix(new), relations=np.argsort(order))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("form", ["dict", "pairs", "rows", "matrix"])
def test_an_old_row_beyond_the_rows_of_a_smaller_window_may_have_a_partner(kind, form):
    rows = np.random.default_rng(0).normal(size=(60, 5))
    old = np.arange(10, 40)
    relation = {
        "dict": dict(zip(old.tolist(), (old - 10).tolist(), strict=True)),
        "pairs": np.stack([old, old - 10], axis=1),
        "rows": np.r_[np.full(10, -1), old - 10],
        "matrix": sparse.csr_matrix((np.ones(30), (old, old - 10)), shape=(40, 35)),
    }[form]
    model = quick().fit([kind(rows[:40])], relations=[]).update(kind(rows[10:45]), relations=relation)
    np.testing.assert_array_equal(model.ids_[1][:30], old)


def test_functions_as_metrics():
    named = fit_and_update(quick(metric="manhattan"), WINDOWS)
    for metric in (manhattan, plain_manhattan, ["manhattan", manhattan]):
        model = quick(metric=metric)
        assert clone(model).get_params()["metric"] == metric
        found = fit_and_update(model, WINDOWS)
        for a, b in zip(found.graphs_, named.graphs_, strict=True):  # maps grow apart from the last bit of a distance
            np.testing.assert_array_equal(a.indices, b.indices)
            np.testing.assert_allclose(a.data, b.data, rtol=1e-4)
        near = np.linalg.norm(found.transform(WINDOWS[2][:20]) - found.embeddings_[2][:20], axis=1)
        assert np.median(near) < 1.0
    assert_differ(named, fit_and_update(quick(), WINDOWS))


def test_precomputed_distances():
    distances = [cdist(w.astype(float), w.astype(float)) for w in WINDOWS]
    found = fit_and_update(quick(metric="precomputed"), distances)
    expected = fit_and_update(quick(), WINDOWS)
    for a, b in zip(found.graphs_, expected.graphs_, strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4)
    new = cdist(WINDOWS[2][:9].astype(float), WINDOWS[2].astype(float))
    np.testing.assert_allclose(found.transform(new), found.embeddings_[2][:9], atol=2.5)
    with pytest.raises(InvalidInputError, match="distances to each of the window's rows"):
        found.transform(WINDOWS[2])
    far = distances[0].copy()
    far[3] = far[:, 3] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        isolated = quick(metric="precomputed").fit([far]).embeddings_[0]
    assert np.isnan(isolated[3]).all()
    assert np.isfinite(np.delete(isolated, 3, axis=0)).all()


def test_relations_and_precomputed_distances():
    distances = [cdist(w, w) for w in WINDOWS[:2]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = quick(metric="precomputed").fit(distances[:1]).update(distances[1], relations=np.arange(N))
    assert model.n_windows_ == 2


def test_knn_graphs_take_the_place_of_a_search():
    graphs = [build_knn_graph(w, 12) for w in WINDOWS]
    expected = fit_and_update(quick(), WINDOWS)
    assert_same_maps(fit_and_update(quick(), WINDOWS, knn=graphs), expected)
    # Rows that do not give the graphs' distances are none: nothing is drawn by them.
    one, two = [np.zeros((N, 1))] * 3, [np.random.default_rng(8).normal(size=(N, 5))] * 3
    assert_same_maps(fit_and_update(quick(), one, knn=graphs), fit_and_update(quick(), two, knn=graphs))
    without_self = [(g.indices[:, 1:], g.distances[:, 1:]) for g in graphs]
    assert_same_maps(quick().fit(WINDOWS, ids=IDS, knn=without_self), quick().fit(WINDOWS, ids=IDS))
    assert_same_maps(quick().fit(WINDOWS, ids=IDS, knn=[None, graphs[1], None]), quick().fit(WINDOWS, ids=IDS))
    np.testing.assert_array_equal(
        quick().fit_transform(WINDOWS, ids=IDS, knn=graphs)[2], quick().fit(WINDOWS, ids=IDS).embeddings_[2]
    )
    assert_differ(fit_and_update(quick(), WINDOWS, knn=[build_knn_graph(w[:, :1], 12) for w in WINDOWS]), expected)


def test_labels_draw_rows_together():
    labels = [np.random.default_rng(1).integers(0, 3, N)] * 3
    free, drawn = fit_and_update(quick(n_epochs=100), WINDOWS), fit_and_update(quick(n_epochs=100), WINDOWS, y=labels)
    for t in range(3):
        before, after = (silhouette_score(m.embeddings_[t], labels[t]) for m in (free, drawn))
        assert after > before + 0.1
    assert_same_maps(
        fit_and_update(quick(n_epochs=100), WINDOWS, y=[[("a", "b", "c")[i] for i in y] for y in labels]), drawn
    )


def test_a_window_without_target_is_not_supervised():
    labels = np.arange(N) % 3
    free = quick().fit(WINDOWS, ids=IDS)
    assert_same_maps(quick().fit(WINDOWS, None, ids=IDS), free)
    partly = quick().fit(WINDOWS, [None, labels, None], ids=IDS)
    for t, is_same in enumerate([True, False, True]):
        assert np.array_equal(partly.graphs_[t].data, free.graphs_[t].data) == is_same
    unknown = quick().fit(WINDOWS, [np.full(N, -1)] * 3, ids=IDS)
    assert len(unknown.graphs_[0].data) == len(free.graphs_[0].data)


def test_each_target_parameter_takes_effect_for_all_windows_or_for_one():
    values = [np.random.default_rng(2).normal(size=N).round(1)] * 3
    base = {"target_metric": "euclidean"}
    whole = [(v * 10).astype(int) for v in values]
    plain = quick(**base).fit(WINDOWS, whole, ids=IDS)
    for name, value in (("target_metric", "categorical"), ("target_weight", 0.9), ("target_n_neighbors", 3)):
        changed = quick(**{**base, name: value}).fit(WINDOWS, whole, ids=IDS)
        old = {**base, "target_weight": 0.5, "target_n_neighbors": -1}[name]
        last = quick(**{**base, name: [old, old, value]}).fit(WINDOWS, whole, ids=IDS)
        for t, expected in enumerate((plain, plain, changed)):
            np.testing.assert_array_equal(last.graphs_[t].data, expected.graphs_[t].data)
        assert len(changed.graphs_[2].data) != len(plain.graphs_[2].data) or not np.allclose(
            changed.graphs_[2].data, plain.graphs_[2].data, atol=1e-2
        )
        assert_differ(changed, plain)
    updated = quick(**base).fit(WINDOWS[:2], whole[:2], ids=IDS[:2])
    updated.update(WINDOWS[2], ids=IDS[2], y=whole[2], target_weight=0.9)
    heavy = quick(**base, target_weight=0.9).fit(WINDOWS, whole, ids=IDS)
    np.testing.assert_array_equal(updated.graphs_[2].data, heavy.graphs_[2].data)


def test_continuous_targets_order_the_map():
    values = [np.linspace(0, 1, N)] * 3
    rows = [np.random.default_rng(s).normal(size=(N, 5)) for s in range(3)]

    def pull(**arguments):
        y = fit_and_update(quick(target_metric="euclidean", target_weight=0.8), rows, **arguments).embeddings_[2]
        return np.median(np.linalg.norm(np.diff(y, axis=0), axis=1)) / y.std()

    assert pull(y=values) < 0.6 * pull()


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({}, {"X": sparse.csr_matrix(WINDOWS[0])}, r"X must be a list of windows.*got one sparse matrix \(60, 5\)"),
        ({}, {"y": np.zeros(N)}, "y must be a list of 3 entries.*got 60 entries"),
        ({}, {"y": [None, np.zeros(9), None]}, r"y\[1\] must hold one label or value .* 60 rows, got 9 entries"),
        ({}, {"y": [np.linspace(0, 1, N)] * 3}, r"y\[0\].*target_metric='euclidean'"),
        ({"target_weight": 2.0}, {"y": [None] * 3}, "target_weight must be finite and from 0 to 1, got 2"),
        ({"target_n_neighbors": 1}, {}, "target_n_neighbors must be from 2 to 100000, got 1"),
        ({"target_metric": "precomputed"}, {}, "target_metric must be 'categorical' or the name"),
        ({"metric": "precomputed"}, {}, r"X\[0\] must be a square matrix of distances"),
        ({"metric": None}, {}, "metric must be the name of a metric .*, or a function of two rows"),
        ({}, {"knn": [None] * 2}, "knn must be a list of 3 entries"),
        ({}, {"knn": [None, (np.zeros((N, 3), int), np.zeros((N, 3))), None]}, r"knn\[1\] holds a neighbour twice"),
        ({"init": "pca"}, {"X": [sparse.csr_matrix(w) for w in WINDOWS]}, r"init='pca' needs dense rows.*X\[0\]"),
    ],
)
def test_bad_input_is_named_before_any_work(parameters, arguments, message):
    given = {"X": WINDOWS, "ids": IDS, **arguments}
    model = quick(**parameters)
    with pytest.raises(InvalidInputError, match=message):
        model.fit(given.pop("X"), given.pop("y", None), **given)
    assert not hasattr(model, "embeddings_")


def test_bad_updates_leave_the_model_as_it_was():
    model = quick().fit(WINDOWS[:1])
    bad = sparse.csr_matrix(np.where(np.eye(N)[:, :5] > 0, np.nan, WINDOWS[1]))
    for arguments, message in (
        ({"X": bad}, "X holds NaN or infinity in rows 0, 1, 2, 3, 4"),
        ({"X": WINDOWS[1], "y": [1, 2]}, "y must hold one label or value"),
        ({"X": WINDOWS[1], "knn": (np.zeros((3, 3), int), np.zeros((3, 3)))}, "knn must hold indices and distances"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.update(arguments.pop("X"), relations=np.arange(N), **arguments)
    assert model.n_windows_ == 1


def test_figures_of_sparse_windows_and_distances_are_those_of_dense_rows():
    def figures(windows, **parameters):
        table = fit_and_update(quick(**parameters), windows).quality_
        return np.array([[row["trustworthiness"], row["neighbour_preservation"]] for row in table])

    expected = figures(WINDOWS)
    assert expected[:, 0].min() > 0.8
    np.testing.assert_allclose(figures([sparse.csr_matrix(w) for w in WINDOWS]), expected)
    assert figures([cdist(w, w) for w in WINDOWS], metric="precomputed")[:, 0].min() > 0.8
    assert figures(WINDOWS, metric=manhattan)[:, 0].min() > 0.8
