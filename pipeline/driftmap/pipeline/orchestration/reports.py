"""How far a run has come, for whoever watches it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from driftmap.pipeline.tracing import record

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress(NamedTuple):
    """How far a stage of a run has come."""

    stage: Literal["repair", "sort", "graphs", "layout"]
    """`repair` comes only where something in the store was damaged, and counts the windows that it made again; `sort`
    only where rows are sorted by window first (see `Plan.reading`), and counts rows."""
    windows_done: int
    """Of the whole run, those of earlier calls included."""
    windows_total: int
    rows_done: int
    """By this call; rows per second are `rows_done / seconds`."""
    rows_total: int
    seconds: float
    """Since this call began the stage."""
    windows_in_blocks: int = 0
    """Windows of the stage `graphs` that do not fit a worker, see `Estimate`."""
    row_blocks: int = 0
    """Blocks of rows that these are read in."""
    epochs_done: int = 0
    """Of the block that is laid out in order; one in which several windows move counts as often."""
    epochs_total: int = 0
    """0 where no block is at work, or where blocks are laid out in parallel."""
    compiling_workers: int | None = None
    """Workers of a cluster that had to compile kernels when the run began; None where the work is done here."""


class Reporter:
    """Calls `progress`, where there is one, with what a stage has done."""

    def __init__(
        self,
        stage: Literal["repair", "sort", "graphs", "layout"],
        progress: Callable[[Progress], None] | None,
        windows_total: int,
        rows_total: int,
        in_blocks: tuple[int, int] = (0, 0),
        n_compiling: int | None = None,
    ) -> None:
        self._stage = stage
        self._progress = progress
        self._totals = windows_total, rows_total
        self._in_blocks = in_blocks
        self._n_compiling = n_compiling
        self._started = time.perf_counter()
        self._is_over = False

    def __call__(self, windows_done: int, rows_done: int, epochs: tuple[int, int] = (0, 0)) -> None:
        """Tell of the windows and rows that are done, and of the epochs of the block at work."""
        windows, rows = self._totals
        seconds = time.perf_counter() - self._started
        if windows_done == windows and not self._is_over:
            self._is_over = True
            record(self._stage, seconds, stage=self._stage, rows=rows_done)
        if self._progress is not None:
            done = (windows_done, windows, rows_done, rows, seconds)
            self._progress(Progress(self._stage, *done, *self._in_blocks, *epochs, self._n_compiling))
