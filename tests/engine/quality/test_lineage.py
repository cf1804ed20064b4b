"""How groups of rows change from window to window."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import Passage, compare_clusters, compare_groups, join_passages
from driftmap.engine.errors import InvalidInputError

SAME = np.arange(60, dtype=np.int32)


def as_groups(*sizes):
    return np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)


def test_rows_that_go_to_another_cluster_are_a_move_where_few_others_do():
    new = as_groups(20, 40)
    new[20:30] = 0
    passages = [Passage("same", 0, 0, 20), Passage("other", 1, 0, 10), Passage("same", 1, 1, 30)]
    moved = [one for one in compare_clusters(as_groups(20, 40), new, SAME, passages) if one.kind == "move"]
    assert [(one.group, one.n_rows, one.other) for one in moved] == [(1, 10, 0)]
    strayed = [*passages, Passage("other", 0, 2, 10), Passage("other", 2, 0, 10)]
    assert "move" not in {one.kind for one in compare_clusters(as_groups(20, 40), new, SAME, strayed)}


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


def test_a_seventh_of_stable_rows_is_growth_and_a_larger_window_is_none():
    old = as_groups(200, 230)
    new = as_groups(234, 196)
    relation = np.concatenate([np.arange(195), np.full(5, -1), np.arange(234, 425), np.full(39, -1)]).astype(np.int32)
    assert {(one.kind, one.group) for one in compare_groups(old, new, relation)} == {("growth", 0), ("shrinkage", 1)}
    unrelated = np.full(430, -1, dtype=np.int32)
    assert compare_groups(old, new, unrelated) == []
    assert compare_groups(as_groups(100, 100), as_groups(300, 300), np.full(200, -1, dtype=np.int32)) == []


def test_passages_over_several_windows_remember_splits_and_merges():
    old, new = as_groups(20, 20, 20), np.repeat([0, 3, 1, 4], [10, 10, 20, 20]).astype(np.int32)
    steps = [[Passage("split", 0, 3, 10)], [Passage("merge", 2, 1, 20)], [Passage("split", 1, 4, 20)]]
    found = join_passages(old, new, SAME, steps)
    assert found == [("same", 0, 0, 10), ("split", 0, 3, 10), ("same", 1, 1, 20), ("other", 2, 4, 20)]
    merged = np.where(old == 2, 1, old).astype(np.int32)
    assert join_passages(old, merged, SAME, steps[1:2])[-1] == ("merge", 2, 1, 20)
    assert join_passages(old, new, np.full(60, -1, dtype=np.int32), steps) == []


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(InvalidInputError, match="relation must have one entry"):
        compare_groups(as_groups(30), as_groups(30), SAME)
