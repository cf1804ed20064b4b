"""What changed from window to window: who moved, which labels moved, came, went, split and merged.

Everything here is measured on all rows, also where the page draws a sample; distances are over the spread of the maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import compare_islands, find_islands, find_movers, relate_ids

if TYPE_CHECKING:
    from driftmap.engine import Islands
    from driftmap.pipeline.look.run_codes import Column, Int32Array, Run
    from driftmap.pipeline.store import Store

N_MOVERS = 12
"""Rows named for each window, those that moved most against their neighbours."""
MAX_LABELS = 40
"""Labels of a column whose drift and islands are measured: the most frequent ones."""
BIN_EDGES = 2.0 ** np.arange(-7.0, 2.25, 0.5)
"""Of the histogram of displacements; its first and last bin take what lies beyond."""
MIN_TURNED = 5
MIN_TURNED_SHARE = 0.2
"""A label turns into another where this many of its related rows, and this share, have the other one next."""

Array = npt.NDArray[Any]


class LabelEvent(NamedTuple):
    """Something that befell a label of a column from one window to the next."""

    kind: str
    """`birth`, `return`, `death`, `split`, `merge` or `turn`."""
    column: int
    label: int
    n_rows: int
    other: int = -1
    """Label it turned into; of a split or merge, the number of parts."""


class WindowChange(NamedTuple):
    """The change from the window before to this one."""

    histogram: list[int]
    """Related rows by how far they moved; bins are those of BIN_EDGES."""
    movers: list[tuple[int, float, float]]
    """Entity, how far it moved, and how far less what its neighbours moved."""
    drift: dict[int, list[float | None]]
    """For each column of categories, by label: how far its rows moved on average."""
    events: list[LabelEvent]


def measure_changes(store: Store, run: Run, spread: float) -> list[WindowChange]:
    """Compare every window with the one before; two windows in memory at a time.

    Parameters
    ----------
    store
        An opened store.
    run
        Its ids and label columns.
    spread
        Of the maps, the unit of all distances; see `measure_frame`.
    """
    categories = {number: column for number, column in enumerate(run.columns) if column.kind == "category"}
    counts = {number: _count_labels(column) for number, column in categories.items()}
    changes: list[WindowChange] = []
    before: tuple[Array, dict[int, Islands]] | None = None
    for t, fact in enumerate(run.facts):
        places = store.positions(fact.index)
        islands = {
            number: find_islands(column.codes[t], places, min(MAX_LABELS, len(column.values)), spread)
            for number, column in categories.items()
        }
        events = [event for number in categories for event in _find_presence_events(number, counts[number], t)]
        change = WindowChange([0] * (len(BIN_EDGES) + 1), [], {}, events)
        if before is not None:
            relation = relate_ids(run.entities[t - 1], run.entities[t])
            change = _compare(store, run, t, relation, (before[0], places), spread)._replace(events=events)
            for number, column in categories.items():
                events += [
                    LabelEvent(found.kind, number, found.label, found.n_rows, found.n_parts)
                    for found in compare_islands(before[1][number], islands[number], relation)
                ]
                events += _find_turns(number, column, t, relation)
        changes.append(change)
        before = places, islands
    return changes


def _compare(
    store: Store, run: Run, t: int, relation: Int32Array, maps: tuple[Array, Array], spread: float
) -> WindowChange:
    old, new = maps
    rows = np.flatnonzero(relation >= 0)
    moved = np.linalg.norm(new[relation[rows]].astype(np.float64) - old[rows], axis=1) / spread
    is_known = np.isfinite(moved)
    rows, moved = rows[is_known], moved[is_known]
    histogram = np.bincount(np.searchsorted(BIN_EDGES, moved), minlength=len(BIN_EDGES) + 1)
    before = run.facts[t - 1]
    moves = [] if before.pruned else find_movers(store.fuzzy_graph(before.index), old, new, relation, N_MOVERS)
    movers = [(int(run.entities[t][m.new_row]), m.distance / spread, m.own / spread) for m in moves]
    drift = {}
    for number, column in enumerate(run.columns):
        if column.kind == "category":
            drift[number] = _average(moved, column.codes[t][relation[rows]], min(MAX_LABELS, len(column.values)))
    return WindowChange(histogram.tolist(), movers, drift, [])


def _average(moved: Array, labels: Int32Array, n_labels: int) -> list[float | None]:
    counts = np.bincount(labels, minlength=n_labels)[:n_labels]
    sums = np.bincount(labels, weights=moved, minlength=n_labels)[:n_labels]
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


def _count_labels(column: Column) -> Array:
    return np.array([np.bincount(codes, minlength=len(column.values)) for codes in column.codes])


def _find_presence_events(number: int, counts: Array, t: int) -> list[LabelEvent]:
    """Labels that appear with window t, come back with it, or were last seen in the window before it."""
    if t == 0:
        return []
    is_here, was_here = counts[t] > 0, counts[t - 1] > 0
    was_ever, comes_back = counts[:t].sum(axis=0) > 0, counts[t:].sum(axis=0) > 0
    came = [
        LabelEvent("return" if was_ever[label] else "birth", number, int(label), int(counts[t, label]))
        for label in np.flatnonzero(is_here & ~was_here)
    ]
    gone = [
        LabelEvent("death", number, int(label), int(counts[t - 1, label]))
        for label in np.flatnonzero(was_here & ~comes_back)
    ]
    return came + gone


def _find_turns(number: int, column: Column, t: int, relation: Int32Array) -> list[LabelEvent]:
    rows = np.flatnonzero(relation >= 0)
    old, new = column.codes[t - 1][rows], column.codes[t][relation[rows]]
    totals = np.bincount(old, minlength=len(column.values))
    changed = old != new
    pairs, counts = np.unique(np.column_stack([old[changed], new[changed]]), axis=0, return_counts=True)
    return [
        LabelEvent("turn", number, int(a), int(count), int(b))
        for (a, b), count in zip(pairs, counts, strict=True)
        if count >= max(MIN_TURNED, MIN_TURNED_SHARE * totals[a])
    ]
