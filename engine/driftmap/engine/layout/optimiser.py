"""The epoch loop over a block: positions in flat buffers, stages of epochs at falling learning rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.jit import is_compiled
from driftmap.engine.core.threads import count_threads, limit_threads
from driftmap.engine.layout.kernels.arrays import BlockArrays, EpochPlan, WindowForces
from driftmap.engine.layout.kernels.epoch_kernels import CHUNK_ROWS, run_epochs
from driftmap.engine.layout.kernels.order_kernels import reorder_rows
from driftmap.engine.layout.order import ORDERED_ROWS, order_by_position
from driftmap.engine.layout.row_share import WHOLE, RowShare

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int64Array

EpochCallback = Callable[[int, int], None]
"""Called with (epochs done, epochs in all); an exception from it ends the layout."""

_EPOCHS_A_CALL, _CHUNK_EPOCHS_A_CALL = 20, 4_000
"""Fewest epochs in one call of the kernel when nobody watches, and chunks times epochs where that gives more: the call
costs about 50 us, and Ctrl-C waits for its end. An epoch of 400 rows, 7 chunks, takes 80 us."""

_WATCHED_CHUNK_EPOCHS = 256
"""The same where `on_epoch` sees every epoch: of small windows several come at once, within a few milliseconds."""

_CHUNKS_A_THREAD = 8
"""A thread with less to do in an epoch costs more than it brings, above all when other work holds the cores."""


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
    hot_rates: Float32Array | None = None
    """(T,) learning rate of each window above which fewer negative samples do; None: nowhere."""
    n_drawn: int = 0
    """Epochs at its begin in which mid-near rows attract."""


class Optimiser:
    """Positions of a block while they are optimised."""

    def __init__(
        self,
        arrays: BlockArrays,
        forces: WindowForces,
        seeds: Sequence[int],
        n_components: int,
        *,
        may_order: bool = False,
        share: RowShare = WHOLE,
    ) -> None:
        self.n_components = n_components
        self._share = share
        self._arrays = arrays
        self._forces = forces
        self._seeds = np.array(seeds, dtype=np.uint64)
        self._buffers = np.zeros((2, n_components, int(arrays.offsets[-1])), dtype=np.float32)
        self._is_ordered = may_order and bool((arrays.n_active >= ORDERED_ROWS).any())
        self._shuffled = np.zeros((n_components, int(arrays.offsets[-1]) * self._is_ordered), dtype=np.float32)
        """Positions in random order, where a window is ordered."""
        self.n_bytes = self._buffers.nbytes + self._shuffled.nbytes

    def set_positions(self, window: int, positions: Float32Array) -> None:
        """Place a window's rows, float32 (n, c) in random order; rows without an edge may be NaN and are never read."""
        rows = slice(self._arrays.offsets[window], self._arrays.offsets[window + 1])
        known = np.nan_to_num(positions, nan=0.0)
        self._buffers[:, :, rows] = known[self._arrays.places[rows]].T
        if self._is_ordered and self._share.n_parts > 1:
            self._shuffled[:, rows] = known.T

    def get_positions(self, window: int) -> Float32Array:
        """Return a window's positions in random order, float32 (n, c)."""
        rows = slice(self._arrays.offsets[window], self._arrays.offsets[window + 1])
        positions = np.empty((rows.stop - rows.start, self.n_components), dtype=np.float32)
        positions[self._arrays.places[rows]] = self._buffers[0, :, rows].T
        return positions

    def set_part(self, window: int, part: int, positions: Float32Array) -> None:
        """Place one part of a window's rows, float32 (m, c) in random order."""
        there = self._share.cut(int(self._arrays.n_active[window]))[part]
        start = int(self._arrays.offsets[window])
        rows = slice(start + there.start, start + there.stop)
        self._buffers[:, :, rows] = positions[self._arrays.places[rows] - there.start].T
        if self._is_ordered:
            self._shuffled[:, rows] = positions.T

    def get_own(self, window: int) -> Float32Array:
        """Return the positions of the part of a window that this process moves, float32 (m, c) in random order."""
        here = self._share.own(int(self._arrays.n_active[window]))
        start = int(self._arrays.offsets[window])
        rows = slice(start + here.start, start + here.stop)
        positions = np.empty((len(here), self.n_components), dtype=np.float32)
        positions[self._arrays.places[rows] - here.start] = self._buffers[0, :, rows].T
        return positions

    def order(self, window: int) -> None:
        """Order a large window's rows by where they lie now; it changes no byte of the layout, only its speed."""
        start, n = int(self._arrays.offsets[window]), int(self._arrays.n_active[window])
        if not self._is_ordered or n < ORDERED_ROWS:
            return
        rows = slice(start, start + n)
        here = self._buffers[0, :, rows]
        order = np.concatenate(
            [part.start + order_by_position(here[:, part.start : part.stop]) for part in self._share.cut(n) if part]
        )
        reorder_rows(self._arrays, start, order)
        self._buffers[:, :, rows] = self._buffers[:, :, rows][:, :, order]

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
            Called with 1 for each epoch that is done; for several short ones in a row once the last of them is.
        rows
            First and last row + 1 of the stage's only window that move; all its active rows by default.
        """
        chunks = self._split(stage.windows) if rows is None else _cut(stage.windows[0], *rows)
        if not len(chunks):
            return
        if on_epoch is None:
            at_once = max(_EPOCHS_A_CALL, _CHUNK_EPOCHS_A_CALL // len(chunks))
        else:
            at_once = max(1, _WATCHED_CHUNK_EPOCHS // len(chunks))
        self._run_epochs(stage, chunks, at_once, on_epoch)

    def _run_epochs(
        self, stage: Stage, chunks: Int64Array, at_once: int, on_epoch: Callable[[int], None] | None
    ) -> None:
        # Where every window rests, nothing is to be done.
        moving = np.flatnonzero((stage.learning_rates[:, list(stage.windows)] > 0).any(axis=1))
        hot_rates = np.full(len(self._seeds), np.inf, np.float32) if stage.hot_rates is None else stage.hot_rates
        done = 0
        for first in range(0, len(moving), at_once):
            epochs = moving[first : first + at_once]
            # Only here: `on_epoch` may change how many threads there are.
            with limit_threads(len(chunks) // _CHUNKS_A_THREAD):
                plan = EpochPlan(
                    chunks=chunks,
                    learning_rates=stage.learning_rates[epochs],
                    hot_rates=hot_rates,
                    epochs=stage.first_epoch + epochs,
                    draws=epochs < stage.n_drawn,
                    n_placed=int(self._arrays.offsets[stage.n_placed_windows]),
                    seeds=self._seeds,
                    is_ordered=self._is_ordered,
                    n_threads=count_threads(),
                )
                run_epochs(plan, self._arrays, self._forces, self._buffers, self._shuffled)
            done = _report_epochs(on_epoch, done, int(epochs[-1]) + 1)
        _report_epochs(on_epoch, done, stage.n_epochs)

    def _split(self, windows: Sequence[int]) -> Int64Array:
        """Cut the active rows of windows that move here into chunks, (chunks, 3): window, first row, last row + 1."""
        starts = self._arrays.offsets
        own = [self._share.own(int(self._arrays.n_active[window])) for window in windows]
        chunks = [
            _cut(window, int(starts[window]) + rows.start, int(starts[window]) + rows.stop)
            for window, rows in zip(windows, own, strict=True)
        ]
        return np.concatenate([np.empty((0, 3), dtype=np.int64), *chunks])


def _report_epochs(on_epoch: Callable[[int], None] | None, done: int, last: int) -> int:
    """Call once for each epoch since those already done, also where every window rests; return how many are done."""
    for _ in range(done, last):
        if on_epoch is not None:
            on_epoch(1)
    return last


def _cut(window: int, start: int, end: int) -> Int64Array:
    """Cut rows [start, end) of a window into chunks."""
    first = np.arange(start, end, CHUNK_ROWS, dtype=np.int64)
    return np.stack([np.full_like(first, window), first, np.minimum(first + CHUNK_ROWS, end)], axis=1)
