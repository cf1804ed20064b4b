"""Which groups and rows moved between two windows, and which of that other changes have said already."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import GroupChange, noise_floor

if TYPE_CHECKING:
    from driftmap.pipeline.look.run_codes import Int32Array

MIN_CHANGED = 0.5
"""Mean turnover from which a group has other company, and below half of which it was carried along."""
MIN_MOVED = 0.5
"""Displacement, over the spread, from which a row moved; also four times the noise floor of the pair."""
MIN_ROWS = 5
"""Of a group that is said to have moved."""
MOVED_SHARE = 0.75
"""Share of a group's rows that moved from which the group did."""
SAME_FACT = 0.5
"""Share of a group's rows that another change is about from which both are one fact."""
ONE_GROUP = 0.8
"""Share of the rows of one group in clusters that come together, from which no group moved to another."""
MIN_PART = 0.1
"""Share of the rows of a cluster that splits, from which another one is a part of it."""
MIXED = 0.65
"""Mean turnover from which a group on the same spot was mixed, rather than split or put together."""
MAX_STRAYS = 0.05
"""Share of the rows that may move each for itself; where more do, none is unusual."""

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]


class Moves(NamedTuple):
    """Turnover and displacement of the older window's rows; NaN where a row is not in both."""

    change: Float32Array
    moved: Float32Array

    @property
    def is_known(self) -> BoolArray:
        """Rows that have both."""
        return np.isfinite(self.change) & np.isfinite(self.moved)


def find_moves(groups: Int32Array, moves: Moves) -> list[GroupChange]:
    """Find groups that moved, were carried along with their neighbours, or changed company on the spot.

    Parameters
    ----------
    groups
        Group of each row of the older window, -1 for none.
    moves
        Of the same rows.
    """
    change, moved = moves
    is_known = moves.is_known & (groups >= 0)
    if not is_known.any():
        return []
    limit = max(MIN_MOVED, 4 * noise_floor(change, moved))
    usual = float(np.median(change[is_known]))
    found = []
    for group in np.flatnonzero(np.bincount(groups[is_known]) >= MIN_ROWS).tolist():
        rows = is_known & (groups == group)
        n, mixed = int(rows.sum()), float(change[rows].mean())
        # against the median of all rows: where every row changes, no group is named
        has_changed = mixed >= max(MIN_CHANGED, usual + MIN_CHANGED / 2)
        has_moved = float((moved[rows] >= limit).mean()) >= MOVED_SHARE
        if not has_changed and (not has_moved or mixed > MIN_CHANGED / 2):
            continue
        kind = ("moved" if has_moved else "company") if has_changed else "carried"
        much = mixed if has_changed else float(np.median(moved[rows])) / limit
        found.append(GroupChange(kind, group, n, n, n, much * n**0.5))
    return found


def find_strays(moves: Moves, is_said: BoolArray) -> npt.NDArray[np.intp]:
    """Find single rows that moved to other neighbours, the farthest first; none where many do.

    Parameters
    ----------
    moves
        Of the older window's rows.
    is_said
        Rows that other changes are about.
    """
    change, moved = moves
    is_known = moves.is_known
    n_known = int(is_known.sum())
    if not (is_known & ~is_said & (moved >= MIN_MOVED) & (change >= MIN_CHANGED)).any():
        return np.zeros(0, dtype=np.intp)
    usual, spread = float(np.median(change[is_known])), float(change[is_known].std())
    limit = max(MIN_MOVED, 2 * noise_floor(change, moved), 2 * float(np.median(moved[is_known])))
    is_stray = is_known & (moved >= limit) & (change >= max(MIN_CHANGED, usual + max(MIN_CHANGED / 2, 2 * spread)))
    if is_stray.sum() > max(1, MAX_STRAYS * n_known):
        return np.zeros(0, dtype=np.intp)
    rows = np.flatnonzero(is_stray & ~is_said)
    return rows[np.argsort(-moved[rows], kind="stable")]


def take_part(change: GroupChange, old: Int32Array, new: Int32Array, relation: Int32Array) -> BoolArray:
    """Say which rows of the older window a change of clusters, or of labels, is about."""
    after = np.where(relation >= 0, new[relation], -1) if len(new) else np.full(len(old), -1)
    if change.kind == "merge":
        return np.asarray(after == change.group)
    if change.kind == "move":
        return np.asarray((old == change.group) & (after == change.other))
    return np.asarray(old == change.group)


class Fork(NamedTuple):
    """A split, merge or move of clusters."""

    change: GroupChange
    rows: BoolArray
    """(n,) rows of the older window that it is about."""
    is_of_one_label: bool
    """Whether it is a split or merge within one label, which no other label has to do with."""


def describe_fork(
    change: GroupChange,
    groups: tuple[Int32Array, Int32Array],
    clusters: tuple[Int32Array, Int32Array],
    relation: Int32Array,
) -> Fork:
    """Find the rows that a split, merge or move of clusters is about, and whether it is within one label.

    Parameters
    ----------
    change
        Of the clusters.
    groups, clusters
        Of the rows of both windows.
    relation
        Old row -> new row, -1 for none.
    """
    rows = take_part(change, *clusters, relation)
    label = find_main_group(groups[0], rows)
    if change.kind == "split" and label >= 0:
        parts = clusters[1][relation[rows & (relation >= 0)]]
        counts = np.bincount(parts[parts >= 0], minlength=1)
        among = np.isin(clusters[1], np.flatnonzero(counts >= MIN_PART * max(1, counts.sum())))
        return Fork(change, rows, find_main_group(groups[1], among) == label)
    return Fork(change, rows, change.kind == "merge" and label >= 0)


def drop_repeats(
    groups: Int32Array,
    forks: list[Fork],
    moved: list[GroupChange],
    *,
    are_labels: bool,
) -> tuple[list[GroupChange], list[GroupChange]]:
    """Keep one change for each fact.

    A cluster that split or came together has other neighbours, and so have its labels: that is no second fact. Where a
    label as a whole moved to another one, that says more than that clusters split or came together.

    Parameters
    ----------
    groups
        Group of each row of the older window: labels, or clusters.
    forks
        Splits, merges and moves of clusters.
    moved
        What `find_moves` gave for the groups.
    are_labels
        Whether the groups are labels.

    Returns
    -------
    tuple
        The forks and the moves that are left.
    """
    kept, left = [], list(moved)
    for change, rows, is_of_one_label in forks:
        about = [one for one in left if _share(groups == one.group, rows) >= SAME_FACT]
        goers = [one for one in about if one.kind == "moved" and are_labels and not is_of_one_label]
        if change.kind != "move":
            # two parts that come together keep half of their neighbours: where far more changed, all rows were mixed
            goers += [one for one in about if one.kind == "company" and one.unusual / one.n_rows**0.5 >= MIXED]
        stays = max(goers, key=lambda one: one.unusual, default=None)
        if stays is None:
            kept.append(change)
        left = [one for one in left if one not in about or one is stays]
    return kept, left


def find_main_group(groups: Int32Array, rows: BoolArray) -> int:
    """Give the group that ONE_GROUP of some rows have; -1 where there is none."""
    counts = np.bincount(groups[rows & (groups >= 0)], minlength=1)
    return int(counts.argmax()) if counts.max() >= ONE_GROUP * max(1, counts.sum()) else -1


def _share(rows: BoolArray, of: BoolArray) -> float:
    return float((rows & of).sum() / max(1, rows.sum()))
