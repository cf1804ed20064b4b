"""Clusters of one window without labels: communities of its fuzzy graph, joined where no gap lies between them.

Dimensions: n rows of a window; e edges; c communities.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.types import FuzzyGraph, ReadableGraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.types import Int32Array

    Float64Array = npt.NDArray[np.float64]

    Edges = tuple[npt.NDArray[np.int64], Int32Array, npt.NDArray[np.floating]]
    """A symmetric graph in CSR form: indptr, indices, weights."""

MIN_CLUSTER = 5
"""Rows below which a community is no cluster, and a change of a group is none."""
MAX_CLUSTERS = 200
"""Clusters of a window: the largest are kept. A graph in thousands of separate pieces says nothing by them."""
MIN_GAP = 4.0
"""Factor by which mixing falls from one join to the next where a gap lies between communities."""
MAX_SHARE = 0.8
"""Communities are not joined into one of more than this share of the rows."""
LEAST_MIXING = 0.005
"""Mixing below which communities are apart; of lower values none is larger than another."""
MIN_UNUSUAL_MIXING = 1.5
"""A community without former rows stays apart up to this factor over the median mixing of nearest clusters."""
EDGES_PER_ROW = 16
"""Edges of a row, on average, that clusters are found with. With 10, rows change their cluster half as often again."""
MERGED_ROWS = 100_000
"""Above, rows are merged with their nearest neighbours first, and communities are found of the groups. 400,000 rows
take 3.0 CPU s and 621 bytes a row so, 4.2 and 1,330 otherwise (`tests.benchmarks stages`); agreement with known groups
is .991 and .993 (AMI)."""
MOST_GROUPS = 250_000
"""They are merged again until no more groups are left, about: what communities take does not grow beyond that. Of
1,000,000 rows known groups are found with an agreement of .9996; with 500,000 here, for twice the time, of .9997."""
_BLOCK_ROWS = 20_000
"""Rows whose edges are summed at a time."""


class Joins(NamedTuple):
    """Communities joined two by two, the most mixed first."""

    mixing: Float64Array
    """(c - 1,) never rising."""
    pairs: list[tuple[int, int]]
    """The second of each pair becomes the first, the lower number."""


def find_clusters(graph: ReadableGraph, seed: int) -> Int32Array:
    """Find the clusters of a window of which nothing is known from before, largest first.

    Parameters
    ----------
    graph
        Of the window.
    seed
        Of the Leiden algorithm; in [0, 2**64).

    Returns
    -------
    numpy.ndarray of int32
        Shape (n,): cluster of each row; -1 for rows without edges, and for groups below MIN_CLUSTER rows.

    Notes
    -----
    Communities of highest modularity (Leiden, arXiv 1810.08473) cut a large dense group into several. They are joined
    in order of `mix`, up to the place where it falls most from one join to the next, if by MIN_GAP at least: house
    votes then have two clusters in all 37 windows, which agree with the parties (AMI .99; .55 without joining). Data
    without gaps keep their communities. Measured: `python -m tests.benchmarks clusters`.
    """
    found = find_communities(*coarsen(graph), seed)
    n_found = int(found.max(initial=-1)) + 1
    if n_found > 1:
        weights = sum_weights(graph, found, n_found)
        joins = join_all(weights, sum_degrees(graph, found, n_found))
        found = apply_joins(joins, _count_joins(joins, found, n_found), n_found)[found]
    return number_by_size(found)


class Coarse(NamedTuple):
    """What communities are found of: a graph, maybe one of groups of rows."""

    graph: FuzzyGraph
    group_of: Int32Array | None
    """(n,) row of the graph that stands for each row of the window; None: each stands for itself."""


def coarsen(graph: ReadableGraph) -> Coarse:
    """Keep the `EDGES_PER_ROW` strongest edges of a window's graph; of a large one those of groups of its rows."""
    if graph.n_rows <= MERGED_ROWS:
        return Coarse(thin(graph.load(), EDGES_PER_ROW), None)
    from driftmap.engine.graph.merge import drop_diagonal, merge_rows  # late: loads kernels

    group_of, merged = merge_rows(graph, max(1, math.ceil(math.log2(graph.n_rows / MOST_GROUPS))))
    return Coarse(thin(drop_diagonal(merged), EDGES_PER_ROW), group_of)


def find_communities(
    graph: Edges,
    group_of: Int32Array | None,
    seed: int,
    max_sweeps: int | None = None,
) -> npt.NDArray[np.int64]:
    """Find the communities of highest modularity; (n,), -1 for rows without edges and beyond the MAX_CLUSTERS largest.

    Parameters
    ----------
    graph, group_of
        See `Coarse`.
    seed
        In [0, 2**64).
    max_sweeps
        Times that all rows are looked at in one level; None: until none moves. One sweep takes two thirds of the time.
    """
    from graspologic_native import leiden_csr  # late: estimators need none of it

    indptr, indices, weights = graph
    n_rows = len(indptr) - 1
    if len(indices) == 0:
        return np.full(n_rows if group_of is None else len(group_of), -1, dtype=np.int64)
    _, found = leiden_csr(
        np.asarray(indptr, dtype=np.int64),
        np.asarray(indices, dtype=np.int32),
        np.asarray(weights, dtype=np.float64),
        n_rows,
        seed=seed,
        max_local_moving_iterations=max_sweeps,
    )
    communities = np.full(n_rows, -1, dtype=np.int64)
    communities[np.fromiter(found.keys(), np.int64, len(found))] = np.fromiter(found.values(), np.int64, len(found))
    communities[np.diff(indptr) == 0] = -1
    return _keep_largest(communities if group_of is None else communities[group_of])


def thin(graph: FuzzyGraph, edges_per_row: int) -> FuzzyGraph:
    """Keep the strongest edges of a graph, so many for each row on average; all where it has fewer.

    The communities take time and memory by the edge.
    """
    n_kept = edges_per_row * graph.n_rows
    if len(graph.data) <= n_kept:
        return graph
    is_kept = graph.data >= np.partition(graph.data, len(graph.data) - n_kept)[len(graph.data) - n_kept]
    counts = np.cumsum(is_kept, dtype=np.int64)
    indptr = np.where(graph.indptr > 0, counts[graph.indptr - 1], 0)
    return FuzzyGraph(indptr, graph.indices[is_kept], graph.data[is_kept])


def sum_weights(graph: ReadableGraph, groups: npt.NDArray[np.integer], n_groups: int) -> Float64Array:
    """Sum the edges between groups of rows (n,), -1 for none: (n_groups, n_groups)."""
    sums = np.zeros(n_groups**2)
    for rows, columns, weights in list_edges(graph, groups):
        sums += np.bincount(rows * n_groups + columns, weights=weights, minlength=n_groups**2)
    return sums.reshape(n_groups, n_groups)


def list_edges(
    graph: ReadableGraph, groups: npt.NDArray[np.integer]
) -> Iterator[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], npt.NDArray[np.float32]]]:
    """List the edges between rows of groups, some rows at a time: the groups of both ends, and their weights."""
    for first, block in graph.list_blocks(_BLOCK_ROWS):
        rows = np.repeat(groups[first : first + block.n_rows], np.diff(block.indptr))
        columns = groups[block.indices]
        is_inside = (rows >= 0) & (columns >= 0)
        yield rows[is_inside], columns[is_inside], block.data[is_inside]


def sum_degrees(graph: ReadableGraph, groups: npt.NDArray[np.integer], n_groups: int) -> Float64Array:
    """Sum the edges of the rows of each group, those to rows without a group included: (n_groups,)."""
    is_inside = groups >= 0
    degrees = measure_degrees(graph)[is_inside]
    return np.bincount(groups[is_inside], weights=degrees, minlength=n_groups).astype(np.float64)


def measure_degrees(graph: ReadableGraph) -> Float64Array:
    """Sum the edges of each row, some rows at a time: (n,)."""
    degrees = np.zeros(graph.n_rows)
    for first, block in graph.list_blocks(_BLOCK_ROWS):
        has_edges = np.diff(block.indptr) > 0
        if len(block.data):
            sums = np.add.reduceat(block.data, block.indptr[:-1][has_edges], dtype=np.float64)
            degrees[first : first + block.n_rows][has_edges] = sums
    return degrees


def mix(weights: Float64Array, degrees: Float64Array) -> Float64Array:
    """Measure how mixed groups are, two by two: 0 where no edge joins them, about 1 where edges ignore which is which.

    Parameters
    ----------
    weights, degrees
        As `sum_weights` and `sum_degrees` give them.

    Returns
    -------
    numpy.ndarray of float64
        The weight between two groups over the one expected if the edges of both were shuffled among their rows; 0 on
        the diagonal.
    """
    expected = degrees[:, None] * degrees / np.maximum(degrees[:, None] + degrees, 1e-300)
    mixing = np.divide(weights, expected, out=np.zeros_like(weights), where=expected > 0)
    np.fill_diagonal(mixing, 0)
    return mixing


def join_all(weights: Float64Array, degrees: Float64Array) -> Joins:
    """Join the two most mixed of some groups, again and again, until one is left."""
    weights, degrees = weights.copy(), degrees.copy()
    mixing, pairs, lowest = [], [], np.inf
    values = mix(weights, degrees)
    gone = np.zeros(len(weights), dtype=bool)
    for _ in range(len(weights) - 1):
        values[gone], values[:, gone] = -1, -1
        np.fill_diagonal(values, -1)
        first, second = sorted(divmod(int(values.argmax()), len(values)))
        lowest = min(lowest, float(values[first, second]))
        mixing.append(lowest)
        pairs.append((first, second))
        fold(weights, degrees, second, first)
        gone[second] = True
        values[first] = values[:, first] = _mix_one(weights, degrees, first)
    return Joins(np.array(mixing), pairs)


def fold(weights: Float64Array, degrees: Float64Array, group: int, into: int) -> None:
    """Add the edges of a group to those of another, in place."""
    weights[into] += weights[group]
    weights[:, into] += weights[:, group]
    degrees[into] += degrees[group]
    weights[group], weights[:, group], degrees[group] = 0, 0, 0


def apply_joins(joins: Joins, n_joins: int, n_groups: int) -> npt.NDArray[np.int64]:
    """Give each group the group that it is part of after some joins; a last entry keeps -1 as it is."""
    into = np.append(np.arange(n_groups), -1)
    for first, second in joins.pairs[:n_joins]:
        into[into == second] = first
    return into


def number_by_size(groups: npt.NDArray[np.integer]) -> Int32Array:
    """Give groups numbers by their rows, largest first; -1 for those below MIN_CLUSTER."""
    sizes = np.bincount(groups[groups >= 0])
    order = [group for group in np.argsort(-sizes, kind="stable").tolist() if sizes[group] >= MIN_CLUSTER]
    rank = np.full(len(sizes) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(order))
    ranked: Int32Array = rank[groups]
    return ranked


def check_clusters(clusters: Int32Array, n_rows: int, name: str) -> None:
    """Refuse what cannot be the clusters of a window's rows."""
    if clusters.shape != (n_rows,) or clusters.dtype.kind != "i":
        msg = f"{name} must be integers, the cluster of each of {n_rows} rows; got {clusters.dtype} {clusters.shape}."
        raise InvalidInputError(msg)


def _count_joins(joins: Joins, found: npt.NDArray[np.int64], n_found: int) -> int:
    """Count the joins before the largest fall of mixing that leaves groups apart."""
    mixing = np.maximum(joins.mixing, LEAST_MIXING)
    sizes = np.bincount(found[found >= 0], minlength=n_found).astype(np.float64)
    best, n_joins, largest = MIN_GAP, 0, float(sizes.max())
    for done, (first, second) in enumerate(joins.pairs[:-1], start=1):
        sizes[first] += sizes[second]
        largest = max(largest, float(sizes[first]))
        if mixing[done - 1] / mixing[done] >= best and largest <= MAX_SHARE * np.count_nonzero(found >= 0):
            best, n_joins = mixing[done - 1] / mixing[done], done
    return n_joins


def _mix_one(weights: Float64Array, degrees: Float64Array, group: int) -> Float64Array:
    expected = degrees[group] * degrees / np.maximum(degrees[group] + degrees, 1e-300)
    mixing: Float64Array = np.divide(weights[group], expected, out=np.zeros(len(degrees)), where=expected > 0)
    return mixing


def _keep_largest(communities: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give communities numbers from 0 without gaps; -1 beyond the MAX_CLUSTERS largest."""
    sizes = np.bincount(communities[communities >= 0])
    kept = np.sort(np.argsort(-sizes, kind="stable")[:MAX_CLUSTERS])
    kept = kept[sizes[kept] > 0]
    numbers = np.full(len(sizes) + 1, -1, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers[communities]
