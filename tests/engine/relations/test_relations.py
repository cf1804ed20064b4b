"""Relations: read in every form, refused when they cannot be right, made from ids, chained and weighed."""

from __future__ import annotations

import itertools
import time
import uuid
import warnings

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import naive

from driftmap.engine.errors import InvalidInputError, InvalidRelationError
from driftmap.engine.graph.window_graph import build_window_graph
from driftmap.engine.relations.relations import (
    alignment_weights,
    as_relation,
    compose_relations,
    invert_relation,
    relate_ids,
    sort_ids,
)
from driftmap.engine.settings import GraphSettings


@st.composite
def partial_maps(draw, n_old=None):
    """(relation, n_old, n_new): any partial one-to-one map, also the empty one."""
    n_old = draw(st.integers(0, 12)) if n_old is None else n_old
    n_new = draw(st.integers(0, 12))
    n_pairs = draw(st.integers(0, min(n_old, n_new)))
    old = draw(st.permutations(range(n_old)))[:n_pairs]
    new = draw(st.permutations(range(n_new)))[:n_pairs]
    relation = np.full(n_old, -1, dtype=np.int32)
    relation[old] = new
    return relation, n_old, n_new


@st.composite
def chains(draw):
    first, _, n_middle = draw(partial_maps())
    second, _, n_new = draw(partial_maps(n_old=n_middle))
    return first, second, n_middle, n_new


@given(partial_maps(), st.sampled_from([np.int8, np.int32, np.int64]))
def test_all_forms_read_the_same(drawn, dtype):
    relation, n_old, n_new = drawn
    old = np.flatnonzero(relation >= 0)
    pairs = np.column_stack([old, relation[old]]).astype(dtype)
    forms = [
        relation.astype(dtype),
        relation.tolist(),
        pairs,
        pairs[::-1],
        pairs.tolist(),
        {int(i): int(j) for i, j in pairs},
        {dtype(i): dtype(j) for i, j in pairs},
    ]
    for form in forms:
        read = as_relation(form, n_old, n_new)
        assert read.dtype == np.int32
        np.testing.assert_array_equal(read, relation)


@given(partial_maps())
def test_inverse_of_the_inverse_is_the_identity(drawn):
    relation, n_old, n_new = drawn
    inverse = invert_relation(relation, n_new)
    assert inverse.shape == (n_new,)
    np.testing.assert_array_equal(invert_relation(inverse, n_old), relation)
    there_and_back = compose_relations(relation, inverse)
    np.testing.assert_array_equal(there_and_back, np.where(relation >= 0, np.arange(n_old), -1))


@given(chains())
def test_composition_follows_rows(drawn):
    first, second, n_middle, n_new = drawn
    expected = [int(second[j]) if j >= 0 else -1 for j in first]
    through = compose_relations(first, second)
    assert through.tolist() == expected
    backwards = compose_relations(invert_relation(second, n_new), invert_relation(first, n_middle))
    np.testing.assert_array_equal(invert_relation(backwards, len(first)), through)


def test_two_old_rows_are_told_by_dimensions_alone():
    assert as_relation([1, 0], 2, 2).tolist() == [1, 0]
    assert as_relation([[1, 0]], 2, 2).tolist() == [-1, 0]
    assert as_relation([[0, 1], [1, 0]], 2, 2).tolist() == [1, 0]


@pytest.mark.parametrize("empty", [{}, [], np.empty((0, 2), dtype=int), np.empty(0, dtype=int), [-1, -1, -1]])
def test_empty_relations_are_relations(empty):
    assert as_relation(empty, 3, 5).tolist() == [-1, -1, -1]


def test_what_is_given_stays_as_it_was():
    given_array = np.array([2, -1, 0], dtype=np.int32)
    read = as_relation(given_array, 3, 3)
    read[:] = -1
    assert given_array.tolist() == [2, -1, 0]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({0: 9}, r"old row 0 -> new row 9, but the older window has 5 rows and the newer 3 \(1 of 1 pairs"),
        ({5: 0}, "old row 5 -> new row 0.*Leave rows without a partner out"),
        ({0: 3, 1: 4}, "looks like new row -> old row; give old row -> new row"),
        ([[0, 1], [2, 4]], "old row 2 -> new row 4.*looks like new row -> old row"),
        ([4, 3, 0], "has one entry per row of the newer window.* looks like new row -> old row"),
        ([0, 1, 2, 3, -1], "old row 3 -> new row 3"),
        ([0, 1, -2, -1, -1], "old row 2 -> new row -2"),
        ([[0, -1]], "old row 0 -> new row -1.*Leave rows without a partner out"),
        ({-1: 0}, "old row -1 -> new row 0"),
        (np.array([[0, 2**64 - 1]], dtype=np.uint64), "out of range"),
        ({0: 2**70}, "of integers; got integers beyond int64"),
        ([0, 1, 1, -1, -1], "one-to-one, but new row 1 is paired with old rows 1 and 2"),
        ({0: 1, 3: 1}, "one-to-one, but new row 1 is paired with old rows 0 and 3"),
        ([[0, 1], [0, 2]], "one-to-one, but old row 0 is paired with new rows 1 and 2"),
        ([[0, 1], [0, 1]], "one-to-one, but old row 0"),
        (np.zeros(5), "of integers; got dtype float64"),
        (np.zeros(5, dtype=bool), "of integers; got dtype bool"),
        ({0: 1.0}, "of integers; got rows of type float"),
        ([0.0, 1.0, 2.0, -1.0, -1.0], "of integers; got rows of type float"),
        ([(True, 1)], "of integers; got rows of type bool"),
        ({0: True, 1: np.True_}, "of integers; got rows of type bool"),
        ({0: None}, "of integers; got rows of type NoneType"),
        ({"a": 0}, "of integers; got rows of type str"),
        (None, "of integers; got a NoneType"),
        (7, r"got shape \(\)"),
        ([[0, 1, 2]], r"got shape \(1, 3\)"),
        ([[0, 1, 2], [0, 1, 2]], "Transpose it"),
        ([0, 1], r"got shape \(2,\) for 5 old and 3 new rows"),
        ([[0], [1, 2]], "cannot read"),
    ],
)
def test_what_cannot_be_right_is_refused(form, message):
    with pytest.raises(InvalidRelationError, match=message) as caught:
        as_relation(form, 5, 3, name="relations[4]")
    assert str(caught.value).startswith("relations[4] ")


SORTS = {
    "int64": lambda ids: np.array(ids, dtype=np.int64),
    "uint8": lambda ids: np.array(ids, dtype=np.uint8),
    "str": lambda ids: np.array([f"é{i}" for i in ids], dtype=np.str_),
    "bytes": lambda ids: np.array([b"b%d" % i for i in ids], dtype=np.bytes_),
    "objects": lambda ids: np.array([f"o{i}" for i in ids], dtype=object),
    "object ints": lambda ids: np.array([*map(int, ids)], dtype=object),
    "list": lambda ids: [f"l{i}" for i in ids],
    "dates": lambda ids: np.array(ids, dtype="datetime64[D]"),
}


@pytest.mark.parametrize("sort", SORTS)
@given(st.lists(st.integers(0, 40), unique=True), st.lists(st.integers(0, 40), unique=True))
def test_ids_relate_rows(sort, old, new):
    expected = [new.index(entity) if entity in new else -1 for entity in old]
    relation = relate_ids(SORTS[sort](old), SORTS[sort](new))
    assert relation.dtype == np.int32
    assert relation.tolist() == expected


def test_ids_of_different_width_and_sign():
    assert relate_ids(np.array(["a", "long"]), np.array(["longer", "long", "a"])).tolist() == [2, 1]
    assert relate_ids(np.array([1, 2], dtype=np.uint64), np.array([2, -1])).tolist() == [-1, 0]
    large = np.array([2**63, 5], dtype=np.uint64)
    assert relate_ids(large, np.array([5, -(2**63)])).tolist() == [-1, 0]
    assert relate_ids(large, large[::-1]).tolist() == [1, 0]


def test_ids_of_many_rows_take_little_time():
    rng = np.random.default_rng(0)
    ids = rng.permutation(200_000)
    old, new = ids[:100_000], ids[50_000:150_000]
    started = time.process_time()
    relation = relate_ids(old, new)
    by_name = relate_ids(old.astype(np.str_), new.astype(np.str_))
    assert time.process_time() - started < 2.0
    np.testing.assert_array_equal(relation, np.where(np.arange(100_000) >= 50_000, np.arange(100_000) - 50_000, -1))
    np.testing.assert_array_equal(by_name, relation)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([1, 2, 1], [1], r"old_ids must be unique .* but 1 is in rows 0 and 2 \(1 repeated in all\)"),
        ([1], ["b", "a", "b"], "new_ids must be unique within a window, but 'b' is in rows 0 and 2"),
        ([1], ["1"], "old_ids are int64 and new_ids <U1"),
        ([1.0], [1], "old_ids must be integers, strings, bytes or dates, got dtype float64"),
        ([True], [1], "got dtype bool"),
        ([[1]], [1], r"must be 1-D, one id per row, got shape \(1, 1\)"),
        (np.array(["a", None], dtype=object), ["a"], "got NoneType, str"),
        (np.array([2**80], dtype=object), [1], "beyond int64"),
    ],
)
def test_bad_ids_are_named(old, new, message):
    with pytest.raises(InvalidInputError, match=message):
        relate_ids(old, new)


def two_windows(seed, n=80, share=0.7):
    """Graphs of two windows that share some rows in another order, and their relation."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2 * n, 4))
    old, new = rng.permutation(2 * n)[:n], rng.permutation(2 * n)[: int(n * share)]
    settings = GraphSettings(n_neighbors=7)
    moved = rows[new] + rng.normal(size=(len(new), 4)) * 0.2
    graphs = [build_window_graph(x, settings).fuzzy for x in (rows[old], moved)]
    return *graphs, relate_ids(old, new)


@pytest.mark.parametrize("seed", range(4))
def test_weights_equal_the_loop(seed):
    base, other, relation = two_windows(seed)
    weights = alignment_weights(base, other, relation)
    assert weights.dtype == np.float32
    assert 0 < np.count_nonzero(relation >= 0) < len(relation)
    np.testing.assert_allclose(weights, naive.jaccard(base, other, relation), rtol=1e-6)
    assert (weights[relation < 0] == 0).all()
    backwards = invert_relation(relation, other.n_rows)
    back = alignment_weights(other, base, backwards)
    has = np.flatnonzero(relation >= 0)
    np.testing.assert_array_equal(back[relation[has]], weights[has])


def test_weights_at_the_ends():
    base, other, relation = two_windows(9)
    same = np.arange(base.n_rows, dtype=np.int32)
    assert (alignment_weights(base, base, same) == 1).all()
    assert (alignment_weights(base, other, np.full_like(relation, -1)) == 0).all()
    alone = np.full_like(relation, -1)
    alone[3] = 5  # no neighbour is shared: nothing says that the row changed
    assert alignment_weights(base, other, alone)[3] == 1


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="umap-learn needs its own kernels compiled")
def test_weights_equal_umap_learn_s():
    """On windows of equal size: its loop runs out of bounds or cuts neighbours off where the sizes differ."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap-learn's own imports
        from umap.aligned_umap import build_neighborhood_similarities
    base, other, relation = two_windows(5, share=1.0)
    absent = np.full_like(relation, -1)
    relations = np.stack(
        [np.stack([absent, absent, relation]), np.stack([invert_relation(relation, 80), absent, absent])]
    )
    graphs, indices = [base.indptr, other.indptr], [base.indices, other.indices]
    expected = build_neighborhood_similarities.py_func(graphs, indices, relations)  # compiled, lists take half a minute
    np.testing.assert_allclose(alignment_weights(base, other, relation), expected[0, 2], rtol=1e-6)
    backwards = alignment_weights(other, base, invert_relation(relation, 80))
    np.testing.assert_allclose(backwards, expected[1, 0], rtol=1e-6)


def test_weights_of_windows_that_do_not_fit_are_refused():
    base, other, relation = two_windows(6)
    with pytest.raises(InvalidRelationError, match="one entry per row of base, got 79 for 80 rows"):
        alignment_weights(base, other, relation[1:])
    relation[0] = other.n_rows
    with pytest.raises(InvalidRelationError, match=f"points at row {other.n_rows} of other"):
        alignment_weights(base, other, relation)


def test_ids_that_were_sorted_once_give_the_same_relations():
    rng = np.random.default_rng(3)
    windows = [rng.permutation(np.arange(60, dtype=dtype))[:40] for dtype in (np.int64, np.uint64, np.int32)]
    windows += [np.array([], dtype=np.int64)]
    found = [sort_ids(ids) for ids in windows]
    assert sort_ids(found[0]) is found[0]
    for old, new in itertools.product(range(4), repeat=2):
        place = {int(name): row for row, name in enumerate(windows[new])}
        expected = [place.get(int(name), -1) for name in windows[old]]
        np.testing.assert_array_equal(relate_ids(found[old], found[new]), expected)
        np.testing.assert_array_equal(relate_ids(found[old], windows[new]), expected)
    with pytest.raises(InvalidInputError, match=r"ids\[2\] must be unique .* 7 is in rows 0 and 1"):
        sort_ids([7, 7], "ids[2]")


def test_ids_that_numpy_would_cut_are_refused_and_uuids_are_compared_as_text():
    for ids in ([b"a", b"a\0"], ["a", "a\0"], np.array([b"a\0", b"b"], dtype=object)):
        with pytest.raises(InvalidInputError, match="which numpy cuts off"):
            sort_ids(ids)
    names = [uuid.UUID(int=number << 8) for number in range(4)]
    assert relate_ids(names, names[::-1]).tolist() == [3, 2, 1, 0]
    assert relate_ids(names, [str(name) for name in names]).tolist() == [0, 1, 2, 3]


def test_relations_as_lists_are_turned_round_and_followed():
    assert invert_relation([2, -1, 0], 4).tolist() == [2, -1, 0, -1]
    assert compose_relations([1, -1, 0], [-1, 5]).tolist() == [5, -1, -1]


def test_a_relation_to_rows_that_are_not_there_is_not_turned_round():
    with pytest.raises(InvalidRelationError, match="has the new row 5, and n_new is 3"):
        invert_relation(np.array([5]), 3)
