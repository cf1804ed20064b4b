"""Groups and rows that moved, and one sentence for each fact."""

from __future__ import annotations

import numpy as np

from driftmap.engine import GroupChange
from driftmap.pipeline.look.moves import Moves, describe_fork, drop_repeats, find_moves, find_strays

GROUPS = np.repeat(np.arange(5), 20).astype(np.int32)
NOBODY = np.zeros(100, dtype=bool)

MOVED = (("moved", 1, 4.0), ("company", 2, 2.2), ("moved", 4, 4.0))


def make_moves(rows=(), change=0.9, moved=2.0):
    moves = Moves(np.full(100, 0.1, dtype=np.float32), np.full(100, 0.02, dtype=np.float32))
    moves.change[list(rows)], moves.moved[list(rows)] = change, moved
    return moves


def test_a_group_moved_where_nearly_all_its_rows_did():
    assert [(one.kind, one.group) for one in find_moves(GROUPS, make_moves(range(20, 40)))] == [("moved", 1)]
    assert [one.kind for one in find_moves(GROUPS, make_moves(range(20, 40), moved=0.02))] == ["company"]
    half = make_moves(range(20, 40))
    half.moved[30:40] = 0.02
    assert [one.kind for one in find_moves(GROUPS, half)] == ["company"]
    assert find_moves(GROUPS, make_moves()) == []


def test_single_rows_are_named_where_few_move():
    moves = make_moves([3, 50])
    moves.moved[50] = 3.0
    assert find_strays(moves, NOBODY).tolist() == [50, 3]
    assert find_strays(moves, np.arange(100) == 3).tolist() == [50]
    assert find_strays(make_moves([3], change=0.3), NOBODY).tolist() == []
    assert find_strays(make_moves([3], moved=0.1), NOBODY).tolist() == []
    assert find_strays(make_moves(range(10)), NOBODY).tolist() == []
    assert find_strays(make_moves()._replace(change=np.full(100, np.nan, np.float32)), NOBODY).tolist() == []


def test_rows_that_come_together_have_other_neighbours_which_is_no_second_fact():
    relation = np.arange(100, dtype=np.int32)
    together = np.where(GROUPS == 2, 1, GROUPS).astype(np.int32)
    merge = GroupChange("merge", 1, 20, 40, 40, 6.0, 2)
    fork = describe_fork(merge, (GROUPS, GROUPS), (GROUPS, together), relation)
    assert np.flatnonzero(fork.rows).tolist() == list(range(20, 60))
    moved = [GroupChange(kind, group, 20, 20, 20, unusual) for kind, group, unusual in MOVED]
    kept, left = drop_repeats(GROUPS, [fork], moved, are_labels=False)
    assert (kept, left) == ([merge], moved[2:])
    # of two labels, one went to the other
    kept, left = drop_repeats(GROUPS, [fork], moved, are_labels=True)
    assert (kept, left) == ([], [moved[0], moved[2]])
    # both parts have one label
    labels = np.where(GROUPS == 2, 1, GROUPS).astype(np.int32)
    fork = describe_fork(merge, (labels, labels), (GROUPS, together), relation)
    assert drop_repeats(labels, [fork], moved[:1], are_labels=True) == ([fork.change], [])


def test_a_label_split_where_its_parts_stay_by_themselves_and_moved_where_they_joined_others():
    relation = np.arange(100, dtype=np.int32)
    split = GroupChange("split", 1, 20, 20, 10, 6.0, 2)
    moved = [GroupChange("moved", 1, 20, 20, 20, 4.0)]
    apart = GROUPS.copy()
    apart[30:40] = 9
    fork = describe_fork(split, (GROUPS, GROUPS), (GROUPS, apart), relation)
    assert np.flatnonzero(fork.rows).tolist() == list(range(20, 40))
    assert drop_repeats(GROUPS, [fork], moved, are_labels=True) == ([fork.change], [])
    among = GROUPS.copy()
    among[20:30], among[30:40] = 2, 3
    fork = describe_fork(split, (GROUPS, GROUPS), (GROUPS, among), relation)
    assert drop_repeats(GROUPS, [fork], moved, are_labels=True) == ([], moved)


def test_a_group_whose_rows_were_all_mixed_did_not_come_together():
    relation = np.arange(100, dtype=np.int32)
    labels = np.where(GROUPS == 2, 1, GROUPS).astype(np.int32)
    merge = GroupChange("merge", 1, 20, 40, 40, 6.0, 2)
    fork = describe_fork(merge, (labels, labels), (GROUPS, labels), relation)
    for turnover, has_merge in ((0.5, True), (0.8, False)):
        company = GroupChange("company", 1, 40, 40, 40, turnover * 40**0.5)
        found = drop_repeats(labels, [fork], [company], are_labels=True)
        assert found == (([fork.change], []) if has_merge else ([], [company]))
