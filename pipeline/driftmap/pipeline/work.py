"""The work on a run's store: damage repaired, graphs built, blocks laid out, and word of how far it has come."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, NamedTuple

from driftmap.pipeline.estimates import refuse_large_tasks
from driftmap.pipeline.store.verify import find_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from driftmap.pipeline.layout import LayoutJob
    from driftmap.pipeline.run_plan import Plan
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.workplace import Workplace


class Progress(NamedTuple):
    """How far a stage of a run has come."""

    stage: Literal["repair", "graphs", "layout"]
    """`repair` comes only where something in the store was damaged, and counts the windows that it made again."""
    windows_done: int
    """Of the whole run, those of earlier calls included."""
    windows_total: int
    rows_done: int
    """By this call; rows per second are `rows_done / seconds`."""
    rows_total: int
    seconds: float
    """Since this call began the stage."""


def repair_damage(
    store: Store,
    planned: Plan,
    place: Workplace,
    progress: Callable[[Progress], None] | None,
) -> None:
    """Make again what is damaged of what the store has."""
    damaged = find_damage(store, with_older=False)
    if not damaged:
        return
    from driftmap.pipeline.repair import build_again, repair_graphs, repair_maps  # late: loads the kernels

    config = planned.config
    numbers = {damage.number for damage in damaged}
    n_rows = sum(planned.windows[index].n_rows for index in numbers)
    report = _Reporter("repair", progress, len(numbers), n_rows)
    report(0, 0)
    graphs = {damage.number for damage in damaged if damage.part == "graph"}
    lost = [planned.windows[index] for index in sorted(graphs)]
    repair_graphs(store, damaged, build_again(store, config, lost, place) if lost else ())
    repair_maps(store, damaged, _make_job(planned))
    report(len(numbers), n_rows)


def work_in_order(
    store: Store,
    planned: Plan,
    place: Workplace,
    progress: Callable[[Progress], None] | None,
) -> None:
    """Build the graphs that are missing, and lay every block out as soon as the graphs of its windows are there."""
    missing = [planned.windows[window.index] for window in store.state() if window.graph_attempt is None]
    if not missing:
        _lay_out(store, planned, progress)
        return
    refuse_large_tasks(planned.estimate, place.find_limit())
    from driftmap.engine.threads import limit_threads
    from driftmap.pipeline.graphs import GraphWork
    from driftmap.pipeline.tasks import warm_up

    n_before = len(planned.windows) - len(missing)
    report = _Reporter("graphs", progress, len(planned.windows), sum(window.n_rows for window in missing))
    with (
        place.start(len(missing), warm_up) as executor,
        GraphWork(store, planned.config, missing, executor, lambda n, n_rows: report(n_before + n, n_rows)) as work,
        ExitStack() as sharing,
    ):
        sharing.enter_context(limit_threads(executor.n_free_threads))

        def commit_ready() -> None:
            work.commit_ready()
            if work.is_done:
                sharing.close()

        _lay_out(store, planned, progress, work.wait_for, commit_ready)
        work.finish()


def work_side_by_side(
    store: Store,
    planned: Plan,
    place: Workplace,
    progress: Callable[[Progress], None] | None,
) -> None:
    """Build the graphs that are missing, then lay all blocks out at once, on the workers too."""
    missing = [planned.windows[window.index] for window in store.state() if window.graph_attempt is None]
    if store.n_blocks_done == len(planned.blocks):
        return
    if missing:
        refuse_large_tasks(planned.estimate, place.find_limit())
    from driftmap.pipeline.exchange import lay_out_side_by_side
    from driftmap.pipeline.graphs import build_graphs
    from driftmap.pipeline.side_block import warm_up

    config, n_windows = planned.config, len(planned.windows)
    n_before = n_windows - len(missing)
    report = _Reporter("graphs", progress, n_windows, sum(window.n_rows for window in missing))
    with place.start(max(len(missing), len(planned.blocks)), warm_up) as executor:
        build_graphs(store, config, missing, executor, lambda n, n_rows: report(n_before + n, n_rows))
        n_rows = sum(planned.windows[t].n_rows for block in planned.blocks[store.n_blocks_done :] for t in block.core)
        report = _Reporter("layout", progress, n_windows, n_rows)
        lay_out_side_by_side(store, _make_job(planned), executor, report)


def _lay_out(
    store: Store,
    planned: Plan,
    progress: Callable[[Progress], None] | None,
    wait_for: Callable[[Iterable[int]], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    missing = planned.blocks[store.n_blocks_done :]
    if not missing:
        return
    from driftmap.pipeline.layout import lay_out_store  # late: loads the kernels

    n_rows = sum(planned.windows[index].n_rows for block in missing for index in block.core)
    report = _Reporter("layout", progress, len(planned.windows), n_rows)
    report(missing[0].core.start, 0)

    def on_progress(n_windows: int, n_rows_done: int) -> None:
        report(n_windows, n_rows_done)
        if meanwhile is not None:
            meanwhile()

    lay_out_store(store, _make_job(planned), on_progress, wait_for)


def _make_job(planned: Plan) -> LayoutJob:
    from driftmap.pipeline.layout import LayoutJob  # late: loads the kernels

    config = planned.config
    settings = config.layout_settings()
    return LayoutJob(planned.blocks, settings, config.lookahead, config.random_state, config.is_exchanged)


class _Reporter:
    """Calls `progress`, where there is one, with what a stage has done."""

    def __init__(
        self,
        stage: Literal["repair", "graphs", "layout"],
        progress: Callable[[Progress], None] | None,
        windows_total: int,
        rows_total: int,
    ) -> None:
        self._stage = stage
        self._progress = progress
        self._totals = windows_total, rows_total
        self._started = time.perf_counter()

    def __call__(self, windows_done: int, rows_done: int) -> None:
        if self._progress is not None:
            windows, rows = self._totals
            seconds = time.perf_counter() - self._started
            self._progress(Progress(self._stage, windows_done, windows, rows_done, rows, seconds))
