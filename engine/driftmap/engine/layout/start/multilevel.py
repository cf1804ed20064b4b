"""First eigenvectors of a large graph: of a small one made by merging rows, carried back level by level.

An iteration from nothing, on a graph of a million rows, takes minutes; one that begins near its end takes a second.
Dimensions: n rows; m groups of them; q eigenvectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array, Int64Array

    Float64Array = npt.NDArray[np.float64]
    Solve = Callable[[Any, int], Float64Array]

COARSE_ROWS = 5_000
"""Graphs of no more rows are solved as they are, in tenths of a second."""
N_SMOOTHED = 8
"""Averages over the neighbours, at each level, of what came from the level below."""
N_SPARE = 2
"""Eigenvectors carried beyond those wanted, since those that follow close mix with them."""
_LEAST_MERGED = 0.1
"""Share of the rows that a level must do without, else it is the last."""


def find_eigenvectors(graph: Any, wanted: int, solve: Solve) -> Float64Array:
    """Find the first eigenvectors of a connected graph's normalised Laplacian, but for the constant one.

    Parameters
    ----------
    graph : scipy.sparse.csr_array
        Symmetric weights, (n, n), float32 or float64.
    wanted : int
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
    multiscale eigenvectors computation for drawing huge graphs").
    """
    levels = [graph]
    parts: list[Int32Array] = []
    while levels[-1].shape[0] > COARSE_ROWS:
        part, smaller = _merge(levels[-1])
        if smaller.shape[0] > (1.0 - _LEAST_MERGED) * levels[-1].shape[0]:
            break
        parts.append(part)
        levels.append(smaller)
    found = solve(levels[-1], wanted + N_SPARE)
    carried = found / np.sqrt(_sum_rows(levels[-1]))[:, None]
    for part, level in zip(reversed(parts), reversed(levels[:-1]), strict=True):
        carried = _smooth(level, carried[part])
    vectors = carried[:, :wanted] * np.sqrt(_sum_rows(graph))[:, None]
    lengths: Float64Array = np.sqrt(np.einsum("ij,ij->j", vectors, vectors))
    return vectors / np.maximum(lengths, np.finfo(np.float64).tiny)


def _merge(graph: Any) -> tuple[Int32Array, Any]:
    """Merge rows with the neighbour that is nearest by weight; (n,) group of each row, and the graph of the groups."""
    from scipy.sparse import csr_array

    n = graph.shape[0]
    part = np.full(n, -1, dtype=np.int32)
    m = _match_rows(graph.indptr, graph.indices, graph.data, _sum_rows(graph), part)
    members = np.argsort(part, kind="stable").astype(np.int32)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=m))])
    counts = _count_joined(graph.indptr, graph.indices, part, members, bounds)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices, weights = np.empty(indptr[-1], np.int32), np.zeros(indptr[-1], np.float32)
    _sum_joined((graph.indptr, graph.indices, graph.data), part, members, bounds, indptr, indices, weights)
    return part, csr_array((weights, indices, indptr), shape=(m, m))


@exact
def _match_rows(
    indptr: npt.NDArray[Any], indices: npt.NDArray[Any], weights: Float64Array, sums: Float64Array, part: Int32Array
) -> int:
    """Set the group of every row; rows whose neighbours all have one join that of the heaviest. Returns how many."""
    n_parts = 0
    for row in range(len(part)):
        if part[row] >= 0:
            continue
        free, free_weight, near, near_weight = -1, 0.0, -1, 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            j = indices[edge]
            if j == row:
                continue
            weight = weights[edge] / max(sums[row], sums[j])
            if part[j] < 0 and weight > free_weight:
                free, free_weight = j, weight
            elif part[j] >= 0 and weight > near_weight:
                near, near_weight = j, weight
        if free >= 0:
            part[row] = part[free] = n_parts
        elif near >= 0:
            part[row] = part[near]
            continue
        else:
            part[row] = n_parts
        n_parts += 1
    return n_parts


@exact
def _count_joined(
    indptr: npt.NDArray[Any], indices: npt.NDArray[Any], part: Int32Array, members: Int32Array, bounds: Int64Array
) -> Int64Array:
    """Count the groups that each group has edges to, itself among them; (m,). Its rows are members[bounds[k] : ...]."""
    n_groups = len(bounds) - 1
    counts, seen = np.zeros(n_groups, np.int64), np.full(n_groups, -1, np.int32)
    for group in range(n_groups):
        for row in members[bounds[group] : bounds[group + 1]]:
            for edge in range(indptr[row], indptr[row + 1]):
                other = part[indices[edge]]
                counts[group] += seen[other] != group
                seen[other] = group
    return counts


@exact
def _sum_joined(
    graph: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    part: Int32Array,
    members: Int32Array,
    bounds: Int64Array,
    starts: Int64Array,
    others: Int32Array,
    sums: Float32Array,
) -> None:
    """Sum the weights between groups: those of a group stand from its start on, in the order that they come in.

    scipy's two products take five times the memory, for the edges between rows and groups; `sums` is 0 before.
    """
    indptr, indices, weights = graph
    places = np.full(len(bounds) - 1, -1, np.int64)
    for group in range(len(bounds) - 1):
        last = starts[group]
        for row in members[bounds[group] : bounds[group + 1]]:
            for edge in range(indptr[row], indptr[row + 1]):
                other = part[indices[edge]]
                if places[other] < starts[group]:
                    places[other], others[last] = last, other
                    last += 1
                sums[places[other]] += weights[edge]


def _smooth(graph: Any, vectors: Float64Array) -> Float64Array:
    """Average each row's value with its neighbours' some times, and part what came out by Rayleigh and Ritz."""
    sums = _sum_rows(graph)[:, None]
    for _ in range(N_SMOOTHED):
        vectors = 0.5 * (vectors + _multiply(graph.indptr, graph.indices, graph.data, vectors) / sums)
        vectors -= (sums * vectors).sum(axis=0) / sums.sum()
        vectors /= np.sqrt((sums * vectors**2).sum(axis=0))
    # not by BLAS, whose sums depend on its threads
    within = np.einsum("ij,ik->jk", sums * vectors, vectors)
    joined = np.einsum("ij,ik->jk", _multiply(graph.indptr, graph.indices, graph.data, vectors), vectors)
    return vectors @ _solve_small(joined, within)


@exact
def _multiply(
    indptr: npt.NDArray[Any], indices: npt.NDArray[Any], weights: npt.NDArray[Any], vectors: Float64Array
) -> Float64Array:
    """Multiply a graph and vectors, (n, q); scipy would first copy the graph's weights to float64."""
    products = np.zeros_like(vectors)
    for row in range(len(vectors)):
        for edge in range(indptr[row], indptr[row + 1]):
            for q in range(vectors.shape[1]):
                products[row, q] += weights[edge] * vectors[indices[edge], q]
    return products


def _solve_small(joined: Float64Array, within: Float64Array) -> Float64Array:
    from scipy.linalg import eigh

    _, mixing = eigh((joined + joined.T) / 2, (within + within.T) / 2)
    turned: Float64Array = mixing[:, ::-1]
    return turned


def _sum_rows(graph: Any) -> Float64Array:
    sums: Float64Array = np.asarray(graph.sum(axis=1, dtype=np.float64)).ravel()
    return sums
