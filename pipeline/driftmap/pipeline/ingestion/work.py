"""The work of one ingest: look at the source, take in what is new and whole, window by window."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.ingestion.bad_files import Account, BadFiles
from driftmap.pipeline.ingestion.intake import Builders, Intake
from driftmap.pipeline.ingestion.new_graphs import NewGraphs
from driftmap.pipeline.ingestion.new_maps import NewMaps
from driftmap.pipeline.ingestion.options import IngestReport
from driftmap.pipeline.ingestion.parts.altered import find_altered, list_altered
from driftmap.pipeline.ingestion.parts.inbox import find_since, put_rows
from driftmap.pipeline.ingestion.parts.late import count_pending, list_late
from driftmap.pipeline.ingestion.parts.schemas import find_change
from driftmap.pipeline.ingestion.parts.source_parts import Feed
from driftmap.pipeline.ingestion.plan_batch import Planner, PlanRules
from driftmap.pipeline.ingestion.quarantine import Quarantine
from driftmap.pipeline.ingestion.reopening import Reopening, find_target
from driftmap.pipeline.ingestion.slots import make_slots
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.store.pruning import list_old_windows, prune_graphs

if TYPE_CHECKING:
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.ingestion.bad_files import OnEvent
    from driftmap.pipeline.ingestion.options import IngestOptions
    from driftmap.pipeline.ingestion.parts.source_parts import PartRef
    from driftmap.pipeline.ingestion.watch.outcome import StageClock
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.growth import SourcePart


class IngestWork:
    """One ingest.

    Parameters
    ----------
    store
        Opened for writing, its lock held.
    source
        As for `ingest`.
    options
        Of the ingest.
    place
        Where graphs are built.
    on_event
        Called with a name and facts whenever something happened.
    clock
        Counts the time of stages.
    """

    def __init__(
        self,
        store: Store,
        source: object,
        options: IngestOptions,
        place: Workplace,
        on_event: OnEvent,
        clock: StageClock,
    ) -> None:
        self._store = store
        self._options = options
        found = _find_place(source)
        self._given = source if found is None else None
        self._config = _read_config(store, found)
        self._slots = make_slots(self._config, store.growth.origin)
        self._graphs = NewGraphs(store, self._config, place, is_given=found is None, run=clock.run)
        schemas = self._config.schemas
        self._feed = Feed(self._config.source, self._slots, store.location, self._graphs.find_place, schemas)
        self._report = IngestReport(store)
        self._account = Account(self._report, on_event, clock)
        self._bad_files = BadFiles(options, self._config.source, self._account)
        self._parts: dict[str, PartRef] = {}
        self._now = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")

    def run(self) -> IngestReport:
        """Do all there is to do."""
        with self._account.clock.at("look"):
            return self._run()

    def _run(self) -> IngestReport:
        store, config, slots = self._store, self._config, self._slots
        self._scan()
        self._ask()
        Reopening(store, config, slots, self._graphs, self._plan, self._options, self._account).run()
        builders = Builders(
            plan=lambda: self._plan(store), build=self._graphs.build, maps=NewMaps(store, config, self._graphs)
        )
        Intake(store, config, builders, self._bad_files, self._account).take_all()
        if self._options.keep is not None:
            self._report.n_pruned = prune_graphs(store, self._options.keep)
        self._report.late = list_late(store, slots)
        self._report.altered = list_altered(store, slots)
        self._report.n_pending = count_pending(store, slots)
        return self._report

    def _scan(self) -> None:
        """Look at parts that are new or changed, and note them, and those that are gone, in the log."""
        known = self._store.growth.parts
        self._parts = self._feed.list_parts(known)
        self._report.waiting = list(self._feed.unfinished)
        found = {}
        for name, ref in list(self._parts.items()):
            if name in known and known[name].stamp == ref.stamp:
                continue
            if self._feed.is_half_written(ref):
                self._report.waiting.append(name)
                del self._parts[name]
                continue
            try:
                found[name] = self._scan_part(ref)
                self._parts[name] = self._feed.refer(ref, found[name].schema)
            except SourceError as error:
                del self._parts[name]
                self._bad_files.set_aside(ref, str(error))
        removed = [name for name in known if name not in self._parts and name not in self._report.waiting]
        if found or removed:
            parts = {name: part.to_json() for name, part in found.items()}
            altered = find_altered(self._store, self._slots, self._feed, self._parts, found)
            payload = {"parts": parts, "removed": removed}
            if any(altered):
                payload |= {"altered": altered.slots, "restored": altered.restored}
            self._store.commit_growth("source", payload)

    def _scan_part(self, ref: PartRef) -> SourcePart:
        """Look at one part; one of another schema is taken in where that was asked for."""
        try:
            return self._feed.scan(ref)
        except SourceError as error:
            change = find_change(self._feed, ref, self._config, self._options.asked_schema)
            if change is None:
                raise
            if not self._options.accept_schema:
                raise SourceError(f"{error}; or take it in as a new schema, on purpose (accept_schema)") from error
        before = str(self._feed.schemas[-1].pin if self._feed.schemas else self._config.source.pin)
        part = self._feed.scan_as(ref, change)
        schemas = [known.model_dump(mode="json") for known in self._feed.schemas]
        self._store.commit_config({**self._store.config, "schemas": schemas})
        self._report.schemas.append(f"{ref.name}: {change.pin}")
        self._account.on_event("schema", {"part": ref.name, "now": str(change.pin), "before": before})
        return part

    def _ask(self) -> None:
        """Take in rows that were given from Python, or ask for them; those of an earlier call are noted by now."""
        given = self._given(find_since(self._store)) if callable(self._given) else self._given
        if put_rows(self._store, self._config.source, given):
            self._scan()

    def _plan(self, store: Store, last: str | None = None) -> Planner:
        until = self._options.find_until(store.growth.newest, self._now)
        # After a gap nothing relates; then going on is all that is left, or every later window would be refused too.
        must_relate = self._options.on_bad == "stop"
        skip_empty = (self._options.on_empty or self._config.windows.on_empty) == "skip"
        rules = PlanRules(until, must_relate=must_relate, skip_empty=skip_empty, last=last)
        return Planner(store, self._config, self._feed, self._parts, self._slots, rules)


def refuse_call(store: Store, source: object, options: IngestOptions) -> None:
    """Refuse what can be seen to be impossible before anything is written to a store.

    Raises
    ------
    DriftmapError
        When the store cannot grow, or cannot be reopened, pruned or read from as the options say.
    """
    config = _read_config(store, _find_place(source))
    slots = make_slots(config, store.growth.origin)
    if options.reopen_from is not None:
        find_target(store, slots, options.reopen_from)
    if options.quarantine is not None:
        Quarantine(options.quarantine, config.source)
    if options.keep is not None:
        list_old_windows(store, options.keep)


def _find_place(source: object) -> SourcePlace | None:
    return SourcePlace(source) if isinstance(source, str | os.PathLike) else None


def _read_config(store: Store, source: SourcePlace | None) -> RunConfig:
    store.refuse_unfinished()
    config = RunConfig.from_json(store.config)
    if source is not None:
        config = config.model_copy(update={"source": config.source.model_copy(update={"path": str(source)})})
    if config.source.id is None and config.source.format != "zarr":
        raise ConfigError(
            "the source names no id column; ingestion needs one (id), since numbers of rows change as files come: "
            "make the store again with an id"
        )
    return config
