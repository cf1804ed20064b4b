"""First eigenvectors of a large graph: of a small one made by merging rows, carried back level by level.

An iteration from nothing, on a graph of a million rows, takes minutes; one that begins near its end takes a second.
Dimensions: n rows; q eigenvectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact
from driftmap.engine.core.threads import share_rows
from driftmap.engine.graph.merge import merge_rows, sum_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array, Int64Array, ReadableGraph

    Float64Array = npt.NDArray[np.float64]
    Solve = Callable[[FuzzyGraph, int], Float64Array]

COARSE_ROWS = 5_000
"""Graphs of no more rows are solved as they are, in tenths of a second."""
N_SMOOTHED, N_LAST_SMOOTHED = 8, 4
"""Averages over the neighbours, at each level, of what came from the level below; fewer of the rows themselves, which
a layout goes on with: 8 of a million rows take 7 s of CPU."""
N_SPARE = 2
"""Eigenvectors carried beyond those wanted, since those that follow close mix with them."""
_LEAST_MERGED = 0.1
"""Share of the rows that a level must do without, else it is the last."""


def find_eigenvectors(graph: ReadableGraph, wanted: int, solve: Solve) -> Float64Array:
    """Find the first eigenvectors of a connected graph's normalised Laplacian, but for the constant one.

    Parameters
    ----------
    graph
        Symmetric weights, (n, n).
    wanted
        How many, q.
    solve : callable
        The same for a graph of at most `COARSE_ROWS` rows.

    Returns
    -------
    numpy.ndarray of float64
        Shape (n, q), of unit length, near enough to start a layout from: a smoother picture than the exact ones.

    Notes
    -----
    Merging by the heaviest edge and smoothing by the graph's own average: Koren, Carmel and Harel 2002 ("ACE: a fast
    multiscale eigenvectors computation for drawing huge graphs"). Between two levels rows are merged twice: their
    graphs take the most memory.
    """
    levels, parts = merge_levels(graph, COARSE_ROWS)
    carried = solve(levels[-1].load(), wanted + N_SPARE) / np.sqrt(sum_rows(levels[-1]))[:, None]
    while parts:
        levels.pop()
        n_times = N_SMOOTHED if len(parts) > 1 else N_LAST_SMOOTHED
        carried = _smooth(levels[-1].load(), carried[parts.pop()], n_times)
    vectors: Float64Array = carried[:, :wanted] * np.sqrt(sum_rows(graph))[:, None]
    vectors /= np.maximum(np.sqrt(np.einsum("ij,ij->j", vectors, vectors)), np.finfo(np.float64).tiny)
    return vectors


def merge_levels(graph: ReadableGraph, most_rows: int) -> tuple[list[ReadableGraph], list[Int32Array]]:
    """Merge rows until no more than so many groups are left, or they do not become fewer.

    Returns
    -------
    tuple
        The graphs, each smaller than the one before; and for each but the last the group of each row in the next.
    """
    levels: list[ReadableGraph] = [graph]
    parts: list[Int32Array] = []
    while levels[-1].n_rows > most_rows:
        part, smaller = merge_rows(levels[-1], 2 if levels[-1].n_rows > 4 * most_rows else 1)
        if smaller.n_rows > (1.0 - _LEAST_MERGED) * levels[-1].n_rows:
            break
        parts.append(part)
        levels.append(smaller)
    return levels, parts


def average_values(graph: FuzzyGraph, values: Float64Array, n_times: int) -> Float64Array:
    """Average each row's values, (n, q), with its neighbours' some times; `values` may be written."""
    sums, averaged = sum_rows(graph), np.empty_like(values)
    with share_rows() as share:
        for _ in range(n_times):
            share(partial(_average, *graph, sums, values, averaged), len(values))
            values, averaged = averaged, values
    return values


def _smooth(graph: FuzzyGraph, vectors: Float64Array, n_times: int) -> Float64Array:
    """Average each row's value with its neighbours' some times, and part what came out by Rayleigh and Ritz."""
    sums, averaged = sum_rows(graph), np.empty_like(vectors)
    with share_rows() as share:
        for _ in range(n_times):
            share(partial(_average, *graph, sums, vectors, averaged), len(vectors))
            _normalise(sums, averaged)
            vectors, averaged = averaged, vectors
    # not by BLAS, whose sums depend on its threads
    joined, within = np.zeros((2, vectors.shape[1], vectors.shape[1]))
    _sum_products(*graph, sums, vectors, joined, within)
    return vectors @ _solve_small(joined, within)


@exact
def _average(
    indptr: Int64Array,
    indices: Int32Array,
    weights: Float32Array,
    sums: Float64Array,
    vectors: Float64Array,
    averaged: Float64Array,
    rows: slice,
) -> int:
    """Set some rows' values, (n, q), to the mean of their own and the weighted mean of their neighbours'.

    Returns how many rows that are.
    """
    for row in range(rows.start, rows.stop):
        averaged[row] = 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            for q in range(vectors.shape[1]):
                averaged[row, q] += weights[edge] * vectors[indices[edge], q]
        for q in range(vectors.shape[1]):
            averaged[row, q] = 0.5 * (vectors[row, q] + averaged[row, q] / sums[row])
    return int(rows.stop - rows.start)


@exact
def _normalise(sums: Float64Array, vectors: Float64Array) -> None:
    """Take the weighted mean from each vector, and give it unit length, in place."""
    for q in range(vectors.shape[1]):
        mean, total, squares = 0.0, 0.0, 0.0
        for row in range(len(sums)):
            mean += sums[row] * vectors[row, q]
            total += sums[row]
        for row in range(len(sums)):
            vectors[row, q] -= mean / total
            squares += sums[row] * vectors[row, q] ** 2
        for row in range(len(sums)):
            vectors[row, q] /= np.sqrt(squares)


@exact
def _sum_products(
    indptr: Int64Array,
    indices: Int32Array,
    weights: Float32Array,
    sums: Float64Array,
    vectors: Float64Array,
    joined: Float64Array,
    within: Float64Array,
) -> None:
    """Add up the products of vectors, two by two, over edges and over rows, (q, q) each."""
    n_vectors = vectors.shape[1]
    around = np.empty(n_vectors)
    for row in range(len(vectors)):
        around[:] = 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            for q in range(n_vectors):
                around[q] += weights[edge] * vectors[indices[edge], q]
        for q in range(n_vectors):
            for r in range(n_vectors):
                joined[q, r] += around[q] * vectors[row, r]
                within[q, r] += sums[row] * vectors[row, q] * vectors[row, r]


def _solve_small(joined: Float64Array, within: Float64Array) -> Float64Array:
    from scipy.linalg import eigh

    _, mixing = eigh((joined + joined.T) / 2, (within + within.T) / 2)
    turned: Float64Array = mixing[:, ::-1]
    return turned
