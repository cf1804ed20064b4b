"""What depends on no map, found by workers ahead of the layout of small windows in this process.

Of 2,000 windows of 50 rows, clusters and starts by a window's own graph are a quarter of what the process that lays out
would do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from driftmap.pipeline.executors.base import SerialExecutor, Task
from driftmap.pipeline.graphs.stage import ROWS_TOGETHER
from driftmap.pipeline.layout.job import FIRST
from driftmap.pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.executors.base import Executor, Results
    from driftmap.pipeline.layout.clusters import Rows
    from driftmap.pipeline.layout.job import LayoutJob
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.layouts import ClusterRecord

STAGE = "clusters"
"""What Dask's dashboard calls these tasks."""


class Ahead(NamedTuple):
    """What a worker found of some windows."""

    clusters: dict[str, ClusterRecord]
    """By the windows' numbers; they are written."""
    starts: dict[int, Float32Array]
    """By the windows' numbers; see `start_alone`."""


def work_ahead_task(
    location: Location, windows: range, random_state: int, n_components: int, before: ClusterRecord | None
) -> Ahead:
    """Find clusters and starts of consecutive windows in a worker's process; their graphs are committed.

    Parameters
    ----------
    location
        Of the store.
    windows, random_state, n_components
        Of the layout.
    before
        What is known of the window before, whether it is in the log yet or not.
    """
    from driftmap.engine import start_alone  # late: the coordinator loads no kernels
    from driftmap.pipeline.layout.clusters import find_clusters_after, load_rows

    store, starts = Store.open(location), {}

    def load(index: int) -> Rows:
        rows = load_rows(store, index)
        start = start_alone(rows.graph.load(), n_components, random_state, index) if index in windows else None
        if start is not None:
            starts[index] = start
        return rows

    unsynced: list[str] = []
    clusters = find_clusters_after(store, windows, random_state, load, before, unsynced)
    store.location.sync(unsynced)
    return Ahead(clusters, starts)


class WorkAhead:
    """Has workers look at the windows of one block after the other, as soon as their graphs are there.

    Parameters
    ----------
    store
        Opened for writing.
    job
        Settings; its blocks are not looked at.
    ends
        Of the blocks that are to be laid out, in order: the last window + 1 that moves with each.
    executor
        Where it is done.
    """

    def __init__(self, store: Store, job: LayoutJob, ends: Sequence[int], executor: Executor) -> None:
        self._store, self._job, self._executor = store, job, executor
        first = _count_known(store)
        begins = (max(first, end) for end in (first, *ends))
        self._waiting = [range(begin, end) for begin, end in zip(begins, ends, strict=False) if begin < end]
        self._found = Ahead({}, {})
        self._running: Results[Ahead] | None = None

    @classmethod
    def begin(cls, store: Store, job: LayoutJob, blocks: Sequence[Block], executor: Executor) -> Self | None:
        """Make it where it suits: there are workers, and all windows are so small that each has the memory.

        Parameters are as for the class; `blocks` are to be laid out, in order.
        """
        states = store.state()
        is_small = all(state.n_rows <= ROWS_TOGETHER for state in states)
        if isinstance(executor, SerialExecutor) or not is_small:
            return None
        if any(state.clusters is not None for state in states[_count_known(store) :]):  # of a store that was repaired
            return None
        return cls(store, job, [max(block.core.stop, block.lookahead.stop) for block in blocks], executor)

    @property
    def is_done(self) -> bool:
        """Whether all is found."""
        return not self._waiting and self._running is None

    def advance(self, *, wait: bool = False) -> None:
        """Take what was found, and have the next windows looked at once all their graphs are committed."""
        if self._running is not None and (came := self._running.take(wait=wait)):
            for found in came:
                self._found.clusters.update(found.clusters)
                self._found.starts.update(found.starts)
            self._end()
        if self._running is None and self._waiting:
            states, windows = self._store.state(), self._waiting[0]
            if all(states[index].graph_attempt is not None for index in windows):
                del self._waiting[0]
                self._running = self._executor.start(work_ahead_task, [self._make_task(windows)], STAGE)

    def take_start(self, index: int) -> Float32Array | None:
        """Give where a window would start by its own graph, once; None where it is not known yet."""
        return self._found.starts.pop(index, None)

    def take_clusters(self, windows: Iterable[int]) -> dict[str, ClusterRecord]:
        """Wait for the clusters of windows whose graphs are there, and give those that the log does not have, once."""
        states = self._store.state()
        wanted = [str(index) for index in windows if states[index].clusters is None]
        while not self._found.clusters.keys() >= set(wanted):
            self.advance(wait=True)
        return {name: self._found.clusters.pop(name) for name in wanted}

    def close(self) -> None:
        """Give up what is not done."""
        self._waiting = []
        self._end()

    def _make_task(self, windows: range) -> Task:
        states, job, last = self._store.state(), self._job, windows.start - 1
        before = self._found.clusters.get(str(last)) or (states[last].clusters if last >= 0 else None)
        name = f"windows {states[windows[0]].label!r} to {states[windows[-1]].label!r}"
        arguments = (self._store.location, windows, job.random_state, job.settings.n_components, before)
        return Task(name, arguments, FIRST)

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.close()


def _count_known(store: Store) -> int:
    """Count the first windows whose clusters the log has."""
    return next((state.index for state in store.state() if state.clusters is None), store.n_windows)
