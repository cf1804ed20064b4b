"""What a fitted model tells of itself: figures per window, loss terms, and the rows that moved most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine.layout.loss import measure_loss
from driftmap.engine.relations.relations import alignment_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.settings import LayoutSettings
    from driftmap.engine.types import Float32Array, FuzzyGraph, Relation

_SMALLEST = 1e-12


class Move(NamedTuple):
    """One row's displacement from a window to the next."""

    old_row: int
    new_row: int
    distance: float
    """How far it moved, in units of the layout."""
    own: float
    """How far it moved against its neighbours: length of its displacement less their mean displacement."""


def measure_windows(
    rows: Sequence[Rows],
    maps: Sequence[Float32Array],
    graphs: Sequence[FuzzyGraph],
    steps: Sequence[Relation],
    layout: LayoutSettings,
    n_neighbors: int = 15,
    metrics: Sequence[Any] | None = None,
) -> list[dict[str, float]]:
    """Measure every window of a layout.

    Windows are compared with their maps by the metric that each was mapped by; where ranks by it are not known (see
    `quality.RANK_METRICS`), and without `metrics`, by euclidean distance.

    Returns
    -------
    One dict per window: `rows`; `trustworthiness` and `neighbour_preservation` (over at most `n_neighbors` neighbours);
    `related`, the share of its rows that the window before has too; `drift`, how far those moved, over the layout's
    spread; `loss_attraction`, `loss_repulsion`, `loss_alignment`, terms of the objective. Figures towards the window
    before are NaN for the first window.
    """
    from driftmap.engine.layout.window_values import window_values
    from driftmap.engine.quality.measures import choose_rank_metric, drift, neighbour_preservation, trustworthiness

    spread = float(np.sqrt(np.mean([np.nanvar(m, axis=0).mean() for m in maps])))
    table = []
    for t, (x, y, graph) in enumerate(zip(rows, maps, graphs, strict=True)):
        k = max(1, min(n_neighbors, (len(y) - 2) // 2))
        metric = choose_rank_metric(x, "euclidean" if metrics is None else metrics[t])
        values = window_values(layout, t, len(y))
        loss = measure_loss(graph, y, values.a, values.b)
        related, moved, pull = float("nan"), float("nan"), float("nan")
        if t:
            pair = [maps[t - 1], y]
            own = float(np.sqrt(np.mean([np.nanvar(m, axis=0).mean() for m in pair])))
            related = float((steps[t - 1] >= 0).sum() / len(y))
            moved = drift(pair, [steps[t - 1]]) * own / spread if related else float("nan")
            pull = measure_alignment(graphs[t - 1], graph, maps[t - 1], y, steps[t - 1])
        table.append(
            {
                "rows": float(len(y)),
                "trustworthiness": trustworthiness(x, y, k, metric) if len(y) > 3 else float("nan"),
                "neighbour_preservation": neighbour_preservation(x, y, k, metric),
                "related": related,
                "drift": moved,
                "loss_attraction": loss.attraction,
                "loss_repulsion": loss.repulsion,
                "loss_alignment": pull,
            }
        )
    return table


def measure_alignment(
    old_graph: FuzzyGraph, new_graph: FuzzyGraph, old: Float32Array, new: Float32Array, relation: Relation
) -> float:
    """Sum the alignment term of two neighbouring windows: J |y - y'|^2 / 2 over related rows."""
    rows = np.flatnonzero(relation >= 0)
    weights = alignment_weights(old_graph, new_graph, relation)[rows].astype(np.float64)
    deltas = np.asarray(old, np.float64)[rows] - np.asarray(new, np.float64)[relation[rows]]
    squared = (deltas**2).sum(axis=1)
    return float(np.nansum(weights * squared) / 2)


def find_movers(graph: FuzzyGraph, old: npt.ArrayLike, new: npt.ArrayLike, relation: Relation, n: int) -> list[Move]:
    """Rank related rows by how far they moved less what their neighbours moved.

    Parameters
    ----------
    graph
        Fuzzy graph of the older window.
    old, new
        Positions of both windows.
    relation
        Old row -> new row, -1 for none.
    n
        How many to return at most.

    Returns
    -------
    list[Move]
        The rows that moved most against their related neighbours, most first. A row without such neighbours counts
        with its whole displacement.
    """
    from scipy.sparse import csr_array

    before, after = np.asarray(old, np.float64), np.asarray(new, np.float64)
    deltas = np.zeros_like(before)
    rows = np.flatnonzero(relation >= 0)
    deltas[rows] = after[relation[rows]] - before[rows]
    is_known = np.zeros(len(before), dtype=bool)
    is_known[rows] = np.isfinite(deltas[rows]).all(axis=1)
    deltas[~is_known] = 0
    matrix = csr_array((graph.data.astype(np.float64), graph.indices, graph.indptr), shape=(len(before), len(before)))
    weight = matrix @ is_known.astype(np.float64)
    mean = (matrix @ deltas) / np.maximum(weight, _SMALLEST)[:, None]
    own = np.linalg.norm(deltas - mean, axis=1)
    known = np.flatnonzero(is_known)
    ranked = known[np.argsort(-own[known], kind="stable")[:n]].tolist()
    return [Move(row, int(relation[row]), float(np.linalg.norm(deltas[row])), float(own[row])) for row in ranked]
