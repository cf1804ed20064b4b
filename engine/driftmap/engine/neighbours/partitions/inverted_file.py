"""Nearest rows of a large window, found in the parts of the data near each row.

An inverted file (Sivic, Zisserman 2003; Jegou, Douze, Schmid 2011): k-means parts the rows, and each row is compared
with the rows of its nearest parts alone: as many as hold enough of the neighbours of some rows for which all rows were
compared. Where these are very many, a few are searched, and from these lists neighbours of neighbours are looked at
round after round (Dong, Charikar, Li 2011) until enough is found.

Dimensions: n rows; d features; k neighbours, the row itself included; m parts; p parts searched per row.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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
    Centred,
    as_graph,
    centre_rows,
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
        Share of the nearest rows to be found, as measured on some of the rows; below 1.

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
            found = _find_by_products(data, k, np.random.default_rng(seed), wanted, share)
    return None if found is None else as_graph(*found, metric)


def _find_by_products(data: Data, k: int, rng: np.random.Generator, wanted: float, share: RowShare) -> Lists | None:
    """Compare every row with all rows of its nearest parts, and then with the neighbours of its neighbours."""
    from driftmap.engine.neighbours.kernels.topk_kernels import measure_neighbours

    rows, scales, tiny = data
    n = len(rows)
    centred = centre_rows(*data, np.float32)
    scale = _choose_whole_scale(centred)
    parts = part_rows(partial(_round_rows, centred, scale), n, count_parts(n), rng, share)
    order = parts.order
    centred = Centred(centred.rows[order], centred.least[order], centred.most[order], centred.unit)
    read = partial(_round_rows, centred, scale)
    ordered = _Ordered(centred, (rows[order], scales[order], tiny), np.arange(n, dtype=np.int32))
    sample = _find_sample(ordered, k)
    reach = measure_reach(parts, read(sample.rows), sample.near)
    n_probes = reach.count_probes(wanted)
    needed = float(reach.shares[n_probes - 1])

    def search(n_probes: int) -> Lists:
        found = new_graph(n, k)
        share(partial(_search_own_parts, parts, ordered, found), n)
        share(partial(_search_other_parts, parts, ordered, read, n_probes, found), n)
        short = np.flatnonzero(found[0][:, -1] < 0).astype(np.int32)  # in parts that hold fewer than k rows together
        _search_everywhere(ordered, short, found)
        return found

    allowed = WHOLE_SECONDS * max(1.0, k / WHOLE_NEIGHBOURS) ** 2
    is_costly = needed > WHOLE_SHARE and estimate_search(needed * n, rows.shape[1]) > allowed
    n_start = _count_start_probes(reach)
    if (needed > MAX_SHARE or is_costly) and can_reach(reach.measure_recall(n_start), wanted, k - 1):
        known = improve_lists(centred.rows, search(n_start), sample, wanted, share)
        if known is not None:
            lists = new_graph(n, k)
            named = np.empty_like(known)
            named[order] = order[known]
            named.sort(axis=1)
            measure_neighbours(named, data, *lists)
            return lists
    return None if needed > MAX_SHARE else _put_back(search(n_probes), order)


def _put_back(found: Lists, order: Int32Array) -> Lists:
    """Give lists of rows in the order of their parts the rows' own numbers, and order ties by those."""
    indices, distances = np.empty_like(found[0]), np.empty_like(found[1])
    indices[order], distances[order] = order[found[0]], found[1]
    tied = np.flatnonzero((distances[:, 2:] == distances[:, 1:-1]).any(axis=1))
    near, apart = indices[tied, 1:], distances[tied, 1:]
    indices[tied, 1:] = np.take_along_axis(near, np.lexsort((near, apart), axis=1), axis=1)
    return indices, distances


def _choose_whole_scale(centred: Centred) -> float:
    """Return what brings a row of typical norm to `WHOLE_NORM`."""
    norms = np.sqrt(np.maximum(centred.most[:: max(1, len(centred.most) // 4096)].astype(np.float64), 0.0))
    typical = float(np.quantile(norms, 0.99))
    return WHOLE_NORM / typical if typical > 0.0 else 1.0


def _round_rows(centred: Centred, scale: float, which: npt.NDArray[np.integer] | slice) -> Float32Array:
    """Rows in whole numbers, those beyond the typical norm drawn in to it.

    No partial sum of a product of two is above the product of their norms (Cauchy, Schwarz), below 2^24: float32 holds
    each exactly.
    """
    norms = np.sqrt(np.maximum(centred.most[which].astype(np.float64), np.finfo(np.float32).tiny))
    scales = np.minimum(scale, WHOLE_NORM / norms).astype(np.float32)
    return np.rint(centred.rows[which] * scales[:, None])


def _find_sample(ordered: _Ordered, k: int) -> Sample:
    """Compare some rows, evenly spaced, with all."""
    some = choose_sample(*ordered.data[0].shape)
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
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among

    centred = ordered.centred
    bounds = centred.least, centred.most
    for start, stop in cut(slice(0, len(some)), len(ordered.numbers)):
        own = some[start:stop]
        select_among(centred.rows[own] @ centred.rows.T, bounds, own, 0, ordered.data, ordered.numbers, found)


def _search_own_parts(parts: Parts, ordered: _Ordered, found: Lists, own_rows: slice) -> int:
    """Compare every row of a run with those of its own part; return how many distances were summed."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among

    centred = ordered.centred
    n_summed = 0
    for first, last in list_parts(parts, own_rows):
        part = centred.rows[first:last]
        bounds = centred.least[first:last], centred.most[first:last]
        for start, stop in cut(slice(max(first, own_rows.start), min(last, own_rows.stop)), last - first):
            own = np.arange(start, stop, dtype=np.int32)
            # of a copy: numpy would call syrk for a product of one array with itself and fill the other half by loop
            products = centred.rows[own] @ part.T
            n_summed += select_among(products, bounds, own, first, ordered.data, ordered.numbers, found)
    return n_summed


def _search_other_parts(
    parts: Parts, ordered: _Ordered, read: ReadWhole, n_probes: int, found: Lists, own_rows: slice
) -> int:
    """Compare every row of a run with those of the nearest parts that are not its own."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import add_columns, set_bars

    centred = ordered.centred
    bars = np.empty(len(ordered.numbers), dtype=np.float32)
    set_bars(bars, centred.least, centred.unit, found[1][:, -1])
    scaling = centred.least, centred.unit
    n_summed = 0
    for first_own, last_own in cut(own_rows, 4 * n_probes):  # the numbers of their parts take 16 bytes each
        positions = np.arange(first_own, last_own, dtype=np.int32)
        nearest = find_nearest_parts(parts, read, positions, n_probes)
        for part, some_own in enumerate(list_visitors(nearest, len(parts.centres))):
            first, last = parts.starts[part : part + 2].tolist()
            visitors = positions[some_own]
            own = visitors[(visitors < first) | (visitors >= last)]
            columns = centred.least[first:last], first
            for start, stop in cut(slice(0, len(own)), max(last - first, centred.rows.shape[1])):
                some = own[start:stop]
                products = centred.rows[some] @ centred.rows[first:last].T
                n_summed += add_columns(products, columns, some, bars, scaling, ordered.data, ordered.numbers, found)
    return n_summed
