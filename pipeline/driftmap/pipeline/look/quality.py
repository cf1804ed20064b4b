"""How good each window's map is, from what the store holds.

Trustworthiness is not here: it ranks rows by their distance in the data, and the store keeps no vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.layout.figures import MapFigures, measure_map, relate_neighbours
from driftmap.pipeline.look.run_codes import is_laid_out

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class WindowQuality:
    """Figures of one window; None where there is nothing to compare."""

    label: str
    index: int
    n_rows: int
    status: str
    neighbours: float | None
    """This and the others: see `MapFigures`."""
    related: float | None
    drift: float | None
    strength: float | None = None
    """Of the alignment, as the log has it. What it cost is not known: that takes a second layout, without alignment."""

    def describe(self) -> dict[str, Any]:
        """Give what the page shows of them, and of the window."""
        names = ("label", "status", "n_rows", "neighbours", "related", "drift", "strength")
        return {name: getattr(self, name) for name in names}


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
    label = ""
    for fact in store.state():
        stored = fact.quality if fact.pruned and fact.quality else {}
        figures = MapFigures(**{name: stored.get(name) for name in MapFigures._fields})
        now: tuple[Array, Array] | None = None
        if is_laid_out(fact):
            now = store.window_keys(fact.index), store.positions(fact.index)
            knn = None if fact.pruned else store.knn_graph(fact.index).indices
            relation = None if before is None else relate_neighbours(store, (label, before[0]), (fact.label, now[0]))
            measured = measure_map(knn, now, before, relation)
            figures = MapFigures(*(new if new is not None else old for new, old in zip(measured, figures, strict=True)))
        rows.append(WindowQuality(fact.label, fact.index, fact.n_rows, fact.status, *figures, fact.strength))
        before, label = now, fact.label
    return rows
