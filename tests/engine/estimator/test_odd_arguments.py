"""Arguments that would be read as something else without a word: labels, positions, columns, series, degrees."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform

from driftmap.engine import AlignedUMAP, build_knn_graph
from driftmap.engine.errors import InvalidInputError

N = 60
IDS = [np.arange(N)] * 2
X = np.random.default_rng(0).normal(size=(N, 5))
LABELS = ["a" if row % 2 else "b" for row in range(N)]


def fit(windows=(X, X), **options):
    given = {name: options.pop(name) for name in ("y", "ids", "relations", "reference") if name in options}
    given = given if "relations" in given else {"ids": IDS, **given}
    return AlignedUMAP(random_state=0, n_epochs=5, n_neighbors=5, **options).fit(list(windows), **given)


@pytest.mark.parametrize("missing", [float("nan"), None, -1])
@pytest.mark.parametrize("kind", [list, tuple, lambda y: np.array(y, dtype=object), pd.Series])
def test_texts_beside_what_is_unknown_are_no_labels(missing, kind):
    y = kind([missing if row in (3, 7) else label for row, label in enumerate(LABELS)])
    with pytest.raises(
        InvalidInputError, match=r"^y\[1\] has text labels, and (nan|None|-1) in rows 3, 7; .*factorize"
    ):
        fit(y=[LABELS, y])
    model = fit()
    with pytest.raises(InvalidInputError, match=r"has text labels, and .* in rows 3, 7.*factorize"):
        model.update(X, y, ids=IDS[0])


def test_numpys_new_text_type_is_text():
    kind = np.dtypes.StringDType()
    names = [f"row {row}" for row in range(N)]
    expected = fit(y=[LABELS, None]).embeddings_
    found = fit(y=[np.array(LABELS, dtype=kind), None], ids=[np.array(names, dtype=kind), names]).embeddings_
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InvalidInputError, match=r"ids\[0\] holds text that ends in a zero character"):
        fit(ids=[np.array(["a\0", *names[1:]], dtype=kind), names])


def test_new_rows_have_the_columns_of_their_window_where_windows_differ():
    frames = [pd.DataFrame(X, columns=list("abcde")), pd.DataFrame(X, columns=list("abcdf"))]
    model = fit(frames)
    model.update(frames[0][list("edcba")], ids=IDS[0])
    for window, columns in enumerate(("abcde", "abcdf", "edcba")):
        assert model.transform(pd.DataFrame(X, columns=list(columns)), window=window).shape == (N, 2)
    with pytest.raises(InvalidInputError, match=r"other columns than window 1 \(without 'f', with 'e'\)"):
        model.transform(frames[0], window=1)
    with pytest.raises(InvalidInputError, match=r"columns of window 2 in another order \(column 0 is 'a', was 'e'\)"):
        model.transform(frames[0])


def test_a_series_with_an_index_of_its_own_is_no_relation():
    rows = pd.Series(np.arange(N))
    expected = fit(relations=[rows.to_numpy()]).embeddings_
    np.testing.assert_array_equal(fit(relations=[rows]).embeddings_, expected)
    for series in (rows.sample(frac=1, random_state=0), pd.Series([3, 4], index=[10, 20])):
        with pytest.raises(InvalidInputError, match=r"relations\[0\] is a series whose index is not 0, 1, 2 .*to_dict"):
            fit(relations=[series])


def test_objects_that_are_no_rows_are_named_as_what_they_are():
    with pytest.raises(InvalidInputError, match="got dtype object"):
        fit(relations=[np.array([None, *range(1, N)], dtype=object)])
    with pytest.raises(InvalidInputError, match="got integers beyond int64"):
        fit(relations=[np.array([2**70, *range(1, N)], dtype=object)])


def test_starts_that_no_layout_can_mend():
    at_one = [np.ones((N, 2)), X[:, :2]]
    with pytest.raises(InvalidInputError, match=r"init\[0\] puts all rows at one position"):
        fit(init=at_one)
    with pytest.warns(UserWarning, match=r"init\[1\] spans [0-9.e+]+, so far that .* about 10"):
        fit(init=[X[:, :2], X[:, :2] * 1e4])
    with pytest.raises(InvalidInputError, match=r"init\[0\] holds positions as large as .*; divide them"):
        fit(init=[X[:, :2] * 1e200] * 2)


@pytest.mark.parametrize("size", [1e38, 1e200])
def test_a_reference_beyond_float32_is_refused(size):
    with pytest.raises(InvalidInputError, match=r"reference\[0\] holds positions as large as"):
        fit(reference=[X[:, :2] * size, None])


def test_true_and_false_are_distances():
    far = squareform(pdist(X)) > 1
    np.testing.assert_array_equal(
        fit([far, far], metric="precomputed").embeddings_, fit([far * 1.0] * 2, metric="precomputed").embeddings_
    )


def test_degrees_are_no_radians():
    degrees = np.column_stack([np.linspace(-89, 89, N), np.linspace(-179, 179, N)])
    with pytest.raises(
        InvalidInputError, match=r"X\[1\] has latitudes beyond pi/2 in rows 0, .*such as -89; .*np.radians"
    ):
        fit([np.radians(degrees), degrees], metric="haversine")
    poles = np.array([[np.pi / 2, 0], [-np.pi / 2, 1], [0.0, np.pi]])
    assert build_knn_graph(poles, 2, "haversine").indices.shape == (3, 2)
    model = fit([np.radians(degrees)] * 2, metric="haversine")
    with pytest.raises(InvalidInputError, match="X has latitudes beyond pi/2"):
        model.transform(degrees)


def test_longitudes_of_degrees_are_no_radians_also_near_the_equator():
    rng = np.random.default_rng(0)
    singapore = np.column_stack([rng.uniform(1.24, 1.47, N), rng.uniform(103.6, 104.0, N)])
    with pytest.raises(InvalidInputError, match=r"X\[0\] has longitudes beyond 2 pi in rows 0, .*such as 103"):
        fit([singapore] * 2, metric="haversine")
    assert build_knn_graph(np.array([[0, 0], [1, 2 * np.pi], [0.5, 6]]), 2, "haversine").indices.shape == (3, 2)


def test_new_rows_that_are_measurements_are_no_rows_for_a_metric_of_zeros():
    model = fit([X > 0.3] * 2, metric="jaccard")
    with pytest.raises(InvalidInputError, match="hold no 0, and metric 'jaccard'"):
        model.transform(X)
    assert np.isfinite(model.transform(np.array([[1, 2, 3, 4, 5], [1, 1, 1, 1, 2]]))).all()  # counts


def test_labels_that_no_neighbour_has_are_named_where_they_alone_count():
    labels = np.arange(N) % 3
    labels[0] = 7
    with pytest.warns(UserWarning, match=r"without neighbours, .*target_weight=1 leaves only edges.*lower it"):
        fit([X], y=[labels], ids=IDS[:1], target_weight=1.0)
    with pytest.raises(InvalidInputError, match=r"no row has a neighbour.*target_weight=1 leaves only"):
        fit([X], y=[np.arange(N)], ids=IDS[:1], target_weight=1.0)


def test_a_covariance_is_not_taken_for_its_inverse():
    covariance = np.cov(X.T)
    inverse = build_knn_graph(X, 5, "mahalanobis", {"VI": np.linalg.inv(covariance)})
    with pytest.raises(InvalidInputError, match=r"'mahalanobis' takes the inverse of the covariance: .*linalg.inv"):
        build_knn_graph(X, 5, "mahalanobis", {"V": covariance})
    assert inverse.indices.shape == (N, 5)


def test_an_update_without_rows_or_with_other_axes_is_refused_as_such():
    model = fit()
    for n, words in ((0, "0 rows"), (1, "1 row")):
        with pytest.raises(InvalidInputError, match=f"^X has {words}; a window needs at least 2"):
            model.update(X[:n], ids=np.arange(n))
    with pytest.raises(InvalidInputError, match=r"n_components is 3, but the model's maps have 2 axes; fit it again"):
        model.set_params(n_components=3).update(X, ids=IDS[0])


def test_distances_of_new_rows_below_zero_are_refused():
    model = fit([squareform(pdist(X))] * 2, metric="precomputed")
    with pytest.raises(InvalidInputError, match=r"X holds distances below 0, such as -1; .* not similarities"):
        model.transform(-np.ones((3, N)))


def test_a_wrong_init_is_refused_before_any_graph_is_built(monkeypatch):
    monkeypatch.setattr("driftmap.engine.estimator.fit_inputs.build_graph", None)
    for init, message in (("PCA", "got 'PCA'"), ([X, X], r"init\[0\] must have shape \(60, 2\)")):
        with pytest.raises(InvalidInputError, match=message):
            fit(init=init)


def test_rows_without_neighbours_are_warned_of_and_windows_of_such_refused():
    distances = squareform(pdist(X))
    far = np.where(np.isin(np.arange(N), [4, 9])[:, None] | np.isin(np.arange(N), [4, 9]), np.inf, distances)
    np.fill_diagonal(far, 0.0)
    with pytest.warns(UserWarning, match=r"window 1: rows 4, 9 of 60 without neighbours, with NaN for a position"):
        model = fit([distances, far], metric="precomputed")
    assert np.flatnonzero(np.isnan(model.embeddings_[1]).any(axis=1)).tolist() == [4, 9]
    nothing = np.where(np.eye(N) > 0, 0.0, np.inf)
    with pytest.raises(InvalidInputError, match="window 1: no row has a neighbour, so that there is nothing to"):
        fit([distances, nothing], metric="precomputed")
    with pytest.warns(UserWarning, match=r"window 0: row.* without neighbours, .*; raise set_op_mix_ratio, "):
        AlignedUMAP(n_neighbors=2, set_op_mix_ratio=0.0, n_epochs=2, random_state=0).fit([X])


@pytest.mark.parametrize("metric", ["jaccard", "dice", "yule"])
def test_numbers_that_are_never_zero_are_nothing_to_a_metric_of_zeros(metric):
    with pytest.raises(
        InvalidInputError, match=rf"window 1: the rows hold no 0, and metric '{metric}' asks only which"
    ):
        fit([X > 0, X], metric=metric)
    model = fit([X > 0, np.where(X > 0, X, 0)], metric=metric)
    assert model.transform(X[:2]).shape == (2, 2)


@pytest.mark.parametrize("state", [np.random, "a", 1.0, True, [1]])
def test_random_state_says_all_that_is_taken(state):
    message = r"^random_state must be an integer .*, a numpy Generator or RandomState, or None .*; got .* of type \w+\."
    with pytest.raises(InvalidInputError, match=message):
        AlignedUMAP(random_state=state).fit([X])
    with pytest.raises(InvalidInputError, match="random_state must be from 0 to 4294967295, got -1"):
        AlignedUMAP(random_state=-1).fit([X])


def test_a_reference_may_be_one_array_of_all_windows():
    positions = [X[:, :2] * 3, X[:, 1:3]]
    expected = fit(reference=positions).embeddings_
    for given in (np.array(positions), tuple(positions)):
        np.testing.assert_array_equal(fit(reference=given).embeddings_, expected)
    objects = np.array([None, None], dtype=object)
    objects[0] = positions[0]
    np.testing.assert_array_equal(fit(reference=objects).embeddings_, fit(reference=[positions[0], None]).embeddings_)


@pytest.mark.parametrize(
    ("reference", "got"),
    [
        (X[:, :2], r"one array of shape \(60, 2\)"),
        (np.zeros((3, N, 2)), "3 entries"),
        (np.zeros(()), "one ndarray"),
        ({0: X[:, :2], 1: X[:, :2]}, "one dict"),
        ([None], "1 entries"),
    ],
)
def test_a_reference_that_is_no_list_of_positions_says_what_came(reference, got):
    with pytest.raises(InvalidInputError, match=rf"^reference must be a list of 2 entries, .*; got {got}\.$"):
        fit(reference=reference)


def test_a_callback_that_cannot_be_called_is_refused_before_any_work(monkeypatch):
    model = fit()
    monkeypatch.setattr("driftmap.engine.estimator.fit_inputs.build_graph", None)
    message = r"^callback must be a function of \(epochs done, epochs in all\) or None, got 3 of type int"
    with pytest.raises(InvalidInputError, match=message):
        AlignedUMAP().fit([X], callback=3)
    with pytest.raises(InvalidInputError, match=message):
        model.update(X, ids=IDS[0], callback=3)


def test_targets_are_named_as_such_before_any_graph_is_built(monkeypatch):
    monkeypatch.setattr("driftmap.engine.estimator.fit_inputs.build_graph", None)
    for metric, message in (
        ("haversine", r"^y\[0\] has latitudes beyond pi/2"),
        ("jaccard", r"^y\[0\] holds no 0, and target_metric='jaccard' asks only"),
        ("nonsense", r"^target_metric must be 'categorical' or the name of a metric, got 'nonsense'"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            fit(y=[np.abs(X[:, :2]) + 2, None], target_metric=metric)
    with pytest.raises(InvalidInputError, match=r"^y must be a list of 2 entries, .*; got one dict\.$"):
        fit(y={0: LABELS, 1: LABELS})
