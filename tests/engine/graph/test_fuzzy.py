"""Fuzzy graphs: the paper's equations, and umap-learn's numbers on the same kNN graph."""

from __future__ import annotations

import warnings

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import naive

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.fuzzy import build_fuzzy_graph, smooth_knn_distances
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.types import KnnGraph

CONNECTIVITIES = (1.0, 1.5, 2.0)
MIXES = (1.0, 0.5, 0.0)

without_jit = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="umap-learn needs its own kernels compiled")


def plain_graph():
    rows = np.random.default_rng(0).normal(size=(300, 8))
    return build_knn_graph(rows, 15)


def duplicates_graph():
    """Rows that are there 30 times (no neighbour apart), 5 times and once."""
    rows = np.random.default_rng(1).normal(size=(90, 4)).astype(np.float32)
    rows[:30], rows[30:35] = rows[0], rows[30]
    return build_knn_graph(rows, 10)


def disconnected_graph():
    """Rows without any neighbour, with one, and with all but one."""
    knn = plain_graph()
    indices, distances = knn.indices.copy(), knn.distances.copy()
    for row, kept in ((5, 1), (17, 1), (40, 2), (77, 14)):
        indices[row, kept:], distances[row, kept:] = -1, np.inf
    return KnnGraph(indices, distances)


def small_graph():
    return build_knn_graph(np.random.default_rng(2).normal(size=(40, 3)), 2)


def to_dense(graph):
    n = graph.n_rows
    dense = np.zeros((n, n), dtype=np.float32)
    dense[np.repeat(np.arange(n), np.diff(graph.indptr)), graph.indices] = graph.data
    return dense


def assert_is_canonical(graph):
    """What FuzzyGraph promises: types, sorted rows, symmetry, no diagonal, strengths in (0, 1]."""
    assert (graph.indptr.dtype, graph.indices.dtype, graph.data.dtype) == (np.int64, np.int32, np.float32)
    assert graph.indptr[0] == 0
    assert graph.indptr[-1] == len(graph.indices) == len(graph.data)
    for row in range(graph.n_rows):
        columns = naive.neighbours_of(graph, row)
        assert (np.diff(columns) > 0).all()
        assert row not in columns
    assert ((graph.data > 0) & (graph.data <= 1)).all()
    dense = to_dense(graph)
    np.testing.assert_array_equal(dense, dense.T)


@pytest.fixture(scope="module")
def fuzzy_simplicial_set():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap-learn's own imports
        from umap.umap_ import fuzzy_simplicial_set
    return fuzzy_simplicial_set


@without_jit
@pytest.mark.parametrize("local_connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("make", [plain_graph, duplicates_graph, disconnected_graph, small_graph])
def test_equals_umap_learn(fuzzy_simplicial_set, make, mix, local_connectivity):
    assert_equals_umap_learn(fuzzy_simplicial_set, make(), mix, local_connectivity)


@without_jit
@pytest.mark.parametrize(("name", "metric"), [("gapminder", "euclidean"), ("house_votes", "cosine")])
def test_equals_umap_learn_on_real_data(fuzzy_simplicial_set, load_shared, name, metric):
    for rows in load_shared(name)[0][:3]:
        assert_equals_umap_learn(fuzzy_simplicial_set, build_knn_graph(rows, 15, metric), 1.0, 1.0)


def assert_equals_umap_learn(fuzzy_simplicial_set, knn, mix, local_connectivity):
    n, k = knn.indices.shape
    expected, expected_sigmas, expected_rhos = fuzzy_simplicial_set(
        np.empty((n, 1)), k, None, "euclidean", {}, knn.indices, knn.distances, False, mix, local_connectivity
    )
    sigmas, rhos = smooth_knn_distances(knn.distances, local_connectivity)
    # umap-learn interpolates between inf and inf, which gives NaN; such a row has no edge
    known = ~np.isnan(expected_rhos)
    assert (knn.indices[~known, 1:] == -1).all()
    np.testing.assert_allclose(rhos[known], expected_rhos[known], rtol=1e-5)
    np.testing.assert_allclose(sigmas[known], expected_sigmas[known], rtol=1e-5)
    graph = build_fuzzy_graph(knn, set_op_mix_ratio=mix, local_connectivity=local_connectivity)
    assert_is_canonical(graph)
    np.testing.assert_allclose(to_dense(graph), expected.toarray(), atol=1e-5, rtol=0)
    assert len(graph.data) == expected.nnz


@pytest.mark.parametrize("local_connectivity", CONNECTIVITIES)
def test_sigma_and_rho_solve_the_paper_s_equation(local_connectivity):
    knn = plain_graph()
    sigmas, rhos = smooth_knn_distances(knn.distances, local_connectivity)
    for row, sigma, rho in zip(knn.distances.astype(np.float64), sigmas, rhos, strict=True):
        expected_rho, expected_sigma = naive.smooth(row, local_connectivity)
        assert rho == pytest.approx(expected_rho, rel=1e-6)
        assert sigma == pytest.approx(expected_sigma, rel=1e-4)


def test_sigma_has_a_floor_where_nothing_solves_the_equation():
    distances = np.zeros((3, 6), dtype=np.float32)
    distances[1, 1:] = 2.0  # all at rho: the sum is 5 for every sigma
    distances[2, 1:] = [0, 0, 0, 0, 4]
    sigmas, rhos = smooth_knn_distances(distances)
    np.testing.assert_array_equal(rhos, np.float32([0, 2, 4]))
    mean_of_all = distances.mean()
    np.testing.assert_allclose(sigmas, 1e-3 * np.array([mean_of_all, 10 / 6, 4 / 6]), rtol=1e-6)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("make", [plain_graph, duplicates_graph, small_graph])
def test_strengths_equal_the_loop(make, mix):
    knn = make()
    sigmas, rhos = smooth_knn_distances(knn.distances)
    graph = build_fuzzy_graph(knn, set_op_mix_ratio=mix)
    assert_is_canonical(graph)
    expected = naive.fuzzy_matrix(knn.indices, knn.distances, sigmas, rhos, mix)
    np.testing.assert_allclose(to_dense(graph), expected, atol=1e-6)


def test_rows_without_neighbours_stay_alone():
    graph = build_fuzzy_graph(disconnected_graph())
    dense = to_dense(graph)
    assert np.isfinite(graph.data).all()
    others = build_fuzzy_graph(plain_graph())
    unaffected = [row for row in range(300) if not np.isin([5, 17, 40, 77], naive.neighbours_of(others, row)).any()]
    unaffected = [row for row in unaffected if row not in (5, 17, 40, 77)]
    np.testing.assert_array_equal(dense[unaffected], to_dense(others)[unaffected])
    alone = KnnGraph(np.array([[0, -1], [1, -1]]), np.array([[0, np.inf], [0, np.inf]]))
    assert build_fuzzy_graph(alone).indptr.tolist() == [0, 0, 0]


@settings(max_examples=60)
@given(st.integers(2, 30), st.integers(2, 6), st.sampled_from(MIXES), st.floats(0, 5), st.integers(0, 2**32 - 1))
def test_any_graph_is_canonical(n, k, mix, local_connectivity, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, size=(n, 2)) * rng.choice([1e-20, 1.0, 1e20])
    knn = build_knn_graph(rows, min(n, k))
    assert_is_canonical(build_fuzzy_graph(knn, set_op_mix_ratio=mix, local_connectivity=local_connectivity))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set_op_mix_ratio": 1.5}, "set_op_mix_ratio must be finite and from 0 to 1, got 1.5"),
        ({"set_op_mix_ratio": "1"}, "set_op_mix_ratio must be a number, got '1'"),
        ({"local_connectivity": -1}, "local_connectivity must be finite and at least 0, got -1"),
        ({"local_connectivity": float("nan")}, "local_connectivity must be finite"),
        ({"knn": KnnGraph(np.zeros((3, 2)), np.zeros((3, 3)))}, r"indices \(3, 2\) and distances \(3, 3\)"),
        ({"knn": KnnGraph(np.full((3, 2), 3), np.zeros((3, 2)))}, "from -1 .* to 2, got 3 to 3"),
        ({"knn": KnnGraph(np.zeros((3, 1)), np.zeros((3, 1)))}, "k at least 2"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"knn": small_graph(), **change}
    with pytest.raises(InvalidInputError, match=message):
        build_fuzzy_graph(**arguments)
