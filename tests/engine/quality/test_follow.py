"""Clusters that go on from window to window: numbers for life, splits and merges as the graphs show them."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import (
    GraphSettings,
    build_window_graph,
    compare_clusters,
    find_pieces,
    follow_clusters,
    relate_ids,
)
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.quality import communities

N = 60


@pytest.fixture(autouse=True, params=["rows", "groups"])
def merged(request, monkeypatch):
    """Windows as they are, and as if they were so large that rows are merged first."""
    if request.param == "groups":
        monkeypatch.setattr(communities, "MERGED_ROWS", 50)


def make_window(middles, rows_of, noise, seed):
    """Rows of groups about their middles; the same inner places in every window, and a little noise."""
    groups = np.repeat(np.arange(len(middles)), N)
    inner = np.random.default_rng(1).normal(size=(len(groups), 4)).clip(-2, 2)
    rows = np.asarray(middles, dtype=float)[groups] + inner + np.random.default_rng(seed).normal(0, noise, inner.shape)
    return build_window_graph(rows[rows_of].astype(np.float32), GraphSettings(), 0).fuzzy


def follow(windows, noise=0.02):
    """Follow windows of (middles, groups that are there); ids are those of the rows."""
    found, last = [], None
    for number, (middles, present) in enumerate(windows):
        ids = np.flatnonzero(np.isin(np.repeat(np.arange(len(middles)), N), present))
        graph = make_window(middles, ids, noise, number + 10)
        if last is None:
            clusters = follow_clusters(graph, number)
        else:
            clusters = follow_clusters(graph, number, last[0], last[1], relate_ids(last[2], ids))
        last = graph, clusters, ids
        found.append((clusters, ids))
    return found


def at(*places):
    return [(place, 0, 0, 0) for place in places]


ALL = [0, 1, 2, 3, 4]
STILL = (at(0, 10, 20, 30, 40), ALL)
TOGETHER = (at(0, 10, 20, 30, 30), ALL)


def list_changes(found, number):
    (old, old_ids), (new, new_ids) = found[number - 1 : number + 1]
    relation = relate_ids(old_ids, new_ids)
    return compare_clusters(old.of_row, new.of_row, relation, new.passages)


def test_where_nothing_happens_numbers_stay():
    found = follow([STILL] * 4)
    assert found[0][0].n_known == 5
    for clusters, _ in found[1:]:
        assert np.array_equal(clusters.of_row, found[0][0].of_row)
        assert [passage.kind for passage in clusters.passages] == ["same"] * 5
        assert clusters.n_known == 5
    assert list_changes(found, 1) == []


def test_two_that_come_together_are_a_merge_and_back_a_split_with_a_new_number():
    found = follow([STILL, TOGETHER, TOGETHER, STILL])
    merge, nothing, split = (list_changes(found, number) for number in (1, 2, 3))
    assert [(one.kind, one.n_rows, one.other) for one in merge] == [("merge", 2 * N, 2)]
    assert nothing == []
    assert [(one.kind, one.n_rows, one.other) for one in split] == [("split", 2 * N, 2)]
    assert merge[0].group == split[0].group
    assert sorted(set(found[3][0].of_row.tolist()) - set(found[2][0].of_row.tolist())) == [5]
    kinds = [{passage.kind for passage in clusters.passages} for clusters, _ in found]
    assert kinds == [set(), {"same", "merge"}, {"same"}, {"same", "split"}]


def test_one_that_comes_has_a_new_number_and_one_that_goes_gives_its_own_up():
    found = follow([(STILL[0], [0, 1, 2, 3]), STILL, (STILL[0], [0, 1, 3, 4])])
    assert [(one.kind, one.group, one.n_after) for one in list_changes(found, 1)] == [("birth", 4, N)]
    gone = [(one.kind, one.n_before) for one in list_changes(found, 2)]
    assert gone == [("death", N)]
    assert found[2][0].n_known == 5


def test_rows_that_jump_about_split_and_merge_nothing():
    found = follow([STILL, STILL, STILL, STILL], noise=8.0)
    kinds = {passage.kind for clusters, _ in found for passage in clusters.passages}
    assert not kinds & {"split", "merge"}


def test_pieces_may_be_found_before_and_are_those_that_would_be_found():
    together = make_window(TOGETHER[0], np.arange(5 * N), 0.02, 1)
    apart = make_window(STILL[0], np.arange(5 * N), 0.02, 2)
    first, relation = follow_clusters(together, 0), np.arange(5 * N, dtype=np.int32)
    pieces = find_pieces(apart, 7)
    expected = follow_clusters(apart, 7, together, first, relation)
    found = follow_clusters(apart, 7, together, first, relation, pieces)
    assert np.array_equal(found.of_row, expected.of_row)
    assert found.passages == expected.passages
    assert "split" in {passage.kind for passage in found.passages}
    one = follow_clusters(apart, 7, together, first, relation, np.zeros(5 * N, np.int32))
    assert "split" not in {passage.kind for passage in one.passages}, "they are what a cluster is cut along"
    with pytest.raises(InvalidInputError, match="pieces must be integers, the cluster of each of 300 rows"):
        follow_clusters(apart, 7, together, first, relation, pieces[:5])


def test_without_related_rows_all_numbers_are_new():
    graph = make_window(STILL[0], np.arange(5 * N), 0.02, 0)
    first = follow_clusters(graph, 0)
    second = follow_clusters(graph, 0, graph, first, np.full(5 * N, -1, dtype=np.int32))
    assert set(second.of_row.tolist()) == {5, 6, 7, 8, 9}
    assert second.passages == []


def test_a_moved_border_is_no_change():
    # cluster 1 ends, and its rows are in 0, without a merge in the graph
    old, new = np.repeat([0, 1], [40, 20]).astype(np.int32), np.zeros(60, dtype=np.int32)
    assert compare_clusters(old, new, np.arange(60, dtype=np.int32), []) == []
    assert compare_clusters(new, old, np.arange(60, dtype=np.int32), []) == []


def test_what_does_not_fit_together_is_refused():
    graph = make_window(STILL[0], np.arange(5 * N), 0.02, 0)
    first = follow_clusters(graph, 0)
    with pytest.raises(InvalidInputError, match="relation must have one entry"):
        follow_clusters(graph, 0, graph, first, np.arange(3, dtype=np.int32))
    with pytest.raises(InvalidInputError, match="clusters must be integers"):
        follow_clusters(graph, 0, graph, first._replace(of_row=first.of_row[:5]), np.arange(5 * N, dtype=np.int32))
