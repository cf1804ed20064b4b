"""The objective of one map: UMAP's fuzzy cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
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
    places = np.asarray(positions, dtype=np.float64)
    is_placed = np.asarray(np.isfinite(places).all(axis=1))
    rows = np.repeat(np.arange(graph.n_rows), np.diff(graph.indptr))
    kept = is_placed[rows] & is_placed[graph.indices]
    left, right, weights = rows[kept], graph.indices[kept], graph.data[kept].astype(np.float64)
    powered = a * (((places[left] - places[right]) ** 2).sum(axis=1) + _SMALLEST) ** b
    attraction = float((weights * np.log1p(powered)).sum())
    # - log(1 - q) = log((1 + p) / p) with p = a d^2b; first over all pairs, then the edges' share taken out
    on_edges = float((weights * np.log1p(1 / powered)).sum())
    placed = places[is_placed]
    everywhere = 0.0
    for start in range(0, len(placed), _BLOCK_ROWS):
        block = placed[start : start + _BLOCK_ROWS]
        n = len(block)
        # of this block and those after it, whose pairs count twice: each is seen once
        terms = np.full((n, len(placed) - start), _SMALLEST)
        for axis in range(placed.shape[1]):
            terms += np.subtract.outer(block[:, axis], placed[start:, axis]) ** 2
        np.power(terms, b, out=terms)
        terms *= a
        np.log1p(np.divide(1.0, terms, out=terms), out=terms)
        terms[np.arange(n), np.arange(n)] = 0.0
        everywhere += float(terms[:, :n].sum()) + 2.0 * float(terms[:, n:].sum())
    return LossTerms(attraction, everywhere - on_edges)
