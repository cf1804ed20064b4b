"""A block on a worker of a cluster: it reads graphs from the store and writes maps there; a receipt comes back."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.relation_book import NO_RELATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.layout.job import LayOut, LayoutJob, WrittenBlock
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store.disk.location import Location

STAGE = "layout"
"""What Dask's dashboard calls these tasks."""

FIRST = 1
"""Priority before all graphs: while a block is laid out, those of the next ones are built."""

POLL_SECONDS = 0.05
"""Between two looks at whether a block is done; graphs that came meanwhile are committed at each."""


def lay_out_block_task(location: Location, job: LayoutJob, block: Block) -> WrittenBlock:
    """Lay out one block in a worker's process; the graphs of its windows are there, and earlier blocks committed."""
    from driftmap.pipeline.layout.block_layout import BlockLayout  # late: the coordinator loads no kernels

    store = Store.open(location)
    return BlockLayout(store, job._replace(outside=store.read_relations())).lay_out(block)


def lay_out_on_worker(store: Store, job: LayoutJob, executor: Executor, meanwhile: Callable[[], None]) -> LayOut:
    """Give what lays out a block on one of the executor's workers.

    Parameters
    ----------
    store, job
        Of the layout.
    executor
        Where blocks are laid out, each with the threads of all slots of its worker.
    meanwhile
        Called again and again until a block is done.
    """
    sent = job._replace(blocks=(), outside=NO_RELATIONS)

    def lay_out(block: Block, on_epoch: Callable[[int, int], None]) -> WrittenBlock:  # noqa: ARG001 - here, not there
        first, last = (store.labels[index] for index in (block.core[0], block.core[-1]))
        task = Task(f"windows {first!r} to {last!r}", (store.location, sent, block), FIRST, is_wide=True)
        with closing(executor.start(lay_out_block_task, [task], STAGE)) as results:
            while not (came := results.take(wait=False)):
                meanwhile()
                time.sleep(POLL_SECONDS)
        return came[0]

    return lay_out
