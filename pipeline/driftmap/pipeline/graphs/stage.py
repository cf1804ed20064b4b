"""Graphs of windows: built by an executor in the order of time, committed to the store as their receipts come."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from driftmap.engine import make_graph_seed
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.graphs.build_graph import build_graph_task, build_graphs_task, check_rows_task
from driftmap.pipeline.graphs.orders import GraphOrder
from driftmap.pipeline.graphs.scale import Scale
from driftmap.pipeline.sources.rows.pieces import Piece
from driftmap.pipeline.sources.stamps import summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.executors.base import Executor, Results
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import GraphReceipt

    Report = Callable[[int, int], None]
    """Called with the windows and the rows whose graphs this work has committed."""

STAGE = "graph"
"""What Dask's dashboard calls these tasks."""

MOST_TOGETHER = 16
"""Small windows whose graphs are one task, at most: a task of its own costs as much as a graph of 50 rows."""

ROWS_TOGETHER = 8_192
"""Rows of the windows of one task, at most."""

LEAST_TASKS = 64
"""Tasks that are made at least, before windows share one: workers are to have some each, and the first block its graphs
soon."""


def build_graphs(
    store: Store,
    config: RunConfig,
    orders: Sequence[GraphOrder],
    executor: Executor,
    report: Report,
    max_bytes: int | None = None,
) -> None:
    """Build the graphs of some windows and commit them.

    Parameters
    ----------
    store
        Opened for writing.
    config
        Settings of the run; its source is opened by the workers.
    orders
        Of their graphs, in the order in which they should be done.
    executor
        Where they are built.
    report
        Called at the start and with every commit.
    max_bytes
        What a task may take, see `build_graph_task`.
    """
    with GraphWork(store, config, orders, executor, report, max_bytes) as work:
        work.finish()


class GraphWork:
    """Graphs that are being built while the caller does something else; used as a context, which ends the work.

    Only the caller's thread commits, and only in the calls below.

    Parameters
    ----------
    store, config, orders, executor, report, max_bytes
        As for `build_graphs`.
    """

    def __init__(
        self,
        store: Store,
        config: RunConfig,
        orders: Sequence[GraphOrder],
        executor: Executor,
        report: Report,
        max_bytes: int | None = None,
    ) -> None:
        self._store = store
        self._report = report
        self._n_done = self._n_rows = 0
        self._missing = {order.index for order in orders}
        report(0, 0)
        self._receipts: Results[GraphReceipt | list[GraphReceipt]]
        if max_bytes is None and (together := count_together(orders)) > 1:
            self._receipts = executor.start(build_graphs_task, _join_tasks(store, config, orders, together), STAGE)
        else:
            self._receipts = executor.start(build_graph_task, make_tasks(store, config, orders, max_bytes), STAGE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receipts.close()

    @property
    def is_done(self) -> bool:
        """Whether every graph is committed."""
        return not self._missing

    def commit_ready(self) -> None:
        """Commit what has come, without waiting for more."""
        self._commit(wait=False)

    def wait_for(self, indices: Iterable[int]) -> None:
        """Commit until the graphs of these windows, of those that are to be built, are there."""
        wanted = self._missing.intersection(indices)
        while not wanted.isdisjoint(self._missing):
            self._commit(wait=True)

    def finish(self) -> None:
        """Commit until every graph is there."""
        self.wait_for(set(self._missing))

    def _commit(self, *, wait: bool) -> None:
        if not self._missing:
            return
        for came in self._receipts.take(wait=wait):
            receipts = came if isinstance(came, list) else [came]
            self._store.commit_graphs(receipts)
            self._missing.difference_update(receipt["index"] for receipt in receipts)
            self._n_done += len(receipts)
            self._n_rows += sum(receipt["n_rows"] for receipt in receipts)
            self._report(self._n_done, self._n_rows)


def check_rows(
    store: Store, config: RunConfig, orders: Iterable[GraphOrder], executor: Executor, max_bytes: int | None = None
) -> None:
    """Compare the rows of windows whose graphs are there with those that they were built of.

    Parameters
    ----------
    store, config, executor, max_bytes
        As for `build_graphs`.
    orders
        Of windows whose graphs are there; those of older versions of driftmap are passed over.

    Raises
    ------
    SourceError
        Naming the first window that is found whose rows are others.
    """
    states, settings = store.state(), config.graph_settings()
    tasks = [
        Task(f"window {order.label!r}", (order, digest, settings, max_bytes))
        for order in orders
        if (digest := states[order.index].rows_digest) is not None
    ]
    if tasks:
        deque(executor.map_unordered(check_rows_task, tasks, "rows"), maxlen=0)


def make_orders(store: Store, config: RunConfig, windows: Iterable[WindowPlan]) -> list[GraphOrder]:
    """Make the orders for the graphs of some windows, whose rows are read from the source."""
    fingerprint, scale = summarise(store.fingerprint), Scale.of(config)
    return [
        GraphOrder(
            window.index,
            window.label,
            (Piece(config.source, window.runs),),
            window.n_rows,
            fingerprint=fingerprint,
            scale=scale,
        )
        for window in windows
    ]


def make_tasks(
    store: Store, config: RunConfig, orders: Iterable[GraphOrder], max_bytes: int | None = None
) -> Iterator[Task]:
    """Make the tasks that build the graphs of some windows, each within so many bytes where blocks of rows allow it."""
    settings = config.graph_settings()
    for order in orders:
        seed = make_graph_seed(config.random_state, order.index)
        sent = _complete(store, config, order)
        yield Task(f"window {order.label!r}", (store.location, sent, settings, seed, max_bytes), priority=-order.index)


def count_together(orders: Sequence[GraphOrder]) -> int:
    """Count the windows whose graphs are to be one task: 1, unless there are many, and all are small."""
    largest = max((order.n_rows for order in orders), default=0)
    return max(1, min(MOST_TOGETHER, len(orders) // LEAST_TASKS, ROWS_TOGETHER // max(1, largest)))


def _join_tasks(store: Store, config: RunConfig, orders: Sequence[GraphOrder], together: int) -> Iterator[Task]:
    """Do as `make_tasks`, with the graphs of so many windows in one."""
    settings, seed = config.graph_settings(), config.random_state
    for first in range(0, len(orders), together):
        part = [_complete(store, config, order) for order in orders[first : first + together]]
        seeds = [make_graph_seed(seed, order.index) for order in part]
        name = f"windows {part[0].label!r} to {part[-1].label!r}"
        yield Task(name, (store.location, part, settings, seeds), priority=-part[0].index)


def _complete(store: Store, config: RunConfig, order: GraphOrder) -> GraphOrder:
    return replace(order, target=config.target_settings(), may_pack=store.may_pack)
