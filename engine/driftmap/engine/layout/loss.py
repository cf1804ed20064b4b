"""The objective of one map: UMAP's fuzzy cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.layout.kernels.loss_kernels import sum_repulsion

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, FuzzyGraph

_SMALLEST = 1e-12


class LossTerms(NamedTuple):
    """Terms of the objective of one window, each a sum over its pairs of rows."""

    attraction: float
    """Cross entropy of edges: - sum w log q."""
    repulsion: float
    """Cross entropy of what is no edge: - sum (1 - w) log(1 - q), over all ordered pairs."""


def measure_loss(graph: FuzzyGraph, positions: Float32Array, a: float, b: float) -> LossTerms:
    """Sum UMAP's fuzzy cross entropy of one map over all pairs of rows; O(n^2) time, O(n) memory.

    Parameters
    ----------
    graph
        Fuzzy graph, (n, n).
    positions
        (n, c); rows that are not finite are left out.
    a, b
        The curve 1 / (1 + a d^2b).

    Notes
    -----
    arXiv 1802.03426, section 3.2. Nothing changes when the whole map is turned or moved. The repulsion is summed in
    single precision, within 1e-5 (relative).
    """
    return measure_losses(graph, [positions], a, b)[0]


def measure_losses(graph: FuzzyGraph, maps: Sequence[Float32Array], a: float, b: float) -> list[LossTerms]:
    """Do as `measure_loss` with several maps of one window.

    Parameters
    ----------
    graph, a, b
        As for `measure_loss`.
    maps
        Positions, (n, c) each.
    """
    rows = np.repeat(np.arange(graph.n_rows), np.diff(graph.indptr))
    return [_measure(graph, rows, np.asarray(positions, dtype=np.float64), a, b) for positions in maps]


def _measure(
    graph: FuzzyGraph, rows: npt.NDArray[np.intp], places: npt.NDArray[np.float64], a: float, b: float
) -> LossTerms:
    """Measure one map; `rows` are those at the near end of each edge."""
    left, right, weights = rows, graph.indices, graph.data
    is_placed = np.asarray(np.isfinite(places).all(axis=1))
    if not is_placed.all():
        kept = is_placed[rows] & is_placed[graph.indices]
        left, right, weights = rows[kept], graph.indices[kept], graph.data[kept]
    squared = np.full(len(left), _SMALLEST)
    for axis in places.T:
        squared += (axis[left] - axis[right]) ** 2
    powered = a * squared**b
    attraction = np.log1p(powered)
    # - log(1 - q) = log((1 + p) / p) with p = a d^2b; first over all pairs, then the edges' share taken out
    on_edges = float((weights * (attraction - np.log(powered))).sum())  # no BLAS: its threads would order the sum
    placed = places[is_placed]
    # about their middle: single precision would lose digits of a map far from the origin
    columns = np.ascontiguousarray((placed - placed.mean(axis=0) if len(placed) else placed).T, dtype=np.float32)
    everywhere = sum_repulsion(columns, np.float32(a), np.float32(b))
    return LossTerms(float((weights * attraction).sum()), everywhere - on_edges)
