"""Sentences about two windows: what happened to groups of rows, labels or clusters, and to single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine import GroupChange, compare_clusters, compare_groups
from driftmap.pipeline.look.moves import describe_fork, drop_repeats, find_main_group, find_moves, find_strays
from driftmap.pipeline.look.run_codes import EMPTY
from driftmap.pipeline.look.text import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine import Passage
    from driftmap.pipeline.look.moves import BoolArray, Moves
    from driftmap.pipeline.look.run_codes import Column, Int32Array, Run

N_NAMED = 3
"""Ids that a sentence about single rows names."""
MIN_SHARE = 5
"""Percent of a group's rows that came from another one, from which it is named."""
_FORKS = ("split", "merge", "move")
_OF_OLDER = ("death", "shrinkage", "split", "move", "moved", "company", "carried")


class Lit(NamedTuple):
    """The rows that a sentence is about: those of a group in one of the two windows."""

    is_cluster: bool
    group: int
    window: int


class Answer(NamedTuple):
    """One sentence, and what it is about."""

    since: int
    """Number in the run of the older window."""
    window: int
    """Of the newer one."""
    kind: str
    """As in `GroupChange`; also `moved`, `company`, `carried`, and `strays`: single rows that moved."""
    group: str
    text: str
    unusual: float
    lit: Lit | None
    entities: Int32Array
    """Of strays; none of groups."""


class Pair:
    """Two windows, and what is said of them.

    Parameters
    ----------
    run
        Its ids and label columns.
    windows
        Numbers in the run of the older and the newer window.
    relation
        Old row -> new row, -1 for none.
    clusters
        Of the rows of both windows.
    column
        Labels that are the groups; None for the clusters.
    names
        Of clusters, where they have any.
    """

    def __init__(
        self,
        run: Run,
        windows: tuple[int, int],
        relation: Int32Array,
        clusters: tuple[Int32Array, Int32Array],
        column: Column | None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self._names = names or {}
        self._run, self._relation, self._clusters, self._column = run, relation, clusters, column
        self._since, self._t = windows

    def say(self, passages: Sequence[Passage], moves: Moves | None) -> list[Answer]:
        """Make the sentences, one for each fact.

        Parameters
        ----------
        passages
            Between the clusters of both windows.
        moves
            Of the older window's rows; None where a graph was pruned.
        """
        clusters, column = self._clusters, self._column
        groups = clusters if column is None else (column.codes[self._since], column.codes[self._t])
        changes = compare_clusters(*clusters, self._relation, passages)
        forks = [describe_fork(one, groups, clusters, self._relation) for one in changes if one.kind in _FORKS]
        if column is None:
            sizes = [one for one in changes if one.kind not in _FORKS]
        else:
            sizes = compare_groups(*groups, self._relation)
        # clusters of a label that grew or shrank are cut elsewhere: no second fact
        resized = {one.group for one in sizes}
        forks = [one for one in forks if find_main_group(groups[0], one.rows) not in resized]
        moved = [] if moves is None else find_moves(groups[0], moves)
        kept, moved = drop_repeats(groups[0], forks, moved, are_labels=column is not None)
        found = [self._say(one, is_cluster=True) for one in kept]
        found += [self._say(one, is_cluster=column is None) for one in (*sizes, *moved)]
        if moves is not None:
            is_said = np.isin(groups[0], [one.group for one in moved])
            for one in forks:
                is_said |= one.rows
            found += self._say_strays(moves, is_said)
        return found

    def _say(self, change: GroupChange, *, is_cluster: bool) -> Answer:
        column = None if is_cluster else self._column
        if column is None:
            old, new = self._clusters
            name = self._name(change.group)
        else:
            old, new = column.codes[self._since], column.codes[self._t]
            name = _show(column.values[change.group])
        where = self._since if change.kind in _OF_OLDER else self._t
        text = self._describe(change, name, old, new)
        nobody = np.zeros(0, dtype=np.int32)
        lit = Lit(is_cluster, change.group, where)
        return Answer(self._since, self._t, change.kind, name, text, change.unusual, lit, nobody)

    def _say_strays(self, moves: Moves, is_said: BoolArray) -> list[Answer]:
        rows = find_strays(moves, is_said)
        if len(rows) == 0:
            return []
        entities = self._run.entities[self._since][rows]
        names = [shorten(" ".join(self._run.names[entity].split()), 30) for entity in entities[:N_NAMED].tolist()]
        more = len(rows) - len(names)
        ends = [*names, f"{more:,} more {_rows(more)}"] if more else names
        listed = ends[0] if len(ends) == 1 else f"{', '.join(ends[:-1])} and {ends[-1]}"
        text = f"{listed} moved to other neighbours on {'its' if len(rows) == 1 else 'their'} own"
        unusual = float(moves.change[rows].mean())
        return [Answer(self._since, self._t, "strays", names[0], text, unusual, None, np.sort(entities))]

    def _name(self, cluster: int) -> str:
        """Cluster by its words or its number, and the label that most of its rows have."""
        called = f"Cluster {self._names.get(cluster, cluster)}"
        if self._column is None:
            return called
        for t, groups in ((self._t, self._clusters[1]), (self._since, self._clusters[0])):
            codes = self._column.codes[t][groups == cluster]
            if len(codes):
                label = self._column.values[int(np.bincount(codes).argmax())]
                return f"{called} (most {shorten(' '.join(label.split()), 30) or 'empty'})"
        return called

    def _describe(self, change: GroupChange, name: str, old: Int32Array, new: Int32Array) -> str:
        n, before, after = change.n_rows, change.n_before, change.n_after
        if change.kind in ("growth", "birth"):
            verb = f"grew from {before:,} to {after:,} rows" if before else f"is new: {after:,} {_rows(after)}"
            return f"{name} {verb}{self._say_sources(change.group, old, new)}"
        return {
            "death": f"{name} is gone: it had {before:,} {_rows(before)}",
            "shrinkage": f"{name} shrank from {before:,} to {after:,} {_rows(after)}",
            "replaced": f"{name} has as many rows as before ({after:,}), but {n:,} of the former {before:,} left",
            "split": f"{name} split into {change.other} parts ({n:,} {_rows(n)})",
            "merge": f"{name} came together from {change.other} parts ({n:,} {_rows(n)})",
            "move": f"{n:,} {_rows(n)} of {name} went to {self._name(change.other)}",
            "moved": f"{name} moved to other neighbours ({n:,} {_rows(n)})",
            "company": f"{name} has other neighbours on the same spot ({n:,} {_rows(n)})",
            "carried": f"{name} was carried along with its neighbours ({n:,} {_rows(n)})",
        }[change.kind]

    def _say_sources(self, group: int, old: Int32Array, new: Int32Array) -> str:
        here = np.flatnonzero(new == group)
        origin = np.full(len(new), -2, dtype=np.int64)
        rows = np.flatnonzero(self._relation >= 0)
        origin[self._relation[rows]] = old[rows]
        fresh = round(100 * float((origin[here] == -2).mean()))
        others = origin[here][(origin[here] >= 0) & (origin[here] != group)]
        source = int(np.bincount(others).argmax()) if len(others) else -1
        share = round(100 * float((origin[here] == source).mean())) if len(others) else 0
        column = self._column
        parts = []
        if share >= MIN_SHARE:
            parts.append(f"{share}% came from {self._name(source) if column is None else _show(column.values[source])}")
        if fresh:
            parts.append(f"{fresh}% are new ids")
        return f"; {', '.join(parts)}" if parts else ""


def _show(label: str) -> str:
    return shorten(" ".join(label.split()), 40) or EMPTY


def _rows(n: int) -> str:
    return "row" if n == 1 else "rows"
