"""One epoch of the layout over a block, njit only: forces, steps, and the pull between windows.

Every row moves on its own: it reads all positions as of the epoch's start and writes its own new one. So rows can be
worked through in any order and on any number of threads, and the bytes are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from driftmap.engine.core.jit import fast, fast_parallel, fast_uncounted, fast_uncounted_inline
from driftmap.engine.layout.kernels.arrays import Axis, Edges, WindowEpoch
from driftmap.engine.layout.kernels.float32_kernels import ONE, TWO, ZERO, below, mix
from driftmap.engine.layout.kernels.force_kernels import (
    BLOCK_ROWS,
    N_HOT_NEGATIVES,
    N_NEGATIVES,
    add_squares,
    attract,
    make_scratch,
    repel,
)
from driftmap.engine.layout.kernels.taking_kernels import take

if TYPE_CHECKING:
    from driftmap.engine.layout.kernels.arrays import BlockArrays, EpochPlan, Scratch, WindowForces
    from driftmap.engine.layout.kernels.force_kernels import RowBlock
    from driftmap.engine.types import Float32Array, Int64Array

SAMPLED_ROWS = 32_768
"""Rows of a window, another random sample in each epoch, among which negative samples begin: they stay in the cache. An
epoch of 1,000,000 ordered rows takes 278 ns a row where samples begin anywhere, and 153 so (beside other work)."""
CHUNK_ROWS = 128
"""Rows of a chunk."""
TURNS = 32
"""Times that a thread takes chunks in an epoch, if all are equally fast. Each takes the next ones when it is done with
its own: with shares that are set before, an epoch lasts as long as the slowest thread, beside other work on its core or
with a window that rests. Of two windows of 1,000,000 rows, one of which rests in two epochs of five, two threads moved
a row in 82 ns so, and in 59 with turns; beside a busy process in 103 and 94."""


@fast_uncounted
def step(
    row_block: RowBlock, learning_rate: np.float32, positions: Float32Array, moved: Float32Array, scratch: Scratch
) -> None:
    """Move a row block's rows along their force, by no more than the learning rate.

    The bound keeps rows that lie on top of each other from being thrown out of the map, and sampling noise out of the
    drift: on gapminder drift over one window .113 without and .052 with it, at the same trustworthiness.
    """
    first, last = row_block
    scales = scratch.weights[:BLOCK_ROWS]  # to whole vectors, as in `attract`
    scales[:] = ZERO
    for d in range(len(positions)):
        add_squares(Axis(scratch.force[d], ZERO), scales)
    for k in range(len(scales)):
        length = np.sqrt(scales[k])
        scales[k] = learning_rate / (length if length > ONE else ONE)  # noqa: FURB136 - as above
    for d in range(len(positions)):
        force, here, there = scratch.force[d], positions[d, first:last], moved[d, first:last]
        for k in range(len(there)):
            there[k] = here[k] + scales[k] * force[k]


@fast_uncounted_inline
def pull(
    row: int,
    block: BlockArrays,
    n_placed: int,
    strength: np.float32,
    positions: Float32Array,
    moved: Float32Array,
    origins: Float32Array,
) -> None:
    """Pull a row towards the mean of its related rows, exactly as far as a steady pull would over one epoch.

    y += (1 - exp(-strength * S)) (mean - origin), S the sum of the weights: stable at any strength. Where `origins` are
    the rows' positions after their step, a strong pull takes the step back, also where related rows step together: on
    blobs of which some rows are known to move, 1 to 3 of 18 stay behind at a strength of .035. Where they are those
    before the step, rows that belong together go as far as their forces take them, and none stays behind.
    """
    total = ZERO
    for k in range(block.related_indptr[row], block.related_indptr[row + 1]):
        if block.related[k] < n_placed:
            total += block.related_weights[k]
    if total <= ZERO:
        return
    share = (ONE - np.exp(-strength * total)) / total
    for d in range(len(positions)):
        here = origins[d, row]
        delta = ZERO
        for k in range(block.related_indptr[row], block.related_indptr[row + 1]):
            other = block.related[k]
            if other < n_placed:
                delta += block.related_weights[k] * (positions[d, other] - here)
        moved[d, row] += share * delta


@fast_uncounted
def move_rows(
    chunk: Int64Array,
    epoch: int,
    plan: EpochPlan,
    block: BlockArrays,
    forces: WindowForces,
    places: tuple[Float32Array, Float32Array, Float32Array],
    scratch: Scratch,
) -> None:
    """Move one chunk of a window's rows by one epoch.

    `places`, (c, N) each, are positions to read, positions to write, and what is read in random order.
    """
    positions, moved, shuffled = places
    number = chunk[0]
    learning_rate = plan.learning_rates[epoch, number]
    if learning_rate <= ZERO:
        copy_rows(chunk, positions, moved)
        return
    n, rate = block.n_active[number], forces.negative_sample_rate[number]
    n_negatives = min(N_HOT_NEGATIVES if learning_rate > plan.hot_rates[number] else N_NEGATIVES, n)
    first_sampled, n_sampled = find_sampled(number, epoch, plan, block)
    window = WindowEpoch(
        start=block.offsets[number],
        n=n,
        n_sampled=n_sampled,
        first_sampled=first_sampled,
        a=forces.a[number],
        b=forces.b[number],
        n_negatives=n_negatives,
        repulsion=rate * forces.repulsion_strength[number] / np.float32(n_negatives),
        random=mix(plan.seeds[number], plan.epochs[epoch]),
    )
    alignment = learning_rate * forces.alignment_regularisation[number] * (rate + TWO)
    origins = positions if forces.moves_freely[number] > ZERO else moved
    near = Edges(block.indptr, block.indices, block.rates)
    mid_near = Edges(block.mid_near_indptr, block.mid_near, block.mid_near_rates)
    for first in range(chunk[1], chunk[2], BLOCK_ROWS):
        row_block = first, min(first + BLOCK_ROWS, chunk[2])
        scratch.force[:] = ZERO
        attract(row_block, near, positions, window, scratch)
        if plan.draws[epoch]:
            attract(row_block, mid_near, positions, window, scratch)
        repel(row_block, block, (positions, shuffled), window, scratch)
        step(row_block, learning_rate, positions, moved, scratch)
        for row in range(row_block[0], row_block[1]):
            pull(row, block, plan.n_placed, alignment * block.row_rates[row], positions, moved, origins)


@fast_uncounted
def copy_rows(chunk: Int64Array, source: Float32Array, target: Float32Array) -> None:
    """Copy the positions of a chunk of rows."""
    for d in range(len(source)):
        for row in range(chunk[1], chunk[2]):
            target[d, row] = source[d, row]


@fast_uncounted
def find_sampled(window: int, epoch: int, plan: EpochPlan, block: BlockArrays) -> tuple[int, int]:
    """Find the rows of a window's random order at which the negative samples of an epoch begin: the first, how many."""
    n = block.n_active[window]
    if n <= SAMPLED_ROWS:
        return 0, n
    random = mix(plan.seeds[window], plan.epochs[epoch])
    return int(below(mix(random, n), n)), SAMPLED_ROWS


@fast_uncounted
def shuffle_rows(
    chunk: Int64Array,
    epoch: int,
    plan: EpochPlan,
    block: BlockArrays,
    source: Float32Array,
    target: Float32Array,
) -> None:
    """Copy what of a chunk of rows an epoch's negative samples read to where it stands in the random order."""
    start, n = block.offsets[chunk[0]], block.n_active[chunk[0]]
    first, n_sampled = find_sampled(chunk[0], epoch, plan, block)
    n_read = min(n, n_sampled + N_NEGATIVES)
    for row in range(chunk[1], chunk[2]):
        place = block.places[row]
        if (place - first if place >= first else place - first + n) < n_read:
            for d in range(len(source)):
                target[d, start + place] = source[d, row]


@fast_uncounted
def take_some(taken: Int64Array, counter: int, plan: EpochPlan) -> tuple[int, int]:
    """Take the next chunks that no thread has taken: the first, and the last + 1; none where both are the same."""
    n, n_at_once = len(plan.chunks), max(1, len(plan.chunks) // (plan.n_threads * TURNS))
    first = min(take(taken, counter, n_at_once), n)
    return first, min(first + n_at_once, n)


@fast
def shuffle_some(
    taken: Int64Array,
    counter: int,
    epoch: int,
    plan: EpochPlan,
    block: BlockArrays,
    source: Float32Array,
    target: Float32Array,
) -> None:
    """Do as `shuffle_rows` for chunks that no other thread has taken, until none is left."""
    first, last = take_some(taken, counter, plan)
    while first < last:
        for c in range(first, last):
            shuffle_rows(plan.chunks[c], epoch, plan, block, source, target)
        first, last = take_some(taken, counter, plan)


@fast
def move_some(
    taken: Int64Array,
    counter: int,
    epoch: int,
    plan: EpochPlan,
    block: BlockArrays,
    forces: WindowForces,
    places: tuple[Float32Array, Float32Array, Float32Array],
) -> None:
    """Do as `move_rows` for chunks that no other thread has taken, until none is left."""
    first, last = take_some(taken, counter, plan)
    while first < last:
        for c in range(first, last):
            chunk = plan.chunks[c]
            move_rows(chunk, epoch, plan, block, forces, places, make_scratch(chunk, block, len(places[0])))
        first, last = take_some(taken, counter, plan)


@fast_parallel
def run_epochs(
    plan: EpochPlan, block: BlockArrays, forces: WindowForces, buffers: Float32Array, shuffled: Float32Array
) -> None:
    """Run the planned epochs; the halves of buffers (2, c, N) are equal before the call and after it.

    Where rows are ordered, `shuffled` (c, N) takes their positions in random order; it is not read else.
    """
    n_epochs = len(plan.learning_rates)
    n_chunks = len(plan.chunks)
    taken = np.zeros(2 * n_epochs, dtype=np.int64)
    for epoch in range(n_epochs):
        now, then = buffers[epoch % 2], buffers[1 - epoch % 2]
        sampled = now
        if plan.is_ordered:
            sampled = shuffled
            for _ in numba.prange(plan.n_threads):
                shuffle_some(taken, 2 * epoch, epoch, plan, block, now, shuffled)
        for _ in numba.prange(plan.n_threads):
            move_some(taken, 2 * epoch + 1, epoch, plan, block, forces, (now, then, sampled))
    last = n_epochs % 2
    for c in numba.prange(n_chunks):
        copy_rows(plan.chunks[c], buffers[last], buffers[1 - last])
