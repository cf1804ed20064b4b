"""Splits and merges of clusters, where the graphs of two windows show them: edges between related rows came or went.

Only rows that both windows have are looked at, so rows that come and go split and merge nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.quality.communities import MIN_CLUSTER, apply_joins, join_all, list_edges, mix, sum_weights

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Int32Array, ReadableGraph, Relation

    Float64Array = npt.NDArray[np.float64]
    Int64Array = npt.NDArray[np.int64]

MAX_APART = 0.05
"""Mixing up to which two groups are apart."""
MAX_PARTED = 0.02
"""Mixing up to which two parts of a cluster fell apart: less, since of many cuts the one least mixed is looked at."""
MIN_TOGETHER = 0.4
"""Mixing from which two groups are one."""
MIN_CHANGE = 4.0
"""Factor between the mixing of two groups in two windows from which they came together or fell apart."""
MAX_USUAL = 0.08
"""Share of edges that left their clusters in all other clusters, above which no split or merge is believed."""
MIN_PART = 0.15
"""Share of a cluster's related rows that makes a part of a split."""
_MIN_PIECE = 0.05


class Shared(NamedTuple):
    """Two windows, and the rows that both have."""

    old: ReadableGraph
    new: ReadableGraph
    old_rows: Int64Array
    """Related rows of the older window, and `new_rows` their partners; (r,) each."""
    new_rows: Int64Array

    def sum_both(self, groups: Int64Array, n_groups: int) -> tuple[Float64Array, Float64Array]:
        """Sum the edges between groups of the related rows (r,) in both windows."""
        sums = []
        for graph, rows in ((self.old, self.old_rows), (self.new, self.new_rows)):
            of_row = np.full(graph.n_rows, -1, dtype=np.int64)
            of_row[rows] = groups
            sums.append(sum_weights(graph, of_row, n_groups))
        return sums[0], sums[1]

    def sum_within(self, pieces: Int64Array, owners: Int64Array) -> list[tuple[int, Float64Array, Float64Array]]:
        """Sum the edges between pieces of the same owner: owner, (p, p) sums of the older window and of the newer."""
        known, first, counts = np.unique(owners, return_index=True, return_counts=True)
        own = np.searchsorted(known, owners)
        starts = np.concatenate([[0], np.cumsum(counts**2)])
        width, inside = counts[own], np.arange(len(owners)) - first[own]
        flat = []
        for graph, rows in ((self.old, self.old_rows), (self.new, self.new_rows)):
            of_row = np.full(graph.n_rows, -1, dtype=np.int64)
            of_row[rows] = pieces
            sums = np.zeros(starts[-1])
            for a, b, weights in list_edges(graph, of_row):
                slots = (starts[own[a]] + inside[a] * width[a] + inside[b])[own[a] == own[b]]
                sums += np.bincount(slots, weights=weights[own[a] == own[b]], minlength=len(sums))
            flat.append(sums)
        shaped = [
            [sums[starts[i] : starts[i + 1]].reshape(count, count) for i, count in enumerate(counts)] for sums in flat
        ]
        return list(zip(known.tolist(), *shaped, strict=True))


class Fork(NamedTuple):
    """Two parts of a cluster that fell apart, or two clusters that came together."""

    kind: str
    """`split` or `merge`."""
    cluster: int
    """That goes on."""
    other: int
    """That begins or ends."""


def find_forks(
    shared: Shared, prior: Int64Array, communities: Int64Array, n_clusters: int
) -> tuple[Int64Array, list[Fork]]:
    """Find the splits and merges between two windows.

    Parameters
    ----------
    shared
        The windows.
    prior
        (r,) cluster of the related rows in the older window, below `n_clusters`; -1 for none.
    communities
        (r,) community of the related rows in the newer window.
    n_clusters
        Clusters of the older window; those that begin are numbered from here.

    Returns
    -------
    tuple
        (r,) the clusters with the forks applied, and the forks.
    """
    usual = _Usual(*shared.sum_both(prior, n_clusters))
    parted, splits = _find_splits(shared, prior, communities, n_clusters, usual)
    into, merges = _find_merges(prior, n_clusters, usual)
    into = np.append(np.concatenate([into, np.arange(n_clusters, n_clusters + len(splits))]), -1)
    return into[parted], [*splits, *merges]


class _Usual:
    """What became of the edges inside the clusters, all but some of them."""

    def __init__(self, old: Float64Array, new: Float64Array) -> None:
        self.old, self.new = old, new

    def leak(self, *without: int) -> float:
        """Share of edges by which the others leave their clusters more than before."""
        kept = np.setdiff1d(np.arange(len(self.old)), without)
        shares = []
        for sums in (self.old[np.ix_(kept, kept)], self.new[np.ix_(kept, kept)]):
            total = sums.sum()
            if total <= 0:
                return 0.0
            shares.append(float(np.trace(sums)) / float(total))
        return shares[0] - shares[1]


def _find_splits(
    shared: Shared, prior: Int64Array, communities: Int64Array, n_clusters: int, usual: _Usual
) -> tuple[Int64Array, list[Fork]]:
    """Cut clusters along communities that were mixed and are apart; the larger part keeps the number."""
    pieces, owners = _cut(prior, communities, n_clusters)
    sums = shared.sum_within(pieces, owners)
    sizes, n_rows = np.bincount(pieces[pieces >= 0], minlength=len(owners)), np.bincount(prior[prior >= 0])
    parted = prior.copy()
    splits: list[Fork] = []
    for cluster, old, new in sums:
        own = np.flatnonzero(owners == cluster)
        if len(own) < 2 or usual.leak(cluster) > MAX_USUAL:
            continue
        for smaller in _part(old, new, sizes[own], int(n_rows[cluster])):
            number = n_clusters + len(splits)
            parted[np.isin(pieces, own[smaller])] = number
            splits.append(Fork("split", cluster, number))
    return parted, splits


def _cut(prior: Int64Array, communities: Int64Array, n_clusters: int) -> tuple[Int64Array, Int64Array]:
    """Cut clusters into their pieces by community: (r,) piece of each row, -1 for those that are small; their clusters.

    Pieces of a cluster have numbers next to each other.
    """
    n_found = int(communities.max(initial=-1)) + 1
    pairs = np.where((prior >= 0) & (communities >= 0), prior * n_found + communities, -1)
    sizes = np.bincount(pairs[pairs >= 0], minlength=max(1, n_clusters * n_found))
    owners = np.arange(len(sizes)) // max(1, n_found)
    n_rows = np.bincount(prior[prior >= 0], minlength=n_clusters + 1)
    kept = np.flatnonzero(sizes >= np.maximum(MIN_CLUSTER, _MIN_PIECE * n_rows[np.minimum(owners, n_clusters)]))
    numbers = np.full(len(sizes) + 1, -1, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers[pairs], owners[kept]


def _part(old: Float64Array, new: Float64Array, sizes: Int64Array, n_rows: int) -> list[Int64Array]:
    """Find parts of a cluster that fell apart, as lists of its pieces: from the least mixed join downwards."""
    joins, found = join_all(new, new.sum(axis=1)), []
    for n_joins in range(len(joins.pairs) - 1, -1, -1):
        into = apply_joins(joins, n_joins, len(new))[:-1]
        first, second = (np.flatnonzero(into == side) for side in joins.pairs[n_joins])
        rows = sizes[first].sum(), sizes[second].sum()
        if min(rows) < max(MIN_CLUSTER, MIN_PART * n_rows):
            continue
        was, now = _mix_two(old, first, second), _mix_two(new, first, second)
        if was < MIN_TOGETHER or now > MAX_PARTED:
            break
        found.append(second if rows[1] <= rows[0] else first)
    return found


def _find_merges(prior: Int64Array, n_clusters: int, usual: _Usual) -> tuple[Int64Array, list[Fork]]:
    """Join clusters that were apart and are mixed; the larger one keeps its number."""
    was, now = mix(usual.old, usual.old.sum(axis=1)), mix(usual.new, usual.new.sum(axis=1))
    sizes = np.bincount(prior[prior >= 0], minlength=n_clusters)
    into, merges = np.arange(n_clusters), []
    candidates = np.argwhere(np.triu((now >= MIN_TOGETHER) & (was <= np.minimum(MAX_APART, now / MIN_CHANGE)), 1))
    for a, b in sorted(candidates.tolist(), key=lambda pair: (-now[pair[0], pair[1]], pair)):
        ends = into[a], into[b]
        if min(sizes[a], sizes[b]) < MIN_CLUSTER or ends[0] == ends[1] or usual.leak(a, b) > MAX_USUAL:
            continue
        kept, gone = sorted(ends, key=lambda cluster: (-sizes[cluster], cluster))
        into[into == gone] = kept
        merges.append(Fork("merge", int(kept), int(gone)))
    return into, merges


def _mix_two(weights: Float64Array, first: Int64Array, second: Int64Array) -> float:
    degrees = weights.sum(axis=1)
    sums = np.array([[0.0, weights[np.ix_(first, second)].sum()], [0.0, 0.0]])
    return float(mix(sums, np.array([degrees[first].sum(), degrees[second].sum()]))[0, 1])


def share_rows(old: ReadableGraph, new: ReadableGraph, relation: Relation) -> Shared:
    """Pair the graphs of two windows with their related rows."""
    rows = np.flatnonzero(relation >= 0)
    return Shared(old, new, rows, relation[rows].astype(np.int64))


def read_prior(clusters: Int32Array, shared: Shared) -> tuple[Int64Array, Int64Array]:
    """Give the clusters of the related rows, numbered from 0 (-1 for none), and the numbers that these stand for."""
    of_row = clusters[shared.old_rows].astype(np.int64)
    numbers = np.unique(of_row[of_row >= 0])
    return np.where(of_row >= 0, np.searchsorted(numbers, of_row), -1), numbers
