"""Nearest rows of a large window, each searched for in the parts of the data that lie near it.

An inverted file (Sivic, Zisserman 2003; Jegou, Douze, Schmid 2011): k-means parts the rows, and each row is compared
with the rows of its nearest parts alone. How many parts that must be is measured on rows whose neighbours are known.

Dimensions: n rows; d features; k neighbours, the row itself included; m parts; p parts searched per row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.neighbours.normalise import COSINE_TINY, Centred, as_graph, centre_rows, new_graph, scale_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.neighbours.topk_kernels import Data, Lists
    from driftmap.engine.types import Float32Array, Int32Array, KnnGraph

TARGET_RECALL = 0.96
"""Share of the sample's neighbours, the row itself not counted, that the parts searched must hold."""
N_SAMPLED = 512
"""Rows whose exact neighbours say how many parts to search: the share found has a standard error of about .004."""
PARTS_PER_ROOT = 1.4
"""Parts per square root of n: with more, finding the parts costs more than searching them."""
ROWS_PER_CENTRE = 40
"""Rows that k-means sees, per part; with twice as many the same number of parts must be searched."""
N_ROUNDS = 6
"""Rounds of k-means."""
WHOLE_NORM = 2048.0
"""Norm that rows are brought to before they are rounded to whole numbers: products stay below 2^24 then."""
BLOCK_BYTES = 1 << 24
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


def find_in_partitions(rows: Float32Array, k: int, metric: str, seed: int, max_share: float = 1.0) -> KnnGraph | None:
    """Find nearest rows, at least .95 of them, by comparing each row with the parts of the data near it.

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
    max_share
        Give up when more than this share of all pairs of rows would have to be compared.

    Returns
    -------
    As `knn.build_knn_graph`; every distance is exact. None where `max_share` does not do.

    Notes
    -----
    The same bytes on any number of threads: parts are found among rows rounded to whole numbers, whose float32 products
    have no rounding and so no order, and within the parts searched the result is the exact one.
    """
    rows, scales = scale_rows(rows, metric)
    tiny = 0.0 if metric == "euclidean" else COSINE_TINY
    centred = centre_rows(rows, scales, tiny, np.float32)
    parts = _part_rows(centred, np.random.default_rng(seed))
    order = parts.order
    centred = Centred(centred.rows[order], centred.least[order], centred.most[order], centred.unit)
    ordered = _Ordered(centred, (rows[order], scales[order], tiny), order)
    n_probes, share = _count_probes(parts, ordered, k)
    if share > max_share:
        return None
    found = new_graph(len(rows), k)
    _search_own_parts(parts, ordered, found)
    _search_other_parts(parts, ordered, n_probes, found)
    short = np.flatnonzero(found[0][:, -1] < 0).astype(np.int32)  # in parts that hold fewer than k rows together
    _search_everywhere(ordered, short, found)
    indices, distances = new_graph(len(rows), k)
    indices[order], distances[order] = found
    return as_graph(indices, distances, metric)


def _part_rows(centred: Centred, rng: np.random.Generator) -> _Parts:
    """Part the rows by a few rounds of k-means on some of them (Lloyd 1982)."""
    from scipy.sparse import csr_array  # late: 0.1 s

    n, d = centred.rows.shape
    m = max(1, round(PARTS_PER_ROOT * math.sqrt(n)))
    norms = np.sqrt(np.maximum(centred.most[:: max(1, n // 4096)].astype(np.float64), 0.0))
    typical = float(np.quantile(norms, 0.99))
    whole_scale = WHOLE_NORM / typical if typical > 0.0 else 1.0
    some = np.sort(rng.choice(n, min(n, ROWS_PER_CENTRE * m), replace=False))
    sample = _round_rows(centred, some, whole_scale)
    centres = sample[np.sort(rng.choice(len(sample), m, replace=False))]
    for _ in range(N_ROUNDS):
        labels = _score(sample, centres).argmin(axis=1)
        counts = np.bincount(labels, minlength=m)
        is_used = counts > 0
        one_of_each = np.ones(len(labels)), (labels, np.arange(len(labels)))
        sums = csr_array(one_of_each, shape=(m, len(labels))) @ sample
        centres[is_used] = np.rint(sums[is_used] / counts[is_used, None])
    labels = np.empty(n, dtype=np.int32)
    for start, stop in _cut(n, max(d, m)):
        labels[start:stop] = _score(_round_rows(centred, slice(start, stop), whole_scale), centres).argmin(axis=1)
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=m))])
    return _Parts(np.argsort(labels, kind="stable").astype(np.int32), starts, centres, whole_scale)


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


def _count_probes(parts: _Parts, ordered: _Ordered, k: int) -> tuple[int, float]:
    """Return how many parts to search for `TARGET_RECALL`, and the share of all pairs that this compares."""
    n = len(ordered.numbers)
    some = np.arange(0, n, max(1, n // N_SAMPLED), dtype=np.int32)
    found = new_graph(n, k)
    _search_everywhere(ordered._replace(numbers=np.arange(n, dtype=np.int32)), some, found)
    near = found[0][some, 1:]
    score = _score(_round_rows(ordered.centred, some.astype(np.int64), parts.whole_scale), parts.centres)
    order = np.argsort(score, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
    part_of_near = np.searchsorted(parts.starts, near, side="right") - 1
    reached = np.sort(np.take_along_axis(ranks, part_of_near, axis=1), axis=None)
    n_probes = int(reached[math.ceil(TARGET_RECALL * len(reached)) - 1]) + 1
    sizes = np.diff(parts.starts)[order[:, :n_probes]]
    return n_probes, float(sizes.sum(axis=1).mean()) / n


def _search_everywhere(ordered: _Ordered, some: Int32Array, found: Lists) -> None:
    """Compare some rows with all."""
    from driftmap.engine.neighbours.topk_merge_kernels import select_among

    centred = ordered.centred
    bounds = centred.least, centred.most
    for start, stop in _cut(len(some), len(ordered.numbers)):
        own = some[start:stop]
        select_among(centred.rows[own] @ centred.rows.T, bounds, own, 0, ordered.data, ordered.numbers, found)


def _search_own_parts(parts: _Parts, ordered: _Ordered, found: Lists) -> None:
    """Compare every row with those of its own part."""
    from driftmap.engine.neighbours.topk_merge_kernels import select_among

    centred = ordered.centred
    for first, last in zip(parts.starts[:-1].tolist(), parts.starts[1:].tolist(), strict=True):
        part = centred.rows[first:last]
        bounds = centred.least[first:last], centred.most[first:last]
        for start, stop in _cut(last - first, last - first):
            own = np.arange(first + start, first + stop, dtype=np.int32)
            # of a copy: numpy would call syrk for a product of one array with itself and fill the other half by loop
            products = centred.rows[own] @ part.T
            select_among(products, bounds, own, first, ordered.data, ordered.numbers, found)


def _search_other_parts(parts: _Parts, ordered: _Ordered, n_probes: int, found: Lists) -> None:
    """Compare every row with those of the nearest parts that are not its own."""
    from driftmap.engine.neighbours.topk_merge_kernels import add_columns, set_bars

    centred = ordered.centred
    bars = np.empty(len(ordered.numbers), dtype=np.float32)
    set_bars(bars, centred.least, centred.unit, found[1][:, -1])
    scaling = centred.least, centred.unit
    for part, visitors in enumerate(_list_visitors(parts, ordered, n_probes)):
        first, last = parts.starts[part : part + 2].tolist()
        own = visitors[(visitors < first) | (visitors >= last)]
        columns = centred.least[first:last], first
        for start, stop in _cut(len(own), max(last - first, centred.rows.shape[1])):
            some = own[start:stop]
            products = centred.rows[some] @ centred.rows[first:last].T
            add_columns(products, columns, some, bars, scaling, ordered.data, ordered.numbers, found)


def _list_visitors(parts: _Parts, ordered: _Ordered, n_probes: int) -> Iterator[Int32Array]:
    """For every part the rows, ascending, that have it among their nearest."""
    from scipy.sparse import csr_array  # late: 0.1 s

    n, d = ordered.centred.rows.shape
    m = len(parts.centres)
    nearest = np.empty((n, n_probes), dtype=np.int32)
    for start, stop in _cut(n, max(d, m)):
        score = _score(_round_rows(ordered.centred, slice(start, stop), parts.whole_scale), parts.centres)
        nearest[start:stop] = np.argpartition(score, n_probes - 1, axis=1)[:, :n_probes]
    pairs = np.arange(n + 1, dtype=np.int32) * np.int32(n_probes)
    by_part = csr_array((np.ones(nearest.size, dtype=np.int8), nearest.ravel(), pairs), shape=(n, m)).tocsc()
    for first, last in zip(by_part.indptr[:-1], by_part.indptr[1:], strict=True):
        yield by_part.indices[first:last].astype(np.int32, copy=False)


def _cut(n: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut n rows into blocks of which each, `width` float32 numbers a row, fits `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // (4 * max(width, 1)))
    for start in range(0, n, step):
        yield start, min(start + step, n)
