"""Inputs that would give a wrong map without a word: masked values, what is no distance, what float32 cannot hold."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform

from driftmap.engine import AlignedUMAP, build_knn_graph
from driftmap.engine.core.rounding import estimate_rounding, measure_rounding
from driftmap.engine.errors import InvalidInputError

N = 60
IDS = [np.arange(N)] * 2


def make_rows(seed=0, n_columns=5):
    return np.random.default_rng(seed).normal(size=(N, n_columns))


def fit(windows, **options):
    given = {name: options.pop(name) for name in ("y", "ids", "knn", "reference") if name in options}
    return AlignedUMAP(random_state=0, n_epochs=5, n_neighbors=5, **options).fit(windows, **{"ids": IDS, **given})


def mask(values, rows):
    return np.ma.array(values, mask=np.isin(np.arange(len(values)), rows)[(...,) + (None,) * (np.ndim(values) - 1)]
                       & np.ones(np.shape(values), bool))  # fmt: skip


def test_masked_values_are_refused_wherever_they_are_given():
    x = make_rows()
    with pytest.raises(InvalidInputError, match=r"X\[1\] has masked values in rows 3, 9 of 60; drop these rows"):
        fit([x, mask(x, [3, 9])])
    with pytest.raises(InvalidInputError, match=r"ids\[1\] has masked values in row 3"):
        fit([x, x], ids=[np.arange(N), mask(np.arange(N), [3])])
    with pytest.raises(InvalidInputError, match=r"^y\[0\] has masked values in row 3"):
        fit([x, x], y=[mask(np.arange(N) % 3, [3]), None])
    with pytest.raises(InvalidInputError, match=r"reference\[0\] has masked values in row 3"):
        fit([x, x], reference=[mask(x[:, :2], [3]), None])
    with pytest.raises(InvalidInputError, match=r"X\[0\] has masked values in row 0"):
        fit([mask(squareform(pdist(x)), [0])] * 2, metric="precomputed")
    model = fit([x, x])
    with pytest.raises(InvalidInputError, match="masked values in row 2"):
        model.transform(mask(x, [2]))
    with pytest.raises(InvalidInputError, match="masked values in row 2"):
        model.update(mask(x, [2]), ids=np.arange(N))


def test_a_masked_array_without_a_masked_value_is_an_array():
    x = make_rows()
    np.testing.assert_array_equal(fit([mask(x, [])] * 2).embeddings_[1], fit([x, x]).embeddings_[1])


@pytest.mark.parametrize("as_matrix", [np.asarray, csr_array])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (np.triu, r"X\[1\] is empty below its diagonal: half a matrix of distances"),
        (np.tril, r"X\[1\] is empty above its diagonal"),
        (np.negative, r"X\[1\] holds distances below 0 in rows 0, 1, 2, 3, 4 and 55 more"),
        (lambda d: d + np.eye(N), r"X\[1\] has 1 on its diagonal in rows 0, .* not similarities"),
    ],
)
def test_what_is_no_matrix_of_distances_is_refused(as_matrix, change, message):
    distances = squareform(pdist(make_rows()))
    with pytest.raises(InvalidInputError, match=message):
        fit([distances, as_matrix(change(distances))], metric="precomputed")


@pytest.mark.parametrize("as_matrix", [np.asarray, csr_array])
def test_distances_that_are_not_symmetric_are_warned_of(as_matrix):
    distances = squareform(pdist(make_rows()))
    odd = distances.copy()
    odd[3, 4] *= 2
    with pytest.warns(UserWarning, match=r"X\[1\] is not symmetric: of 1 pairs of rows"):
        fit([distances, as_matrix(odd)], metric="precomputed")
    rounded = distances + np.random.default_rng(1).uniform(0, 1e-7, distances.shape) * (distances > 0)
    fit([distances, as_matrix(rounded)], metric="precomputed")  # warnings are errors here


def test_lists_of_nearest_rows_are_distances_though_they_are_not_mutual():
    distances = squareform(pdist(make_rows()))
    nearest = np.argsort(distances, axis=1)[:, :9]
    lists = np.zeros_like(distances)
    np.put_along_axis(lists, nearest, np.take_along_axis(distances, nearest, axis=1), axis=1)
    fit([csr_array(lists)] * 2, metric="precomputed")
    with_inf = np.where(distances > np.quantile(distances, 0.8), np.inf, distances)
    fit([with_inf] * 2, metric="precomputed")


def test_empty_samples_are_equal_by_bray_curtis():
    counts = np.random.default_rng(0).poisson(3, size=(N, 10)).astype(float)
    counts[40:43] = 0
    graph = build_knn_graph(counts, 5, "braycurtis")
    assert set(graph.indices[40, :3].tolist()) == {40, 41, 42}
    np.testing.assert_array_equal(graph.distances[40:43, :3], 0)
    model = fit([counts, counts], metric="braycurtis")
    assert np.isfinite(model.transform(counts[38:44])).all()


def test_a_distance_that_is_not_a_number_names_window_metric_rows_and_remedy():
    x = make_rows()
    x[:, 4] = 1
    message = r"window 0: by metric 'seuclidean' the distance of row 0 to row 1 is nan, and of rows 0, .* another"
    with pytest.raises(InvalidInputError, match=message), np.errstate(invalid="ignore"):
        fit([x, x], metric="seuclidean", metric_kwds={"V": np.array([1, 1, 1, 1, 0.0])})


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e9, 1.7e12])
def test_rows_that_float32_would_merge_are_warned_of(offset):
    x = make_rows()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit([x, x + offset])
    texts = [str(warning.message) for warning in said]
    assert len(texts) == (offset > 1e6)
    assert all("X[1] holds numbers so large" in text and "subtract the columns' means" in text for text in texts)


def test_the_share_that_is_rounded_away_is_what_float32_loses():
    x = make_rows()
    for rows in (x, x + 1e5, x * [1, 1e3, 1e6, 1, 1] + [0, 0, 1e9, 0, 0]):
        lost = np.abs(rows.astype(np.float32).astype(np.float64) - rows)
        found = np.sqrt((lost.max(axis=0) ** 2).sum()) / np.sqrt(rows.var(axis=0).sum())
        assert found <= measure_rounding(rows) <= 8 * found
    assert measure_rounding((x + 1e9).astype(np.float32)) == 0
    assert measure_rounding(np.full((5, 2), 1e9)) == 0
    assert measure_rounding(np.full((5, 2), 0.1) + 1e-17) == 0
    assert measure_rounding(np.array([[2**40], [2**40 + 1]])) > 1


def test_whole_numbers_that_float64_would_merge_too_are_measured_exactly():
    small = np.round(make_rows() * 100)
    for rows in (small.astype(np.int64) + 2**60, small.astype(np.int64).astype(np.uint64) + np.uint64(2**63)):
        size = np.sqrt(rows.shape[1]) * float(rows.max()) * 2.0**-24
        assert measure_rounding(rows) == pytest.approx(size / np.sqrt(small.var(axis=0).sum()), rel=1e-3)
    assert measure_rounding(np.array([[-(2**63)], [2**63 - 1]])) < 1e-6
    assert measure_rounding(np.full((5, 2), 2**60)) == 0


def test_sparse_rows_lose_as_much_as_the_same_rows_in_a_dense_matrix():
    rows = np.where(make_rows() > 0.5, make_rows() + 1e6, 0)
    for given in (rows, rows * [1, 1, 0, 1, 1], rows * 1e-200):
        assert measure_rounding(csr_array(given)) == pytest.approx(measure_rounding(given))


@pytest.mark.parametrize("kind", ["dense", "sparse", "distances"])
def test_numbers_that_are_nothing_in_float32_are_warned_of(kind):
    x = make_rows()
    make = {
        "dense": np.asarray,
        "sparse": csr_array,
        "distances": lambda rows: squareform(pdist(rows * 1e200)) * 1e-200,
    }
    metric = "precomputed" if kind == "distances" else "euclidean"
    plain = squareform(pdist(x)) if kind == "distances" else make[kind](x)
    with pytest.warns(UserWarning, match=r"X\[1\] holds (numbers|distances) so small that float32 keeps few"):
        fit([plain, make[kind](x * 1e-200)], metric=metric)


def test_distances_that_float32_cannot_hold_are_refused():
    distances = squareform(pdist(make_rows())) * 1e100
    for given in (distances, csr_array(distances)):
        with pytest.raises(InvalidInputError, match=r"X\[0\] holds distances too large for float32, such as .*divide"):
            fit([given] * 2, metric="precomputed")


def test_ranges_alone_find_no_more_rounding_than_the_rows_do():
    x = make_rows()
    for rows in (x, x + 1e9, x * 1e-200, x + np.array([1e9, 0, 0, 0, 0]), np.round(x * 100).astype(np.int64) + 2**60):
        found = estimate_rounding(rows.min(axis=0).tolist(), rows.max(axis=0).tolist(), by_column=False)
        assert found <= measure_rounding(rows)
        assert (found > 0) == (measure_rounding(rows) > 1e-3)
    assert estimate_rounding([0, 1e12], [1, 1e12], by_column=False) == 0
    assert estimate_rounding([0, 1e9], [1e9, 1e9 + 1], by_column=False) == 0
    assert estimate_rounding([0, 1e9], [1e9, 1e9 + 1], by_column=True) > 1


def test_dates_of_any_kind_are_ids_and_missing_ones_are_refused_by_row():
    x = make_rows()
    days = np.datetime64("2024-01-01") + np.arange(N)
    for given in (days.tolist(), days.astype("M8[us]").tolist(), np.array(days.tolist(), dtype=object)):
        np.testing.assert_array_equal(fit([x, x], ids=[given, days]).embeddings_, fit([x, x]).embeddings_)
    for missing in (np.datetime64("NaT"), None):
        with pytest.raises(InvalidInputError, match=r"ids\[1\] (has no id \(NaN or NaT\) in row 3 of 60|must be all)"):
            fit([x, x], ids=[days, [*days[:3].tolist(), missing, *days[4:].tolist()]])
    with pytest.raises(
        InvalidInputError, match=r"ids\[0\] has no id \(NaN or NaT\) in rows 0, 2 of 60; drop these rows"
    ):
        fit([x, x], ids=[np.where(np.isin(np.arange(N), [0, 2]), np.nan, np.arange(N))] * 2)
    with pytest.raises(InvalidInputError, match="all dates without a time zone, got datetime"):
        fit([x, x], ids=[[dt.datetime(2024, 1, 1 + k % 30, k // 30, tzinfo=dt.UTC) for k in range(N)]] * 2)
