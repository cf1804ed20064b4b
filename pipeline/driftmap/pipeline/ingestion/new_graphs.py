"""Graphs of windows that an ingest takes in: built where a run would build them, by the same tasks."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import PlanError, SourceError
from driftmap.pipeline.executors.base import SerialExecutor
from driftmap.pipeline.graphs.orders import Refusal
from driftmap.pipeline.graphs.scale import Scale
from driftmap.pipeline.planning.estimates.memory import refuse_large_task, share_task_bytes
from driftmap.pipeline.store.attempts import delete_group, name_group
from driftmap.pipeline.tracing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.executors.base import Executor, WorkerLimit
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.graphs.orders import GraphOrder
    from driftmap.pipeline.ingestion.plan_batch import WindowRows
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import GraphReceipt

    Results = Generator[tuple[WindowRows, GraphReceipt | Refusal], None, None]


class NewGraphs:
    """Graphs of new or changed windows.

    Parameters
    ----------
    store
        Opened for writing.
    config
        Of the store.
    place
        Where graphs are built.
    is_given
        Whether the rows were given from Python: no source has to be seen by workers then.
    run
        Name of the ingest, for traces.
    """

    def __init__(self, store: Store, config: RunConfig, place: Workplace, *, is_given: bool, run: str) -> None:
        self._store = store
        self._config = config
        self._place = place
        self._is_given = is_given
        self._run = run
        self._limit: WorkerLimit | None = None
        self._has_limit = False
        self._kept: dict[int, tuple[dict[str, Any], GraphReceipt]] = {}
        self.cluster: Executor | None = None
        """A cluster's workers, while they build; None where graphs are built on this machine."""

    def build(self, windows: list[WindowRows], *, keep: bool = False) -> Results:
        """Have graphs built, and give them in the order of the windows while later ones are still at work.

        Parameters
        ----------
        windows
            To be built; graphs that were kept of the same rows are not built again.
        keep
            Keep the graphs for a later call.
        """
        from driftmap.pipeline.graphs.build_graph import try_graph_task, warm_up  # late: loads the kernels
        from driftmap.pipeline.graphs.stage import STAGE, make_tasks

        max_bytes = share_task_bytes(self.find_limit())
        windows, too_large = self._fit(windows)
        if too_large is not None and not windows:
            raise too_large
        done: dict[int, GraphReceipt | Refusal] = {**self._recall(windows)}
        missing = [rows for rows in windows if rows.index not in done]
        with self._start(len(missing), warm_up) as executor, self._sort(missing, executor) as orders:
            tasks = make_tasks(self._store, self._config, orders, max_bytes)
            results = iter(executor.map_unordered(try_graph_task, tasks, STAGE)) if missing else iter(())
            for rows in windows:
                while rows.index not in done:
                    result = next(results)
                    done[result.index if isinstance(result, Refusal) else result["index"]] = result
                    self._record(result)
                built = done.pop(rows.index)
                if keep and not isinstance(built, Refusal):
                    self._kept[rows.index] = rows.facts, built
                yield rows, built
        if too_large is not None:
            raise too_large

    def drop_kept(self) -> None:
        """Delete the graphs that were kept and not used."""
        for index, (_, receipt) in self._kept.items():
            delete_group(self._store.location, name_group(index, receipt["attempt"]))
        self._kept.clear()

    def _recall(self, windows: list[WindowRows]) -> dict[int, GraphReceipt]:
        """Give the graphs that were kept of the same rows; each is given once."""
        found = {}
        for rows in windows:
            facts, receipt = self._kept.get(rows.index, (None, None))
            if receipt is not None and facts == rows.facts:
                found[rows.index] = receipt
                del self._kept[rows.index]
        return found

    def _record(self, result: GraphReceipt | Refusal) -> None:
        if not isinstance(result, Refusal):
            facts = {"run": self._run, "stage": "graphs", "window": result["label"], "rows": result["n_rows"]}
            record("graph", result["seconds"], **facts)

    @contextmanager
    def _start(self, n_windows: int, warm_up: Callable[[], object]) -> Iterator[Executor]:
        if not (n_windows or self._place.is_cluster):
            yield SerialExecutor()
            return
        with self._place.start_for_few(max(1, n_windows), warm_up) as executor:
            self.cluster = executor if self._place.is_cluster else None
            try:
                yield executor
            finally:
                self.cluster = None

    @contextmanager
    def _sort(self, windows: list[WindowRows], executor: Executor) -> Iterator[list[GraphOrder]]:
        """Make orders for graphs; rows that lie far apart in a part are sorted by window meanwhile."""
        if not windows:
            yield []
            return
        from driftmap.pipeline.graphs.staging import remove_staged, stage_rows  # late: loads Arrow's readers

        orders = [rows.order(Scale.of(self._config)) for rows in windows]
        location, max_bytes = self._store.location, share_task_bytes(self.find_limit())
        try:
            with suppress(SourceError):  # of rows that cannot be used: their graph's task says so
                orders = stage_rows(location, orders, executor, max_bytes)
            yield orders
        finally:
            remove_staged(location)

    def _fit(self, windows: list[WindowRows]) -> tuple[list[WindowRows], PlanError | None]:
        """Give the windows before the first whose graph fits no worker, and the error that says so."""
        limit = self.find_limit()
        for number, rows in enumerate(windows):
            try:
                refuse_large_task(rows.order(Scale()), rows.label, len(rows.ids), self._config, limit)
            except PlanError as error:
                return windows[:number], error
            except SourceError:  # of its rows; its task says so
                continue
        return windows, None

    def find_place(self) -> Workplace:
        """Give where tasks are done; a cluster's workers have looked at the source and the store."""
        self.find_limit()
        return self._place

    def find_limit(self) -> WorkerLimit | None:
        """Find what workers have and see, once: a cluster is asked over the network."""
        if not self._has_limit:
            if self._store.lock is not None:
                self._place = self._place.show_store(self._store.location, self._store.lock)
            if not self._is_given:
                self._place = self._place.show_source(self._config.source, may_grow=True)
            self._limit, self._has_limit = self._place.find_limit(), True
        return self._limit
