"""The objective of one map: UMAP's fuzzy cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, FuzzyGraph

_BLOCK_ROWS = 128
_SMALLEST = 1e-12


class LossTerms(NamedTuple):
    """Terms of the objective of one window, each a sum over its pairs of rows."""

    attraction: float
    """Cross entropy of edges: - sum w log q."""
    repulsion: float
    """Cross entropy of what is no edge: - sum (1 - w) log(1 - q), over all ordered pairs."""


def measure_loss(graph: FuzzyGraph, positions: Float32Array, a: float, b: float) -> LossTerms:
    """Sum UMAP's fuzzy cross entropy of one map over all pairs of rows; O(n^2) time, blocked memory.

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
    arXiv 1802.03426, section 3.2. Nothing changes when the whole map is turned or moved.
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
    columns = np.ascontiguousarray(places[is_placed].T)
    n = columns.shape[1]
    everywhere = 0.0
    for start in range(0, n, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, n)
        # of this block and those after it, whose pairs count twice: each is seen once
        terms = np.full((stop - start, n - start), _SMALLEST)
        for column in columns:
            terms += np.square(apart := np.subtract.outer(column[start:stop], column[start:]), out=apart)
        np.power(terms, b, out=terms)
        terms *= a
        np.log1p(np.divide(1.0, terms, out=terms), out=terms)
        np.fill_diagonal(terms, 0.0)
        everywhere += float(terms[:, : stop - start].sum()) + 2.0 * float(terms[:, stop - start :].sum())
    return LossTerms(float((weights * attraction).sum()), everywhere - on_edges)
