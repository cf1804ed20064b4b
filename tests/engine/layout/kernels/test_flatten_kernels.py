"""The edges of a window in flat arrays, against dense matrices of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from driftmap.engine.layout.flatten import Shuffle, flatten_block
from driftmap.engine.layout.kernels.flatten_kernels import sort_edges
from driftmap.engine.types import FuzzyGraph


def make_graph(n, density, seed):
    half = random_array((n, n), density=density, rng=np.random.default_rng(seed), dtype=np.float32)
    whole = csr_array(half.maximum(half.T))
    whole.setdiag(0)
    whole.eliminate_zeros()
    whole.sort_indices()
    return FuzzyGraph(whole.indptr.astype(np.int64), whole.indices.astype(np.int32), whole.data.astype(np.float32))


@pytest.mark.parametrize("n_epochs", [3, 200])
def test_edges_stand_in_the_order_of_the_shuffled_rows(n_epochs):
    graphs = [make_graph(60, 0.1, 0), make_graph(45, 0.3, 1)]
    shuffles = [Shuffle(graph, seed) for seed, graph in enumerate(graphs)]
    block = flatten_block(graphs, {}, shuffles, [n_epochs, n_epochs])
    for window, (graph, shuffle) in enumerate(zip(graphs, shuffles, strict=True)):
        dense = csr_array((graph.data, graph.indices, graph.indptr)).toarray()[np.ix_(shuffle.rows, shuffle.rows)]
        dense[dense * np.float32(n_epochs) < dense.max()] = 0
        first = block.offsets[window]
        for row in range(graph.n_rows):
            edges = slice(*block.indptr[first + row : first + row + 2])
            np.testing.assert_array_equal(block.indices[edges] - first, np.flatnonzero(dense[row]))
            expected = dense[row][dense[row] > 0] / dense.max()
            np.testing.assert_array_equal(block.rates[edges], expected)
            assert block.row_rates[first + row] == np.float32(expected.sum(dtype=np.float64))
    assert block.indptr[-1] == len(block.indices) == len(block.rates)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 13, 14, 40, 200])
def test_edges_of_one_row_are_sorted(n):
    rng = np.random.default_rng(n)
    others = rng.permutation(3 * n)[:n].astype(np.int32)
    rates = rng.random(n).astype(np.float32)
    order = np.argsort(others)
    expected = others[order], rates[order]
    sort_edges(others, rates)
    np.testing.assert_array_equal(others, expected[0])
    np.testing.assert_array_equal(rates, expected[1])
