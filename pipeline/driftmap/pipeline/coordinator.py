"""A run: plan the windows, have their graphs built, lay them out, and go on wherever an earlier run stopped."""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from driftmap.pipeline.blocks import (
    MAX_CORE_WINDOWS,
    MAX_SIDE_CORE_WINDOWS,
    choose_block_windows,
    plan_blocks,
    plan_side_blocks,
)
from driftmap.pipeline.config import COLUMN_OPTIONS, RunConfig, differences
from driftmap.pipeline.errors import ConfigError, SourceError, StoreError
from driftmap.pipeline.estimates import estimate_plan, refuse_large_tasks
from driftmap.pipeline.execution import COORDINATOR_SHARE
from driftmap.pipeline.machine import count_memory_bytes, read_size
from driftmap.pipeline.processes import refuse_unguarded_call
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.stamps import explain_change
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.commits import has_commits
from driftmap.pipeline.store.location import Location
from driftmap.pipeline.store.lock import hold_lock
from driftmap.pipeline.store.store import SOURCE_FOLDER, prepare_location
from driftmap.pipeline.store.verify import find_damage
from driftmap.pipeline.windows import plan_windows
from driftmap.pipeline.workplace import WORKPLACE_OPTIONS, Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from distributed import Client

    from driftmap.pipeline.blocks import Block
    from driftmap.pipeline.calibration import Duration
    from driftmap.pipeline.estimates import Estimate
    from driftmap.pipeline.layout import LayoutJob
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.windows import WindowPlan


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


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    config: RunConfig
    windows: list[WindowPlan]
    blocks: list[Block]
    estimate: Estimate
    duration: Duration | None = None
    """Where it was asked for."""

    @property
    def n_shared(self) -> int:
        """Rows that the window before has too, by their ids where there are some."""
        return sum(window.n_shared for window in self.windows)

    @property
    def n_rows(self) -> int:
        """Rows of all windows; a row counts in every window that has it."""
        return sum(window.n_rows for window in self.windows)

    def __str__(self) -> str:
        lines = [f"{len(self.windows)} windows, {self.n_rows:,} rows, {len(self.blocks)} blocks"]
        lines += [f"  {window.label}: {window.n_rows:,} rows" for window in self.windows]
        return "\n".join(lines)


def plan(
    source: object,
    *,
    config: RunConfig | None = None,
    scheduler: str | Client | None = None,
    memory_limit: int | str | None = None,
    timed: bool = False,
    **options: Any,
) -> Plan:
    """Cut a source into windows, and windows into blocks, and say what a run will take; writes nothing.

    Parameters
    ----------
    source
        Path, or `s3://` URL, of a Parquet file or folder or of a Zarr array or group; arrays or a table; or an opened
        source.
    config
        Everything else that is said of a run, instead of `options`.
    scheduler
        As for `run`: what the workers have; so are `tls`, `workers` and `worker_memory`.
    memory_limit
        What a block may take, in bytes or as `"2GB"`; a quarter of the machine's memory when left out.
    timed
        Also read a window, build graphs and lay them out, to say roughly how long a run takes. No vectors are read
        otherwise.
    **options
        As on the command line, with underscores.

    Raises
    ------
    DriftmapError
        When the source or a setting cannot be used, or a window's graph takes more memory than workers have.
    """
    place = _settle_place(scheduler, options)
    opened, settled = _settle(source, config, options)
    planned = _plan(opened, settled, memory_limit)
    limit = place.find_limit()
    refuse_large_tasks(planned.estimate, limit)
    if not timed:
        return planned
    from driftmap.pipeline.calibration import estimate_duration  # late: loads the kernels

    n_at_once = 1 if limit is None else limit.n_workers * limit.n_threads
    duration = estimate_duration(opened, planned.config, planned.windows, planned.blocks, n_at_once)
    return replace(planned, duration=duration)


def run(
    source: object,
    store: str | Path,
    *,
    config: RunConfig | None = None,
    scheduler: str | Client | None = None,
    memory_limit: int | str | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Store:
    """Make the maps of a source, or go on where an earlier run on the same store stopped.

    Parameters
    ----------
    source, config, memory_limit, **options
        As for `plan`; an existing store must have been made with the same ones.
    store
        Folder of the store, or `s3://bucket/prefix`; made when it is not there.
    scheduler
        Where graphs are built. None: worker processes on this machine. "serial": this process. An address such as
        `tls://host:8786`, or a `distributed.Client`: the workers there, which must see source and store by the same
        paths, and run the same versions.
    progress
        Called as windows come along.

    Other Parameters
    ----------------
    tls
        Folder with the certificates for a `tls://` address, as `driftmap certs` makes it; True: only refuse a scheduler
        on a network that is reached without TLS, which else is warned of.
    workers
        Worker processes on this machine; one per core when left out.
    worker_memory
        What each of these may take, in bytes or as `"2GB"`; its share of three quarters of the memory when left out.
    performance_report
        File (HTML) for Dask's account of the run.
    on_dashboard
        Called with the address of Dask's dashboard.

    Returns
    -------
    The store, opened for reading; every window has a map.

    Raises
    ------
    DriftmapError
        When the source, a setting or the store cannot be used; what was committed stays.
    """
    if scheduler is None:
        refuse_unguarded_call()
    place = _settle_place(scheduler, options)
    opened, settled = _settle(source, config, options)
    location = Location(store)
    _refuse_arrays_far_away(opened, location)
    # Whatever is to be refused is refused before anything is made, and a run that is done needs no lock.
    found = _open_again(location, opened, settled) if has_commits(location) else None
    if found is None:
        planned = _plan(opened, settled, memory_limit)
        refuse_large_tasks(planned.estimate, place.find_limit())
        prepare_location(location)
    elif found[0].n_blocks_done >= len(found[1].blocks) and not find_damage(found[0], with_older=False):
        return Store.open(location)
    with hold_lock(location) as lock:
        if found is None and not has_commits(location):
            _create(location, opened, planned)
        # What another process committed until the lock was ours counts too.
        written, planned = found if found and not found[0].refresh() else _open_again(location, opened, settled)
        written.lock = lock
        _repair(written, planned, place, progress)
        work = _work_side_by_side if planned.config.is_exchanged else _work
        work(written, planned, place, progress)
    return Store.open(location)


def _settle_place(scheduler: str | Client | None, options: dict[str, Any]) -> Workplace:
    """Take what is said of the place out of the options."""
    return Workplace.of(scheduler, **{name: options.pop(name) for name in WORKPLACE_OPTIONS if name in options})


def _settle(source: object, config: RunConfig | None, options: dict[str, Any]) -> tuple[Source, RunConfig]:
    if config is None:
        opened = as_source(source, **{name: options[name] for name in COLUMN_OPTIONS if name in options})
        return opened, RunConfig.from_options(opened.spec, **options)
    if options:
        raise ConfigError(f"config and {', '.join(options)} are both given; say everything in one of them")
    opened = as_source(source, **{name: getattr(config.source, name) or None for name in COLUMN_OPTIONS})
    return opened, config.model_copy(update={"source": opened.spec})


def _plan(source: Source, config: RunConfig, memory_limit: int | str | None) -> Plan:
    reach = config.layout.alignment_window_size
    windows = plan_windows(source, config.windows, config.graph.n_neighbors, reach=reach)
    if config.block_windows is None:
        block_windows = choose_block_windows(
            [window.n_rows for window in windows],
            read_size(memory_limit, "memory_limit") if memory_limit is not None else _share_of_block(),
            n_neighbors=config.graph.n_neighbors,
            n_components=config.layout.n_components,
            lookahead=reach if config.is_exchanged else config.lookahead,
            reach=reach,
            at_most=MAX_SIDE_CORE_WINDOWS if config.is_exchanged else MAX_CORE_WINDOWS,
        )
        config = config.model_copy(update={"block_windows": block_windows})
    if config.is_exchanged:
        blocks = plan_side_blocks(len(windows), config.block_windows or 1, reach)
    else:
        blocks = plan_blocks(len(windows), config.block_windows or 1, config.lookahead, reach)
    return Plan(config, windows, blocks, estimate_plan(source, config, windows, blocks))


def _create(location: Location, source: Source, planned: Plan) -> None:
    # What is in memory only is kept beside the maps, so that workers, and a later run, can read it.
    spilled = _spill(source, location)
    Store.create(
        location,
        config=planned.config.model_copy(update={"source": spilled.spec}).to_json(),
        windows=[_as_facts(window) for window in planned.windows],
        fingerprint=source.fingerprint(),
    )


def _open_again(location: Location, source: Source, config: RunConfig) -> tuple[Store, Plan]:
    store = Store.open(location, read_only=False)
    return store, _plan_again(store, source, config)


def _plan_again(store: Store, source: Source, config: RunConfig) -> Plan:
    if store.growth.n_ingests or store.growth.generation:
        raise StoreError(
            f"the store {store.path} has grown since its run, by {store.growth.n_ingests} windows or more; "
            "`driftmap ingest` goes on with it, or name another store"
        )
    stored = RunConfig.from_json(store.config)
    if changes := differences(stored, config):
        raise ConfigError(
            f"the store {store.path} was made with other settings ({'; '.join(changes)}); "
            "give the same ones to go on, or name another store"
        )
    changed = explain_change(store.fingerprint, source.fingerprint())
    if not changed:
        spilled = _spill(source, store.location)
        planned = _plan(spilled, stored.model_copy(update={"source": spilled.spec}), None)
        if [_as_facts(window) for window in planned.windows] == _stored_facts(store):
            return planned
    raise StoreError(
        f"the source {config.source.path or 'given'} changed since the store {store.path} was made "
        f"({changed or 'its rows fall into other windows'}); name another store"
    )


def _refuse_arrays_far_away(source: Source, location: Location) -> None:
    if source.spec.format == "arrays" and not source.spec.path and not location.is_local:
        raise SourceError(
            f"arrays from Python are kept in the store for the workers, and the store {location} is no folder; write "
            "them as Parquet or Zarr where all workers see them, and give the path"
        )


def _spill(source: Source, location: Location) -> Source:
    return source.spill(location.folder / SOURCE_FOLDER) if location.is_local else source


def _as_facts(window: WindowPlan) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(window.runs, dtype="<i8").tobytes()).hexdigest()[:16]
    return {
        "label": window.label,
        "n_rows": int(window.n_rows),
        "start": window.start,
        "end": window.end,
        "digest": digest,
    }


def _stored_facts(store: Store) -> list[dict[str, Any]]:
    names = ("label", "n_rows", "start", "end", "digest")
    return [{name: getattr(window, name) for name in names} for window in store.state()]


def _repair(
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


def _work(
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


def _work_side_by_side(
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


def _share_of_block() -> int:
    return int(COORDINATOR_SHARE * count_memory_bytes())
