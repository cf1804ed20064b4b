"""Share the rows of a block out over the workers of an executor; a receipt comes back."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from driftmap.engine import LEAST_SHARED_ROWS, PACE
from driftmap.engine.settings import pick_epochs
from driftmap.pipeline.executors.base import LinkedTask
from driftmap.pipeline.layout.in_parts.part_job import PartJob, PartsWritten
from driftmap.pipeline.layout.job import WrittenBlock
from driftmap.pipeline.planning.part_schedule import plan_part_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.layout.job import LayOut, LayoutJob
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.part_schedule import PartStep
    from driftmap.pipeline.store import Store

STAGE = "layout"
"""What Dask's dashboard calls these tasks."""


def run_part_step(job: PartJob, step: PartStep, *needed: Any) -> Any:
    """Run one step in a worker's process; see `part_task`."""
    from driftmap.pipeline.layout.in_parts import part_task  # late: the coordinator loads no kernels

    return part_task.run_part_step(job, step, *needed)


def lay_out_in_parts(store: Store, job: LayoutJob, executor: Executor, n_parts: int, kept_bytes: int) -> LayOut:
    """Give what lays out a block in parts, to the bytes that one process gives; the graphs of its windows are there.

    Parameters
    ----------
    store, job
        Of the layout.
    executor
        Where parts are laid out.
    n_parts
        Parts of every window's rows.
    kept_bytes
        What a worker may keep of them.
    """

    def lay_out(block: Block, on_epoch: Callable[[int, int], None]) -> WrittenBlock:
        started, names = time.perf_counter(), _name_block(store, block)
        sent = PartJob(store.location, uuid.uuid4().hex, block, job.settings, job.random_state, n_parts, kept_bytes)
        carried, n_joint_epochs = _count_epochs(store, job, block)
        steps = plan_part_steps(n_parts, carried, n_joint_epochs)
        tasks = [
            LinkedTask(f"{step.kind} {names}, part {step.part}, epoch {step.epoch}", (sent, step), needs, step.part)
            for step, needs in steps
        ]
        written = None
        for n_done, result in enumerate(executor.run_linked(run_part_step, tasks, STAGE), start=1):
            if isinstance(result, PartsWritten):
                written = result
            on_epoch(n_done // n_parts, len(tasks) // n_parts)
        if written is None:
            raise RuntimeError("no step wrote the maps of a block")
        return WrittenBlock(*written, time.perf_counter() - started)

    return lay_out


def _count_epochs(store: Store, job: LayoutJob, block: Block) -> tuple[dict[int, int], int]:
    """Count the epochs in which each new window is carried, by its place in the block, and those of the joint pass."""
    states = store.state()
    new = [index for index in (*block.core, *block.lookahead) if states[index].layout_attempt is None]
    carried = {}
    for index in new:
        place = index - block.windows.start
        is_shared = states[index].n_rows >= LEAST_SHARED_ROWS
        n_epochs = PACE.count_carry_epochs(pick_epochs(job.settings, index), states[index].n_rows, is_first=place == 0)
        carried[place] = n_epochs if is_shared else 0
    return carried, PACE.count_joint_epochs([pick_epochs(job.settings, i) for i in (*block.core, *block.lookahead)])


def _name_block(store: Store, block: Block) -> str:
    first, last = (store.labels[index] for index in (block.core[0], block.core[-1]))
    return f"windows {first!r} to {last!r}"
