"""Lay out the blocks of a store in parallel on an executor: positions go from worker to worker, receipts come back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from driftmap.engine import plan_rounds
from driftmap.pipeline.executors.base import LinkedTask, SerialExecutor
from driftmap.pipeline.layout.exchange_task import BlockReceipt, Job, run_step
from driftmap.pipeline.layout.publish import describe_layout
from driftmap.pipeline.planning.exchange_schedule import group_blocks, place_step, plan_steps
from driftmap.pipeline.store.log.layouts import N_DIGITS, ExchangeCommit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.layout.job import LayoutJob
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.exchange_schedule import Step
    from driftmap.pipeline.store import Store


STAGE = "layout"
"""What Dask's dashboard calls these tasks."""


def lay_out_in_exchange(
    store: Store, job: LayoutJob, executor: Executor, on_progress: Callable[[int, int], None]
) -> None:
    """Lay out every block that the store does not have yet; the graphs of all windows must be there.

    Nothing is durable before a block's last round, so a layout that is stopped begins again; since it gives the same
    bytes, blocks that were committed are left as they are.

    Parameters
    ----------
    store
        Opened for writing.
    job
        Blocks, from `plan_exchange_blocks`, and settings.
    executor
        Where the blocks are laid out.
    on_progress
        Called with the windows whose core is committed, and the rows that this call has laid out; a block at work
        counts by its steps.
    """
    blocks = job.blocks
    tasks = _make_tasks(store, job, executor, n_blocks_done=store.n_blocks_done)
    n_rows = sum(window.n_rows for window in store.state()[blocks[store.n_blocks_done].core.start :])
    waiting: dict[int, BlockReceipt] = {}
    for n_done, receipt in enumerate(executor.run_linked(run_step, tasks, STAGE), start=1):
        if isinstance(receipt, BlockReceipt):
            waiting[receipt.block] = receipt
        while (number := store.n_blocks_done) in waiting:
            _commit(store, job, blocks[number], waiting.pop(number))
        n_laid_out = blocks[store.n_blocks_done - 1].core.stop if store.n_blocks_done else 0
        on_progress(n_laid_out, n_rows * n_done // len(tasks))


def lay_out_again(store: Store, job: LayoutJob, kept_bytes: int | None = None) -> dict[int, Float32Array]:
    """Lay all blocks out once more, in this process; nothing is written.

    Parameters
    ----------
    store, job
        As for `lay_out_in_exchange`.
    kept_bytes
        How much of the blocks that it has read this process keeps; left out, a part of the machine's memory.

    Returns
    -------
    dict
        Positions of all windows, by their numbers.
    """
    executor = SerialExecutor()
    tasks = _make_tasks(store, job, executor, kept_bytes, is_written=False)
    return {
        index: positions
        for moved in executor.run_linked(run_step, tasks, STAGE)
        for placed in moved or ()
        for index, positions in placed.positions.items()
    }


def _make_tasks(
    store: Store, job: LayoutJob, executor: Executor, kept_bytes: int | None = None, **which: Any
) -> list[LinkedTask]:
    """Make the tasks of all steps; `which` is for `plan_steps`."""
    parameters = Job(store.location, uuid.uuid4().hex, executor.kept_bytes if kept_bytes is None else kept_bytes)
    n_workers, labels = executor.n_workers, store.labels
    rounds, groups = plan_rounds(job.settings, range(store.n_windows)), group_blocks(len(job.blocks), executor.n_slots)
    return [
        LinkedTask(_name_step(step, job.blocks, labels), (parameters, step), needs, place_step(step, groups, n_workers))
        for step, needs in plan_steps(job.blocks, len(rounds), groups=groups, **which)
    ]


def _commit(store: Store, job: LayoutJob, block: Block, receipt: BlockReceipt) -> None:
    spent = (receipt.read_seconds, receipt.carry_seconds, receipt.move_seconds, receipt.write_seconds)
    read, carry, move, write = (round(seconds, N_DIGITS) for seconds in spent)
    described = describe_layout(
        receipt.block,
        receipt.attempt,
        block.core,
        n_windows=store.n_windows,
        lookahead=job.lookahead,
        strengths=receipt.strengths,
        seconds=read + carry + move + write,
    )
    described["clusters"] = receipt.clusters
    store.commit_layout(
        ExchangeCommit(**described, read_seconds=read, carry_seconds=carry, move_seconds=move, write_seconds=write)
    )


def _name_step(step: Step, blocks: Sequence[Block], labels: Sequence[str]) -> str:
    first, last = blocks[step.blocks[0]].core[0], blocks[step.blocks[-1]].core[-1]
    return f"{step.kind} windows {labels[first]!r} to {labels[last]!r}, round {step.round}"
