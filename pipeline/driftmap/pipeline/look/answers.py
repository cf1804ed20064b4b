"""What changed, in at most five sentences: the newest final window first, then the run's most unusual ones.

Groups are the labels of the first column of categories, or the clusters of the windows' graphs where there is none.
What is named is measured on all rows, also where the page draws a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import (
    GroupChange,
    compare_clusters,
    compare_groups,
    displacement,
    find_strongest,
    noise_floor,
    relate_ids,
    turnover,
)
from driftmap.pipeline.layout.figures import relate_neighbours
from driftmap.pipeline.look.clusters import list_clusters
from driftmap.pipeline.look.text import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine import Clustered
    from driftmap.pipeline.look.run_codes import Column, Int32Array, Run
    from driftmap.pipeline.store import Store

N_ANSWERS = 5
MAX_LIT = 20_000
"""Rows that a sentence lights on the page."""
MAX_GROUPS = 200
"""A column of more labels than this gives no groups."""
MIN_CHANGED = 0.5
"""Mean turnover from which a group has other company, and below half of which it was carried along."""
MIN_MOVED = 0.5
"""Mean displacement, over the spread, from which a group moved; also four times the noise floor of the pair."""


class Answers(NamedTuple):
    """What a run has to say."""

    sentences: list[Answer]
    noise_floors: list[float | None]
    """Of each window against the one before, over the spread; None where it is not known."""


class Answer(NamedTuple):
    """One sentence, and what it is about."""

    window: int
    """Number in the run of the newer window."""
    kind: str
    group: str
    text: str
    entities: Int32Array
    """Entities that took part, at most MAX_LIT."""
    unusual: float


def find_answers(store: Store, run: Run, spread: float, clusters: Sequence[Clustered] | None = None) -> Answers:
    """Find the sentences of a run, none where nothing unusual happened; two windows in memory at a time.

    Parameters
    ----------
    store
        An opened store.
    run
        Its ids and label columns.
    spread
        Of the maps, the unit of displacements.
    clusters
        What `list_clusters` gave, where it is at hand already.

    Returns
    -------
    Answers
        At most five sentences: those of the newest final window, then the most unusual of the others.
    """
    column = next((c for c in run.columns if c.kind == "category" and 1 < len(c.values) <= MAX_GROUPS), None)
    found: list[Answer] = []
    floors: list[float | None] = []
    old = np.zeros(0, dtype=np.int32)
    for t, known in enumerate(list_clusters(store, run) if clusters is None else clusters):
        floors.append(None)
        if t > 0:
            relation = _relate(store, run, t)
            pair = _Pair(run, t, relation, (old, known.of_row), column)
            found += pair.say_changes(compare_clusters(old, known.of_row, relation, known.passages))
            moves = _measure_moves(store, run, t, relation, spread)
            if moves is not None:
                found += pair.say_moves(*moves)
                floor = noise_floor(*moves)
                floors[t] = round(floor, 4) if np.isfinite(floor) else None
        old = known.of_row
    return Answers(_rank(run, found), floors)


def _relate(store: Store, run: Run, t: int) -> Int32Array:
    """Relate the rows of a window to those of the one before, one to one, as its layout did."""
    if not store.read_relations().books:
        return relate_ids(run.entities[t - 1], run.entities[t])
    old, new = ((run.facts[i].label, store.window_keys(run.facts[i].index)) for i in (t - 1, t))
    return find_strongest(relate_neighbours(store, old, new), len(old[1]))


def _rank(run: Run, found: list[Answer]) -> list[Answer]:
    finals = [t for t, fact in enumerate(run.facts) if fact.status == "final"]
    newest = finals[-1] if finals else len(run.facts) - 1
    return sorted(found, key=lambda answer: (answer.window != newest, -answer.unusual, answer.window))[:N_ANSWERS]


def _measure_moves(
    store: Store, run: Run, t: int, relation: Int32Array, spread: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """Measure turnover and displacement of the rows of the window before; None where a graph was pruned."""
    before, after = run.facts[t - 1], run.facts[t]
    if before.pruned or after.pruned:
        return None
    change = turnover(store.knn_graph(before.index).indices, store.knn_graph(after.index).indices, relation)
    return change, displacement(store.positions(before.index), store.positions(after.index), relation, spread)


def _find_moves(old: Int32Array, change: npt.NDArray[np.float32], moved: npt.NDArray[np.float32]) -> list[GroupChange]:
    """Find groups that moved, were carried along with their neighbours, or changed company on the spot."""
    is_known = np.isfinite(change) & np.isfinite(moved) & (old >= 0)
    if not is_known.any():
        return []
    limit = max(MIN_MOVED, 4 * noise_floor(change, moved))
    usual = float(np.median(change[is_known]))
    found = []
    for group in np.unique(old[is_known]).tolist():
        rows = is_known & (old == group)
        n, mixed, far = int(rows.sum()), float(change[rows].mean()), float(np.median(moved[rows]))
        # against the median of all rows: where every row changes, no group is named
        has_changed = mixed >= max(MIN_CHANGED, usual + MIN_CHANGED / 2)
        if n < 5 or (not has_changed and (far < limit or mixed > MIN_CHANGED / 2)):
            continue
        kind = "company" if has_changed and far < limit else "moved" if has_changed else "carried"
        found.append(GroupChange(kind, group, n, n, n, (mixed if has_changed else far / limit) * n**0.5))
    return found


class _Pair:
    """Two consecutive windows, and sentences about them."""

    def __init__(
        self,
        run: Run,
        t: int,
        relation: Int32Array,
        clusters: tuple[Int32Array, Int32Array],
        column: Column | None,
    ) -> None:
        self._run, self._t, self._relation, self._clusters, self._column = run, t, relation, clusters, column

    def say_changes(self, changes: list[GroupChange]) -> list[Answer]:
        """Make the sentences of groups that came, went, grew or shrank, and of clusters that split and merged."""
        if self._column is None:
            return [self.say(change, is_cluster=True) for change in changes]
        parts = [change for change in changes if change.kind in ("split", "merge", "move")]
        of_labels = compare_groups(*self._groups(), self._relation)
        return [
            *(self.say(change, is_cluster=True) for change in parts),
            *(self.say(change, is_cluster=False) for change in of_labels),
        ]

    def say_moves(self, change: npt.NDArray[np.float32], moved: npt.NDArray[np.float32]) -> list[Answer]:
        """Make the sentences of groups that moved, by their rows' turnover and displacement."""
        return [self.say(one, is_cluster=self._column is None) for one in _find_moves(self._groups()[0], change, moved)]

    def _groups(self) -> tuple[Int32Array, Int32Array]:
        column, t = self._column, self._t
        return self._clusters if column is None else (column.codes[t - 1], column.codes[t])

    def say(self, change: GroupChange, *, is_cluster: bool) -> Answer:
        """Make the sentence of a change."""
        t, column = self._t, self._column
        if is_cluster or column is None:
            old, new = self._clusters
            name = self._name(change.group)
        else:
            old, new = column.codes[t - 1], column.codes[t]
            name = shorten(" ".join(column.values[change.group].split()), 40) or "(empty)"
        lit = self._run.entities[t][new == change.group]
        if change.kind in ("death", "shrinkage", "split", "move", "moved", "company", "carried"):
            lit = self._run.entities[t - 1][old == change.group]
        text = self._describe(change, name, old, new)
        return Answer(t, change.kind, name, text, np.sort(lit)[:MAX_LIT], change.unusual)

    def _name(self, cluster: int) -> str:
        """Cluster by its number, and the label that most of its rows have."""
        if self._column is None:
            return f"Cluster {cluster}"
        for t, groups in ((self._t, self._clusters[1]), (self._t - 1, self._clusters[0])):
            codes = self._column.codes[t][groups == cluster]
            if len(codes):
                label = self._column.values[int(np.bincount(codes).argmax())]
                return f"Cluster {cluster} (most {shorten(' '.join(label.split()), 30) or 'empty'})"
        return f"Cluster {cluster}"

    def _describe(self, change: GroupChange, name: str, old: Int32Array, new: Int32Array) -> str:
        n, before, after = change.n_rows, change.n_before, change.n_after
        if change.kind in ("growth", "birth"):
            verb = f"grew from {before:,} to {after:,} rows" if before else f"is new: {after:,} {_rows(after)}"
            return f"{name} {verb}{self._say_sources(change.group, old, new)}"
        return {
            "death": f"{name} is gone: it had {before:,} {_rows(before)}",
            "shrinkage": f"{name} shrank from {before:,} to {after:,} {_rows(after)}",
            "replaced": f"{name} kept its size ({after:,} {_rows(after)}), but {n:,} of the {before:,} left",
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
        if len(others) == 0:
            return f"; {fresh}% are new ids" if fresh else ""
        source = int(np.bincount(others).argmax())
        share = round(100 * float((origin[here] == source).mean()))
        column = self._column
        name = self._name(source) if column is None else shorten(" ".join(column.values[source].split()), 40)
        return f"; {share}% came from {name}" + (f", {fresh}% are new ids" if fresh else "")


def _rows(n: int) -> str:
    return "row" if n == 1 else "rows"
