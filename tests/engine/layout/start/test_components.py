"""Connected parts of a graph: those that scipy finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array
from scipy.sparse.csgraph import connected_components

from driftmap.engine.layout.start.components import find_components
from driftmap.engine.types import FuzzyGraph


@pytest.mark.parametrize("density", [0.0, 0.002, 0.01, 0.1])
def test_parts_are_those_of_scipy_numbered_by_their_first_rows(density):
    half = random_array((200, 200), density=density, rng=np.random.default_rng(0), format="csr")
    matrix = csr_array(half + half.T)
    graph = FuzzyGraph(matrix.indptr.astype(np.int64), matrix.indices, matrix.data.astype(np.float32))
    n_parts, part_of = find_components(graph)
    n_expected, expected = connected_components(matrix, directed=False)
    assert n_parts == n_expected
    assert np.array_equal(part_of, expected)
    assert part_of.dtype == np.int32


def test_a_graph_without_rows_has_no_parts():
    assert find_components(FuzzyGraph(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)))[0] == 0
