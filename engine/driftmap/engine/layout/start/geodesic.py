"""Start positions whose distances follow the shortest paths through a window's graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact, exact_uncounted
from driftmap.engine.layout.start.initialise import FARTHEST, GRID, START_RADIUS, find_last, jitter

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array, Int64Array

N_LANDMARKS = 128
"""Rows from which shortest paths are found. The starts of digits from 64 of them carry labels over by .832, from these
by .850."""
_FLAT = 1e-5
"""Extent of an axis, as a share of the longest, below which there is nothing on it."""


def geodesic_start(graph: FuzzyGraph, n_components: int, seed: int) -> Float32Array:
    """Place rows so that distances follow the shortest paths through the graph.

    Where a window is small, the first eigenvectors of its graph may fold groups over each other, and the layout does
    not part them again; shortest paths keep far groups far. They are found from `N_LANDMARKS` rows, evenly spaced.

    Parameters
    ----------
    graph : FuzzyGraph
        Of the window, (n, n).
    n_components : int
        Number of axes, c.
    seed : int
        Seed of the jitter that separates rows at equal positions.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, c), with the extent of `spectral_start`, all axes at one scale.

    Notes
    -----
    Classical scaling of geodesic distances: Tenenbaum et al. 2000 (Science 290, Isomap), of the landmarks, and all
    rows by their distances to those: de Silva and Tenenbaum 2004 ("Sparse multidimensional scaling using landmark
    points"). An edge of strength w is 1 - log(w) / 2 long; rows that no path joins are half as far again as the
    farthest that one does.
    """
    scaled = spread_evenly(scale_paths(graph, n_components))
    rounded = np.round(scaled * GRID) / GRID
    return jitter(rounded.astype(np.float32), np.ones(graph.n_rows, dtype=np.bool_), seed)


def spread_evenly(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centre each axis on its median and scale all by one factor, so that of the longest 95 % lie within 8.

    The others are clipped at 10.
    """
    centred = scores - np.median(scores, axis=0)
    width = max(float(np.quantile(np.abs(centred), 0.95, axis=0).max()), 1e-12)
    scaled: npt.NDArray[np.float64] = np.clip(centred / width, -FARTHEST, FARTHEST) * START_RADIUS
    return scaled


def scale_paths(graph: FuzzyGraph, n_components: int) -> npt.NDArray[np.float64]:
    """Place rows by classical scaling of the shortest paths between them, (n, c); see `geodesic_start`."""
    n = graph.n_rows
    lengths = 1.0 - 0.5 * np.log(graph.data.astype(np.float64))
    marks = np.unique(np.round(np.linspace(0, n - 1, min(n, N_LANDMARKS))).astype(np.int64))
    apart = find_shortest_paths(graph.indptr, graph.indices, lengths, marks).T
    is_joined = np.isfinite(apart)
    squared = np.where(is_joined, apart, 1.5 * apart[is_joined].max()) ** 2
    among = squared[:, marks]
    means = among.mean(axis=0)
    products = (means[:, None] + means - among - means.mean()) / 2
    scores = np.zeros((n, n_components))
    wanted = min(n_components, len(marks))
    values, vectors = find_last(products, wanted)
    extents = np.sqrt(np.maximum(values, 0.0))
    # For a landmark this is its row of `vectors` times the root of the eigenvalue. The vector of an axis that is flat
    # but for rounding may be anything, also one along which all distances add up.
    is_flat = extents <= _FLAT * extents.max(initial=0.0)
    found = ((means[:, None] - squared) / 2).T @ (vectors / np.where(is_flat, np.inf, extents))
    found *= np.where(found[np.abs(found).argmax(axis=0), np.arange(wanted)] < 0, -1.0, 1.0)
    scores[:, :wanted] = found
    return scores


@exact
def find_shortest_paths(
    indptr: Int64Array, indices: Int32Array, lengths: npt.NDArray[np.float64], sources: Int64Array
) -> npt.NDArray[np.float64]:
    """Find how far all rows are from some of them along the edges of a symmetric graph.

    A row takes over the least of what its neighbours have and the edges to them, for all sources at once in vector
    lanes, until none gets nearer: for windows of a few hundred rows several times faster than a search from one source
    after another. A path's length is summed from its source on, so what is found depends on no order.

    Parameters
    ----------
    indptr, indices
        Of the graph in CSR form, (n + 1,) and (m,).
    lengths
        float64 (m,), of its edges.
    sources
        int64 (s,), rows.

    Returns
    -------
    numpy.ndarray of float64
        Shape (n, s); infinite where no path leads.
    """
    n, n_sources = len(indptr) - 1, len(sources)
    apart = np.full((n, n_sources), np.inf)
    is_stale = np.zeros(n, np.bool_)
    for k in range(n_sources):
        apart[sources[k], k] = 0.0
        for edge in range(indptr[sources[k]], indptr[sources[k] + 1]):
            is_stale[indices[edge]] = True
    scratch = np.empty((2, n_sources))
    n_changed = 1
    while n_changed > 0:
        n_changed = 0
        for row in range(n):
            if not is_stale[row]:
                continue
            is_stale[row] = False
            nearest = apart[row]
            for edge in range(indptr[row], indptr[row + 1]):
                nearer = scratch[edge % 2]
                take_nearer(nearest, apart[indices[edge]], lengths[edge], nearer)
                nearest = nearer
            if count_changes(nearest, apart[row]):
                n_changed += 1
                apart[row, :] = nearest
                for edge in range(indptr[row], indptr[row + 1]):
                    is_stale[indices[edge]] = True
    return apart


@exact_uncounted
def take_nearer(
    here: npt.NDArray[np.float64],
    there: npt.NDArray[np.float64],
    length: np.float64,
    nearer: npt.NDArray[np.float64],
) -> None:
    """Write the lesser of two rows' distances, the second's lengthened by the edge between them.

    In place it would be compiled to masked stores, with which AMD's processors take 2.7 times as long.
    """
    for k in range(len(nearer)):
        found = there[k] + length
        nearer[k] = found if found < here[k] else here[k]  # noqa: FURB136 - min() is not vectorised


@exact_uncounted
def count_changes(values: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> int:
    """Count the places at which two arrays differ."""
    n_changes = 0
    for k in range(len(values)):
        n_changes += values[k] != others[k]
    return n_changes
