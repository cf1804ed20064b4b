"""How good a window's map is, and how still against the one before: the figures that are stored and shown.

Trustworthiness is not here: it ranks rows by their distance in the data, and the store keeps no vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import Coupling, drift, find_strongest, neighbour_preservation_from_graph, relate_ids
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.store.log.layouts import N_DIGITS

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array, Relation
    from driftmap.pipeline.store import Store

    Ids = np.ndarray[Any, Any]

MAX_ASKED = 10_000
"""Rows of a window that are asked for their neighbours; the figure is then known to about .002."""


class MapFigures(NamedTuple):
    """Figures of one window's map; None where there is nothing to compare."""

    neighbours: float | None = None
    """Share of the rows' stored nearest neighbours that are among the nearest on the map; 1 is best."""
    related: float | None = None
    """Share of the rows that are related to the window before, by their id or by relations from outside."""
    drift: float | None = None
    """Mean distance of related rows to their places in the window before, over the spread of both maps; 0 is still."""

    def to_json(self) -> dict[str, float]:
        """Give the figures that there are, as the log keeps them."""
        return {name: round(value, N_DIGITS) for name, value in self._asdict().items() if value is not None}


def measure_map(
    neighbours: Int32Array | None,
    now: tuple[Ids, Float32Array],
    before: tuple[Ids, Float32Array] | None,
    relation: Relation | Coupling | None = None,
) -> MapFigures:
    """Measure one window's map.

    Parameters
    ----------
    neighbours
        int32 (n, k), each row's nearest rows, itself first; None where the graph is gone.
    now, before
        Ids and positions of the window, and of the one before it; None where there is none.
    relation
        Of the window before and this one; None: by equal ids. Of a row's several partners the heaviest counts for the
        drift.
    """
    ids, positions = now
    preserved = related = moved = None
    if neighbours is not None and neighbours.shape[1] > 1:
        preserved = _or_none(neighbour_preservation_from_graph(neighbours, positions, MAX_ASKED))
    if before is not None:
        relation = relate_ids(before[0], ids) if relation is None else relation
        related = count_related(relation) / max(1, len(ids))
        single = find_strongest(relation, len(before[0]))
        moved = _or_none(drift([before[1], positions], [single])) if related else None
    return MapFigures(preserved, related, moved)


def count_related(relation: Relation | Coupling) -> int:
    """Count the rows of the newer window that have a partner in the older one."""
    return len(np.unique(relation.new)) if isinstance(relation, Coupling) else int(np.count_nonzero(relation >= 0))


def relate_neighbours(store: Store, before: tuple[str, Ids], now: tuple[str, Ids]) -> Relation | Coupling:
    """Relate two consecutive windows, given as label and ids, as the layout of a store does."""
    return relate_windows([before[1], now[1]], 1, range(2), [before[0], now[0]], store.read_relations())[0, 1]


def measure_move(before: tuple[Ids, Float32Array], now: tuple[Ids, Float32Array]) -> float:
    """Measure how far a window's rows moved when it was laid out again, over the spread of both maps; 0 for none."""
    moved = drift([before[1], now[1]], [relate_ids(before[0], now[0])])
    return round(float(moved), N_DIGITS) if np.isfinite(moved) else 0.0


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
