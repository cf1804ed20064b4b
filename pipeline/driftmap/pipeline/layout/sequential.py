"""Walk the blocks of a store: have each laid out with what is already final, publish it, carry it to the next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from driftmap.pipeline.layout.publish import describe_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from driftmap.pipeline.layout.job import LayOut, LayoutJob, WrittenBlock
    from driftmap.pipeline.store import Store


REPORT_SHARE, REPORT_SECONDS = 1 / 400, 0.1
"""Between two reports of a block's epochs, whichever comes first: a report takes as long as an epoch of 50 rows."""


def lay_out_store(
    store: Store,
    job: LayoutJob,
    on_progress: Callable[[int, int, tuple[int, int]], None],
    lay_out: LayOut,
    wait_for: Callable[[Iterable[int]], None] | None = None,
) -> None:
    """Lay out every block that the store does not have yet.

    Only one block is held in memory. Positions are carried through the store, so a layout that is stopped and begun
    again goes on from the very same bytes.

    Parameters
    ----------
    store
        Opened for writing.
    job
        Blocks and settings.
    on_progress
        Called with the windows whose core is laid out, and the rows that this call has laid out; a block at work
        counts by its epochs, of which some are left out. These come last: those that are done, and all there
        are, where a block is at work.
    lay_out
        Lays out a block and writes its maps, here (`BlockLayout`) or on a worker (`lay_out_on_worker`).
    wait_for
        Called with the windows of a block before it is begun, and returns when their graphs are in the store. None:
        they all are.
    """
    states, n_rows_done = store.state(), 0
    while (number := store.n_blocks_done) < len(job.blocks):
        block = job.blocks[number]
        if wait_for is not None:
            wait_for(block.windows)
        n_core_rows = sum(states[index].n_rows for index in block.core)
        on_epoch = _EpochReports(on_progress, block.core.start, n_rows_done, n_core_rows)
        _publish(store, job, number, lay_out(block, on_epoch))
        n_rows_done += n_core_rows
        on_progress(block.core.stop, n_rows_done, (0, 0))


class _EpochReports:
    """Turns epochs of a block into rows, and reports them now and then."""

    def __init__(
        self, on_progress: Callable[[int, int, tuple[int, int]], None], start: int, n_rows_before: int, n_rows: int
    ) -> None:
        self._on_progress = on_progress
        self._start, self._n_rows_before, self._n_rows = start, n_rows_before, n_rows
        self._due_epochs, self._due = 0.0, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= min(self._due_epochs, total) or now >= self._due:
            self._due_epochs, self._due = done + REPORT_SHARE * total, now + REPORT_SECONDS
            n_rows = self._n_rows_before + self._n_rows * done // max(1, total)
            self._on_progress(self._start, n_rows, (done, total))


def _publish(store: Store, job: LayoutJob, number: int, written: WrittenBlock) -> None:
    block = job.blocks[number]
    described = describe_layout(
        number,
        written.attempt,
        block.core,
        block.lookahead,
        n_windows=store.n_windows,
        lookahead=job.lookahead,
        strengths=written.strengths,
        seconds=written.seconds,
    )
    store.commit_layout({**described, "clusters": dict(written.clusters)})
