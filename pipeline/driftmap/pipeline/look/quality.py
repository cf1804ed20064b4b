"""How good each window's map is, from what the store holds.

Trustworthiness is not here: it ranks rows by their distance in the data, and the store keeps no vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import drift, neighbour_preservation_from_graph, relate_ids

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]


MAX_ASKED = 10_000
"""Rows of a window that are asked for their neighbours; the figure is then known to about .002."""


@dataclass(frozen=True)
class WindowQuality:
    """Figures of one window; None where there is nothing to compare."""

    label: str
    index: int
    n_rows: int
    status: str
    neighbours: float | None
    """Share of the rows' stored nearest neighbours that are among the nearest on the map; 1 is best."""
    related: float | None
    """Share of the rows whose id is in the window before."""
    drift: float | None
    """Mean distance of related rows to their places in the window before, over the spread of both maps; 0 is still."""


def measure_windows(store: Store) -> list[WindowQuality]:
    """Measure every window of a store, with two windows in memory at a time.

    Parameters
    ----------
    store
        An opened store; windows without a map yet are listed without figures.

    Returns
    -------
    list[WindowQuality]
        One row per window, in order.
    """
    rows = []
    before: tuple[Array, Array] | None = None
    for fact in store.state():
        neighbours = related = moved = None
        now: tuple[Array, Array] | None = None
        if fact.pruned and fact.quality:
            neighbours, related, moved = (fact.quality.get(name) for name in ("neighbours", "related", "drift"))
        if fact.status in ("final", "provisional") and fact.pruned != "map":
            now = ids, positions = store.embedding(fact.index)
            if not fact.pruned:
                knn = store.knn_graph(fact.index).indices
                if knn.shape[1] > 1:
                    neighbours = _or_none(neighbour_preservation_from_graph(knn, positions, MAX_ASKED))
            if before is not None:
                relation = relate_ids(before[0], ids)
                related = float(np.count_nonzero(relation >= 0) / max(1, len(ids)))
                moved = _or_none(drift([before[1], positions], [relation])) if related else None
        rows.append(WindowQuality(fact.label, fact.index, fact.n_rows, fact.status, neighbours, related, moved))
        before = now
    return rows


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
