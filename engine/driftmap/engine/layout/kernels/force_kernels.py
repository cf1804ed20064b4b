"""What acts on a row of a map, njit only: the attraction of its neighbours, the repulsion of its negative samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import fast, fast_inline, fast_uncounted, fast_uncounted_inline
from driftmap.engine.layout.kernels.arrays import Axis, Scratch, WindowEpoch
from driftmap.engine.layout.kernels.float32_kernels import HALF, ONE, TWO, ZERO, below, mix, rough_power

if TYPE_CHECKING:
    from driftmap.engine.layout.kernels.arrays import BlockArrays, Edges
    from driftmap.engine.types import Float32Array, Int32Array, Int64Array

N_NEGATIVES = 64
"""Negative samples a row looks at in one epoch, whatever the rate; their sum is scaled to the rate. At the same drift,
64 keep more neighbours than 32; 96 and 128 no more than that, and 32 more of them take a fifth of an epoch's time."""
N_HOT_NEGATIVES = 32
"""The same in epochs of the joint pass whose learning rate is high. What noise that brings is gone when the pass ends:
with half as many there, nine sets keep the same, and with half as many where the rate is low, .002 to .007 fewer
neighbours (`tests.benchmarks quality`, five seeds)."""
BLOCK_ROWS = 16
"""Rows of a chunk whose edges are weighed in one loop. The few edges of one row would not fill the vector lanes, and
its power functions be waited for: 20 edges take 125 ns so and 50 in row blocks (8 to 64 rows do equally well)."""

LANES = 64
"""A multiple of the numbers that one pass of a vector loop takes: 8 or 16 lanes, up to four vectors at a time."""

_TINY = np.float32(1e-12)
_SOFTENING = np.float32(0.001)
_INVERSE_CLIP = np.float32(0.25)

RowBlock = tuple[int, int]
"""First row, and last + 1, of BLOCK_ROWS rows or fewer of one window."""


@fast_uncounted
def find_deltas(axis: Axis, rows: Int32Array, deltas: Float32Array, squared: Float32Array) -> None:
    """Compute displacements along one axis and accumulate squared distances."""
    for k in range(len(rows)):
        delta = axis.places[np.uint32(rows[k])] - axis.here
        deltas[k] = delta
        squared[k] += delta * delta


@fast_uncounted_inline
def find_two_deltas(
    one: Axis, two: Axis, rows: Int32Array, deltas: Float32Array, other_deltas: Float32Array, squared: Float32Array
) -> None:
    """Do as `find_deltas` along two axes: each number of a row is read once."""
    for k in range(len(rows)):
        row = np.uint32(rows[k])
        delta, other_delta = one.places[row] - one.here, two.places[row] - two.here
        deltas[k] = delta
        other_deltas[k] = other_delta
        squared[k] += delta * delta + other_delta * other_delta


@fast_uncounted
def add_squares(axis: Axis, squared: Float32Array) -> None:
    """Add the squared delta along one axis to each of its places."""
    for k in range(len(squared)):
        delta = axis.places[k] - axis.here
        squared[k] += delta * delta


@fast_uncounted_inline
def add_two_squares(one: Axis, two: Axis, squared: Float32Array) -> None:
    """Add the squared deltas along two axes: half as many sums are kept and read again."""
    for k in range(len(squared)):
        delta, other_delta = one.places[k] - one.here, two.places[k] - two.here
        squared[k] += delta * delta + other_delta * other_delta


@fast_uncounted
def weigh_attraction(squared: Float32Array, a: np.float32, b: np.float32) -> None:
    """Turn squared distances into attraction coefficients: 2 a b d^(2b - 2) / (1 + a d^2b).

    Times (x_j - x_i) this is the downhill gradient of -log(1 / (1 + a d^2b)): arXiv 1802.03426, section 3.2.
    """
    for k in range(len(squared)):
        d2 = squared[k] + _TINY
        q = a * rough_power(d2, b)
        squared[k] = TWO * b * q / (d2 * (ONE + q))


@fast_uncounted
def scale(weights: Float32Array, rates: Float32Array) -> None:
    """Multiply attraction coefficients by how often their edges attract."""
    for k in range(len(weights)):
        weights[k] *= rates[k]


@fast_inline
def find_repulsion(squared: np.float32, a: np.float32, b: np.float32) -> np.float32:
    """Turn a squared distance into a repulsion coefficient: 2 b / ((.001 + d^2) (1 + a d^2b)), no force beyond 4.

    Times (x_i - x_j) this is the downhill gradient of -log(1 - 1 / (1 + a d^2b)), softened and bounded as in UMAP.
    """
    d2 = squared + _TINY
    least = np.sqrt(d2) * _INVERSE_CLIP
    given = (_SOFTENING + d2) * (ONE + a * rough_power(d2, b)) * (HALF / b)
    # One division for the coefficient and its bound; max() is not vectorised.
    return ONE / (least if least > given else given)  # noqa: FURB136


@fast_uncounted
def weigh_repulsion(squared: Float32Array, a: np.float32, b: np.float32) -> None:
    """Turn squared distances into repulsion coefficients."""
    for k in range(len(squared)):
        squared[k] = find_repulsion(squared[k], a, b)


@fast_uncounted
def sum_deltas(axis: Axis, weights: Float32Array) -> np.float32:
    """Sum weights times the delta along one axis to each of its places."""
    total = ZERO
    for k in range(len(weights)):
        total += weights[k] * (axis.places[k] - axis.here)
    return total


@fast_uncounted_inline
def sum_two_deltas(one: Axis, two: Axis, weights: Float32Array) -> tuple[np.float32, np.float32]:
    """Do as `sum_deltas` along two axes: either sum is made while the other's vectors are waited for."""
    total, other_total = ZERO, ZERO
    for k in range(len(weights)):
        total += weights[k] * (one.places[k] - one.here)
        other_total += weights[k] * (two.places[k] - two.here)
    return total, other_total


@fast_uncounted_inline
def sum_plane_repulsion(one: Axis, two: Axis, a: np.float32, b: np.float32) -> tuple[np.float32, np.float32]:
    """Sum repulsion coefficients times the deltas to places in a plane: neither is kept, which takes .7 of the time."""
    total, other_total = ZERO, ZERO
    for k in range(len(one.places)):
        delta, other_delta = one.places[k] - one.here, two.places[k] - two.here
        weight = find_repulsion(delta * delta + other_delta * other_delta, a, b)
        total += weight * delta
        other_total += weight * other_delta
    return total, other_total


@fast_uncounted
def fill_lanes(n: int) -> int:
    """Round a length up to what vector loops take at a time, whatever the processor."""
    return (n + LANES - 1) // LANES * LANES


@fast_uncounted
def attract(row_block: RowBlock, edges: Edges, positions: Float32Array, window: WindowEpoch, scratch: Scratch) -> None:
    """Add to the force on a row block's rows what their edges attract them by, both directions of each counted."""
    first, last = row_block
    start, n_components = edges.indptr[first], len(positions)
    n_edges = edges.indptr[last] - start
    # To whole vectors: the last few would be weighed one by one, with other roundings, and which edges these are would
    # depend on which rows are weighed together (tests/engine/layout/test_order.py).
    weights = scratch.weights[: fill_lanes(n_edges)]
    weights[:] = ZERO
    for row in range(first, last):
        begin, end = edges.indptr[row] - start, edges.indptr[row + 1] - start
        rows, own = edges.indices[start + begin : start + end], weights[begin:end]
        for d in range(0, n_components - 1, 2):
            one, two = Axis(positions[d], positions[d, row]), Axis(positions[d + 1], positions[d + 1, row])
            find_two_deltas(one, two, rows, scratch.deltas[d, begin:end], scratch.deltas[d + 1, begin:end], own)
        if n_components % 2:
            d = n_components - 1
            find_deltas(Axis(positions[d], positions[d, row]), rows, scratch.deltas[d, begin:end], own)
    weigh_attraction(weights, window.a, window.b)
    scale(weights[:n_edges], edges.rates[start : start + n_edges])
    for row in range(first, last):
        begin, end = edges.indptr[row] - start, edges.indptr[row + 1] - start
        own = weights[begin:end]
        for d in range(0, n_components - 1, 2):
            one, two = Axis(scratch.deltas[d, begin:end], ZERO), Axis(scratch.deltas[d + 1, begin:end], ZERO)
            total, other_total = sum_two_deltas(one, two, own)
            scratch.force[d, row - first] += TWO * total
            scratch.force[d + 1, row - first] += TWO * other_total
        if n_components % 2:
            d = n_components - 1
            scratch.force[d, row - first] += TWO * sum_deltas(Axis(scratch.deltas[d, begin:end], ZERO), own)


@fast_uncounted
def repel(
    row_block: RowBlock,
    block: BlockArrays,
    places: tuple[Float32Array, Float32Array],
    window: WindowEpoch,
    scratch: Scratch,
) -> None:
    """Add to the force on a row block's rows the repulsion by their negative samples.

    `places` are all positions, (c, N), and the same in random order, which the samples are read from.
    """
    first, last = row_block
    for row in range(first, last):
        sample, n_head = draw_run(block.places[row], window)
        rate = window.repulsion * block.row_rates[row]
        repel_by_run(places, row, (sample, sample + n_head), window, rate, scratch.force[:, row - first], scratch)
        if n_head < window.n_negatives:
            run = window.start, window.start + window.n_negatives - n_head
            repel_by_run(places, row, run, window, rate, scratch.force[:, row - first], scratch)


@fast_uncounted_inline
def repel_by_run(
    places: tuple[Float32Array, Float32Array],
    row: int,
    run: tuple[int, int],
    window: WindowEpoch,
    rate: np.float32,
    force: Float32Array,
    scratch: Scratch,
) -> None:
    """Add to the force on a row the repulsion by a run of the random order, from its first row to its last + 1."""
    positions, shuffled = places
    first, last = run
    n_components = len(positions)
    if n_components == 2:
        one = Axis(shuffled[0, first:last], positions[0, row])
        two = Axis(shuffled[1, first:last], positions[1, row])
        total, other_total = sum_plane_repulsion(one, two, window.a, window.b)
        force[0] -= rate * total
        force[1] -= rate * other_total
        return
    weights = scratch.weights[: last - first]
    weights[:] = ZERO
    for d in range(0, n_components - 1, 2):
        one = Axis(shuffled[d, first:last], positions[d, row])
        add_two_squares(one, Axis(shuffled[d + 1, first:last], positions[d + 1, row]), weights)
    if n_components % 2:
        add_squares(Axis(shuffled[n_components - 1, first:last], positions[n_components - 1, row]), weights)
    weigh_repulsion(weights, window.a, window.b)
    for d in range(n_components):
        force[d] -= rate * sum_deltas(Axis(shuffled[d, first:last], positions[d, row]), weights)


@fast_uncounted
def draw_run(place: int, window: WindowEpoch) -> tuple[int, int]:
    """Draw negative samples of the row at a place of the random order: a run of that order is a random sample.

    Returns the run's first row, and how many come before the window's end; the others are the window's first ones.
    """
    if window.n_negatives == window.n:  # all rows, wherever they begin
        return window.start, window.n
    sample = window.first_sampled + int(below(mix(window.random, place), window.n_sampled))
    if sample >= window.n:
        sample -= window.n
    return window.start + sample, min(window.n_negatives, window.n - sample)


@fast
def make_scratch(chunk: Int64Array, block: BlockArrays, n_components: int) -> Scratch:
    """Give `move_rows` scratch buffers, for one chunk of rows."""
    longest = max(N_NEGATIVES, BLOCK_ROWS)
    for first in range(chunk[1], chunk[2], BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, chunk[2])
        longest = max(longest, block.indptr[last] - block.indptr[first])
        longest = max(longest, block.mid_near_indptr[last] - block.mid_near_indptr[first])
    deltas, force = np.empty((n_components, longest), np.float32), np.zeros((n_components, BLOCK_ROWS), np.float32)
    return Scratch(deltas, np.empty(fill_lanes(longest), np.float32), force)
