"""A block on a worker of a cluster: it reads graphs from the store and writes maps there; a receipt comes back."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeVar

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import STAGED
from driftmap.pipeline.store.relation_book import NO_RELATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.layout.job import LayOut, LayoutJob, WrittenBlock
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store.disk.location import Location

Result = TypeVar("Result")

STAGE = "layout"
"""What Dask's dashboard calls these tasks."""

FIRST = 1
"""Priority before all graphs: while a block is laid out, those of the next ones are built."""

POLL_SECONDS = 0.05
"""Between two looks at whether a block is done; graphs that came meanwhile are committed at each."""

NOTE_SECONDS = 5.0
"""Between two notes of a worker that say how far its block is, and after its begin: a short block leaves none."""


class BlockNote:
    """How far a block is, in a file of the store: whoever waits for the block can tell.

    Parameters
    ----------
    location
        Of the store.
    name
        Of the file.
    """

    def __init__(self, location: Location, name: str) -> None:
        self._location = location
        self._name = name
        self._due = time.monotonic() + NOTE_SECONDS

    @classmethod
    def of_new_block(cls, location: Location) -> BlockNote:
        """Begin a note; nothing is written yet."""
        return cls(location, f"{STAGED}/block-{uuid.uuid4().hex[:16]}.json")

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + NOTE_SECONDS
        return True

    def write(self, done: int, total: int) -> None:
        """Say which epochs are done, now and then; that it cannot be said stops no layout."""
        if self.is_due:
            with suppress(StoreError):
                self._location.replace(self._name, json.dumps([done, total]).encode())

    def read(self) -> tuple[int, int] | None:
        """Read what was said last, now and then; None otherwise."""
        if not self.is_due:
            return None
        with suppress(StoreError, ValueError):
            found = self._location.read(self._name)
            if found is not None:
                done, total = json.loads(found)
                return done, total
        return None

    def remove(self) -> None:
        """Remove the file, and the folder where nothing else is in it."""
        with suppress(StoreError, OSError):
            self._location.delete([self._name])
            if self._location.is_local:
                (self._location.folder / STAGED).rmdir()

    def __reduce__(self) -> tuple[type[BlockNote], tuple[Location, str]]:
        """Begin the time again where it is sent to: clocks of other machines are others."""
        return BlockNote, (self._location, self._name)


def lay_out_block_task(location: Location, job: LayoutJob, block: Block, note: BlockNote) -> WrittenBlock:
    """Lay out one block in a worker's process; the graphs of its windows are there, and earlier blocks committed."""
    from driftmap.pipeline.layout.block_layout import BlockLayout  # late: the coordinator loads no kernels

    store = Store.open(location)
    return BlockLayout(store, job._replace(outside=store.read_relations())).lay_out(block, note.write)


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

    def lay_out(block: Block, on_epoch: Callable[[int, int], None]) -> WrittenBlock:
        first, last = (store.labels[index] for index in (block.core[0], block.core[-1]))
        note = BlockNote.of_new_block(store.location)
        task = Task(f"windows {first!r} to {last!r}", (store.location, sent, block, note), FIRST, is_wide=True)
        try:
            with closing(executor.start(lay_out_block_task, [task], STAGE)) as results:
                while not (came := results.take(wait=False)):
                    meanwhile()
                    epochs = note.read()
                    if epochs is not None:
                        on_epoch(*epochs)
                    time.sleep(POLL_SECONDS)
        finally:
            note.remove()
        return came[0]

    return lay_out


def do_on_worker(executor: Executor, name: str, function: Callable[..., Result], *arguments: object) -> Result:
    """Have one of the executor's workers do a call with the threads of all its slots, before graphs that wait."""
    with closing(executor.start(function, [Task(name, arguments, FIRST, is_wide=True)], STAGE)) as results:
        return results.take(wait=True)[0]
