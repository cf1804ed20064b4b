"""Nearest rows of wide data: candidates by their main axes, and exact distances of these alone.

Dimensions: n rows; d features; q axes; k neighbours, the row itself included; m parts; c candidates; s sampled rows.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.buffers import Buffers
from driftmap.engine.neighbours.kernels.candidate_kernels import add_candidates, measure_all, measure_candidates
from driftmap.engine.neighbours.kernels.topk_merge_kernels import select_among
from driftmap.engine.neighbours.partitions.parts import (
    count_parts,
    cut,
    estimate_search,
    find_nearest_parts,
    list_visitors,
    part_rows,
    square_norms,
    take_rows,
)
from driftmap.engine.neighbours.partitions.projection import MIN_FEATURES, Frame, find_axes, project_rows
from driftmap.engine.neighbours.partitions.sample import Sample, choose_sample, measure_reach
from driftmap.engine.neighbours.scaling.normalise import (
    centre_about,
    choose_unit,
    find_middle,
    measure_extent,
    new_graph,
)

if TYPE_CHECKING:
    from driftmap.engine.core.threads import RowShare
    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists
    from driftmap.engine.neighbours.partitions.parts import Parts
    from driftmap.engine.types import Float32Array, Int32Array

MIN_ROWS = 2048
"""Of fewer rows no axes are found, and all are soon compared."""
MAX_NEIGHBOURS = 64
"""Of longer lists, putting so many more candidates in order costs more than it saves."""
CANDIDATES_PER_NEIGHBOUR = 4
"""Candidates of a row at most."""
PARTS_PER_ROOT = 1.5
"""Parts per square root of n: on few axes, finding more of them is cheap, and fewer rows must be searched."""
MISSED_SHARES = (0.85, 0.6, 0.3)
"""Of the neighbours that may be missed, the share that may lie outside of the parts searched; the cheapest is taken."""
CANDIDATE_BYTES = 1 << 24
"""Memory for the candidates of a block of rows, and for the numbers of the parts they are looked for in."""
BLOCK_NUMBERS = 1 << 20
"""Numbers of a block of rows that is centred and multiplied at a time, whatever the threads."""
TERM_SECONDS, CANDIDATE_SECONDS = 1.3e-10, 6e-8
"""One thread: a term of a distance, and to keep a candidate."""


class _Coarse(NamedTuple):
    """Rows on their main axes, in the order of their parts."""

    parts: Parts
    whole: Float32Array
    """(n, q) whole numbers."""
    norms: Float32Array
    """(n,) squared."""


class _Effort(NamedTuple):
    """How far is searched."""

    n_probes: int
    n_candidates: int


def find_by_candidates(data: Data, k: int, rng: np.random.Generator, wanted: float, share: RowShare) -> Lists | None:
    """Find most of the nearest rows; None where rows are narrow, or few axes do not tell which rows are near.

    Parameters
    ----------
    data
        Rows (n, d), scales and tiny, as in `measure_distance`.
    k
        Neighbours, the row itself included.
    rng
        Chooses rows for the axes and for k-means.
    wanted
        Share of the sample's neighbours to be found.
    share
        Shares rows out among threads.

    Returns
    -------
    Indices and distances, (n, k), ascending, ties by row number; every distance is exact.
    """
    rows, scales, _ = data
    n, d = rows.shape
    if d < MIN_FEATURES or n < MIN_ROWS or k > MAX_NEIGHBOURS:
        return None
    frame = Frame(find_middle(rows, scales), choose_unit(measure_extent(rows, scales)))
    axes = find_axes(rows, scales, frame, rng)
    if axes is None:
        return None
    whole, sample = _multiply_rows(data, frame, axes, k, share)
    parts = part_rows(partial(take_rows, whole), n, count_parts(n, PARTS_PER_ROOT), rng, share)
    whole = whole[parts.order]
    coarse = _Coarse(parts, whole, square_norms(whole))
    effort = _choose_effort(coarse, sample, d, k, wanted)
    if effort is None:
        return None
    found = new_graph(n, k)
    share(partial(_search, coarse, effort, data, found), n)
    short = np.flatnonzero(found[0][:, -1] < 0).astype(np.int32)  # in parts that hold fewer than k rows together
    measure_all(short, np.arange(n, dtype=np.int32), data, found)
    return found


def _multiply_rows(
    data: Data, frame: Frame, axes: Float32Array, k: int, share: RowShare
) -> tuple[Float32Array, Sample]:
    """Project all rows on the axes, and compare those of the sample with all, as no copy of the rows is kept."""
    rows, scales, tiny = data
    n = len(rows)
    some = choose_sample(*rows.shape)
    own = centre_about(*frame, rows[some], scales[some], tiny, np.float32).rows
    whole = np.empty((n, axes.shape[1]), dtype=np.float32)
    products = np.empty((len(some), n), dtype=np.float32)
    least, most = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    step = max(1, BLOCK_NUMBERS // rows.shape[1])

    def multiply(part: slice) -> int:
        # blocks that begin in the part, the same ones whatever the threads: how BLAS sums depends on their rows
        for start in range(-(-part.start // step) * step, part.stop, step):
            block = slice(start, min(start + step, n))
            centred = centre_about(*frame, rows[block], scales[block], tiny, np.float32)
            whole[block] = project_rows(centred.rows, axes)
            products[:, block] = own @ centred.rows.T
            least[block], most[block] = centred.least, centred.most
        return 0

    share(multiply, n)
    found = np.empty((n, k), np.int32), np.empty((n, k), np.float32)  # of which only these rows take memory
    select_among(products, (least, most), some, 0, data, np.arange(n, dtype=np.int32), found)
    return whole, Sample(some, found[0][some, 1:])


def _choose_effort(coarse: _Coarse, sample: Sample, n_features: int, k: int, wanted: float) -> _Effort | None:
    """Find how to hold so much of the sample's neighbours at the least cost, by searching for these.

    None where too few are among the candidates, or comparing all rows would not take longer.
    """
    order, n_axes = coarse.parts.order, coarse.whole.shape[1]
    n = len(order)
    positions = np.empty_like(order)
    positions[order] = np.arange(n, dtype=np.int32)
    own, near = positions[sample.rows], positions[sample.near]
    reach = measure_reach(coarse.parts, coarse.whole[own], near)
    best, least = None, estimate_search(n, n_features)
    for missed in MISSED_SHARES:
        n_probes = reach.count_probes(1.0 - missed * (1.0 - wanted))
        search = estimate_search(n * reach.shares[n_probes - 1], n_axes)
        if search > least:
            break
        candidates, _ = _gather(coarse, own, _Effort(n_probes, CANDIDATES_PER_NEIGHBOUR * k), Buffers())
        is_found = candidates[:, :, None] == near[:, None, :]
        held = np.cumsum(is_found.sum(axis=2).sum(axis=0)) / near.size
        n_candidates = max(k, int(np.searchsorted(held, wanted)) + 1)
        cost = search + n_candidates * (n_features * TERM_SECONDS + CANDIDATE_SECONDS)
        if held[-1] >= wanted and cost < least:
            best, least = _Effort(n_probes, n_candidates), cost
    return best


def _search(coarse: _Coarse, effort: _Effort, data: Data, found: Lists, own_rows: slice) -> int:
    """Find the nearest of a run of rows; return how many distances were summed."""
    order = coarse.parts.order
    numbers = np.arange(len(order), dtype=np.int32)
    buffers = Buffers()
    step = max(1, CANDIDATE_BYTES // (8 * effort.n_candidates + 16 * effort.n_probes))
    n_summed = 0
    for start in range(own_rows.start, own_rows.stop, step):
        own = np.arange(start, min(start + step, own_rows.stop), dtype=np.int32)
        candidates, _ = _gather(coarse, own, effort, buffers)
        n_summed += measure_candidates(candidates, order[own], order, numbers, data, found)
    return n_summed


def _gather(coarse: _Coarse, own: Int32Array, effort: _Effort, buffers: Buffers) -> Lists:
    """Find the candidates of some rows: positions and scores, (rows, c)."""
    parts, whole, norms = coarse
    found = new_graph(len(own), effort.n_candidates)
    nearest = find_nearest_parts(parts, partial(take_rows, whole), own, effort.n_probes, buffers)
    # the nearest part first: after it few of the others' rows are near enough
    for visits in (nearest[:, :1], nearest[:, 1:]):
        for part, visitors in enumerate(list_visitors(visits, len(parts.centres))):
            first, last = parts.starts[part : part + 2].tolist()
            columns = norms[first:last], first
            for start, stop in cut(slice(0, len(visitors)), max(last - first, whole.shape[1])):
                some = visitors[start:stop]
                products = buffers.take("products", len(some), last - first)
                np.matmul(whole[own[some]], whole[first:last].T, out=products)
                add_candidates(products, columns, some, own, found)
    return found
