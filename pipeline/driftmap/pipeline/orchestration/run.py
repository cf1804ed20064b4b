"""A run: plan the windows, have their graphs built, lay them out, and go on wherever an earlier run stopped."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from driftmap.pipeline.config.arguments import refuse_other_calls
from driftmap.pipeline.config.keywords import SettingKeywords
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.source_spec import PINNED, SOURCE_OPTIONS
from driftmap.pipeline.config.times.time_zones import UTC_NAMES, read_zone
from driftmap.pipeline.errors import ConfigError, PlanWarning, SourceError
from driftmap.pipeline.executors.choice import WORKPLACE_OPTIONS, Workplace, WorkplaceKeywords
from driftmap.pipeline.executors.worker_process import refuse_unguarded_call
from driftmap.pipeline.graphs.bad_rows import find_dropped
from driftmap.pipeline.orchestration.creation import create_store
from driftmap.pipeline.orchestration.outside_relations import UNREAD, settle_relations
from driftmap.pipeline.orchestration.resume import (
    commit_changes,
    explain_new_beginning,
    is_begun,
    open_again,
    open_begun,
)
from driftmap.pipeline.orchestration.run_events import RunEvents
from driftmap.pipeline.orchestration.scaling import fit_scaling
from driftmap.pipeline.orchestration.stages import Progress, RunWork, choose_warm_up
from driftmap.pipeline.planning.estimates.memory import fit_tasks
from driftmap.pipeline.planning.plan import Plan, make_plan
from driftmap.pipeline.planning.windows import settle_rule
from driftmap.pipeline.sources import as_source, forget_keys, needs_workers
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.create import SOURCE_FOLDER, leave_no_empty_store, prepare_location
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.verify import find_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from driftmap.pipeline.executors import Client
    from driftmap.pipeline.orchestration.run_events import OnEvent
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.sources.readers.python.dask_collections import LazySource
    from driftmap.pipeline.store.log.lock import StoreLock
    from driftmap.pipeline.store.relation_book import RelationBook


class RunKeywords(SettingKeywords, WorkplaceKeywords, total=False):
    """Options of `run` and `plan` by name, besides the source, the scheduler and the memory limit."""

    relations: object


def plan(
    source: object,
    *,
    config: RunConfig | None = None,
    scheduler: str | Client | None = None,
    memory_limit: int | str | None = None,
    timed: bool = False,
    **options: Unpack[RunKeywords],
) -> Plan:
    """Cut a source into windows, and windows into blocks, and say what a run will take; writes nothing.

    Parameters
    ----------
    source
        Path, or `s3://` URL, of a file or folder of Parquet, CSV, JSON lines or Arrow IPC, or of a Zarr array or group;
        arrays or a table; or an opened source.
    config
        Everything else that is said of a run, instead of `options`.
    scheduler
        As for `run`: what the workers have; so are `tls`, `workers` and `worker_memory`.
    memory_limit
        What a block may take, in bytes or as `"2GB"`; a quarter of the machine's memory when left out.
    timed
        Also read a window, build graphs and lay them out, to say roughly how long a run takes. Only the vectors of a
        few rows are read otherwise, unless bad rows are to be dropped (`on_bad_rows`).
    **options
        As on the command line, with underscores. `relations` relates rows beside equal ids: a table, or a file of one,
        with the columns window, id, other_window, other_id and perhaps weight; or one relation for each pair of
        consecutive windows as the engine's `fit` takes them (old row -> new row, a scipy sparse matrix among others),
        or a dict of these by (older window, newer window). A row may have any number of partners, and is pulled to
        their weighted mean; `driftmap.engine.relate_windows` has the formula. With `relations_only` equal ids relate
        no rows.

    Returns
    -------
    Plan
        Windows, blocks and estimates; nothing is written.

    Raises
    ------
    DriftmapError
        When the source or a setting cannot be used, or a window's graph takes more memory than workers have and its
        neighbours cannot be searched in blocks of rows.
    """
    given: dict[str, Any] = dict(options)
    place = _settle_place(scheduler, given)
    with place.keep_connection():
        relations = given.pop("relations", None)
        opened, settled = open_settled(source, config, given, place)
        place = place.show_source(opened.spec)
        planned, _ = _make_plan_with_relations(opened, settled, memory_limit, place, relations)
        if not timed:
            return planned
        limit = place.find_limit()
        from driftmap.pipeline.planning.estimates.run_time import estimate_duration  # late: loads the kernels

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
    on_event: OnEvent | None = None,
    **options: Unpack[RunKeywords],
) -> Store:
    """Make the maps of a source, or go on where an earlier run on the same store stopped.

    Parameters
    ----------
    source, config, memory_limit, **options
        As for `plan`; an existing store must have been made with the same ones, unless it holds no graph yet.
    store
        Folder of the store, or `s3://bucket/prefix`; made when it is not there.
    scheduler
        Where graphs are built. None: worker processes on this machine. "serial": this process. An address such as
        `tls://host:8786`, or a `distributed.Client`: the workers there, which must see source and store by the same
        paths (else they are named before any work), and run the same versions.
    progress
        Called as windows come along.
    on_event
        Called with a name and facts whenever something happened: `started`, `graph` and `map` of a window, `done` or
        `failed`. Facts have the name of the run (`run`) and what it is at (`stage`: start, graphs, layout, end).

    Returns
    -------
    Store
        The store, opened for reading; every window has a map.

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

    Raises
    ------
    DriftmapError
        When the source, a setting or the store cannot be used; what was committed stays.
    """
    if scheduler is None:
        refuse_unguarded_call()
    refuse_other_calls(on_event=on_event, progress=progress, on_dashboard=options.get("on_dashboard"))
    events, location = RunEvents(on_event), Location(store)
    with events.begin(location):
        given: dict[str, Any] = dict(options)
        place = _settle_place(scheduler, given)
        with place.keep_connection():
            return _make_maps(source, location, config, place, memory_limit, progress, given, events)


def _make_maps(
    source: object,
    location: Location,
    config: RunConfig | None,
    place: Workplace,
    memory_limit: int | str | None,
    progress: Callable[[Progress], None] | None,
    given: dict[str, Any],
    events: RunEvents,
) -> Store:
    relations = given.pop("relations", None)
    opened, settled = _settle(source, config, given, stored=_read_config(location))
    refuse_arrays_far_away(opened, location)
    if needs_workers(opened):
        opened = _write_partitions(opened, settled, location, place)
        settled = settled.model_copy(update={"source": opened.spec})
    # Whatever is to be refused is refused before anything is made, and a run that is done needs no lock.
    reopen = partial(open_again, location, opened, settled, memory_limit, place, relations)
    found = open_begun(location, reopen)
    if found is None:
        place = place.show_source(opened.spec, choose_warm_up())
        planned, book = _make_plan_with_relations(opened, settled, memory_limit, place, relations)
        for note in planned.notes:
            warnings.warn(note, PlanWarning, stacklevel=2)
        place.prepare()
    elif found[0].n_blocks_done >= len(found[1].blocks) and not find_damage(found[0], with_older=False):
        return Store.open(location)
    else:
        place = place.show_source(opened.spec, choose_warm_up())
    with leave_no_empty_store(location), _hold(location) as lock:
        place = place.show_store(location, lock, choose_warm_up((found[1] if found else planned).config))
        # What another process committed until the lock was ours counts too.
        if found is None and (found := open_begun(location, reopen)) is None:
            if has_commits(location):
                warnings.warn(explain_new_beginning(location, settled), PlanWarning, stacklevel=2)
            create_store(location, opened, planned, book, fit_scaling(opened, planned, place))
        written, planned = found if found and not found[0].refresh() else reopen()
        forget_keys(opened)
        written.lock = lock
        events.follow(written)
        commit_changes(written, planned)
        work = RunWork(written, planned, place, progress, opened)
        work.repair()
        work.finish()
    return Store.open(location)


@contextmanager
def _hold(location: Location) -> Iterator[StoreLock]:
    if not has_commits(location):
        prepare_location(location)
    with hold_lock(location) as lock:
        yield lock


def _make_fitting_plan(source: Source, config: RunConfig, memory_limit: int | str | None, place: Workplace) -> Plan:
    limit = place.find_limit()
    config = config.model_copy(update={"windows": settle_rule(source, config.windows)})
    dropped = find_dropped(source, lambda: place)
    planned = make_plan(source, config, memory_limit, limit, dropped, is_cluster=place.is_cluster)
    return replace(planned, estimate=fit_tasks(planned.estimate, source, planned.config, planned.windows, limit))


def _make_plan_with_relations(
    source: Source, config: RunConfig, memory_limit: int | str | None, place: Workplace, relations: object
) -> tuple[Plan, RelationBook | None]:
    if relations is not None:
        config = config.model_copy(update={"relations": UNREAD})
    return settle_relations(_make_fitting_plan(source, config, memory_limit, place), source, relations)


def _settle_place(scheduler: str | Client | None, options: dict[str, Any]) -> Workplace:
    """Take what is said of the place out of the options."""
    return Workplace.of(scheduler, **{name: options.pop(name) for name in WORKPLACE_OPTIONS if name in options})


def _read_config(location: Location) -> RunConfig | None:
    """Read the configuration of a store; None where there is none yet."""
    return RunConfig.from_json(Store.open(location).config) if has_commits(location) else None


def open_settled(
    source: object, config: RunConfig | None, options: dict[str, Any], place: Workplace
) -> tuple[Source, RunConfig]:
    """Open a source, and settle what is said of a run; keys of a Dask collection are computed."""
    opened, settled = _settle(source, config, options)
    if needs_workers(opened):
        with place.compute_collections() as opened.compute:
            opened.prepare()
        settled = settled.model_copy(update={"source": opened.spec})
    return opened, settled


def _settle(
    source: object, config: RunConfig | None, options: dict[str, Any], *, stored: RunConfig | None = None
) -> tuple[Source, RunConfig]:
    must_pin = stored is None or stored.source.pin is not None  # a store of before 0.2 goes on without
    if config is None:
        named = {name: options[name] for name in SOURCE_OPTIONS if name in options}
        named["clock"] = _find_clock(options.get("timezone"), stored)
        opened = as_source(source, must_pin=must_pin, **named)
        return opened, RunConfig.from_options(opened.spec, **options)
    if options:
        raise ConfigError(f"config and {', '.join(options)} are both given; say everything in one of them")
    roles = {name: getattr(config.source, name) or None for name in (*SOURCE_OPTIONS, *PINNED)}
    roles["clock"] = roles["clock"] or _find_clock(config.windows.timezone, stored)
    opened = as_source(source, must_pin=must_pin, **roles)
    return opened, config.model_copy(update={"source": opened.spec})


def _find_clock(zone: object, stored: RunConfig | None) -> str | None:
    """Find by whose clock dates begin: that of the windows, or whatever a store was made by that goes on."""
    if stored is not None and zone in (None, stored.windows.timezone):
        return stored.source.clock
    try:
        return None if zone in UTC_NAMES or read_zone(str(zone)) is None else str(zone)
    except ConfigError:  # said with everything else that is wrong with the windows
        return None


def refuse_arrays_far_away(source: Source, location: Location) -> None:
    """Refuse rows in memory for a store that is no folder: workers would not see them.

    Raises
    ------
    SourceError
        Saying what to do instead.
    """
    if not source.spec.path and not location.is_local:
        raise SourceError(
            f"data from Python are kept in the store for the workers, and the store {location} is no folder; write "
            "them as Parquet or Zarr where all workers see them, and give the path"
        )


def _write_partitions(source: LazySource, config: RunConfig, location: Location, place: Workplace) -> Source:
    """Have a Dask collection's partitions written to the store's folder, once its windows are known to be possible."""
    with leave_no_empty_store(location), place.compute_collections() as source.compute:
        if not is_begun(location):
            source.prepare()
            config = config.model_copy(update={"source": source.spec})
            if source.spec.on_bad_rows == "refuse":  # else rows that do not count are known once they are written
                _make_fitting_plan(source, config, None, replace(place, scheduler="serial"))
        with _hold(location) as lock:
            place.show_store(location, lock)
            return source.spill(location.folder / SOURCE_FOLDER, may_replace=not is_begun(location))
