"""The inner loops of the layout, njit only: attraction, repulsion, alignment pull, and one epoch of them over a block.

Every row moves on its own: it reads all positions as of the epoch's start and writes its own new one. So rows can be
worked through in any order and on any number of threads, and the bytes are the same.

Dimensions: T windows, N rows of the block (windows one after another), e edges, r related pairs, c components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from driftmap.engine.arithmetic import ONE, TWO, ZERO, below, mix, power
from driftmap.engine.compiling import fast, fast_parallel

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array, Int64Array

N_NEGATIVES = 64
"""Negative samples a row looks at in one epoch, whatever the rate; their sum is scaled to the rate. At the same drift,
more of them keep more neighbours, up to 128; against 32, a fit takes 5 % more time, with 96 15 %."""
CHUNK_ROWS = 128
"""Rows that one thread takes at a time."""

_TINY = np.float32(1e-12)
_SOFTENING = np.float32(0.001)
_CLIP = np.float32(4)


class BlockArrays(NamedTuple):
    """A block of windows as flat arrays; a window's rows are shuffled: neighbouring rows are a random sample."""

    offsets: Int64Array
    """(T + 1,) first row of every window."""
    n_active: Int64Array
    """(T,) rows of a window that have an edge; they come first, the others take no part."""
    indptr: Int64Array
    """(N + 1,)"""
    indices: Int32Array
    """(e,) rows of the block."""
    rates: Float32Array
    """(e,) how often an edge attracts: membership strength over the window's largest."""
    row_rates: Float32Array
    """(N,) sum of a row's rates."""
    related_indptr: Int64Array
    """(N + 1,)"""
    related: Int32Array
    """(r,) rows of the block that stand for the same entity in another window."""
    related_weights: Float32Array
    """(r,) alignment weights: decay with the offset times Jaccard overlap."""


class WindowForces(NamedTuple):
    """What the layout of each window is told; float32 (T,) each."""

    a: Float32Array
    b: Float32Array
    repulsion_strength: Float32Array
    negative_sample_rate: Float32Array
    alignment_regularisation: Float32Array


class EpochPlan(NamedTuple):
    """Who moves, by how much, in a run of epochs."""

    chunks: Int64Array
    """(chunks, 3) window, first row, last row + 1; only windows that move."""
    learning_rates: Float32Array
    """(epochs, T); 0 where a window rests."""
    first_epoch: int
    """Number of the first epoch, for the random numbers."""
    n_placed: int
    """Rows of the block from here on have no position yet and pull nothing."""
    seeds: npt.NDArray[np.uint64]
    """(T,) random seed of each window."""


@fast
def measure_gathered(axis: Float32Array, rows: Int32Array, here: np.float32, squared: Float32Array) -> None:
    """Add the squared distance along one axis from `here` to each of `rows`."""
    for k in range(len(rows)):
        difference = axis[np.uint32(rows[k])] - here
        squared[k] += difference * difference


@fast
def measure_run(axis: Float32Array, here: np.float32, squared: Float32Array) -> None:
    """Add the squared distance along one axis from `here` to each row of a run of rows."""
    for k in range(len(axis)):
        difference = axis[k] - here
        squared[k] += difference * difference


@fast
def weigh_attraction(squared: Float32Array, rates: Float32Array, a: np.float32, b: np.float32) -> None:
    """Turn squared distances into attraction coefficients: 2 a b d^(2b - 2) / (1 + a d^2b), times the edge's rate.

    Times (x_j - x_i) this is the downhill gradient of -log(1 / (1 + a d^2b)): arXiv 1802.03426, section 3.2.
    """
    for k in range(len(squared)):
        d2 = squared[k] + _TINY
        q = a * power(d2, b)
        squared[k] = rates[k] * TWO * b * q / (d2 * (ONE + q))


@fast
def weigh_repulsion(squared: Float32Array, a: np.float32, b: np.float32) -> None:
    """Turn squared distances into repulsion coefficients: 2 b / ((.001 + d^2) (1 + a d^2b)), no force beyond 4.

    Times (x_i - x_j) this is the downhill gradient of -log(1 - 1 / (1 + a d^2b)), softened and bounded as in UMAP.
    """
    for k in range(len(squared)):
        d2 = squared[k] + _TINY
        coefficient = TWO * b / ((_SOFTENING + d2) * (ONE + a * power(d2, b)))
        bound = _CLIP / np.sqrt(d2)
        squared[k] = bound if bound < coefficient else coefficient  # noqa: FURB136 - min() is not vectorised


@fast
def sum_gathered(axis: Float32Array, rows: Int32Array, here: np.float32, weights: Float32Array) -> np.float32:
    """Sum weights times the way along one axis from `here` to each of `rows`."""
    total = ZERO
    for k in range(len(rows)):
        total += weights[k] * (axis[np.uint32(rows[k])] - here)
    return total


@fast
def sum_run(axis: Float32Array, here: np.float32, weights: Float32Array) -> np.float32:
    """Sum weights times the way along one axis from `here` to each row of a run of rows."""
    total = ZERO
    for k in range(len(axis)):
        total += weights[k] * (axis[k] - here)
    return total


@fast
def attract(
    row: int,
    block: BlockArrays,
    positions: Float32Array,
    a: np.float32,
    b: np.float32,
    scratch: Float32Array,
    force: Float32Array,
) -> None:
    """Set `force` (c,) to the attraction of a row by its neighbours, both directions of each edge counted."""
    first, last = block.indptr[row], block.indptr[row + 1]
    rows = block.indices[first:last]
    weights = scratch[: last - first]
    weights[:] = ZERO
    for d in range(len(positions)):
        measure_gathered(positions[d], rows, positions[d, row], weights)
    weigh_attraction(weights, block.rates[first:last], a, b)
    for d in range(len(positions)):
        force[d] = TWO * sum_gathered(positions[d], rows, positions[d, row], weights)


@fast
def repel(
    row: int,
    first: int,
    last: int,
    positions: Float32Array,
    a: np.float32,
    b: np.float32,
    scale: np.float32,
    scratch: Float32Array,
    force: Float32Array,
) -> None:
    """Add to `force` (c,) the repulsion of a row by the run of rows [first, last), times `scale`."""
    weights = scratch[: last - first]
    weights[:] = ZERO
    for d in range(len(positions)):
        measure_run(positions[d, first:last], positions[d, row], weights)
    weigh_repulsion(weights, a, b)
    for d in range(len(positions)):
        force[d] -= scale * sum_run(positions[d, first:last], positions[d, row], weights)


@fast
def step(
    row: int, learning_rate: np.float32, positions: Float32Array, force: Float32Array, moved: Float32Array
) -> None:
    """Move a row along its force, by no more than the learning rate.

    The bound keeps rows that lie on top of each other from being thrown out of the map, and sampling noise out of the
    drift: on gapminder drift over one window .113 without and .052 with it, at the same trustworthiness.
    """
    length = ZERO
    for d in range(len(force)):
        length += force[d] * force[d]
    length = np.sqrt(length)
    scale = learning_rate / length if length > ONE else learning_rate
    for d in range(len(force)):
        moved[d, row] = positions[d, row] + scale * force[d]


@fast
def pull(
    row: int,
    block: BlockArrays,
    n_placed: int,
    strength: np.float32,
    positions: Float32Array,
    moved: Float32Array,
) -> None:
    """Pull a row towards the mean of its related rows, exactly as far as a steady pull would over one epoch.

    y += (1 - exp(-strength * S)) (mean - y), S the sum of the weights: stable at any strength.
    """
    total = ZERO
    for k in range(block.related_indptr[row], block.related_indptr[row + 1]):
        if block.related[k] < n_placed:
            total += block.related_weights[k]
    if total <= ZERO:
        return
    share = (ONE - np.exp(-strength * total)) / total
    for d in range(len(positions)):
        here = moved[d, row]
        way = ZERO
        for k in range(block.related_indptr[row], block.related_indptr[row + 1]):
            other = block.related[k]
            if other < n_placed:
                way += block.related_weights[k] * (positions[d, other] - here)
        moved[d, row] = here + share * way


@fast
def move_rows(
    chunk: Int64Array,
    epoch: int,
    plan: EpochPlan,
    block: BlockArrays,
    forces: WindowForces,
    positions: Float32Array,
    moved: Float32Array,
) -> None:
    """Move one chunk of a window's rows by one epoch: read `positions` (c, N), write `moved` (c, N)."""
    window, first, last = chunk[0], chunk[1], chunk[2]
    learning_rate = plan.learning_rates[epoch, window]
    if learning_rate <= ZERO:
        moved[:, first:last] = positions[:, first:last]
        return
    start, n = block.offsets[window], block.n_active[window]
    a, b = forces.a[window], forces.b[window]
    rate = forces.negative_sample_rate[window]
    n_negatives = min(N_NEGATIVES, n)
    repulsion = rate * forces.repulsion_strength[window] / np.float32(n_negatives)
    alignment = learning_rate * forces.alignment_regularisation[window] * (rate + TWO)
    state = mix(plan.seeds[window], plan.first_epoch + epoch)
    longest = n_negatives
    for row in range(first, last):
        longest = max(longest, block.indptr[row + 1] - block.indptr[row])
    scratch = np.empty(longest, np.float32)
    force = np.empty(len(positions), np.float32)
    for row in range(first, last):
        attract(row, block, positions, a, b, scratch, force)
        scale = repulsion * block.row_rates[row]
        sample = start + below(mix(state, row - start), n)
        end = min(sample + n_negatives, start + n)
        repel(row, sample, end, positions, a, b, scale, scratch, force)
        if end - sample < n_negatives:
            repel(row, start, start + n_negatives - (end - sample), positions, a, b, scale, scratch, force)
        step(row, learning_rate, positions, force, moved)
        pull(row, block, plan.n_placed, alignment * block.row_rates[row], positions, moved)


@fast_parallel
def run_epochs(plan: EpochPlan, block: BlockArrays, forces: WindowForces, buffers: Float32Array) -> None:
    """Run the planned epochs; the halves of buffers (2, c, N) are equal before the call and after it."""
    n_epochs = len(plan.learning_rates)
    n_chunks = len(plan.chunks)
    for epoch in range(n_epochs):
        now, then = buffers[epoch % 2], buffers[1 - epoch % 2]
        for c in numba.prange(n_chunks):
            move_rows(plan.chunks[c], epoch, plan, block, forces, now, then)
    last = n_epochs % 2
    for c in numba.prange(n_chunks):
        rows = plan.chunks[c]
        buffers[1 - last, :, rows[1] : rows[2]] = buffers[last, :, rows[1] : rows[2]]
