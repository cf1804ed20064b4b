"""The epoch loop over a block: positions in flat buffers, stages of epochs at falling learning rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from driftmap.engine.core.jit import is_compiled
from driftmap.engine.core.threads import limit_threads
from driftmap.engine.layout.kernels.arrays import BlockArrays, EpochPlan, WindowForces
from driftmap.engine.layout.kernels.epoch_kernels import CHUNK_ROWS, run_epochs

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int64Array

EpochCallback = Callable[[int, int], None]
"""Called with (epochs done, epochs in all); an exception from it ends the layout."""

_EPOCHS_A_CALL = 20
"""Epochs in one call of the kernel when nobody watches: the call costs about 50 us, and Ctrl-C waits for its end."""

_CHUNKS_A_THREAD = 8
"""A thread with less to do in an epoch costs more than it brings, above all when other work holds the cores."""

_CHUNKS_AT_ONCE = 1
"""Chunks that a thread takes at a time. With numba's own setting each takes its whole share at once, and an epoch lasts
as long as the thread whose core is held up: .57 s beside a process that takes half of one core, and .49 so. Where all
cores are equally fast there is no difference."""


def has_compiled_kernels() -> bool:
    """Tell whether the layout's kernels are compiled already, on this machine and for this version.

    Returns
    -------
    bool
        False where the first layout, and the first graph, will wait for the compiler.
    """
    return is_compiled(run_epochs)


class Stage(NamedTuple):
    """Windows that move together over a number of epochs."""

    windows: Sequence[int]
    n_epochs: int
    learning_rates: Float32Array
    """(n_epochs, T); 0 where a window rests."""
    first_epoch: int
    """Number of the stage's first epoch in the sequence of random numbers."""
    n_placed_windows: int
    """Windows from here on have no position yet."""


class Optimiser:
    """Positions of a block while they are optimised."""

    def __init__(self, arrays: BlockArrays, forces: WindowForces, seeds: Sequence[int], n_components: int) -> None:
        self.n_components = n_components
        self._arrays = arrays
        self._forces = forces
        self._seeds = np.array(seeds, dtype=np.uint64)
        self._buffers = np.zeros((2, n_components, int(arrays.offsets[-1])), dtype=np.float32)
        self.n_bytes = self._buffers.nbytes

    def set_positions(self, window: int, positions: Float32Array) -> None:
        """Place a window's rows, float32 (n, c) in flat order; rows without an edge may be NaN and are never read."""
        rows = slice(self._arrays.offsets[window], self._arrays.offsets[window + 1])
        self._buffers[:, :, rows] = np.nan_to_num(positions, nan=0.0).T

    def get_positions(self, window: int) -> Float32Array:
        """Return a window's positions in flat order, float32 (n, c)."""
        rows = slice(self._arrays.offsets[window], self._arrays.offsets[window + 1])
        return np.ascontiguousarray(self._buffers[0, :, rows].T)

    def run(
        self,
        stage: Stage,
        on_epoch: Callable[[int], None] | None = None,
        rows: tuple[int, int] | None = None,
    ) -> None:
        """Run a stage.

        Parameters
        ----------
        stage
            Which windows move, and how.
        on_epoch
            Called after each epoch with the number of epochs that it did.
        rows
            First and last row + 1 of the stage's only window that move; all its active rows by default.
        """
        chunks = self._split(stage.windows) if rows is None else _cut(stage.windows[0], *rows)
        if not len(chunks):
            return
        at_once = _EPOCHS_A_CALL if on_epoch is None else 1
        self._run_epochs(stage, chunks, at_once, on_epoch)

    def _run_epochs(
        self, stage: Stage, chunks: Int64Array, at_once: int, on_epoch: Callable[[int], None] | None
    ) -> None:
        for first in range(0, stage.n_epochs, at_once):
            last = min(first + at_once, stage.n_epochs)
            plan = EpochPlan(
                chunks=chunks,
                learning_rates=np.ascontiguousarray(stage.learning_rates[first:last]),
                first_epoch=stage.first_epoch + first,
                n_placed=int(self._arrays.offsets[stage.n_placed_windows]),
                seeds=self._seeds,
            )
            # Only here: `on_epoch` may change how many threads there are.
            with limit_threads(len(chunks) // _CHUNKS_A_THREAD), numba.parallel_chunksize(_CHUNKS_AT_ONCE):
                run_epochs(plan, self._arrays, self._forces, self._buffers)
            if on_epoch is not None:
                on_epoch(last - first)

    def _split(self, windows: Sequence[int]) -> Int64Array:
        """Cut the active rows of windows into chunks, (chunks, 3): window, first row, last row + 1."""
        starts = self._arrays.offsets
        chunks = [
            _cut(window, int(starts[window]), int(starts[window] + self._arrays.n_active[window])) for window in windows
        ]
        return np.concatenate([np.empty((0, 3), dtype=np.int64), *chunks])


def _cut(window: int, start: int, end: int) -> Int64Array:
    """Cut rows [start, end) of a window into chunks."""
    first = np.arange(start, end, CHUNK_ROWS, dtype=np.int64)
    return np.stack([np.full_like(first, window), first, np.minimum(first + CHUNK_ROWS, end)], axis=1)
