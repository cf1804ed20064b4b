"""Nearest rows of a large window: a few are found in the parts of the data near each row, the others by those.

An inverted file (Sivic, Zisserman 2003; Jegou, Douze, Schmid 2011): k-means parts the rows, and each row is compared
with the rows of its nearest parts alone. From these lists, neighbours of neighbours are looked at round after round
(Dong, Charikar, Li 2011), until enough is found of the neighbours of some rows for which all rows were compared.

Dimensions: n rows; d features; k neighbours, the row itself included; m parts; p parts searched per row.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.neighbours.scaling.normalise import (
    COSINE_TINY,
    Centred,
    as_graph,
    centre_rows,
    new_graph,
    scale_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.core.threads import RowShare
    from driftmap.engine.neighbours.kernels.join_kernels import NearLists, ReverseLists
    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists
    from driftmap.engine.types import Float32Array, Int32Array, KnnGraph

WHOLE_SHARE = 0.15
"""Share of all pairs of rows that is compared at most to find all that is wanted in the parts; else rounds follow.

Of 50,000 rows of 32 features .13 of the pairs took 1.0 CPU s, a round as much, and all of them 5.
"""
START_RECALL = 0.9
"""Share of the neighbours that the parts are to find otherwise, from which a round or two lead to .98."""
START_PROBES = 3
"""Fewest parts searched: with its own alone, no list would lead from one part to another."""
START_SHARE = 0.03
"""Share of all pairs of rows that is compared at most in the parts then."""
MAX_ROUNDS = 8
MIN_GAIN = 0.002
"""A round that finds no more than this share of the neighbours is the last."""
N_SAMPLED = 512
"""Rows whose exact neighbours say how many parts to search: the share found has a standard error of about .004."""
RECALL_MARGIN = 0.005
"""How much more of the sample's neighbours the parts searched must hold than are wanted of all rows."""
PARTS_PER_ROOT = 1.0
"""Parts per square root of n: with more, finding the parts costs more than searching them."""
ROWS_PER_CENTRE = 40
"""Rows that k-means sees, per part; with twice as many the same number of parts must be searched."""
N_ROUNDS = 4
"""Rounds of k-means."""
WHOLE_NORM = 2048.0
"""Norm that rows are brought to before they are rounded to whole numbers: products stay below 2^24 then."""
PART_BLOCK_BYTES = 1 << 24
"""Memory for one block of products, and for the rows gathered for it."""


class _Parts(NamedTuple):
    """Rows in the order of their parts: `order` (n,) their numbers, part i is [starts[i], starts[i + 1])."""

    order: Int32Array
    starts: npt.NDArray[np.int64]
    centres: Float32Array
    whole_scale: float


class _Ordered(NamedTuple):
    """What the search reads, all in the order of the parts."""

    centred: Centred
    data: Data
    numbers: Int32Array


def find_in_partitions(rows: Float32Array, k: int, metric: str, seed: int, recall: float) -> KnnGraph | None:
    """Find most of the nearest rows, by the parts of the data near each row and by neighbours of neighbours.

    Parameters
    ----------
    rows
        (n, d) finite numbers.
    k
        Neighbours, the row itself included; 2 to n.
    metric
        "euclidean", "cosine" or "correlation".
    seed
        Of the rows that k-means sees.
    recall
        Share of the nearest rows to be found, as measured on `N_SAMPLED` of the rows; below 1.

    Returns
    -------
    As `search.build_knn_graph`; every distance is exact. None where so many are not found, as in noise of very many
    dimensions.

    Notes
    -----
    The same bytes on any number of threads: parts are found among rows rounded to whole numbers, whose float32 products
    have no rounding and so no order; within the parts searched the result is the exact one; and a round reads the lists
    of the round before.
    """
    from driftmap.engine.core.threads import share_rows
    from driftmap.engine.neighbours.kernels.topk_kernels import measure_neighbours

    rows, scales = scale_rows(rows, metric)
    tiny = 0.0 if metric == "euclidean" else COSINE_TINY
    centred = centre_rows(rows, scales, tiny, np.float32)
    wanted = min(recall + RECALL_MARGIN, 1.0)
    with share_rows() as share:
        parts = _part_rows(centred, np.random.default_rng(seed), share)
        order = parts.order
        centred = Centred(centred.rows[order], centred.least[order], centred.most[order], centred.unit)
        ordered = _Ordered(centred, (rows[order], scales[order], tiny), np.arange(len(rows), dtype=np.int32))
        sample = _find_sample(ordered, k)
        found = new_graph(len(rows), k)
        share(partial(_search_own_parts, parts, ordered, found), len(rows))
        n_probes = _count_probes(parts, ordered, sample, wanted)
        share(partial(_search_other_parts, parts, ordered, n_probes, found), len(rows))
        short = np.flatnonzero(found[0][:, -1] < 0).astype(np.int32)  # in parts that hold fewer than k rows together
        _search_everywhere(ordered, short, found)
        if sample.measure_recall(found[0][:, 1:]) >= wanted:
            return as_graph(*_put_back(found, order), metric)
        known = improve_lists(centred.rows, found, sample, wanted, share)
    if known is None:
        return None
    indices, distances = new_graph(len(rows), k)
    named = np.empty_like(known)
    named[order] = order[known]
    named.sort(axis=1)
    measure_neighbours(named, (rows, scales, tiny), indices, distances)
    return as_graph(indices, distances, metric)


def _put_back(found: Lists, order: Int32Array) -> Lists:
    """Give lists of rows in the order of their parts the rows' own numbers, and order ties by those."""
    indices, distances = np.empty_like(found[0]), np.empty_like(found[1])
    indices[order], distances[order] = order[found[0]], found[1]
    tied = np.flatnonzero((distances[:, 2:] == distances[:, 1:-1]).any(axis=1))
    near, apart = indices[tied, 1:], distances[tied, 1:]
    indices[tied, 1:] = np.take_along_axis(near, np.lexsort((near, apart), axis=1), axis=1)
    return indices, distances


def improve_lists(
    rows: Float32Array, found: Lists, sample: Sample, recall: float, share: RowShare
) -> Int32Array | None:
    """Look at neighbours of neighbours until so many of the sample's are found; None where they are not.

    Parameters
    ----------
    rows
        (n, d), whose euclidean distances count.
    found
        Full lists, (n, k), the row itself first.
    sample
        Rows whose neighbours are known.
    recall
        Share of the sample's neighbours to be found.
    share
        Shares rows out among threads.

    Returns
    -------
    numpy.ndarray of int32 or None
        (n, k - 1) neighbours of every row, itself not among them.
    """
    from driftmap.engine.neighbours.kernels import join_kernels as kernels

    n, k = len(rows), found[0].shape[1] - 1
    share_found = sample.measure_recall(found[0][:, 1:])
    near = kernels.NearLists(found[0][:, 1:].copy(), np.empty((n, k), np.float32), np.ones((n, k), np.bool_))
    kernels.measure_lists(rows, near.indices, near.squared)
    other = kernels.NearLists(near.indices.copy(), near.squared.copy(), near.is_new.copy())
    reverse = kernels.ReverseLists(np.empty((n, k), np.int32), np.empty((n, k), np.bool_))
    counts = np.empty(n, np.int32)
    for _ in range(MAX_ROUNDS):
        kernels.reverse_lists(near, reverse, counts)
        lists = near, reverse, other

        def join(part: slice, lists: tuple[NearLists, ReverseLists, NearLists] = lists) -> int:
            return kernels.join_rows(rows, (part.start, part.stop), *lists, np.full(n, -1, np.int32))

        share(join, n)
        near, other = other, near
        before, share_found = share_found, sample.measure_recall(near.indices)
        if share_found >= recall:
            return near.indices
        if share_found - before < MIN_GAIN:
            break
    return None


def count_parts(n_rows: int) -> int:
    """Return into how many parts rows are put."""
    return max(1, round(PARTS_PER_ROOT * math.sqrt(n_rows)))


def part_block_bytes(n_rows: int, n_features: int) -> int:
    """Return what one block of scores of all parts takes, or of rows; three are there at a time."""
    return min(PART_BLOCK_BYTES, 4 * n_rows * max(count_parts(n_rows), n_features))


def _part_rows(centred: Centred, rng: np.random.Generator, share: RowShare) -> _Parts:
    """Part the rows by a few rounds of k-means on some of them (Lloyd 1982)."""
    from scipy.sparse import csr_array  # late: 0.1 s

    n, d = centred.rows.shape
    m = count_parts(n)
    norms = np.sqrt(np.maximum(centred.most[:: max(1, n // 4096)].astype(np.float64), 0.0))
    typical = float(np.quantile(norms, 0.99))
    whole_scale = WHOLE_NORM / typical if typical > 0.0 else 1.0
    some = np.sort(rng.choice(n, min(n, ROWS_PER_CENTRE * m), replace=False))
    sample = _round_rows(centred, some, whole_scale)
    centres = sample[np.sort(rng.choice(len(sample), m, replace=False))]
    labels = np.empty(len(sample), dtype=np.int32)
    for _ in range(N_ROUNDS):
        share(partial(_find_nearest_centres, sample, centres, labels), len(sample))
        counts = np.bincount(labels, minlength=m)
        is_used = counts > 0
        one_of_each = np.ones(len(labels)), (labels, np.arange(len(labels)))
        sums = csr_array(one_of_each, shape=(m, len(labels))) @ sample
        centres[is_used] = np.rint(sums[is_used] / counts[is_used, None])
    labels = np.empty(n, dtype=np.int32)

    def label(part: slice) -> int:
        for start, stop in _cut(part, max(d, m)):
            own = slice(start, stop)
            _find_nearest_centres(_round_rows(centred, own, whole_scale), centres, labels[own], slice(None))
        return 0

    share(label, n)
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=m))])
    return _Parts(np.argsort(labels, kind="stable").astype(np.int32), starts, centres, whole_scale)


def _find_nearest_centres(whole: Float32Array, centres: Float32Array, labels: Int32Array, part: slice) -> int:
    """Set the labels of a part of the rows."""
    labels[part] = _score(whole[part], centres).argmin(axis=1)
    return 0


def _round_rows(centred: Centred, which: npt.NDArray[np.int64] | slice, scale: float) -> Float32Array:
    """Rows in whole numbers, those beyond the typical norm drawn in to it.

    No partial sum of a product of two is above the product of their norms (Cauchy, Schwarz), below 2^24: float32 holds
    each exactly.
    """
    norms = np.sqrt(np.maximum(centred.most[which].astype(np.float64), np.finfo(np.float32).tiny))
    scales = np.minimum(scale, WHOLE_NORM / norms).astype(np.float32)
    return np.rint(centred.rows[which] * scales[:, None])


def _score(whole: Float32Array, centres: Float32Array) -> Float32Array:
    """Squared distances, less that of the row itself, of rows to all centres; whole numbers all of them."""
    norms = np.einsum("ij,ij->i", centres, centres, dtype=np.float64).astype(np.float32)
    products: Float32Array = whole @ centres.T
    products *= -2.0
    products += norms
    return products


class Sample(NamedTuple):
    """Some rows, (s,), and their nearest rows among all, (s, k - 1), ascending by number; and how far the last is."""

    rows: Int32Array
    near: Int32Array

    def measure_recall(self, found: Int32Array) -> float:
        """Share of the sample's neighbours that lists, (n, k - 1), hold."""
        held = [np.isin(near, found[row]).sum() for row, near in zip(self.rows, self.near, strict=True)]
        return float(np.sum(held)) / self.near.size


def _find_sample(ordered: _Ordered, k: int) -> Sample:
    """Compare some rows, evenly spaced, with all."""
    n = len(ordered.numbers)
    some = np.arange(0, n, max(1, n // N_SAMPLED), dtype=np.int32)
    found = np.empty((n, k), np.int32), np.empty((n, k), np.float32)  # of which only these rows take memory
    _search_everywhere(ordered, some, found)
    return Sample(some, found[0][some, 1:])


def _count_probes(parts: _Parts, ordered: _Ordered, sample: Sample, wanted: float) -> int:
    """Return how many parts hold so much of the sample's neighbours, or as many as a start of the rounds needs."""
    score = _score(_round_rows(ordered.centred, sample.rows.astype(np.int64), parts.whole_scale), parts.centres)
    order = np.argsort(score, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
    part_of_near = np.searchsorted(parts.starts, sample.near, side="right") - 1
    reached = np.sort(np.take_along_axis(ranks, part_of_near, axis=1), axis=None)
    shares = np.cumsum(np.diff(parts.starts)[order], axis=1).mean(axis=0) / len(ordered.numbers)

    def count(recall: float) -> int:
        return int(reached[math.ceil(recall * len(reached)) - 1]) + 1

    if shares[count(wanted) - 1] <= WHOLE_SHARE:
        return count(wanted)
    within = int(np.searchsorted(shares, START_SHARE, side="right"))
    return min(max(START_PROBES, min(count(START_RECALL), within)), len(shares))


def _search_everywhere(ordered: _Ordered, some: Int32Array, found: Lists) -> None:
    """Compare some rows with all."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among

    centred = ordered.centred
    bounds = centred.least, centred.most
    for start, stop in _cut(slice(0, len(some)), len(ordered.numbers)):
        own = some[start:stop]
        select_among(centred.rows[own] @ centred.rows.T, bounds, own, 0, ordered.data, ordered.numbers, found)


def _search_own_parts(parts: _Parts, ordered: _Ordered, found: Lists, own_rows: slice) -> int:
    """Compare every row of a run with those of its own part; return how many distances were summed."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among

    centred = ordered.centred
    n_summed = 0
    for first, last in _list_parts(parts, own_rows):
        part = centred.rows[first:last]
        bounds = centred.least[first:last], centred.most[first:last]
        for start, stop in _cut(slice(max(first, own_rows.start), min(last, own_rows.stop)), last - first):
            own = np.arange(start, stop, dtype=np.int32)
            # of a copy: numpy would call syrk for a product of one array with itself and fill the other half by loop
            products = centred.rows[own] @ part.T
            n_summed += select_among(products, bounds, own, first, ordered.data, ordered.numbers, found)
    return n_summed


def _list_parts(parts: _Parts, own_rows: slice) -> Iterator[tuple[int, int]]:
    """List first row and last + 1 of the parts to which a run of rows belongs."""
    for first, last in pairwise(parts.starts.tolist()):
        if max(first, own_rows.start) < min(last, own_rows.stop):
            yield first, last


def _search_other_parts(parts: _Parts, ordered: _Ordered, n_probes: int, found: Lists, own_rows: slice) -> int:
    """Compare every row of a run with those of the nearest parts that are not its own."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import add_columns, set_bars

    centred = ordered.centred
    bars = np.empty(len(ordered.numbers), dtype=np.float32)
    set_bars(bars, centred.least, centred.unit, found[1][:, -1])
    scaling = centred.least, centred.unit
    n_summed = 0
    for part, visitors in enumerate(_list_visitors(parts, ordered, n_probes, own_rows)):
        first, last = parts.starts[part : part + 2].tolist()
        own = visitors[(visitors < first) | (visitors >= last)]
        columns = centred.least[first:last], first
        for start, stop in _cut(slice(0, len(own)), max(last - first, centred.rows.shape[1])):
            some = own[start:stop]
            products = centred.rows[some] @ centred.rows[first:last].T
            n_summed += add_columns(products, columns, some, bars, scaling, ordered.data, ordered.numbers, found)
    return n_summed


def _list_visitors(parts: _Parts, ordered: _Ordered, n_probes: int, own_rows: slice) -> Iterator[Int32Array]:
    """For every part the rows of a run, ascending, that have it among their nearest."""
    from scipy.sparse import csr_array  # late: 0.1 s

    n, d = own_rows.stop - own_rows.start, ordered.centred.rows.shape[1]
    m = len(parts.centres)
    nearest = np.empty((n, n_probes), dtype=np.int32)
    for start, stop in _cut(slice(0, n), max(d, m)):
        which = slice(own_rows.start + start, own_rows.start + stop)
        score = _score(_round_rows(ordered.centred, which, parts.whole_scale), parts.centres)
        nearest[start:stop] = np.argpartition(score, n_probes - 1, axis=1)[:, :n_probes]
    pairs = np.arange(n + 1, dtype=np.int32) * np.int32(n_probes)
    by_part = csr_array((np.ones(nearest.size, dtype=np.int8), nearest.ravel(), pairs), shape=(n, m)).tocsc()
    for first, last in pairwise(by_part.indptr):
        yield by_part.indices[first:last].astype(np.int32) + np.int32(own_rows.start)


def _cut(run: slice, width: int) -> Iterator[tuple[int, int]]:
    """Cut a run of rows into blocks of which each, `width` float32 numbers a row, fits `PART_BLOCK_BYTES`."""
    step = max(1, PART_BLOCK_BYTES // (4 * max(width, 1)))
    for start in range(run.start, run.stop, step):
        yield start, min(start + step, run.stop)
