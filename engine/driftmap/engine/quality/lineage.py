"""Clusters of maps without labels, what became of them from window to window, and how groups of rows changed.

Dimensions: n, m rows of the older and of the newer window; a, b groups of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.validation import check_matrix
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.quality.clusters import cut_pieces

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Int32Array, Relation

MIN_CLUSTER = 5
"""Rows below which a piece of a map is no cluster, and a change of a group is none."""
MIN_CLUSTER_SHARE = 0.01
"""Share of a window's rows below which a piece is no cluster."""
MIN_PART = 0.15
"""Share of a cluster's related rows that makes a part of a split or merge, or a move."""
MIN_GROWTH = 0.25
"""Relative change of a group's rows from which it grew or shrank."""
MIN_UNUSUAL = 3.0
"""Change of a group's rows, over what a random arrival of rows would change, from which it is named."""
_GAP = 0.1


class GroupChange(NamedTuple):
    """What happened to a cluster, or to the rows of a label, between two windows."""

    kind: str
    """`birth`, `death`, `growth`, `shrinkage`, `replaced`, `split`, `merge` or `move`."""
    group: int
    n_before: int
    n_after: int
    n_rows: int
    """Rows that took part."""
    unusual: float
    """Rows that took part, over the root of the rows of both windows: about 1 where rows come and go at random."""
    other: int = -1
    """Of a move, the group where the rows went or came from; of a split or merge, the number of parts."""


def find_clusters(positions: npt.ArrayLike, spread: float) -> Int32Array:
    """Find the pieces of a map, largest first.

    Parameters
    ----------
    positions
        (n, c) map; the first two components are looked at.
    spread
        Of the layout: pieces nearer than a tenth of it are one.

    Returns
    -------
    numpy.ndarray of int32
        Shape (n,): cluster of each row; -1 for stragglers and rows without a finite position.
    """
    wide = check_matrix(positions, "positions").astype(np.float64)
    plane = wide[:, :2] if wide.shape[1] >= 2 else np.column_stack([wide[:, 0], np.zeros(len(wide))])
    result = np.full(len(plane), -1, dtype=np.int32)
    usable = np.flatnonzero(np.isfinite(plane).all(axis=1))
    least = max(MIN_CLUSTER, MIN_CLUSTER_SHARE * len(usable))
    if len(usable) < least:
        return result
    pieces = cut_pieces(plane[usable], _GAP * spread)
    sizes = np.bincount(pieces)
    order = [piece for piece in np.argsort(-sizes, kind="stable") if sizes[piece] >= least]
    rank = np.full(len(sizes), -1, dtype=np.int32)
    rank[order] = np.arange(len(order))
    result[usable] = rank[pieces]
    return result


def relate_clusters(
    old: Int32Array, new: Int32Array, relation: Relation, n_known: int
) -> tuple[Int32Array, list[GroupChange]]:
    """Give clusters of a window the numbers of the window before, and list what split, merged and moved.

    Parameters
    ----------
    old
        (n,) clusters of the older window, numbered for life; -1 for none.
    new
        (m,) clusters of the newer window, as `find_clusters` numbers them.
    relation
        Old row -> new row, -1 for none.
    n_known
        Numbers given so far; new clusters have the next ones.

    Returns
    -------
    tuple
        (m,) clusters numbered for life, and the changes in order of the older number.
    """
    _check_groups(old, new, relation)
    counts = _cross(old, new, relation)
    numbers = np.full(counts.shape[1], -1, dtype=np.int32)
    # a number goes on where each of the two clusters is the other's largest partner
    for after in range(counts.shape[1]):
        before = int(counts[:, after].argmax()) if len(counts) else -1
        if before >= 0 and counts[before, after] > 0 and int(counts[before].argmax()) == after:
            numbers[after] = before
    fresh = np.flatnonzero(numbers < 0)
    numbers[fresh] = n_known + np.arange(len(fresh))
    lived = np.where(new >= 0, numbers[new], -1).astype(np.int32) if len(numbers) else new.astype(np.int32)
    return lived, _find_parts(counts, numbers, old, lived)


def compare_groups(old: Int32Array, new: Int32Array, relation: Relation) -> list[GroupChange]:
    """List which groups came, went, grew, shrank, or have other rows than before.

    Parameters
    ----------
    old, new
        (n,) and (m,) groups of both windows, of the same numbers; -1 for none.
    relation
        Old row -> new row, -1 for none.

    Returns
    -------
    list of GroupChange
        The most unusual first; none below MIN_UNUSUAL.
    """
    _check_groups(old, new, relation)
    n_groups = max(_count(old), _count(new))
    before = np.bincount(old[old >= 0], minlength=n_groups)
    after = np.bincount(new[new >= 0], minlength=n_groups)
    kept = np.zeros(n_groups, dtype=np.int64)
    rows = np.flatnonzero(relation >= 0)
    if len(rows):
        same = old[rows][(old[rows] == new[relation[rows]]) & (old[rows] >= 0)]
        kept = np.bincount(same, minlength=n_groups)
    # what all groups do together is the window's size, not a change of one of them
    left = 1 - kept.sum() / max(1, before.sum())
    changes = [
        _judge(group, int(before[group]), int(after[group]), int(kept[group]), left) for group in range(n_groups)
    ]
    found = [change for change in changes if change is not None]
    return sorted(found, key=lambda change: (-change.unusual, change.group))


def _judge(group: int, before: int, after: int, kept: int, usual_left: float) -> GroupChange | None:
    moved, scale = abs(after - before), max(1.0, (before + after) ** 0.5)
    kind = "birth" if before == 0 else "death" if after == 0 else "growth" if after > before else "shrinkage"
    is_large = moved >= MIN_CLUSTER and moved >= MIN_GROWTH * max(1, min(before, after))
    if is_large and moved / scale >= min(MIN_UNUSUAL, scale / 2):
        return GroupChange(kind, group, before, after, moved, moved / scale)
    gone = before - kept
    # replaced: as large as before, of other rows, and far more so than the window as a whole
    if kept < before and before >= MIN_CLUSTER and gone >= max(MIN_CLUSTER, (usual_left + MIN_PART) * before):
        excess = (gone - usual_left * before) / scale
        if moved <= 0.1 * before and excess >= MIN_UNUSUAL / 2:
            return GroupChange("replaced", group, before, after, gone, excess)
    return None


def _find_parts(
    counts: npt.NDArray[np.int64], numbers: Int32Array, old: Int32Array, lived: Int32Array
) -> list[GroupChange]:
    sizes = np.bincount(old[old >= 0], minlength=len(counts)), np.bincount(lived[lived >= 0], minlength=1)
    changes = []
    for cluster, row in enumerate(counts):
        parts = np.flatnonzero(row >= max(MIN_CLUSTER, MIN_PART * row.sum()))
        own = [part for part in parts if row[part] > 0.5 * counts[:, part].sum()]
        if len(own) > 1:
            n = int(row[own].sum())
            changes.append(GroupChange("split", cluster, int(sizes[0][cluster]), n, n, n**0.5, len(own)))
        for part in parts.tolist():
            target = int(numbers[part])
            if part not in own and target != cluster and counts[:, part].argmax() != cluster and len(parts) > 1:
                n = int(row[part])
                changes.append(
                    GroupChange("move", cluster, int(sizes[0][cluster]), int(sizes[1][target]), n, n**0.5, target)
                )
    for into in range(counts.shape[1]):
        column = counts[:, into]
        whole = np.flatnonzero(
            (column >= max(MIN_CLUSTER, MIN_PART * column.sum())) & (column > counts.sum(axis=1) / 2)
        )
        if len(whole) > 1:
            n, number = int(column[whole].sum()), int(numbers[into])
            changes.append(GroupChange("merge", number, n, int(sizes[1][number]), n, n**0.5, len(whole)))
    return changes


def _cross(old: Int32Array, new: Int32Array, relation: Relation) -> npt.NDArray[np.int64]:
    counts = np.zeros((_count(old), _count(new)), dtype=np.int64)
    rows = np.flatnonzero(relation >= 0)
    before, after = old[rows], new[relation[rows]]
    kept = (before >= 0) & (after >= 0)
    np.add.at(counts, (before[kept], after[kept]), 1)
    return counts


def _count(groups: Int32Array) -> int:
    return int(groups.max(initial=-1)) + 1


def _check_groups(old: Int32Array, new: Int32Array, relation: Relation) -> None:
    for name, groups in (("old", old), ("new", new)):
        if groups.ndim != 1 or groups.dtype.kind != "i":
            msg = f"{name} must be integers (rows,), the group of each row; got {groups.dtype} {groups.shape}."
            raise InvalidInputError(msg)
    if relation.shape != old.shape or (relation.size and relation.max() >= len(new)):
        msg = f"relation must have one entry for each of the {len(old)} old rows, all below {len(new)}."
        raise InvalidInputError(msg)
