"""How groups of rows, clusters or labels, changed from window to window.

Dimensions: n, m rows of the older and of the newer window; a, b groups of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.quality.communities import MIN_CLUSTER
from driftmap.engine.quality.follow import Passage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Int32Array, Relation

    Sizes = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

MIN_PART = 0.15
"""Share of a group's rows that makes a move, or a replacement."""
MIN_GROWTH = 0.15
"""Relative change of a group's rows from which it grew or shrank."""
MIN_UNUSUAL = 4.0
"""Change of a group's rows, over what rows that come and go at random would change, from which it is named."""
MIN_EXCESS = 1.5
"""The same of rows that left a group which kept its size."""


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
    """Rows that took part, over the root of the rows that came and left: about 1 where they do so at random."""
    other: int = -1
    """Of a move, the group where the rows went or came from; of a split or merge, the number of parts."""


def compare_clusters(
    old: Int32Array, new: Int32Array, relation: Relation, passages: Sequence[Passage]
) -> list[GroupChange]:
    """List what happened to clusters: those of `compare_groups`, splits, merges, and rows that went to another one.

    Parameters
    ----------
    old, new
        (n,) and (m,) clusters of both windows, numbered for life; -1 for none.
    relation
        Old row -> new row, -1 for none.
    passages
        As `follow_clusters` gives them for the newer window.

    Returns
    -------
    list of GroupChange
        Those of single clusters, the most unusual first, then splits and merges, then moves.

    Notes
    -----
    Where a cluster begins or ends with rows that others had or have, and the graph shows no split or merge, the border
    between clusters was drawn elsewhere: nothing happened. Such rows count for none of the two.
    """
    _check_groups(old, new, relation)
    sizes = np.bincount(old[old >= 0], minlength=1), np.bincount(new[new >= 0], minlength=1)
    aside = _set_aside(old, new, relation)
    changes = []
    for change in compare_groups(*aside, relation):
        before, after = (int(counts[change.group]) if change.group < len(counts) else 0 for counts in sizes)
        # of a cluster that came or went, most rows must have come or gone
        if change.kind in ("birth", "death") and change.n_rows < (before + after) / 2:
            continue
        changes.append(change._replace(n_before=before, n_after=after))
    return [*changes, *_list_forks(passages, sizes), *_list_moves(passages, sizes)]


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

    Notes
    -----
    The rows that a group keeps say nothing of chance, so what counts are those that came and left: a party that wins
    52 of 430 seats, of which most members stay, has grown. A group that only grows or shrinks as the window does, or
    only in its share of the window, has not changed.
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
    left, growth = 1 - kept.sum() / max(1, before.sum()), after.sum() / max(1, before.sum())
    counts = zip(before.tolist(), after.tolist(), kept.tolist(), strict=True)
    changes = [_judge(group, *rows, left, growth) for group, rows in enumerate(counts)]
    found = [change for change in changes if change is not None]
    return sorted(found, key=lambda change: (-change.unusual, change.group))


def join_passages(
    old: Int32Array, new: Int32Array, relation: Relation, steps: Iterable[Sequence[Passage]]
) -> list[Passage]:
    """Give the passages between the clusters of two windows that are several windows apart.

    Parameters
    ----------
    old, new
        (n,) and (m,) clusters of both windows, numbered for life; -1 for none.
    relation
        Old row -> new row, -1 for none.
    steps
        The passages of each window after the older one, up to the newer one, as `follow_clusters` gives them.

    Returns
    -------
    list of Passage
        As for consecutive windows: of MIN_CLUSTER rows at least, in order of both numbers. A cluster that began by
        splits since is a split of the cluster that it came from; one that ended in others, a merge.
    """
    _check_groups(old, new, relation)
    origins, heirs = {}, {}
    for kind, first, second, _ in (passage for passages in steps for passage in passages):
        if kind == "split":
            origins[second] = first
        elif kind == "merge":
            heirs[first] = second
    before, after = set(np.unique(old).tolist()), set(np.unique(new).tolist())
    rows = np.flatnonzero(relation >= 0)
    first_ends, second_ends = old[rows].astype(np.int64), new[relation[rows]]
    is_both, width = (first_ends >= 0) & (second_ends >= 0), _count(new)
    pairs, counts = np.unique(first_ends[is_both] * width + second_ends[is_both], return_counts=True)
    joined = []
    for pair, n_rows in zip(pairs.tolist(), counts.tolist(), strict=True):
        if n_rows < MIN_CLUSTER:
            continue
        first, second = divmod(pair, width)
        kind = "other"
        if first == second:
            kind = "same"
        elif second not in before and _trace(second, origins, before) == first:
            kind = "split"
        elif first not in after and _trace(first, heirs, after) == second:
            kind = "merge"
        joined.append(Passage(kind, first, second, n_rows))
    return joined


def _trace(cluster: int, links: dict[int, int], known: set[int]) -> int:
    """Follow a cluster to one of the known ones; itself where none is found."""
    seen = {cluster}
    at = cluster
    while at not in known and at in links and links[at] not in seen:
        at = links[at]
        seen.add(at)
    return at


def _judge(
    group: int, before: int, after: int, kept: int, usual_left: float, usual_growth: float
) -> GroupChange | None:
    moved, beyond = after - before, after - usual_growth * before
    changed = min(abs(moved), abs(beyond)) if moved * beyond > 0 else 0.0
    kind = "birth" if before == 0 else "death" if after == 0 else "growth" if moved > 0 else "shrinkage"
    unusual = changed / max(1, before + after - 2 * kept) ** 0.5
    is_large = changed >= MIN_CLUSTER and changed >= MIN_GROWTH * max(1, min(before, after))
    # of few rows, half as many again as both windows have is enough
    if is_large and unusual >= min(MIN_UNUSUAL, (before + after) ** 0.5 / 2):
        return GroupChange(kind, group, before, after, abs(moved), unusual)
    gone = before - kept
    # replaced: as large as before, of other rows, and far more so than the window as a whole
    if kept < before and before >= MIN_CLUSTER and gone >= max(MIN_CLUSTER, (usual_left + MIN_PART) * before):
        excess = (gone - usual_left * before) / max(1, before + after) ** 0.5
        if abs(moved) <= 0.1 * before and excess >= MIN_EXCESS:
            return GroupChange("replaced", group, before, after, gone, excess)
    return None


def _set_aside(old: Int32Array, new: Int32Array, relation: Relation) -> tuple[Int32Array, Int32Array]:
    """Give the clusters without the rows that begin a cluster, or end one, and are in another in the other window."""
    rows = np.flatnonzero(relation >= 0)
    before, after = old[rows], new[relation[rows]]
    is_edge = ~np.isin(before, new) | ~np.isin(after, old)
    moved = rows[(before != after) & (before >= 0) & (after >= 0) & is_edge]
    old, new = old.copy(), new.copy()
    old[moved], new[relation[moved]] = -1, -1
    return old, new


def _list_forks(passages: Sequence[Passage], sizes: Sizes) -> list[GroupChange]:
    changes = []
    for kind in ("split", "merge"):
        for group in sorted({_end(passage, kind) for passage in passages if passage.kind == kind}):
            parts = [p for p in passages if p.kind in (kind, "same") and _end(p, kind) == group]
            n_rows, n_parts = sum(p.n_rows for p in parts), max(2, len(parts))
            before, after = (_size(counts, group) for counts in sizes)
            changes.append(GroupChange(kind, group, before, after, n_rows, n_rows**0.5, n_parts))
    return changes


def _list_moves(passages: Sequence[Passage], sizes: Sizes) -> list[GroupChange]:
    """List passages between clusters that go on, of many more rows than others show in this window."""
    changes = []
    total = sum(passage.n_rows for passage in passages)
    strayed = sum(passage.n_rows for passage in passages if passage.kind == "other")
    for kind, old, new, n_rows in passages:
        related = sum(passage.n_rows for passage in passages if passage.old == old)
        usual = (strayed - n_rows) / max(1, total - related)
        goes_on = _size(sizes[1], old) > 0 and _size(sizes[0], new) > 0
        if kind == "other" and goes_on and n_rows >= (MIN_PART + 3 * usual) * related:
            unusual = (n_rows - usual * related) / n_rows**0.5
            changes.append(GroupChange("move", old, _size(sizes[0], old), _size(sizes[1], new), n_rows, unusual, new))
    return changes


def _end(passage: Passage, kind: str) -> int:
    return passage.old if kind == "split" else passage.new


def _size(counts: npt.NDArray[np.int64], group: int) -> int:
    return int(counts[group]) if group < len(counts) else 0


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
