"""Relations of several windows: by equal ids, from outside, followed through windows between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from tests import naive

from driftmap.engine import read_relation, relate_ids, relate_windows, sort_ids
from driftmap.engine.errors import InvalidRelationError
from driftmap.engine.relations.couplings import as_coupling

N = 6
PAIRS = [(older, newer) for newer in range(3) for older in range(newer)]


def as_matrix(relation):
    pairs = as_coupling(relation)
    matrix = np.zeros((N, N))
    matrix[pairs.old, pairs.new] = pairs.weights
    return matrix


@given(seed=st.integers(0, 2**32 - 1), present=st.sets(st.sampled_from(PAIRS)))
def test_relations_are_those_of_the_formula(seed, present):
    rng = np.random.default_rng(seed)
    ids = [np.where(rng.random(N) < 0.3, np.arange(N), 100 * (t + 1) + np.arange(N)) for t in range(3)]
    matrices = {}
    for older, newer in present:
        matrix = rng.choice([0, 0, 0, 0.25, 0.5, 1], size=(N, N))
        matrix[np.isin(ids[older], ids[newer])] = 0  # rows of equal ids have no other partners
        matrix[:, np.isin(ids[newer], ids[older])] = 0
        matrices[older, newer] = matrix / (matrix.max() or 1)
    relations = {pair: read_relation(csr_array(matrix), N, N) for pair, matrix in matrices.items()}
    found = relate_windows([sort_ids(each) for each in ids], relations, PAIRS)
    for older, newer in PAIRS:
        expected = naive.related_windows(ids, matrices, older, newer)
        np.testing.assert_allclose(as_matrix(found[older, newer]), expected, atol=1e-6)


def test_without_relations_equal_ids_relate_as_ever():
    ids = [np.array([1, 2, 3]), np.array([3, 4]), np.array([4, 1])]
    found = relate_windows([sort_ids(each) for each in ids], {}, PAIRS)
    for older, newer in PAIRS:
        np.testing.assert_array_equal(found[older, newer], relate_ids(ids[older], ids[newer]))


def test_relations_that_contradict_ids_are_refused():
    ids = [sort_ids([1, 2]), sort_ids([1, 3])]
    relations = {(0, 1): read_relation({0: 1}, 2, 2)}
    with pytest.raises(InvalidRelationError, match="ids contradict each other: old row 0 and new row 0"):
        relate_windows(ids, relations, [(0, 1)])
