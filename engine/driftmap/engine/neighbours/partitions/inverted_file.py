"""Nearest rows of a large window, found in the parts of the data near each row.

An inverted file (Sivic, Zisserman 2003; Jegou, Douze, Schmid 2011): k-means parts the rows, and each row is compared
with the rows of its nearest parts alone: as many as hold enough of the neighbours of some rows for which all rows were
compared. Where these are very many, a few are searched, and from these lists neighbours of neighbours are looked at
round after round (Dong, Charikar, Li 2011) until enough is found.

Dimensions: n rows; d features; k neighbours, the row itself included; m parts; p parts searched per row.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine.core.buffers import Buffers
from driftmap.engine.neighbours.partitions.joins import can_reach, improve_lists
from driftmap.engine.neighbours.partitions.parts import (
    count_parts,
    cut,
    estimate_search,
    find_nearest_parts,
    list_parts,
    list_visitors,
    part_rows,
)
from driftmap.engine.neighbours.partitions.projection import WHOLE_NORM
from driftmap.engine.neighbours.partitions.sample import Sample, add_margin, choose_sample, measure_reach
from driftmap.engine.neighbours.scaling.normalise import (
    COSINE_TINY,
    as_graph,
    centre_about,
    choose_unit,
    find_middle,
    measure_extent,
    new_graph,
    scale_rows,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.core.threads import RowShare
    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists
    from driftmap.engine.neighbours.partitions.parts import Parts, ReadWhole
    from driftmap.engine.neighbours.partitions.sample import Reach
    from driftmap.engine.types import Float32Array, Int32Array, KnnGraph

WHOLE_SHARE = 0.15
"""Share of all pairs of rows that is compared, whatever it costs, to find all that is wanted in the parts.

Of 50,000 rows of 32 features .13 of the pairs took 1.0 CPU s, a round as much, and all of them 5.
"""
WHOLE_SECONDS = 6e-5
"""Seconds of a row that more of them may take; else rounds are tried before. Of embeddings of 29,000 texts rounds never
found .98 of the neighbours, in 20 to 40 us a row. Above `WHOLE_NEIGHBOURS` it grows with their square, as rounds do: of
20,000 rows of normal noise in 32 features two rounds for 50 took 5.6 CPU s."""
WHOLE_NEIGHBOURS = 15
MAX_SHARE = 0.8
"""Share of all pairs from which comparing all of them takes no longer; parts say nothing about such rows."""
START_RECALL = 0.9
"""Share of the neighbours that the parts are to find otherwise, from which a round or two lead to .98."""
START_PROBES = 3
"""Fewest parts searched: with its own alone, no list would lead from one part to another."""
START_SHARE = 0.03
"""Share of all pairs of rows that is compared at most in the parts then."""

EVERYWHERE_ROWS = 2048
"""Rows that are compared with all at a time."""
_UNSAID = 0.01
"""By how much fewer neighbours may be found than asked for before it is said."""


class _Framed(NamedTuple):
    """Rows, and what brings them about their middle, some at a time: all would take a copy of the rows."""

    data: Data
    middle: npt.NDArray[np.float64]
    unit: float
    least: Float32Array
    """(n,) bounds of squared norms, as `Centred` has them."""
    most: Float32Array

    def centre(self, which: npt.NDArray[np.integer] | slice, out: Float32Array | None = None) -> Float32Array:
        """Give some rows about their middle, in `out` if given."""
        from driftmap.engine.neighbours.kernels.candidate_kernels import fill_centred

        rows, scales, _ = self.data
        numbers = np.arange(which.start, which.stop) if isinstance(which, slice) else which
        centred = np.empty((len(numbers), rows.shape[1]), dtype=np.float32) if out is None else out
        fill_centred(rows, scales, (self.middle, self.unit), numbers.astype(np.int64), centred)
        return centred

    def centre_in(self, buffers: Buffers, name: str, which: npt.NDArray[np.integer] | slice) -> Float32Array:
        """Give some rows about their middle, in a buffer."""
        n_rows = which.stop - which.start if isinstance(which, slice) else len(which)
        return self.centre(which, buffers.take(name, n_rows, self.data[0].shape[1]))


class _Ordered(NamedTuple):
    """What the search reads, all in the order of the parts."""

    frame: _Framed
    numbers: Int32Array


def find_in_partitions(
    rows: Float32Array, k: int, metric: str, seed: int, recall: float, *, is_enough: bool = False
) -> KnnGraph | None:
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
        Share of the nearest rows to be found, as measured on some of the rows; below 1.
    is_enough
        Whether what rounds find is taken where comparing all rows would find more: for windows too large for that.

    Returns
    -------
    As `search.build_knn_graph`; every distance is exact. None where so many are not found, as in noise of very many
    dimensions.

    Notes
    -----
    Wide rows are searched on their main axes first, see `candidates`. The same bytes on any number of threads: parts,
    and candidates, are found among rows rounded to whole numbers, whose float32 products have no rounding and so no
    order; within the parts searched, or among the candidates, the result is the exact one; and a round reads the lists
    of the round before.
    """
    from driftmap.engine.core.threads import share_rows
    from driftmap.engine.neighbours.partitions.candidates import find_by_candidates

    rows, scales = scale_rows(rows, metric)
    data = rows, scales, 0.0 if metric == "euclidean" else COSINE_TINY
    wanted = add_margin(recall, rows.shape[1])
    with share_rows() as share:
        found = find_by_candidates(data, k, np.random.default_rng(seed), wanted, share)
        if found is None:
            found = _find_by_products(data, k, np.random.default_rng(seed), wanted, share, is_enough=is_enough)
    return None if found is None else as_graph(*found, metric)


def _find_by_products(
    data: Data, k: int, rng: np.random.Generator, wanted: float, share: RowShare, *, is_enough: bool
) -> Lists | None:
    """Compare every row with all rows of its nearest parts, and then with the neighbours of its neighbours."""
    from driftmap.engine.neighbours.kernels.topk_kernels import measure_neighbours

    n = len(data[0])
    given = _frame_rows(data)
    scale = _choose_whole_scale(given.most)
    parts = part_rows(partial(_round_rows, given, scale), n, count_parts(n), rng, share)
    order = parts.order
    ordered = _put_in_order(given, order)
    sample = _find_sample(ordered, k)
    reach = measure_reach(parts, _round_rows(ordered.frame, scale, sample.rows, Buffers()), sample.near)
    n_probes = reach.count_probes(wanted)
    needed = float(reach.shares[n_probes - 1])

    def search(ordered: _Ordered, n_probes: int) -> Lists:
        found = new_graph(n, k)
        read = partial(_round_rows, ordered.frame, scale)
        share(partial(_search_own_parts, parts, ordered, found), n)
        share(partial(_search_other_parts, parts, ordered, read, n_probes, found), n)
        short = np.flatnonzero(found[0][:, -1] < 0).astype(np.int32)  # in parts that hold fewer than k rows together
        _search_everywhere(ordered, short, found)
        return found

    allowed = WHOLE_SECONDS * max(1.0, k / WHOLE_NEIGHBOURS) ** 2
    is_costly = needed > WHOLE_SHARE and estimate_search(needed * n, data[0].shape[1]) > allowed
    n_start, taken = _count_start_probes(reach), is_enough and needed > MAX_SHARE
    is_hopeful = (needed > MAX_SHARE or is_costly) and can_reach(reach.measure_recall(n_start), wanted, k - 1)
    if taken or is_hopeful:
        near = search(ordered, n_start)[0][:, 1:].copy()
        del ordered  # its rows, so that those about their middle take no more
        known = improve_lists(_centre_in_order(given, order), near, sample, wanted, share, is_enough=taken)
        del near
        if known is not None:
            if taken:
                _warn_of_few(sample.measure_recall(known), wanted, n)
            named = np.empty_like(known)
            named[order] = order[known]
            del known
            named.sort(axis=1)
            lists = new_graph(n, k)
            measure_neighbours(named, data, *lists)
            return lists
        if needed > MAX_SHARE:
            return None
        ordered = _put_in_order(given, order)
    elif needed > MAX_SHARE:
        return None
    indices, distances = search(ordered, n_probes)
    del ordered
    indices = _put_back(indices, order, order)
    distances = _put_back(distances, order)
    _order_ties(indices, distances)
    return indices, distances


def _warn_of_few(found: float, wanted: float, n: int) -> None:
    """Say that fewer neighbours were found than asked for, where it is more than the margin of a sample."""
    if found >= wanted - _UNSAID:
        return
    message = (
        f"of the nearest rows of each of {n:,} rows about {found:.0%} were found, and {wanted:.0%} were asked for: "
        "they are like noise, of which no part says where the nearest rows lie. knn_recall=1 compares all rows with "
        "all, whatever it costs; fewer columns, such as main axes, are searched better."
    )
    warnings.warn(message, UserWarning, stacklevel=2)


def _put_back(lists: npt.NDArray[Any], order: Int32Array, names: Int32Array | None = None) -> npt.NDArray[Any]:
    """Put lists of rows, in the order of their parts, into the rows' own; `names` are given for what they hold."""
    back = np.empty_like(lists)
    for start, stop in cut(slice(0, len(lists)), lists.shape[1]):
        block = lists[start:stop]
        back[order[start:stop]] = block if names is None else names[block]
    return back


def _order_ties(indices: Int32Array, distances: Float32Array) -> None:
    """Order rows at the same distance by their numbers."""
    tied = np.flatnonzero((distances[:, 2:] == distances[:, 1:-1]).any(axis=1))
    for start, stop in cut(slice(0, len(tied)), 4 * indices.shape[1]):
        some = tied[start:stop]
        near, apart = indices[some, 1:], distances[some, 1:]
        indices[some, 1:] = np.take_along_axis(near, np.lexsort((near, apart), axis=1), axis=1)


def _put_in_order(given: _Framed, order: Int32Array) -> _Ordered:
    """Copy rows in the order of their parts."""
    rows, scales, tiny = given.data
    data = rows[order], scales[order], tiny
    frame = _Framed(data, given.middle, given.unit, given.least[order], given.most[order])
    return _Ordered(frame, np.arange(len(order), dtype=np.int32))


def _centre_in_order(given: _Framed, order: Int32Array) -> Float32Array:
    """Bring all rows about their middle, in the order of their parts."""
    n, d = given.data[0].shape
    centred = np.empty((n, d), dtype=np.float32)
    for start, stop in cut(slice(0, n), d):
        given.centre(order[start:stop], centred[start:stop])
    return centred


def _frame_rows(data: Data) -> _Framed:
    """Find the middle of rows, and bounds of their norms about it, a block of them at a time."""
    rows, scales, tiny = data
    middle, unit = find_middle(rows, scales), choose_unit(measure_extent(rows, scales))
    least, most = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    for start, stop in cut(slice(0, len(rows)), rows.shape[1]):
        block = slice(start, stop)
        centred = centre_about(middle, unit, rows[block], scales[block], tiny, np.float32)
        least[block], most[block] = centred.least, centred.most
    return _Framed(data, middle, unit, least, most)


def _choose_whole_scale(most: Float32Array) -> float:
    """Return what brings a row of typical norm to `WHOLE_NORM`."""
    norms = np.sqrt(np.maximum(most[:: max(1, len(most) // 4096)].astype(np.float64), 0.0))
    typical = float(np.quantile(norms, 0.99))
    return WHOLE_NORM / typical if typical > 0.0 else 1.0


def _round_rows(frame: _Framed, scale: float, which: npt.NDArray[np.integer] | slice, buffers: Buffers) -> Float32Array:
    """Rows in whole numbers, those beyond the typical norm drawn in to it.

    No partial sum of a product of two is above the product of their norms (Cauchy, Schwarz), below 2^24: float32 holds
    each exactly.
    """
    norms = np.sqrt(np.maximum(frame.most[which].astype(np.float64), np.finfo(np.float32).tiny))
    scales = np.minimum(scale, WHOLE_NORM / norms).astype(np.float32)
    whole = frame.centre_in(buffers, "whole", which)
    whole *= scales[:, None]
    np.rint(whole, out=whole)
    return whole


def _find_sample(ordered: _Ordered, k: int) -> Sample:
    """Compare some rows, evenly spaced, with all."""
    some = choose_sample(*ordered.frame.data[0].shape)
    n = len(ordered.numbers)
    found = np.empty((n, k), np.int32), np.empty((n, k), np.float32)  # of which only these rows take memory
    _search_everywhere(ordered, some, found)
    return Sample(some, found[0][some, 1:])


def _count_start_probes(reach: Reach) -> int:
    """Return how many parts to search before rounds."""
    within = int(np.searchsorted(reach.shares, START_SHARE, side="right"))
    return min(max(START_PROBES, min(reach.count_probes(START_RECALL), within)), len(reach.shares))


def _search_everywhere(ordered: _Ordered, some: Int32Array, found: Lists) -> None:
    """Compare some rows with all."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import add_columns

    frame, numbers = ordered.frame, ordered.numbers
    n, d = frame.data[0].shape
    indices, distances = found
    indices[some], distances[some] = -1, np.inf
    indices[some, 0], distances[some, 0] = numbers[some], 0.0
    bars = np.full(n, np.inf, dtype=np.float32)
    buffers = Buffers()
    for start, stop in cut(slice(0, len(some)), max(d, EVERYWHERE_ROWS)):
        own = some[start:stop]
        centred = frame.centre_in(buffers, "own", own)
        for first, last in cut(slice(0, n), max(d, len(own))):
            products = buffers.take("products", len(own), last - first)
            np.matmul(centred, frame.centre_in(buffers, "visited", slice(first, last)).T, out=products)
            columns = frame.least[first:last], first
            add_columns(products, columns, own, bars, (frame.least, frame.unit), frame.data, numbers, found)


def _search_own_parts(parts: Parts, ordered: _Ordered, found: Lists, own_rows: slice) -> int:
    """Compare every row of a run with those of its own part; return how many distances were summed."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among

    frame, buffers = ordered.frame, Buffers()
    n_summed = 0
    for first, last in list_parts(parts, own_rows):
        part = frame.centre_in(buffers, "visited", slice(first, last))
        bounds = frame.least[first:last], frame.most[first:last]
        for start, stop in cut(slice(max(first, own_rows.start), min(last, own_rows.stop)), last - first):
            own = np.arange(start, stop, dtype=np.int32)
            # of a copy: numpy would call syrk for a product of one array with itself and fill the other half by loop
            products = np.matmul(part[own - first], part.T, out=buffers.take("products", len(own), last - first))
            n_summed += select_among(products, bounds, own, first, frame.data, ordered.numbers, found)
    return n_summed


def _search_other_parts(
    parts: Parts, ordered: _Ordered, read: ReadWhole, n_probes: int, found: Lists, own_rows: slice
) -> int:
    """Compare every row of a run with those of the nearest parts that are not its own."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import add_columns, set_bars

    frame, buffers = ordered.frame, Buffers()
    bars = np.empty(len(ordered.numbers), dtype=np.float32)
    set_bars(bars, frame.least, frame.unit, found[1][:, -1])
    scaling = frame.least, frame.unit
    n_summed = 0
    for first_own, last_own in cut(own_rows, 4 * n_probes):  # the numbers of their parts take 16 bytes each
        positions = np.arange(first_own, last_own, dtype=np.int32)
        nearest = find_nearest_parts(parts, read, positions, n_probes, buffers)
        for part, some_own in enumerate(list_visitors(nearest, len(parts.centres))):
            first, last = parts.starts[part : part + 2].tolist()
            visitors = positions[some_own]
            own = visitors[(visitors < first) | (visitors >= last)]
            if not len(own):
                continue
            columns, visited = (frame.least[first:last], first), frame.centre_in(buffers, "visited", slice(first, last))
            for start, stop in cut(slice(0, len(own)), max(last - first, frame.data[0].shape[1])):
                some = own[start:stop]
                products = buffers.take("products", len(some), last - first)
                np.matmul(frame.centre_in(buffers, "own", some), visited.T, out=products)
                n_summed += add_columns(products, columns, some, bars, scaling, frame.data, ordered.numbers, found)
    return n_summed
