"""Large graphs made smaller by merging rows with their nearest neighbours, again and again.

Dimensions: n rows; m groups of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact
from driftmap.engine.types import FuzzyGraph

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array, Int64Array

    Float64Array = npt.NDArray[np.float64]


def merge_rows(graph: FuzzyGraph, n_times: int = 1) -> tuple[Int32Array, FuzzyGraph]:
    """Merge each row with the neighbour that is nearest by weight, and so on with the groups.

    Parameters
    ----------
    graph
        Symmetric weights, (n, n).
    n_times
        Merges one after the other: each leaves about half the rows.

    Returns
    -------
    tuple
        int32 (n,) group of each row, and the graph of the groups, (m, m), with the weight within each on its diagonal;
        columns in no order.

    Notes
    -----
    Merging by the heaviest edge: Koren, Carmel and Harel 2002 ("ACE: a fast multiscale eigenvectors computation for
    drawing huge graphs").
    """
    group_of = None
    for _ in range(n_times):
        part, graph = _merge_once(graph)
        group_of = part if group_of is None else part[group_of]
    return np.arange(graph.n_rows, dtype=np.int32) if group_of is None else group_of, graph


def drop_diagonal(graph: FuzzyGraph) -> FuzzyGraph:
    """Leave out the weight within groups, where a group has edges to others; in place, what is left of it is a view."""
    last = _close_up(graph.indptr, graph.indices, graph.data)
    return FuzzyGraph(graph.indptr, graph.indices[:last], graph.data[:last])


def sum_rows(graph: FuzzyGraph) -> Float64Array:
    """Sum the weights of each row, (n,)."""
    sums = np.zeros(graph.n_rows)
    _fill_sums(graph.indptr, graph.data, sums)
    return sums


@exact
def _fill_sums(indptr: Int64Array, weights: Float32Array, sums: Float64Array) -> None:
    for row in range(len(sums)):
        for edge in range(indptr[row], indptr[row + 1]):
            sums[row] += weights[edge]


@exact
def _close_up(indptr: Int64Array, indices: Int32Array, weights: Float32Array) -> int:
    """Move edges over those that are left out; returns how many there are."""
    last, first = 0, indptr[0]
    for row in range(len(indptr) - 1):
        end = indptr[row + 1]
        for edge in range(first, end):
            if indices[edge] != row or end - first == 1:
                indices[last], weights[last] = indices[edge], weights[edge]
                last += 1
        first, indptr[row + 1] = end, last
    return last


def _merge_once(graph: FuzzyGraph) -> tuple[Int32Array, FuzzyGraph]:
    n = graph.n_rows
    part = np.full(n, -1, dtype=np.int32)
    m = _match_rows(graph.indptr, graph.indices, graph.data, sum_rows(graph), part)
    members = np.argsort(part, kind="stable").astype(np.int32)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=m))])
    counts = _count_joined(graph.indptr, graph.indices, part, members, bounds)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices, weights = np.empty(indptr[-1], np.int32), np.zeros(indptr[-1], np.float32)
    _sum_joined((graph.indptr, graph.indices, graph.data), part, members, bounds, indptr, indices, weights)
    return part, FuzzyGraph(indptr, indices, weights)


@exact
def _match_rows(
    indptr: Int64Array, indices: Int32Array, weights: Float32Array, sums: Float64Array, part: Int32Array
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
    indptr: Int64Array, indices: Int32Array, part: Int32Array, members: Int32Array, bounds: Int64Array
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
    graph: tuple[Int64Array, Int32Array, Float32Array],
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
