"""Windows of a block -> flat arrays for the kernels; the rows of each window are shuffled on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from driftmap.engine.layout.kernels.arrays import BlockArrays, Edges
from driftmap.engine.layout.kernels.flatten_kernels import count_edges, fill_edges
from driftmap.engine.layout.strength import decay, strengthen
from driftmap.engine.relations.couplings import Pulls, weigh_coupling
from driftmap.engine.relations.relations import alignment_weights
from driftmap.engine.types import Coupling, Float32Array, Int32Array, Int64Array, ReadableGraph, Relation

MID_NEAR_RATE = 2.0
"""How often a mid-near row attracts, beside the strongest neighbour: chosen, with how long it does (`Pace`), of 1, 1.5,
2 and 3, such that far groups of commit messages and of countries are arranged as on umap-learn's maps or better."""

_BLOCK_ROWS = 100_000
"""Rows whose edges are looked at at a time."""

RelationMap = Mapping[tuple[int, int], Relation | Coupling]
"""Relations of pairs (i, j) of windows of a block, i < j, by their places in the block."""


class Shuffle:
    """The order in which a window's rows stand in the flat arrays: rows with an edge first, each part at random.

    The kernels take a run of neighbouring rows for a random sample, so a window that comes sorted must be shuffled.
    """

    def __init__(self, graph: ReadableGraph, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(graph.n_rows)
        has_edge = np.diff(graph.indptr)[order] > 0
        self.rows: Int64Array = np.concatenate([order[has_edge], order[~has_edge]]).astype(np.int64)
        """(n,) row of the window at each place."""
        self.places: Int64Array = np.empty_like(self.rows)
        """(n,) place of each row."""
        self.places[self.rows] = np.arange(graph.n_rows)
        self.n_active = int(has_edge.sum())

    @property
    def has_edge(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each row of the window has an edge."""
        return self.places < self.n_active


def flatten_block(
    graphs: Sequence[ReadableGraph],
    relations: RelationMap,
    shuffles: Sequence[Shuffle],
    n_epochs: Sequence[int],
    is_auto: Sequence[bool] | None = None,
    own: Sequence[range] | None = None,
    mid_near: Sequence[Int32Array | None] | None = None,
) -> BlockArrays:
    """Put a block's graphs and relations into flat arrays.

    Parameters
    ----------
    graphs
        Fuzzy graph of each window.
    relations
        Relations of the pairs of windows within the alignment reach.
    shuffles
        Order of each window's rows.
    n_epochs
        Epochs of each window: an edge weaker than the strongest over this would not attract once, and is left out. A
        window of none is not pulled either.
    is_auto
        Whether the strength of a window's pull is found from the data: then its weights have it in them. None: nowhere.
    own
        Of each window, the rows of the shuffled order whose edges and relations are wanted. None: all.
    mid_near
        Of each window, (n, m) rows that it is drawn by, -1 for none. None: it is not.
    """
    sizes = [len(shuffle.rows) for shuffle in shuffles]
    own = [range(size) for size in sizes] if own is None else own
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    # First: graphs that are read as they are looked at are read in pairs here, and the edges not there yet.
    # Only windows that move are pulled: an `update` compares no windows of before with each other.
    pulled = [own_rows if n else range(0) for own_rows, n in zip(own, n_epochs, strict=True)]
    pulling = {pair: relation for pair, relation in relations.items() if any(n_epochs[window] for window in pair)}
    related_indptr, related, weights = _flatten_relations(
        graphs, pulling, shuffles, offsets, [False] * len(graphs) if is_auto is None else is_auto, pulled
    )
    indptr, indices, rates, row_rates = _flatten_graphs(graphs, shuffles, offsets, n_epochs, own)
    drawn = _flatten_mid_near(mid_near or [None] * len(sizes), shuffles, offsets, own)
    return BlockArrays(
        offsets=offsets,
        n_active=np.array([shuffle.n_active for shuffle in shuffles], dtype=np.int64),
        indptr=indptr,
        indices=indices,
        rates=rates,
        row_rates=row_rates,
        related_indptr=related_indptr,
        related=related,
        related_weights=weights,
        places=np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)]),
        mid_near_indptr=drawn.indptr,
        mid_near=drawn.indices,
        mid_near_rates=drawn.rates,
    )


def _flatten_mid_near(
    mid_near: Sequence[Int32Array | None], shuffles: Sequence[Shuffle], offsets: Int64Array, own: Sequence[range]
) -> Edges:
    """Return what mid-near rows attract each row, and those that it is a mid-near row of: no row more than once."""
    counts = np.zeros(int(offsets[-1]) + 1, dtype=np.int64)
    found = [np.empty(0, np.int32)]
    for window, rows in enumerate(mid_near):
        if rows is None:
            continue
        shuffle, start, n = shuffles[window], int(offsets[window]), len(rows)
        here, there = np.repeat(shuffle.places, rows.shape[1]), shuffle.places[rows.ravel()]
        is_pair = (rows.ravel() >= 0) & (here < shuffle.n_active) & (there < shuffle.n_active) & (here != there)
        here, there = here[is_pair], there[is_pair]
        pairs = np.unique(np.concatenate([here * n + there, there * n + here]))
        pairs = pairs[slice(*np.searchsorted(pairs, [own[window].start * n, own[window].stop * n]))]
        counts[start + 1 : start + 1 + n] = np.bincount(pairs // n, minlength=n)
        found.append((start + pairs % n).astype(np.int32))
    indices = np.concatenate(found)
    return Edges(np.cumsum(counts), indices, np.full(len(indices), MID_NEAR_RATE, np.float32))


def _flatten_graphs(
    graphs: Sequence[ReadableGraph],
    shuffles: Sequence[Shuffle],
    offsets: Int64Array,
    n_epochs: Sequence[int],
    own: Sequence[range],
) -> tuple[Int64Array, Int32Array, Float32Array, Float32Array]:
    """Return indptr, indices, rates and row_rates of all windows; besides them nothing of their size is allocated."""
    limits = []
    indptr = np.zeros(int(offsets[-1]) + 1, dtype=np.int64)
    for window, shuffle in enumerate(shuffles):
        graph, rows = graphs[window], _slice(own[window])
        strongest = max(
            (block.data.max(initial=np.float32(0)) for _, block in graph.list_blocks(_BLOCK_ROWS)), default=0
        )
        limits.append((np.float32(n_epochs[window]), np.float32(strongest)))
        counts = indptr[int(offsets[window]) + 1 :][rows]
        for first, block in graph.list_blocks(_BLOCK_ROWS):
            places = shuffle.places[first : first + block.n_rows] - rows.start
            count_edges(block.indptr, block.data, places, *limits[window], counts)
    np.cumsum(indptr, out=indptr)
    indices, rates = np.empty(int(indptr[-1]), np.int32), np.empty(int(indptr[-1]), np.float32)
    row_rates = np.zeros(int(offsets[-1]), np.float32)
    for window, shuffle in enumerate(shuffles):
        start, rows = int(offsets[window]), _slice(own[window])
        ends = indptr[start + rows.start : start + rows.stop + 1]
        for first, block in graphs[window].list_blocks(_BLOCK_ROWS):
            here = shuffle.places[first : first + block.n_rows] - rows.start
            filled = indices, rates, row_rates[start:][rows]
            fill_edges(block, (here, shuffle.places), start, limits[window], ends, filled)
    return indptr, indices, rates, row_rates


def _slice(rows: range) -> slice:
    return slice(rows.start, rows.stop)


def _flatten_relations(
    graphs: Sequence[ReadableGraph],
    relations: RelationMap,
    shuffles: Sequence[Shuffle],
    offsets: Int64Array,
    is_auto: Sequence[bool],
    own: Sequence[range],
) -> tuple[Int64Array, Int32Array, Float32Array]:
    """Return related_indptr, related and related_weights; each pair of windows pulls both ways."""
    rows, others = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    weights = [np.empty(0, np.float32)]
    for (i, j), relation in sorted(relations.items()):
        old, new, pulls = _weigh_pair(graphs[i], graphs[j], relation)
        here, there = shuffles[i].places[old], shuffles[j].places[new]
        kept = (pulls.overlap > 0) & (here < shuffles[i].n_active) & (there < shuffles[j].n_active)
        here, there = ((place[kept] + offsets[k]).astype(np.int32) for place, k in ((here, i), (there, j)))
        on_old, on_new, overlap = pulls.on_old[kept], pulls.on_new[kept], pulls.overlap[kept]
        on_old, on_new = on_old * decay(j - i), on_new * decay(j - i)
        for window, from_rows, to_rows, pull in ((i, here, there, on_old), (j, there, here, on_new)):
            first, last = (offsets[window] + bound for bound in (own[window].start, own[window].stop))
            is_own = (from_rows >= first) & (from_rows < last)
            rows.append(from_rows[is_own])
            others.append(to_rows[is_own])
            weights.append((pull * strengthen(overlap) if is_auto[window] else pull)[is_own])
    row, other = np.concatenate(rows), np.concatenate(others)
    del rows, others
    order = np.argsort(row.astype(np.int64) * offsets[-1] + other, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=int(offsets[-1])))]).astype(np.int64)
    return indptr, other[order], np.concatenate(weights)[order]


def _weigh_pair(
    older: ReadableGraph, newer: ReadableGraph, relation: Relation | Coupling
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], Pulls]:
    """Return the related rows of both windows and the weights of their pulls."""
    if isinstance(relation, Coupling):
        return relation.old, relation.new, weigh_coupling(older, newer, relation)
    old = np.flatnonzero(relation >= 0)
    strengths = alignment_weights(older, newer, relation)[old]
    return old, relation[old], Pulls(strengths, strengths, strengths)
