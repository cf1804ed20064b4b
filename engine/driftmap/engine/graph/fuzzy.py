"""From a kNN graph to a fuzzy graph: smoothed distances, membership strengths, the mix of both directions.

Dimensions: n rows; k neighbours of a row, itself included; e edges.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.jit import exact, exact_uncounted
from driftmap.engine.core.validation import check_float
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array, Int64Array, KnnGraph

# umap-learn's constants; equality with it to 1e-5 rests on them (tests/engine/graph/test_fuzzy.py).
TOLERANCE = np.float32(1e-5)
MIN_SIGMA_SCALE = 1e-3
N_BISECTIONS = 64
LARGEST = np.finfo(np.float32).max
LAST_COLUMN = np.int32(2**31 - 1)
"""Beyond all columns."""

# The kernels run on one thread without the GIL: windows are what runs in parallel. They compile in 2 s, from the cache
# in 0.3 (tests/benchmarks/bench_knn.py --compile); 14,000 rows of 15 neighbours take 0.02 s, so threads would save less
# than their compilation costs.


def smooth_knn_distances(
    distances: npt.ArrayLike, local_connectivity: float = 1.0
) -> tuple[Float32Array, Float32Array]:
    """Find each row's bandwidth sigma and its distance rho to the nearest neighbours that count as connected.

    Parameters
    ----------
    distances
        (n, k) distances to the neighbours, ascending, the row itself (distance 0) in column 0; inf where there is none.
    local_connectivity
        How many neighbours at a distance above 0 count as connected; between whole numbers rho is interpolated.

    Returns
    -------
    sigmas, rhos
        Float32 (n,). sigma solves `sum_j exp(-max(0, d_j - rho) / sigma) = log2(k)` over columns 1 to k - 1, but is
        at least a thousandth of the row's mean distance (of all rows' mean where rho is 0).

    Notes
    -----
    McInnes, Healy, Melville 2018 (arXiv 1802.03426), algorithm 3; the lower bound is umap-learn's. Where a row lacks
    neighbours, its mean distance and so its sigma is inf, as there: all its remaining edges have strength 1.
    """
    local_connectivity = check_float(local_connectivity, "local_connectivity", minimum=0.0)
    columns = np.ascontiguousarray(distances, dtype=np.float32)
    if columns.ndim != 2 or columns.shape[1] < 2:
        msg = f"distances must be (n, k) with k at least 2 (the row itself and a neighbour), got shape {columns.shape}."
        raise InvalidInputError(msg)
    sigmas = np.empty(len(columns), dtype=np.float32)
    rhos = np.empty(len(columns), dtype=np.float32)
    mean_distance = float(columns.mean(dtype=np.float64)) if len(columns) else 0.0
    with np.errstate(over="ignore"):  # reported only where the kernels run uncompiled: exp(-inf) is the 0 it should be
        _fit_rows(columns, local_connectivity, mean_distance, sigmas, rhos)
    return sigmas, rhos


def build_fuzzy_graph(knn: KnnGraph, *, set_op_mix_ratio: float = 1.0, local_connectivity: float = 1.0) -> FuzzyGraph:
    """Turn a kNN graph into a symmetric fuzzy graph.

    Parameters
    ----------
    knn
        Neighbours of every row; -1 with distance inf where a row has fewer than k.
    set_op_mix_ratio
        1: an edge is as strong as the fuzzy union of its two directions, `p + q - p q`; 0: as the intersection, `p q`;
        between: a weighted mean of both.
    local_connectivity
        See `smooth_knn_distances`.

    Returns
    -------
    FuzzyGraph
        Rows sorted by column, equal in both directions, no diagonal, no stored zero.

    Raises
    ------
    InvalidInputError
        When the graph's arrays do not fit together or a setting is out of range.

    Notes
    -----
    McInnes, Healy, Melville 2018 (arXiv 1802.03426), algorithms 1 and 2; umap-learn calls it `fuzzy_simplicial_set`.
    """
    mix = check_float(set_op_mix_ratio, "set_op_mix_ratio", minimum=0.0, maximum=1.0)
    indices, distances = _check_knn(knn)
    sigmas, rhos = smooth_knn_distances(distances, local_connectivity)
    weighed = (indices, distances, sigmas, rhos)
    back = _list_edges_in(weighed)
    n_edges = _count_both(weighed, *back[:2])
    return FuzzyGraph(*_mix_both(weighed, back, mix, n_edges))


def merge_directions(indptr: Int64Array, columns: Int32Array, strengths: Float32Array, mix: float) -> FuzzyGraph:
    """Make a directed graph, rows sorted by column, symmetric: `mix` parts union to `1 - mix` parts intersection."""
    back = _transpose(indptr, columns, strengths)
    n_edges = _count_edges(indptr, columns, *back[:2])
    return FuzzyGraph(*_mix_directions((indptr, columns, strengths), back, mix, n_edges))


def _check_knn(knn: KnnGraph) -> tuple[Int32Array, Float32Array]:
    indices = np.ascontiguousarray(knn.indices, dtype=np.int32)
    distances = np.ascontiguousarray(knn.distances, dtype=np.float32)
    if indices.ndim != 2 or indices.shape != distances.shape:
        msg = f"knn must hold two (n, k) arrays, got indices {indices.shape} and distances {distances.shape}."
        raise InvalidInputError(msg)
    if indices.size and (indices.min() < -1 or indices.max() >= len(indices)):
        msg = (
            f"knn.indices must lie from -1 (no neighbour) to {len(indices) - 1}, "
            f"got {indices.min()} to {indices.max()}."
        )
        raise InvalidInputError(msg)
    return indices, distances


@exact_uncounted
def _fit_rows(
    distances: Float32Array, local_connectivity: float, mean_distance: float, sigmas: Float32Array, rhos: Float32Array
) -> None:
    target = np.float32(math.log2(distances.shape[1]))
    for row in range(len(distances)):
        rho = _find_rho(distances[row], local_connectivity)
        sigma = _find_sigma(distances[row], rho, target)
        mean = _add_up(distances[row]) / distances.shape[1] if rho > 0.0 else mean_distance
        rhos[row] = rho
        sigmas[row] = max(sigma, np.float32(MIN_SIGMA_SCALE * mean))


@exact_uncounted
def _add_up(distances: Float32Array) -> np.float32:
    """Add in order; as a method of the array it would have the process load scipy.linalg with the kernel."""
    total = np.float32(0.0)
    for distance in distances:
        total += distance
    return total


@exact_uncounted
def _find_rho(distances: Float32Array, local_connectivity: float) -> np.float32:
    """Distance to the `local_connectivity`-th neighbour that is not at distance 0, interpolated; the last if fewer."""
    wanted = math.floor(local_connectivity)
    part = np.float32(local_connectivity - wanted)
    below = np.float32(0.0)
    n_apart = 0
    for distance in distances:
        if distance <= 0.0:
            continue
        n_apart += 1
        if n_apart == wanted and part <= TOLERANCE:
            return np.float32(distance)
        if n_apart == wanted + 1:
            # inf - inf would be NaN
            return np.float32(below + part * (distance - below)) if distance < np.inf else np.float32(distance)
        below = distance
    return below


@exact_uncounted
def _find_sigma(distances: Float32Array, rho: np.float32, target: np.float32) -> np.float32:
    # In float32, as umap-learn does: a stop one bisection earlier or later is 1e-5 of sigma.
    low, high, sigma = np.float32(0.0), np.float32(LARGEST), np.float32(1.0)
    for _ in range(N_BISECTIONS):
        total = np.float32(0.0)
        for distance in distances[1:]:
            if distance > rho:
                total += np.exp(-((distance - rho) / sigma))
            else:
                total += np.float32(1.0)
        if abs(total - target) < TOLERANCE:
            break
        if total > target:
            high = sigma
            sigma = np.float32((low + high) / np.float32(2.0))
        else:
            low = sigma
            sigma = np.float32(sigma * 2.0) if high >= LARGEST else np.float32((low + high) / np.float32(2.0))
    return sigma


Weighed = tuple[Int32Array, Float32Array, Float32Array, Float32Array]
"""A kNN graph with sigma and rho of each row: (n, k), (n, k), (n,), (n,)."""
Edges = tuple[Int64Array, Int32Array, Float32Array]
"""A directed graph in CSR form: indptr, columns, strengths."""


@exact_uncounted
def _weigh_row(weighed: Weighed, row: int, columns: Int32Array, strengths: Float32Array) -> int:
    """Fill in the edges out of a row, sorted by column: no diagonal, no zeros. Returns how many there are.

    They are weighed again whenever they are looked at: 15 of them take .2 us, and kept they would take 8 bytes each.
    """
    indices, distances, sigmas, rhos = weighed
    end = 0
    for j in range(indices.shape[1]):
        column = indices[row, j]
        if column < 0 or column == row:
            continue
        beyond = distances[row, j] - rhos[row] if distances[row, j] > rhos[row] else np.float32(0.0)
        strength = np.float32(1.0)
        if beyond > 0.0 and sigmas[row] != 0.0:
            strength = np.float32(np.exp(-(beyond / sigmas[row])))
        if strength == 0.0:
            continue
        place = end
        while place > 0 and columns[place - 1] > column:
            columns[place] = columns[place - 1]
            strengths[place] = strengths[place - 1]
            place -= 1
        columns[place] = column
        strengths[place] = strength
        end += 1
    return end


@exact
def _list_edges_in(weighed: Weighed) -> Edges:
    """List the edges into each row by counting; they come out sorted by the row that they are from."""
    n, k = weighed[0].shape
    columns, strengths = np.empty(k, np.int32), np.empty(k, np.float32)
    back_indptr = np.zeros(n + 1, dtype=np.int64)
    for row in range(n):
        for edge in range(_weigh_row(weighed, row, columns, strengths)):
            back_indptr[columns[edge] + 1] += 1
    for row in range(n):
        back_indptr[row + 1] += back_indptr[row]
    free = back_indptr[:-1].copy()
    back_columns = np.empty(back_indptr[n], np.int32)
    back_strengths = np.empty(back_indptr[n], np.float32)
    for row in range(n):
        for edge in range(_weigh_row(weighed, row, columns, strengths)):
            place = free[columns[edge]]
            back_columns[place] = row
            back_strengths[place] = strengths[edge]
            free[columns[edge]] += 1
    return back_indptr, back_columns, back_strengths


@exact
def _count_both(weighed: Weighed, back_indptr: Int64Array, back_columns: Int32Array) -> int:
    """Count the columns of a row's edges out and in, each once: memory for twice as many would be for nothing."""
    k = weighed[0].shape[1]
    columns, strengths = np.empty(k, np.int32), np.empty(k, np.float32)
    n_edges = 0
    for row in range(len(back_indptr) - 1):
        n_out = _weigh_row(weighed, row, columns, strengths)
        n_edges += _count_columns(columns[:n_out], back_columns[back_indptr[row] : back_indptr[row + 1]])
    return n_edges


@exact
def _mix_both(weighed: Weighed, back: Edges, mix: float, n_edges: int) -> Edges:
    """Merge each row's edges out and in."""
    n, k = weighed[0].shape
    back_indptr, back_columns, back_strengths = back
    columns, strengths = np.empty(k, np.int32), np.empty(k, np.float32)
    mixed_indptr = np.zeros(n + 1, dtype=np.int64)
    mixed_columns = np.empty(n_edges, dtype=np.int32)
    mixed_strengths = np.empty(n_edges, dtype=np.float32)
    end = 0
    for row in range(n):
        n_out = _weigh_row(weighed, row, columns, strengths)
        first, last = back_indptr[row], back_indptr[row + 1]
        given = columns[:n_out], strengths[:n_out], back_columns[first:last], back_strengths[first:last]
        end += _mix_row(given, mix, mixed_columns[end:], mixed_strengths[end:])
        mixed_indptr[row + 1] = end
    return mixed_indptr, mixed_columns[:end], mixed_strengths[:end]  # all, unless an intersection is empty


@exact
def _transpose(indptr: Int64Array, columns: Int32Array, strengths: Float32Array) -> Edges:
    """Turn edges round by counting; rows come out sorted by column because they are visited in order."""
    n = len(indptr) - 1
    back_indptr = np.zeros(n + 1, dtype=np.int64)
    for column in columns:
        back_indptr[column + 1] += 1
    for row in range(n):
        back_indptr[row + 1] += back_indptr[row]
    free = back_indptr[:-1].copy()
    back_columns = np.empty_like(columns)
    back_strengths = np.empty_like(strengths)
    for row in range(n):
        for edge in range(indptr[row], indptr[row + 1]):
            place = free[columns[edge]]
            back_columns[place] = row
            back_strengths[place] = strengths[edge]
            free[columns[edge]] += 1
    return back_indptr, back_columns, back_strengths


@exact_uncounted
def _count_columns(out: Int32Array, back: Int32Array) -> int:
    """Count the columns that either of two sorted lists has."""
    n_columns, i, j = len(out) + len(back), 0, 0
    while i < len(out) and j < len(back):
        out_column, back_column = out[i], back[j]
        n_columns -= out_column == back_column
        i += out_column <= back_column
        j += back_column <= out_column
    return n_columns


@exact_uncounted
def _mix_row(
    given: tuple[Int32Array, Float32Array, Int32Array, Float32Array],
    mix: float,
    mixed_columns: Int32Array,
    mixed_strengths: Float32Array,
) -> int:
    """Merge a row's edges out and in, columns and strengths of both, sorted by column; returns how many there are."""
    columns, strengths, back_columns, back_strengths = given
    out = back = end = 0
    while out < len(columns) or back < len(back_columns):
        out_column = columns[out] if out < len(columns) else LAST_COLUMN
        back_column = back_columns[back] if back < len(back_columns) else LAST_COLUMN
        p = q = 0.0  # float64: a union of float32 strengths could otherwise round to above 1
        if out_column <= back_column:
            p = float(strengths[out])
            out += 1
        if back_column <= out_column:
            q = float(back_strengths[back])
            back += 1
        strength = np.float32(mix * (p + q - p * q) + (1.0 - mix) * (p * q))
        if strength > 0.0:
            mixed_columns[end] = min(out_column, back_column)
            mixed_strengths[end] = strength
            end += 1
    return end


@exact
def _count_edges(indptr: Int64Array, columns: Int32Array, back_indptr: Int64Array, back_columns: Int32Array) -> int:
    """Count the columns of a row's edges out and in, each once."""
    n_edges = 0
    for row in range(len(indptr) - 1):
        out = columns[indptr[row] : indptr[row + 1]]
        n_edges += _count_columns(out, back_columns[back_indptr[row] : back_indptr[row + 1]])
    return n_edges


@exact
def _mix_directions(graph: Edges, back: Edges, mix: float, n_edges: int) -> Edges:
    """Merge each row's edges out and in, both sorted by column."""
    indptr, columns, strengths = graph
    back_indptr, back_columns, back_strengths = back
    mixed_indptr = np.zeros(len(indptr), dtype=np.int64)
    mixed_columns = np.empty(n_edges, dtype=np.int32)
    mixed_strengths = np.empty(n_edges, dtype=np.float32)
    end = 0
    for row in range(len(indptr) - 1):
        out, into = slice(indptr[row], indptr[row + 1]), slice(back_indptr[row], back_indptr[row + 1])
        given = columns[out], strengths[out], back_columns[into], back_strengths[into]
        end += _mix_row(given, mix, mixed_columns[end:], mixed_strengths[end:])
        mixed_indptr[row + 1] = end
    return mixed_indptr, mixed_columns[:end], mixed_strengths[:end]
