"""A connected part of a graph, as scipy cuts it out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import block_array, csr_array, random_array
from tests.engine.afar import Afar

from driftmap.engine import FuzzyGraph
from driftmap.engine.graph.connected_part import ConnectedPart


@pytest.mark.parametrize("wrap", [lambda graph: graph, Afar])
def test_a_part_is_what_scipy_cuts_out(wrap):
    rng = np.random.default_rng(0)
    pieces = [random_array((n, n), density=0.2, rng=rng, dtype=np.float32) for n in (40, 70)]
    order = rng.permutation(110)
    whole = csr_array(block_array([[pieces[0], None], [None, pieces[1]]]))[order][:, order]
    whole.sort_indices()
    graph = FuzzyGraph(whole.indptr.astype(np.int64), whole.indices.astype(np.int32), whole.data)
    rows = np.flatnonzero(order >= 40)
    expected = whole[rows][:, rows]
    part = ConnectedPart(wrap(graph), rows)
    assert part.n_rows == 70
    for found in (part.load(), [part.indptr, part.load_indices(), part.load().data]):
        for one, other in zip(found, (expected.indptr, expected.indices, expected.data), strict=True):
            np.testing.assert_array_equal(one, other)
    joined = [block for _, block in part.list_blocks(9)]
    np.testing.assert_array_equal(np.concatenate([block.indices for block in joined]), expected.indices)
    assert [first for first, _ in part.list_blocks(9)] == np.cumsum([0, *(b.n_rows for b in joined[:-1])]).tolist()
