"""Large graphs made smaller by merging rows with their nearest neighbours, again and again.

Dimensions: n rows; m groups of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact
from driftmap.engine.types import FuzzyGraph, ReadableGraph

_BLOCK_ROWS = 100_000
"""Rows whose edges are looked at at a time."""

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array, Int64Array

    Float64Array = npt.NDArray[np.float64]


def merge_rows(graph: ReadableGraph, n_times: int = 1) -> tuple[Int32Array, FuzzyGraph]:
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
    return np.arange(graph.n_rows, dtype=np.int32) if group_of is None else group_of, graph.load()


def drop_diagonal(graph: FuzzyGraph) -> FuzzyGraph:
    """Leave out the weight within groups, where a group has edges to others; in place, what is left of it is a view."""
    last = _close_up(graph.indptr, graph.indices, graph.data)
    return FuzzyGraph(graph.indptr, graph.indices[:last], graph.data[:last])


def sum_rows(graph: ReadableGraph) -> Float64Array:
    """Sum the weights of each row, (n,)."""
    sums = np.zeros(graph.n_rows)
    for first, block in graph.list_blocks(_BLOCK_ROWS):
        _fill_sums(first, block.indptr, block.data, sums)
    return sums


@exact
def _fill_sums(first: int, indptr: Int64Array, weights: Float32Array, sums: Float64Array) -> None:
    for here in range(len(indptr) - 1):
        for edge in range(indptr[here], indptr[here + 1]):
            sums[first + here] += weights[edge]


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


def _merge_once(graph: ReadableGraph) -> tuple[Int32Array, FuzzyGraph]:
    """Merge rows, whose edges are looked at some at a time: but for these, only those of the groups are held."""
    n = graph.n_rows
    part, sums, m = np.full(n, -1, dtype=np.int32), sum_rows(graph), 0
    for first, block in graph.list_blocks(_BLOCK_ROWS):
        m = _match_rows(first, block, sums, part, m)
    del sums
    return part, (_join_held if isinstance(graph, FuzzyGraph) else _join_afar)(graph, part, m)


def _join_held(graph: ReadableGraph, part: Int32Array, m: int) -> FuzzyGraph:
    """Join the rows of m groups; what comes out is counted first, and no more is held."""
    indptr, indices, data = graph.load()
    members = np.argsort(part, kind="stable").astype(np.int32)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=m))])
    counts = _count_joined(indptr, indices, part, members, bounds)
    starts = np.concatenate([[0], np.cumsum(counts)])
    others, sums = np.empty(starts[-1], np.int32), np.zeros(starts[-1], np.float32)
    _sum_joined((indptr, indices, data), part, members, bounds, starts, others, sums)
    return FuzzyGraph(starts, others, sums)


def _join_afar(graph: ReadableGraph, part: Int32Array, m: int) -> FuzzyGraph:
    """Do as `_join_held`, reading the rows once in their order: their edges are held by groups, and joined there."""
    degrees = np.diff(graph.indptr)
    members = np.argsort(part, kind="stable")
    starts = np.empty(graph.n_rows, dtype=np.int64)  # where the edges of each row begin, in the order of groups
    starts[members] = np.cumsum(degrees[members]) - degrees[members]
    del members
    indptr = np.concatenate([[0], np.cumsum(_sum_by_group(part, degrees, m))])
    others, sums = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    for first, block in graph.list_blocks(_BLOCK_ROWS):
        _put_by_group(first, block, part, starts, others, sums)
    n_edges = _join_within(indptr, others, sums)
    others.resize(n_edges, refcheck=False)
    sums.resize(n_edges, refcheck=False)
    return FuzzyGraph(indptr, others, sums)


@exact
def _match_rows(first: int, block: FuzzyGraph, sums: Float64Array, part: Int32Array, n_parts: int) -> int:
    """Set the group of some rows from `first` on; rows whose neighbours all have one join that of the heaviest.

    Returns how many groups there are, `n_parts` before.
    """
    indptr, indices, weights = block
    for here in range(len(indptr) - 1):
        row = first + here
        if part[row] >= 0:
            continue
        free, free_weight, near, near_weight = -1, 0.0, -1, 0.0
        for edge in range(indptr[here], indptr[here + 1]):
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


@exact
def _sum_by_group(part: Int32Array, degrees: Int64Array, n_groups: int) -> Int64Array:
    """Sum the edges of each group's rows, (m,)."""
    sums = np.zeros(n_groups, np.int64)
    for row in range(len(part)):
        sums[part[row]] += degrees[row]
    return sums


@exact
def _put_by_group(
    first: int, block: FuzzyGraph, part: Int32Array, starts: Int64Array, others: Int32Array, weights: Float32Array
) -> None:
    """Put the edges of some rows where those of their groups are: the groups they lead to, and weights."""
    for here in range(len(block.indptr) - 1):
        place = starts[first + here]
        for edge in range(block.indptr[here], block.indptr[here + 1]):
            others[place], weights[place] = part[block.indices[edge]], block.data[edge]
            place += 1


@exact
def _join_within(indptr: Int64Array, others: Int32Array, weights: Float32Array) -> int:
    """Sum the weights of edges between the same two groups, in place, in the order in which they stand.

    Returns how many edges there are then.
    """
    places = np.full(len(indptr) - 1, -1, np.int64)
    last, begin = 0, indptr[0]
    for group in range(len(indptr) - 1):
        start, end = last, indptr[group + 1]
        for edge in range(begin, end):
            other, weight = others[edge], weights[edge]
            if places[other] < start:
                places[other], others[last], weights[last] = last, other, weight
                last += 1
            else:
                weights[places[other]] += weight
        begin, indptr[group + 1] = end, last
    return last
