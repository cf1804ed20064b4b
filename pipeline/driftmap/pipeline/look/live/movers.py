"""Rows of a large store that moved most against their neighbours: of those drawn, with neighbours from all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine import find_movers, relate_ids
from driftmap.engine.types import FuzzyGraph
from driftmap.pipeline.look.changes import N_MOVERS
from driftmap.pipeline.look.run_codes import list_laid_out

if TYPE_CHECKING:
    from driftmap.pipeline.look.live.windows import LiveWindows, Sample
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.row_reader import RowReader

N_CANDIDATES = 150
"""Rows whose neighbours are read: those that moved most, and as many that moved most apart from their cluster."""

Array = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]


def describe_movers(store: Store, windows: LiveWindows, index: int) -> dict[str, Any]:
    """Describe the rows that moved most into a window against their neighbours.

    None are given into the first window, from one whose graph was removed, and with relations from outside.

    Returns
    -------
    dict
        `movers`: number of the id, how far it moved, and how far less what its neighbours moved, over the spread.
    """
    facts = list_laid_out(store)
    at = [fact.index for fact in facts].index(windows.find(index).index)
    if at == 0 or facts[at - 1].pruned or store.read_relations().books:
        return {"movers": []}
    old, new = windows.read(facts[at - 1].index), windows.read(index)
    candidates = _choose_candidates(old, new)
    if not len(candidates):
        return {"movers": []}
    order = np.argsort(old.rows[candidates])
    rows, entities = old.rows[candidates][order], old.entities[candidates][order]
    before, after = windows.open(facts[at - 1].index), windows.open(index)
    indptr, neighbours, weights = before.take_edges(rows)
    nodes = np.unique(np.concatenate([rows, neighbours])).astype(np.int64)
    own = np.searchsorted(nodes, rows)
    lengths = np.zeros(len(nodes), dtype=np.int64)
    lengths[own] = np.diff(indptr)  # rows and nodes ascend: edges keep their order
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    graph = FuzzyGraph(bounds, np.searchsorted(nodes, neighbours).astype(np.int32), weights)
    found, relation = _find_rows(after, before.take_marks(nodes))
    moves = find_movers(graph, before.take_positions(nodes), after.take_positions(found), relation, len(nodes))
    number = dict(zip(own.tolist(), entities.tolist(), strict=True))
    spread = windows.frame.spread
    listed = [[number[m.old_row], m.distance / spread, m.own / spread] for m in moves if m.old_row in number]
    return {"movers": listed[:N_MOVERS]}


def _choose_candidates(old: Sample, new: Sample) -> Int64Array:
    """Choose rows of the older sample."""
    relation = relate_ids(old.entities, new.entities)
    rows = np.flatnonzero(relation >= 0)
    deltas = (new.places[relation[rows]] - old.places[rows]).astype(np.float64)
    clusters = np.zeros(len(rows), dtype=np.int64) if old.clusters is None else old.clusters[rows] + 1
    counts = np.maximum(np.bincount(clusters), 1)
    means = np.column_stack([np.bincount(clusters, weights=deltas[:, axis]) / counts for axis in (0, 1)])
    chosen = [
        np.argsort(-np.linalg.norm(moved, axis=1), kind="stable")[:N_CANDIDATES]
        for moved in (deltas, deltas - means[clusters])
    ]
    return np.asarray(rows[np.unique(np.concatenate(chosen))], dtype=np.int64)


def _find_rows(reader: RowReader, marks: Array) -> tuple[Int64Array, npt.NDArray[np.int32]]:
    """Find the rows of ids by their marks, ascending; and for each mark its number among these, -1 for none."""
    order = np.argsort(marks)
    ordered, start = marks[order], 0
    rows, owners = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for part in reader.list_marks():
        place = np.minimum(np.searchsorted(ordered, part), len(ordered) - 1)
        here = np.flatnonzero(ordered[place] == part)
        rows.append(here + start)
        owners.append(order[place[here]])
        start += len(part)
    found = np.concatenate(rows)
    relation = np.full(len(marks), -1, dtype=np.int32)
    relation[np.concatenate(owners)] = np.arange(len(found))
    return found, relation
