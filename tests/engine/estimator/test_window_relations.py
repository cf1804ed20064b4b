"""What relates the windows of a model: relations beside ids, and windows that come with one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from driftmap.engine import AlignedUMAP, read_relation, relate_ids, relate_windows, sort_ids
from driftmap.engine.errors import InvalidInputError, InvalidRelationError
from driftmap.engine.estimator.window_relations import WindowRelations
from driftmap.engine.relations.couplings import as_coupling

N = 40
X = np.random.default_rng(0).normal(size=(N + 20, 5))
IDS = [np.arange(N), np.arange(10, N + 10), np.arange(20, N + 20)]
WINDOWS = [X[ids] for ids in IDS]
RELATIONS = [{row: row - 10 for row in range(10, N)}] * 2


def quick(**parameters):
    return AlignedUMAP(**{"random_state": 0, "n_epochs": 5, "n_neighbors": 5, **parameters})


@given(seed=st.integers(0, 2**32 - 1), has_relation=st.lists(st.booleans(), min_size=3, max_size=3))
def test_windows_are_related_as_in_a_run(seed, has_relation):
    rng = np.random.default_rng(seed)
    sizes = [5, 6, 4, 6]
    ids = [np.where(rng.random(n) < 0.5, np.arange(n), 100 * (t + 1) + np.arange(n)) for t, n in enumerate(sizes)]
    outside, related = {}, WindowRelations()
    for t, n in enumerate(sizes):
        relation = None
        if t and has_relation[t - 1]:
            matrix = rng.choice([0, 0, 0, 0.5, 1], size=(sizes[t - 1], n))
            matrix[np.isin(ids[t - 1], ids[t])] = 0  # rows of equal ids have no other partners
            matrix[:, np.isin(ids[t], ids[t - 1])] = 0
            relation = csr_array(matrix)
            outside[t - 1, t] = read_relation(relation, sizes[t - 1], n)
        related.add(n, relation, ids[t])
    pairs = [(old, new) for new in range(4) for old in range(new)]
    expected = relate_windows([sort_ids(each) for each in ids], outside, pairs)
    for pair in pairs:
        for found, wanted in zip(as_coupling(related.copy().relate(*pair)), as_coupling(expected[pair]), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_update_by_ids_after_relations_beside_ids():
    expected = quick().fit(WINDOWS[:2], ids=IDS[:2]).update(WINDOWS[2], ids=IDS[2])
    beside = quick().fit(WINDOWS[:2], relations=RELATIONS[:1], ids=IDS[:2]).update(WINDOWS[2], ids=IDS[2])
    then = quick().fit(WINDOWS[:1], ids=IDS[:1]).update(WINDOWS[1], relations=RELATIONS[0], ids=IDS[1])
    for model in (beside, then.update(WINDOWS[2], ids=IDS[2])):
        assert model.embeddings_[2].shape == (N, 2)
        np.testing.assert_array_equal(model.ids_[2], np.arange(20, N + 20))
    np.testing.assert_array_equal(beside.embeddings_[2], expected.embeddings_[2])


def test_an_entity_that_skips_a_window_is_related_beside_relations_too():
    ids = [np.arange(4), np.array([0, 1, 8, 9]), np.arange(4)]
    related = WindowRelations.of([4] * 3, [{2: 2}, {2: 2}], ids)
    np.testing.assert_array_equal(related.relate(0, 2), [0, 1, 2, 3])
    np.testing.assert_array_equal(related.relate(0, 1), [0, 1, 2, -1])


def test_ids_stay_known_where_one_window_comes_by_relations_alone():
    ids = [np.array([1, 2, 3]), np.array([3, 4, 5]), np.array([1, 5, 6])]
    related = WindowRelations.of([3] * 3, None, ids)
    related.add(3, {0: 0}, None)
    np.testing.assert_array_equal(related.relate(0, 2), relate_ids(ids[0], ids[2]))
    with pytest.raises(InvalidInputError, match=r"^window 4 came without relations \(and window 3 has no ids to"):
        related.add(3, None, ids[0])
    with pytest.raises(InvalidInputError, match=r"^window 4 came without relations; give"):
        related.add(3, None, None)


def test_ids_that_contradict_relations_of_an_update_are_refused():
    model = quick().fit(WINDOWS[:2], relations=RELATIONS[:1], ids=IDS[:2])
    with pytest.raises(InvalidRelationError, match="relations and ids contradict each other"):
        model.update(WINDOWS[2], relations={10: 1}, ids=IDS[2])
    with pytest.raises(InvalidInputError, match=r"^window 2 came without relations or ids; give"):
        model.update(WINDOWS[2])


def test_ids_of_another_sort_are_named_with_their_windows():
    texts = np.array([f"row {row}" for row in range(N)])
    message = r"^ids\[2\] has ids of dtype <U6, and window 0 of int64; give ids of one sort"
    with pytest.raises(InvalidInputError, match=message):
        quick().fit(WINDOWS, ids=[*IDS[:2], texts])
    with pytest.raises(InvalidInputError, match=message):
        quick().fit(WINDOWS, relations=[{}, {}], ids=[IDS[0], None, texts])
    with pytest.raises(InvalidInputError, match=r"^ids has ids of dtype <U6, and window 0 of int64"):
        quick().fit(WINDOWS[:1], ids=IDS[:1]).update(WINDOWS[1], ids=texts)
