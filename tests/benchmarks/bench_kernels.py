"""Nanoseconds of an attraction and of a repulsion on one core, positions in cache.

"engine" is what an epoch calls for each block of rows. "with powf" is the engine's loop with the C library's power
function in place of its own: the loop is then not vectorised. "plain" is one loop that takes edges and negative samples
one by one, as umap-learn does, written with nothing but numba.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from tests.benchmarks.tables import format_table

from driftmap.engine.core.jit import fast
from driftmap.engine.layout.curve import fit_curve
from driftmap.engine.layout.kernels import arrays
from driftmap.engine.layout.kernels import force_kernels as kernels

if TYPE_CHECKING:
    from collections.abc import Callable


N_ROWS, N_EDGES = 2_000, 24
"""16 kB of positions and 24 edges a row: about what the union of 15 neighbours makes."""
N_PASSES, N_REPEATS = 50, 15
BAR, AIM = 20, 8

A, B = (np.float32(value) for value in fit_curve(0.1, 1.0))
POSITIONS = np.random.default_rng(0).normal(scale=5.0, size=(2, N_ROWS)).astype(np.float32)


def time_kernels(say: Callable[[str], None] = print) -> dict[str, float]:
    """Time each kernel; the least of some repeats, since all that comes on top is the machine's."""
    block = make_block()
    n_attractions, n_repulsions = N_ROWS * N_EDGES, N_ROWS * kernels.N_NEGATIVES
    samples = np.random.default_rng(2).integers(0, N_ROWS, (N_ROWS, kernels.N_NEGATIVES)).astype(np.int32)
    known = block.indices.reshape(N_ROWS, N_EDGES)
    found = {
        "attraction, engine": _measure(attract_all, n_attractions, block),
        "attraction, plain": _measure(attract_plainly, n_attractions, known),
        "repulsion, engine": _measure(repel_all, n_repulsions, block),
        "repulsion, engine with powf": _measure(repel_all_with_powf, n_repulsions, block),
        "repulsion, plain": _measure(repel_plainly, n_repulsions, samples),
    }
    say(format_table(["one core, positions in cache", "ns"], [[name, f"{ns:.1f}"] for name, ns in found.items()]))
    say(f"bar {BAR} ns, aim {AIM} ns for the engine's\n")
    return found


def make_block() -> arrays.BlockArrays:
    """One window whose rows have edges to random rows."""
    n_edges = N_ROWS * N_EDGES
    return arrays.BlockArrays(
        offsets=np.array([0, N_ROWS]),
        n_active=np.array([N_ROWS]),
        indptr=np.arange(N_ROWS + 1) * N_EDGES,
        indices=np.random.default_rng(3).integers(0, N_ROWS, n_edges).astype(np.int32),
        rates=np.full(n_edges, 0.5, np.float32),
        row_rates=np.full(N_ROWS, N_EDGES / 2, np.float32),
        related_indptr=np.zeros(N_ROWS + 1, np.int64),
        related=np.empty(0, np.int32),
        related_weights=np.empty(0, np.float32),
        places=np.arange(N_ROWS, dtype=np.int32),
        mid_near_indptr=np.zeros(N_ROWS + 1, np.int64),
        mid_near=np.empty(0, np.int32),
        mid_near_rates=np.empty(0, np.float32),
    )


def _measure(work: Callable[..., Any], n_events: int, argument: Any) -> float:
    work(POSITIONS, argument, 1)
    seconds = []
    for _ in range(N_REPEATS):
        started = time.perf_counter()
        work(POSITIONS, argument, N_PASSES)
        seconds.append(time.perf_counter() - started)
    return min(seconds) / (N_PASSES * n_events) * 1e9


@fast
def attract_all(positions, block, n_passes):
    window, scratch = make_window(), kernels.make_scratch(np.array([0, 0, N_ROWS]), block, 2)
    edges = arrays.Edges(block.indptr, block.indices, block.rates)
    total = np.float32(0)
    for _ in range(n_passes):
        for first in range(0, N_ROWS, kernels.BLOCK_ROWS):
            scratch.force[:, :] = np.float32(0)
            kernels.attract((first, first + kernels.BLOCK_ROWS), edges, positions, window, scratch)
            total += scratch.force[0, 0] + scratch.force[1, 0]
    return total


@fast
def repel_all(positions, block, n_passes):
    window, scratch = make_window(), kernels.make_scratch(np.array([0, 0, N_ROWS]), block, 2)
    scratch.force[:, :] = np.float32(0)
    for _ in range(n_passes):
        for first in range(0, N_ROWS, kernels.BLOCK_ROWS):
            kernels.repel((first, first + kernels.BLOCK_ROWS), block, (positions, positions), window, scratch)
    return scratch.force[0, 0] + scratch.force[1, 0]


@fast
def make_window():
    return arrays.WindowEpoch(0, N_ROWS, N_ROWS, 0, A, B, kernels.N_NEGATIVES, np.float32(1), np.uint64(5))


@fast
def repel_all_with_powf(positions, block, n_passes):
    window = make_window()
    x, y, total = positions[0], positions[1], np.float32(0)
    for _ in range(n_passes):
        for row in range(N_ROWS):
            first, n_head = kernels.draw_run(row, window)
            for k in range(first, first + n_head):
                dx, dy = x[k] - x[row], y[k] - y[row]
                d2 = dx * dx + dy * dy + np.float32(1e-12)
                given = (np.float32(0.001) + d2) * (np.float32(1) + A * d2**B) / (np.float32(2) * B)
                least = np.sqrt(d2) * np.float32(0.25)
                weight = np.float32(1) / (least if least > given else given)  # noqa: FURB136 - as in the engine
                total += weight * dx + weight * dy
    return total


@numba.njit(fastmath=True)
def attract_plainly(positions, known, n_passes):
    x, y, total = positions[0], positions[1], np.float32(0)
    for _ in range(n_passes):
        for row in range(N_ROWS):
            for other in known[row]:
                dx, dy = x[row] - x[other], y[row] - y[other]
                d2 = dx * dx + dy * dy
                if d2 > 0:
                    weight = -2.0 * A * B * d2 ** (B - 1.0) / (A * d2**B + 1.0)
                    total += min(max(weight * dx, -4.0), 4.0) + min(max(weight * dy, -4.0), 4.0)
    return total


@numba.njit(fastmath=True)
def repel_plainly(positions, samples, n_passes):
    x, y, total = positions[0], positions[1], np.float32(0)
    for _ in range(n_passes):
        for row in range(N_ROWS):
            for other in samples[row]:
                dx, dy = x[row] - x[other], y[row] - y[other]
                d2 = dx * dx + dy * dy
                if d2 > 0:
                    weight = 2.0 * B / ((0.001 + d2) * (A * d2**B + 1.0))
                    total += min(max(weight * dx, -4.0), 4.0) + min(max(weight * dy, -4.0), 4.0)
    return total
