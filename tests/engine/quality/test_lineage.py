"""Clusters without labels, their numbers for life, and how groups change."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import compare_groups, find_clusters, relate_clusters
from driftmap.engine.errors import InvalidInputError

SAME = np.arange(60, dtype=np.int32)


def as_groups(*sizes):
    return np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)


def test_clusters_are_the_pieces_of_a_map_largest_first_and_stragglers_are_none():
    rng = np.random.default_rng(0)
    places = np.vstack([rng.uniform(0, 1, (20, 2)), rng.uniform(8, 9, (40, 2)), [[30.0, 30.0], [np.nan, 0.0]]])
    found = find_clusters(places, spread=4.0)
    assert found.tolist() == [1] * 20 + [0] * 40 + [-1, -1]
    assert find_clusters(np.empty((0, 2)), 1.0).tolist() == []


def test_numbers_are_for_life_and_new_clusters_have_new_ones():
    old, new = as_groups(20, 40), np.repeat([2, 0, 1], [20, 20, 20]).astype(np.int32)
    numbers, changes = relate_clusters(old, new, SAME, n_known=7)
    assert numbers.tolist() == [0] * 20 + [1] * 20 + [7] * 20
    assert [(one.kind, one.group, one.n_rows, one.other) for one in changes] == [("split", 1, 40, 2)]


def test_a_merge_is_a_split_backwards_and_nothing_is_nothing():
    _, changes = relate_clusters(as_groups(20, 40), as_groups(60), SAME, n_known=2)
    assert [(one.kind, one.group, one.n_rows, one.other) for one in changes] == [("merge", 1, 60, 2)]
    assert relate_clusters(as_groups(20, 40), as_groups(20, 40), SAME, n_known=2)[1] == []


def test_rows_that_go_to_another_cluster_are_a_move():
    new = as_groups(20, 40)
    new[20:30] = 0
    _, changes = relate_clusters(as_groups(20, 40), new, SAME, n_known=2)
    assert [(one.kind, one.group, one.n_rows, one.other) for one in changes] == [("move", 1, 10, 0)]


def test_groups_grow_shrink_and_are_replaced():
    none = np.full(60, -1, dtype=np.int32)
    grown = compare_groups(as_groups(40, 20), as_groups(40, 80), none)
    assert ("growth", 1, 20, 80) in [(one.kind, one.group, one.n_before, one.n_after) for one in grown]
    groups, rows = as_groups(100, 100, 100), np.arange(300, dtype=np.int32)
    relation = np.where(rows < 50, -1, rows).astype(np.int32)
    assert [(one.kind, one.group, one.n_rows) for one in compare_groups(groups, groups, relation)] == [
        ("replaced", 0, 50)
    ]
    assert compare_groups(groups, groups, rows) == []


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(InvalidInputError, match="relation must have one entry"):
        compare_groups(as_groups(30), as_groups(30), SAME)
