"""Runs the stages of a run and reports progress."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Literal, NamedTuple

from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.planning.estimates.memory import (
    choose_parts,
    explain_layout_here,
    fit_tasks,
    maps_bytes,
    share_block_bytes,
    share_task_bytes,
    size_largest_block,
)
from driftmap.pipeline.store.verify import find_damage
from driftmap.pipeline.tracing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.graphs.orders import GraphOrder
    from driftmap.pipeline.layout.job import LayOut, LayoutJob
    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.store import Store


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


def choose_warm_up(config: RunConfig | None = None) -> Callable[[], object]:
    """Choose what loads the kernels of a run's tasks; those of its graphs alone where the layout is not known yet."""
    if config is not None and config.is_exchanged:
        from driftmap.pipeline.layout.exchange_task import warm_up as load_all

        return load_all
    from driftmap.pipeline.graphs.build_graph import warm_up

    return warm_up


class RunWork:
    """What is to be done on the store of one run.

    Parameters
    ----------
    store
        Opened for writing, its lock held.
    planned
        The whole run.
    place
        Where graphs are built.
    progress
        Called with every step.
    source
        Of the run.
    """

    def __init__(
        self,
        store: Store,
        planned: Plan,
        place: Workplace,
        progress: Callable[[Progress], None] | None,
        source: Source,
    ) -> None:
        self._store = store
        self._planned = planned
        self._place = place
        self._progress = progress
        self._source = source
        self._max_bytes: int | None = None
        self._in_blocks = 0, 0
        self._n_compiling: int | None = None

    def repair(self) -> None:
        """Make again what is damaged of what the store has."""
        damaged = find_damage(self._store, with_older=False)
        if not damaged:
            return
        from driftmap.pipeline.orchestration.repair import (  # late: loads the kernels
            build_again,
            repair_clusters,
            repair_graphs,
            repair_maps,
        )

        numbers = {damage.number for damage in damaged}
        n_rows = self._count_rows(numbers)
        report = _Reporter("repair", self._progress, len(numbers), n_rows)
        report(0, 0)
        graphs = {damage.number for damage in damaged if damage.part == "graph"}
        lost = [self._planned.windows[index] for index in sorted(graphs)]
        built = build_again(self._store, self._planned.config, lost, self._place) if lost else ()
        repair_graphs(self._store, damaged, built)
        with self._reach_workers(only_if=any(damage.part != "graph" for damage in damaged)) as executor:
            repair_maps(self._store, damaged, self._make_job(), executor)
            repair_clusters(self._store, damaged, self._planned.config.random_state, executor)
        report(len(numbers), n_rows)

    def _reach_workers(self, *, only_if: bool) -> AbstractContextManager[Executor | None]:
        """Reach the workers of a cluster that make lost maps again; none where one of them has no room for a block.

        Blocks that were laid out in parallel are all made again by one worker, which holds the maps of all windows.
        """
        planned, config = self._planned, self._planned.config
        if not only_if or not self._place.is_cluster:
            return nullcontext()
        read, limit = self._source.estimate_read(0), self._place.find_limit()
        n_bytes = size_largest_block(read, config, planned.windows, planned.blocks)
        if config.is_exchanged:
            n_bytes += maps_bytes(planned.windows, config)
        if n_bytes > share_block_bytes(limit, is_exchanged=config.is_exchanged):
            warnings.warn(explain_layout_here(n_bytes, limit), PlanWarning, stacklevel=5)
            return nullcontext()
        return self._place.start(1, choose_warm_up(planned.config))

    def finish(self) -> None:
        """Build the graphs that are missing, and lay out the blocks that have no maps."""
        missing = [self._planned.windows[w.index] for w in self._store.state() if w.graph_attempt is None]
        if not missing:
            self._remove_staged()  # of a call that was killed then
        if self._planned.config.is_exchanged:
            self._work_at_once(missing)
        elif n_parts := self._count_parts():
            if n_parts > 1:
                self._work_in_parts(missing, n_parts)
            else:
                self._work_on_cluster(missing)
        elif missing:
            self._work_in_order(missing)
        else:
            self._lay_out()

    def _fit_tasks(self, missing: list[WindowPlan]) -> None:
        planned, limit = self._planned, self._place.find_limit()
        fitted = fit_tasks(planned.estimate, self._source, planned.config, missing, limit)
        # Where all windows fit, no task needs to estimate its own size.
        self._max_bytes = share_task_bytes(limit) if fitted.windows_in_blocks else None
        self._in_blocks = fitted.windows_in_blocks, fitted.row_blocks

    def _count_parts(self) -> int:
        """Count the workers that share a block of those laid out in order; 0 where blocks are laid out here."""
        planned = self._planned
        if not planned.estimate.block_bytes or self._store.n_blocks_done == len(planned.blocks):
            return 0
        limit, read = self._place.find_limit(), self._source.estimate_read(0)
        n_parts = choose_parts(read, planned.config, planned.windows, planned.blocks, limit)
        if not n_parts:
            n_bytes = size_largest_block(read, planned.config, planned.windows, planned.blocks)
            warnings.warn(explain_layout_here(n_bytes, limit), PlanWarning, stacklevel=4)
        return n_parts

    def _work_on_cluster(self, missing: list[WindowPlan]) -> None:
        """Lay every block out on a worker, as soon as the graphs of its windows are there."""
        from driftmap.pipeline.graphs.stage import GraphWork
        from driftmap.pipeline.layout.on_worker import lay_out_on_worker

        self._fit_tasks(missing)
        with self._place.start(len(missing) + 1, choose_warm_up(self._planned.config)) as executor:
            orders = self._make_orders(executor, missing)
            report = self._report_graphs(missing)
            with GraphWork(self._store, self._planned.config, orders, executor, report, self._max_bytes) as work:
                lay_out = lay_out_on_worker(self._store, self._make_job(), executor, work.commit_ready)
                self._lay_out(work.wait_for, lay_out=lay_out)
                work.finish()

    def _work_in_parts(self, missing: list[WindowPlan], n_parts: int) -> None:
        """Build all graphs, then lay out one block after the other, its rows shared out over the workers."""
        from driftmap.pipeline.graphs.stage import build_graphs
        from driftmap.pipeline.layout.in_parts.share_out import lay_out_in_parts

        self._fit_tasks(missing)
        limit = self._place.find_limit()
        kept_bytes = 0 if limit is None else int(share_block_bytes(limit) * limit.n_threads)
        with self._place.start(max(len(missing), n_parts), choose_warm_up(self._planned.config)) as executor:
            orders = self._make_orders(executor, missing)
            report = self._report_graphs(missing)
            build_graphs(self._store, self._planned.config, orders, executor, report, self._max_bytes)
            lay_out = lay_out_in_parts(self._store, self._make_job(), executor, n_parts, kept_bytes)
            self._lay_out(lay_out=lay_out)

    def _work_in_order(self, missing: list[WindowPlan]) -> None:
        """Lay every block out as soon as the graphs of its windows are there, while the others are built."""
        from driftmap.engine import limit_threads
        from driftmap.pipeline.graphs.stage import GraphWork

        self._fit_tasks(missing)
        with ThreadPoolExecutor(1, "driftmap-close") as closing, ExitStack() as building:
            executor = building.enter_context(self._place.start(len(missing), choose_warm_up(self._planned.config)))
            config = self._planned.config
            orders = self._make_orders(executor, missing)
            report = self._report_graphs(missing)
            work = building.enter_context(GraphWork(self._store, config, orders, executor, report, self._max_bytes))
            limit = building.enter_context(ExitStack())
            limit.enter_context(limit_threads(executor.n_free_threads))
            closed: list[Future[None]] = []

            def end_building() -> None:
                # Idle workers, and the scheduler in this process, would take a tenth of the layout's time; they end
                # beside it, which takes them .4 s. Dask's own account of a run ends only where it was begun.
                if not work.is_done or closed or self._place.on_dashboard is not None:
                    return
                if self._place.performance_report is not None:
                    building.close()
                    return
                limit.close()
                closed.append(closing.submit(building.pop_all().close))

            def wait_for(indices: Iterable[int]) -> None:
                work.wait_for(indices)
                end_building()

            def commit_ready() -> None:
                work.commit_ready()
                end_building()

            self._lay_out(wait_for, commit_ready)
            work.finish()
            for future in closed:
                future.result()

    def _work_at_once(self, missing: list[WindowPlan]) -> None:
        """Build all graphs, then lay all blocks out at once, on the workers too."""
        blocks = self._planned.blocks
        if self._store.n_blocks_done == len(blocks):
            return
        from driftmap.pipeline.graphs.stage import build_graphs
        from driftmap.pipeline.layout.exchange import lay_out_in_exchange

        self._fit_tasks(missing)  # blocks too, also where all graphs are there
        with self._place.start(max(len(missing), len(blocks)), choose_warm_up(self._planned.config)) as executor:
            orders = self._make_orders(executor, missing)
            report = self._report_graphs(missing)
            build_graphs(self._store, self._planned.config, orders, executor, report, self._max_bytes)
            lay_out_in_exchange(self._store, self._make_job(), executor, self._report_layout())

    def _make_orders(self, executor: Executor, missing: list[WindowPlan]) -> list[GraphOrder]:
        """Make orders for the missing graphs, their rows sorted by window first where that is planned.

        Before more rows are read, those of an earlier call are read again: maps must not be made of two sources.
        """
        self._n_compiling = executor.n_compiling if self._progress is not None else None
        if not missing:
            return []
        from driftmap.pipeline.graphs.stage import check_rows, make_orders
        from driftmap.pipeline.graphs.staging import stage_rows

        planned, left = self._planned, {window.index for window in missing}
        orders = make_orders(self._store, planned.config, planned.windows)
        if planned.reading is not None and planned.reading.is_sorted:
            n_windows, n_rows = len(planned.windows), planned.reading.n_rows
            report = _Reporter("sort", self._progress, n_windows, n_rows, n_compiling=self._n_compiling)
            limit = share_task_bytes(self._place.find_limit())
            location = self._store.location
            orders = stage_rows(location, orders, executor, limit, lambda n: report(0, n), self._source)
        built = [order for order in orders if order.index not in left]
        if built:
            check_rows(self._store, planned.config, built, executor, self._max_bytes)
        return [order for order in orders if order.index in left]

    def _remove_staged(self) -> None:
        """Remove sorted rows, of an earlier call too."""
        from driftmap.pipeline.graphs.staging import remove_staged

        if self._planned.reading is not None and self._planned.reading.is_sorted:
            remove_staged(self._store.location)

    def _lay_out(
        self,
        wait_for: Callable[[Iterable[int]], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
        lay_out: LayOut | None = None,
    ) -> None:
        """Lay out the blocks that have no maps, in this process where `lay_out` is not given."""
        missing = self._planned.blocks[self._store.n_blocks_done :]
        if not missing:
            return
        from driftmap.pipeline.layout.sequential import lay_out_store

        job = self._make_job()
        if lay_out is None:
            from driftmap.pipeline.layout.block_layout import BlockLayout  # late: loads the kernels

            lay_out = BlockLayout(self._store, job).lay_out
        report = self._report_layout()
        report(missing[0].core.start, 0)

        def on_progress(n_windows: int, n_rows_done: int, epochs: tuple[int, int]) -> None:
            report(n_windows, n_rows_done, epochs)
            if meanwhile is not None:
                meanwhile()

        lay_out_store(self._store, job, on_progress, lay_out, wait_for)

    def _make_job(self) -> LayoutJob:
        from driftmap.pipeline.layout.job import LayoutJob

        config = self._planned.config
        settings = config.layout_settings()
        return LayoutJob(
            self._planned.blocks,
            settings,
            config.lookahead,
            config.random_state,
            config.is_exchanged,
            self._store.read_relations(),
        )

    def _report_graphs(self, missing: list[WindowPlan]) -> Callable[[int, int], None]:
        n_windows = len(self._planned.windows)
        n_before = n_windows - len(missing)
        n_rows = self._count_rows(w.index for w in missing)
        report = _Reporter("graphs", self._progress, n_windows, n_rows, self._in_blocks, self._n_compiling)

        def on_graphs(n_done: int, n_rows: int) -> None:
            report(n_before + n_done, n_rows)
            if n_done == len(missing):
                self._remove_staged()

        return on_graphs

    def _report_layout(self) -> _Reporter:
        cores = [block.core for block in self._planned.blocks[self._store.n_blocks_done :]]
        n_rows = sum(map(self._count_rows, cores))
        n_windows = len(self._planned.windows)
        return _Reporter("layout", self._progress, n_windows, n_rows, n_compiling=self._n_compiling)

    def _count_rows(self, indices: Iterable[int]) -> int:
        return sum(self._planned.windows[index].n_rows for index in indices)


class _Reporter:
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
        windows, rows = self._totals
        seconds = time.perf_counter() - self._started
        if windows_done == windows and not self._is_over:
            self._is_over = True
            record(self._stage, seconds, stage=self._stage, rows=rows_done)
        if self._progress is not None:
            done = (windows_done, windows, rows_done, rows, seconds)
            self._progress(Progress(self._stage, *done, *self._in_blocks, *epochs, self._n_compiling))
