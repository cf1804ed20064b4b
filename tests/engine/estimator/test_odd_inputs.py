"""Inputs that would give a wrong map without a word: masked values, what is no distance, what float32 cannot hold."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform

from driftmap.engine import AlignedUMAP, build_knn_graph
from driftmap.engine.core.rounding import measure_rounding
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
    with pytest.raises(InvalidInputError, match=r"y\[0\] has masked values in row 3"):
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
