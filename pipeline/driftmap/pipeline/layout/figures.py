"""How good a window's map is, and how still against the one before: the figures that are stored and shown.

Trustworthiness is not here: it ranks rows by their distance in the data, and the store keeps no vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import drift, neighbour_preservation_from_graph, relate_ids
from driftmap.pipeline.store.log.layouts import N_DIGITS

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array

    Ids = np.ndarray[Any, Any]

MAX_ASKED = 10_000
"""Rows of a window that are asked for their neighbours; the figure is then known to about .002."""


class MapFigures(NamedTuple):
    """Figures of one window's map; None where there is nothing to compare."""

    neighbours: float | None = None
    """Share of the rows' stored nearest neighbours that are among the nearest on the map; 1 is best."""
    related: float | None = None
    """Share of the rows whose id is in the window before."""
    drift: float | None = None
    """Mean distance of related rows to their places in the window before, over the spread of both maps; 0 is still."""

    def to_json(self) -> dict[str, float]:
        """Give the figures that there are, as the log keeps them."""
        return {name: round(value, N_DIGITS) for name, value in self._asdict().items() if value is not None}


def measure_map(
    neighbours: Int32Array | None, now: tuple[Ids, Float32Array], before: tuple[Ids, Float32Array] | None
) -> MapFigures:
    """Measure one window's map.

    Parameters
    ----------
    neighbours
        int32 (n, k), each row's nearest rows, itself first; None where the graph is gone.
    now, before
        Ids and positions of the window, and of the one before it; None where there is none.
    """
    ids, positions = now
    preserved = related = moved = None
    if neighbours is not None and neighbours.shape[1] > 1:
        preserved = _or_none(neighbour_preservation_from_graph(neighbours, positions, MAX_ASKED))
    if before is not None:
        relation = relate_ids(before[0], ids)
        related = float(np.count_nonzero(relation >= 0) / max(1, len(ids)))
        moved = _or_none(drift([before[1], positions], [relation])) if related else None
    return MapFigures(preserved, related, moved)


def measure_move(before: tuple[Ids, Float32Array], now: tuple[Ids, Float32Array]) -> float:
    """Measure how far a window's rows moved when it was laid out again, over the spread of both maps; 0 for none."""
    moved = drift([before[1], now[1]], [relate_ids(before[0], now[0])])
    return round(float(moved), N_DIGITS) if np.isfinite(moved) else 0.0


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
