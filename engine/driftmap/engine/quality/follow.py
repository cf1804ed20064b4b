"""Clusters of a window that go on from those of the window before, numbered for life.

Dimensions: n rows of the window; r related rows; a clusters of the window before that have related rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.quality.communities import (
    EDGES_PER_ROW,
    LEAST_MIXING,
    MAX_CLUSTERS,
    MERGED_ROWS,
    MIN_CLUSTER,
    MIN_UNUSUAL_MIXING,
    MOST_GROUPS,
    Coarse,
    check_clusters,
    coarsen,
    find_clusters,
    find_communities,
    fold,
    measure_degrees,
    mix,
    sum_degrees,
    sum_weights,
    thin,
)
from driftmap.engine.quality.forks import find_forks, read_prior, share_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.quality.communities import Edges
    from driftmap.engine.quality.forks import Fork
    from driftmap.engine.types import Int32Array, ReadableGraph, Relation

    Float64Array = npt.NDArray[np.float64]
    Int64Array = npt.NDArray[np.int64]

PULL = 0.3
"""Weight of a row's edge to its former cluster, over the weight of its other edges. Of .1, .2, .3, .5 and 1: with .3 a
row of slowly drifting data keeps its cluster in .95 of cases (.65 without), and agreement with labels is highest."""
_EDGES_PER_ROW = 8
_ONE_CLUSTER_MIXING = 0.05
_MERGED_EDGE_BYTES, _MERGED_ROW_BYTES, _GROUP_BYTES = 9, 100, 160
"""While rows are merged, of an edge and of a row; and of a row what is kept of that."""


class Passage(NamedTuple):
    """Rows that were in one cluster and are in one."""

    kind: str
    """`same`, `split` (the newer cluster began with them), `merge` (the older one ended with them) or `other`."""
    old: int
    new: int
    n_rows: int


class Clustered(NamedTuple):
    """Clusters of a window, and how they hang together with those of the window before."""

    of_row: Int32Array
    """(n,) number of each row's cluster, -1 for none."""
    n_known: int
    """Numbers given up to here: a cluster that begins later has this one or a higher one."""
    passages: list[Passage]
    """MIN_CLUSTER rows at least, in order of both numbers; none in the first window."""


def follow_clusters(
    graph: ReadableGraph,
    seed: int,
    before: ReadableGraph | None = None,
    clusters: Clustered | None = None,
    relation: Relation | None = None,
    pieces: Int32Array | None = None,
) -> Clustered:
    """Find the clusters of a window, those of the window before going on where the graph allows it.

    Parameters
    ----------
    graph
        Of the window.
    seed
        Of the Leiden algorithm; in [0, 2**64).
    before, clusters
        Graph and clusters of the window before; None for the first window.
    relation
        Rows of the window before -> rows of this one, int32, -1 for none.
    pieces
        Of the window, by `find_pieces` with the same seed; found here when left out.

    Returns
    -------
    Clustered
        A cluster that goes on keeps its number; one that begins has a number that no window had.

    Notes
    -----
    Rows are tied to the cluster that they were in by an edge to a row added for it, and communities of that graph are
    found (Leiden). Two clusters of which the edges say that they came together share one such row; a cluster that fell
    apart has one for each part (see `find_forks`).
    """
    if before is None or clusters is None or relation is None:
        return _begin(graph, seed, 0)
    _check(graph, before, clusters, relation)
    if pieces is not None:
        check_clusters(pieces, graph.n_rows, "pieces")
    shared = share_rows(before, graph, relation)
    prior, numbers = read_prior(clusters.of_row, shared)
    if np.count_nonzero(prior >= 0) < MIN_CLUSTER:
        return _begin(graph, seed, clusters.n_known)
    coarse = coarsen(graph)
    pieces = _find_pieces(coarse, seed) if pieces is None else pieces
    anchors, forks = find_forks(shared, prior, pieces[shared.new_rows].astype(np.int64), len(numbers))
    n_splits = sum(fork.kind == "split" for fork in forks)
    tied = np.full(graph.n_rows, -1, dtype=np.int64)
    tied[shared.new_rows] = anchors
    found, n_begun = _find_tied(graph, coarse, seed, tied, len(numbers) + n_splits)
    lives = np.concatenate([numbers, clusters.n_known + np.arange(n_splits + n_begun), [-1]]).astype(np.int32)
    result = lives[found]
    passages = _list_passages(clusters.of_row[shared.old_rows], result[shared.new_rows], _name_forks(forks, lives))
    return Clustered(result, clusters.n_known + n_splits + n_begun, passages)


def find_pieces(graph: ReadableGraph, seed: int) -> Int32Array:
    """Find the communities of a window along which a cluster might be cut; they need no window before.

    Parameters
    ----------
    graph
        Of the window.
    seed
        Of the Leiden algorithm; in [0, 2**64).

    Returns
    -------
    numpy.ndarray of int32
        Shape (n,), -1 for rows without edges and those of small communities beyond the 200 largest.
    """
    return _find_pieces(coarsen(graph), seed)


def _find_pieces(coarse: Coarse, seed: int) -> Int32Array:
    thinned = thin(coarse.graph, _EDGES_PER_ROW)
    return find_communities(thinned, coarse.group_of, seed, max_sweeps=1).astype(np.int32)


def cluster_bytes(n_rows: int, n_neighbors: int) -> int:
    """Bound the memory that `follow_clusters` takes, the graphs not counted.

    Parameters
    ----------
    n_rows, n_neighbors
        Of the window.

    Returns
    -------
    int
        Bytes at the peak. Measured: 750 to 940 a row at 16 edges of a row, most of it in the Leiden algorithm; where
        rows are merged first 621 of 400,000 and 203 of 2,000,000 rows (`python -m tests.benchmarks stages`).
    """
    found = 400 + 45 * min(EDGES_PER_ROW, 2 * (n_neighbors - 1))
    if n_rows <= MERGED_ROWS:
        return n_rows * found
    merged = n_rows * (_MERGED_ROW_BYTES + 2 * (n_neighbors - 1) * _MERGED_EDGE_BYTES)
    return max(merged, n_rows * _GROUP_BYTES + min(n_rows // 2, MOST_GROUPS) * found)


def _find_tied(
    graph: ReadableGraph, coarse: Coarse, seed: int, anchors: Int64Array, n_anchors: int
) -> tuple[Int64Array, int]:
    """Find the communities of a graph whose rows are tied to `n_anchors` further rows.

    Returns
    -------
    tuple
        (n,) the cluster of each row, numbered as the further rows are and on from there, and how many begin.
    """
    found = find_communities(*_tie(coarse, anchors, n_anchors), seed, max_sweeps=2)
    of_row, of_anchor = found[: graph.n_rows], found[graph.n_rows :]
    n_found = int(found.max(initial=-1)) + 1
    numbers = np.full(n_found + 1, -1, dtype=np.int64)
    sizes = np.bincount(anchors[anchors >= 0], minlength=n_anchors)
    for anchor in np.argsort(sizes, kind="stable").tolist():  # the largest of several comes last, and stays
        if sizes[anchor] and of_anchor[anchor] >= 0:
            numbers[of_anchor[anchor]] = anchor
    into, begun = _join_new(graph, of_row, numbers[:-1] >= 0)
    numbers[begun] = n_anchors + np.arange(len(begun))
    return numbers[into[of_row]], len(begun)


def _tie(coarse: Coarse, anchors: Int64Array, n_anchors: int) -> tuple[Edges, Int32Array | None]:
    """Add a row for each anchor to a graph, with an edge to each of its rows, or to their groups by their share."""
    indptr, indices, data = coarse.graph
    n = len(indptr) - 1
    groups = np.arange(n) if coarse.group_of is None else coarse.group_of
    degrees, rows = measure_degrees(coarse.graph), np.flatnonzero(anchors >= 0)
    pairs, counts = np.unique(groups[rows].astype(np.int64) * n_anchors + anchors[rows], return_counts=True)
    tied, targets = np.divmod(pairs, max(1, n_anchors))
    has_edges = degrees[tied] > 0
    tied, targets, counts = tied[has_edges], targets[has_edges], counts[has_edges]
    weights = PULL * degrees[tied] * (counts / np.bincount(groups, minlength=n)[tied])
    ends = indptr[tied + 1]
    by_anchor = np.argsort(targets, kind="stable")
    own = np.bincount(targets, minlength=n_anchors)
    more = np.concatenate([[0], np.cumsum(np.bincount(tied, minlength=n))])
    starts = indptr + more
    edges = (
        np.concatenate([starts, starts[-1] + np.cumsum(own)]),
        np.concatenate([np.insert(indices, ends, n + targets), tied[by_anchor].astype(np.int32)]),
        np.concatenate([np.insert(data.astype(np.float64), ends, weights), weights[by_anchor]]),
    )
    if coarse.group_of is None:
        return edges, None
    return edges, np.concatenate([coarse.group_of, np.arange(n, n + n_anchors, dtype=np.int32)])


def _join_new(
    graph: ReadableGraph, communities: Int64Array, is_anchored: npt.NDArray[np.bool_]
) -> tuple[Int64Array, Int64Array]:
    """Join communities that go on from no cluster to the one that they are most mixed with, but for those apart.

    How mixed clusters of this run are decides what is apart: where the former ones have gaps between them, so must new
    ones have; where they have none, none is asked for.
    """
    n_found = len(is_anchored)
    into = np.append(np.arange(n_found), -1)
    weights, degrees = sum_weights(graph, communities, n_found), sum_degrees(graph, communities, n_found)
    sizes = np.bincount(communities[communities >= 0], minlength=n_found)
    limit = _limit_mixing(mix(weights, degrees), is_anchored)
    free = np.flatnonzero(~is_anchored & (sizes > 0))
    while len(free):
        mixing = mix(weights, degrees)[free]
        row, other = divmod(int(mixing.argmax()), n_found)
        if mixing[row, other] <= limit:
            break
        group = int(free[row])
        into[into == group] = other
        fold(weights, degrees, group, other)
        sizes[other] += sizes[group]
        free = np.delete(free, row)
    n_free = max(0, MAX_CLUSTERS - int(np.count_nonzero(is_anchored)))
    begun = free[sizes[free] >= MIN_CLUSTER]
    return into, begun[np.argsort(-sizes[begun], kind="stable")][:n_free]


def _limit_mixing(mixing: Float64Array, is_anchored: npt.NDArray[np.bool_]) -> float:
    known = mixing[np.ix_(is_anchored, is_anchored)]
    if len(known) < 2:
        return _ONE_CLUSTER_MIXING
    return max(LEAST_MIXING, MIN_UNUSUAL_MIXING * float(np.median(known.max(axis=1))))


def _name_forks(forks: list[Fork], lives: Int32Array) -> dict[tuple[int, int], str]:
    """Name the pairs of older and newer cluster that forks are about."""
    named = {}
    for fork in forks:
        pair = (fork.cluster, fork.other) if fork.kind == "split" else (fork.other, fork.cluster)
        named[int(lives[pair[0]]), int(lives[pair[1]])] = fork.kind
    return named


def _list_passages(old: Int32Array, new: Int32Array, forks: dict[tuple[int, int], str]) -> list[Passage]:
    is_there = (old >= 0) & (new >= 0)
    pairs, counts = np.unique(np.stack([old[is_there], new[is_there]]), axis=1, return_counts=True)
    return [
        Passage("same" if a == b else forks.get((a, b), "other"), a, b, n)
        for (a, b), n in zip(pairs.T.tolist(), counts.tolist(), strict=True)
        if n >= MIN_CLUSTER
    ]


def _begin(graph: ReadableGraph, seed: int, n_known: int) -> Clustered:
    """Find clusters of which none goes on from an earlier one."""
    found = find_clusters(graph, seed)
    numbers = np.where(found >= 0, found + n_known, -1).astype(np.int32)
    return Clustered(numbers, n_known + int(found.max(initial=-1)) + 1, [])


def _check(graph: ReadableGraph, before: ReadableGraph, clusters: Clustered, relation: Relation) -> None:
    check_clusters(clusters.of_row, before.n_rows, "clusters")
    if relation.shape != (before.n_rows,) or (relation.size and relation.max() >= graph.n_rows):
        msg = (
            f"relation must have one entry for each of the {before.n_rows} rows of the window before, all below "
            f"{graph.n_rows}, -1 for none; got {relation.shape}."
        )
        raise InvalidInputError(msg)
