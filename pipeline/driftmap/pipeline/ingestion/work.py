"""The work of one ingest: look at the source, take in what is new and whole, window by window."""

from __future__ import annotations

import os
import warnings
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.errors import ConfigError, PlanWarning, SourceError, StoreError
from driftmap.pipeline.graphs.orders import Refusal
from driftmap.pipeline.ingestion.new_graphs import NewGraphs
from driftmap.pipeline.ingestion.new_maps import NewMaps
from driftmap.pipeline.ingestion.options import IngestReport
from driftmap.pipeline.ingestion.parts.altered import find_altered, list_altered
from driftmap.pipeline.ingestion.parts.inbox import find_since, put_rows
from driftmap.pipeline.ingestion.parts.late import count_pending, find_place, list_late
from driftmap.pipeline.ingestion.parts.schemas import find_change
from driftmap.pipeline.ingestion.parts.source_parts import Feed
from driftmap.pipeline.ingestion.plan_batch import BadWindow, Planner, PlanRules
from driftmap.pipeline.ingestion.quarantine import Quarantine, find_bad_parts
from driftmap.pipeline.ingestion.slots import BEFORE, make_slots
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.store.log.layouts import BuiltWindow
from driftmap.pipeline.store.pruning import prune_graphs, refuse_pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.ingestion.options import IngestOptions
    from driftmap.pipeline.ingestion.parts.source_parts import PartRef
    from driftmap.pipeline.ingestion.plan_batch import WindowRows
    from driftmap.pipeline.ingestion.watch.outcome import StageClock
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.growth import SourcePart

    OnEvent = Callable[[str, dict[str, Any]], None]


class BadRowsError(SourceError):
    """Rows of a new window cannot be used, and no option says to go on without them.

    Parameters
    ----------
    message
        What came, what was expected, and what to do.
    blocked
        Label of the window, or name of the part, that keeps later windows out.
    reason
        Why it cannot be used.
    """

    def __init__(self, message: str, blocked: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.blocked = blocked
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.blocked, self.reason)


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
        self._clock = clock
        self._store = store
        self._options = options
        self._on_event = on_event
        found = SourcePlace(source) if isinstance(source, str | os.PathLike) else None
        self._given = source if found is None else None
        self._config = _read_config(store, found)
        self._slots = make_slots(self._config, store.growth.origin)
        self._graphs = NewGraphs(store, self._config, place, is_given=found is None, run=clock.run)
        schemas = self._config.schemas
        self._maps = NewMaps(store, self._config, self._graphs)
        self._feed = Feed(self._config.source, self._slots, store.location, self._graphs.find_place, schemas)
        self._quarantine = None if options.quarantine is None else Quarantine(options.quarantine, self._config.source)
        self._parts: dict[str, PartRef] = {}
        self._now = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
        self._report = IngestReport(store)

    def run(self) -> IngestReport:
        """Do all there is to do."""
        with self._clock.at("look"):
            return self._run()

    def _run(self) -> IngestReport:
        given = self._find_given_window()
        self._scan()
        self._ask()
        self._reopen(given)
        while self._take_in():
            pass
        if self._options.keep is not None:
            self._report.n_pruned = prune_graphs(self._store, self._options.keep)
        self._report.late = list_late(self._store, self._slots)
        self._report.altered = list_altered(self._store, self._slots)
        self._report.n_pending = count_pending(self._store, self._slots)
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
                self._set_aside_part(ref, str(error))
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
        self._on_event("schema", {"part": ref.name, "now": str(change.pin), "before": before})
        return part

    def _ask(self) -> None:
        """Take in rows that were given from Python, or ask for them; those of an earlier call are noted by now."""
        given = self._given(find_since(self._store)) if callable(self._given) else self._given
        if put_rows(self._store, self._config.source, given):
            self._scan()

    def _plan(self) -> Planner:
        until = self._options.find_until(self._store.growth.newest, self._now)
        # After a gap nothing relates; then going on is all that is left, or every later window would be refused too.
        must_relate = self._options.on_bad == "stop"
        skip_empty = (self._options.on_empty or self._config.windows.on_empty) == "skip"
        rules = PlanRules(until, must_relate=must_relate, skip_empty=skip_empty)
        return Planner(self._store, self._config, self._feed, self._parts, self._slots, rules)

    def _find_given_window(self) -> int | None:
        """Find the window that the store is to go back to before, by its label."""
        label = self._options.reopen_from
        if label is None:
            return None
        if label not in self._store.labels:
            raise ConfigError(
                f"reopen_from is {label!r}, but {self._store.path} has no such window (any more); its last one is "
                f"{self._store.labels[-1]!r}. Give the label of one that it has; to go on after an ingest that was "
                "killed, leave it out"
            )
        return self._store.labels.index(label)

    def _reopen(self, given: int | None) -> None:
        """Go back to before a given window, or the first that misses late rows if that was asked for."""
        late = [found for found in list_late(self._store, self._slots) if found.slot != BEFORE]
        altered = [self._store.labels.index(label) for label in list_altered(self._store, self._slots)]
        places = [*(found.index for found in late), *altered] if self._options.reopen else []
        if given is not None:
            places.append(given)
        if not places:
            return
        first = min(places)
        label = self._store.labels[first] if first < self._store.n_windows else late[0].label
        refuse_pruned(self._store, first)
        growth = self._store.growth
        slots = [
            slot
            for slot in {**growth.skipped, **growth.kept_out, **dict.fromkeys(growth.altered)}
            if find_place(self._store, self._slots, slot) >= first
        ]
        self._store.commit_growth(
            "reopen", {"first": first, "generation": growth.generation + 1, "slots": sorted(slots)}
        )
        self._report.reopened = label
        self._on_event("reopened", {"window": label, "generation": self._store.generation})

    def _take_in(self) -> bool:
        """Do the next thing there is to do; returns whether there was any."""
        planner = self._plan()
        changed = planner.plan_rebuilds()
        if changed.bad is not None:
            self._keep_out(changed.bad)
            return True
        if changed.windows:
            self._rebuild(changed.windows)
            return True
        batch = planner.plan_new()
        bad = self._add(batch.windows) or batch.bad
        if bad is not None:
            self._skip(bad)
        elif batch.empty:
            self._pass_over(batch.empty)
        return bool(bad or batch.windows or batch.empty)

    def _rebuild(self, windows: list[WindowRows]) -> None:
        built = []
        with self._clock.at("graphs"), closing(self._graphs.build(windows)) as results:
            for rows, result in results:
                if isinstance(result, Refusal):
                    self._keep_out(_find_bad(rows, result))
                    return
                built.append(BuiltWindow(facts=rows.facts, receipt=result))
                if len(built) == len(windows):  # while workers are still there
                    self._advance(built, windows)
        self._report.rebuilt += [rows.label for rows in windows]
        for rows in windows:
            self._on_event("rebuilt", {"window": rows.label, "rows": len(rows.ids)})

    def _add(self, windows: list[WindowRows]) -> BadWindow | None:
        """Add windows in order, as their graphs come; returns the first that cannot be used."""
        if not windows:
            return None
        with self._clock.at("graphs"), closing(self._graphs.build(windows)) as results:
            for rows, result in results:
                if isinstance(result, Refusal):
                    return _find_bad(rows, result)
                self._advance([BuiltWindow(facts=rows.facts, receipt=result)], [rows])
                if len(rows.ids) < (k := self._config.graph.n_neighbors):
                    small = (
                        f"window {rows.label!r} has {len(rows.ids)} rows, fewer than n_neighbors ({k}): all are used"
                    )
                    warnings.warn(small, PlanWarning, stacklevel=2)
                self._report.new.append(rows.label)
                self._on_event("window", {"window": rows.label, "rows": len(rows.ids), "index": rows.index})
        return None

    def _advance(self, built: list[BuiltWindow], windows: Sequence[WindowRows]) -> None:
        with self._clock.at("layout", [window["facts"]["label"] for window in built]):
            moved = self._maps.add(built, max(rows.ids.dtype.itemsize for rows in windows))
        states = self._store.state()
        self._report.moved |= {states[index].label: value for index, value in moved.items()}

    def _pass_over(self, empty: Sequence[BadWindow]) -> None:
        """Note empty windows, so that later ones go in; rows that still come for them are late."""
        skipped = {window.slot: [window.label, window.reason, window.n_rows] for window in empty}
        self._store.commit_growth("set_aside", {"skipped": skipped, "kept_out": {}})
        labels = [window.label for window in empty]
        self._report.empty += labels
        self._on_event("empty", {"windows": labels})

    def _skip(self, bad: BadWindow) -> None:
        """Do what was said of a new window that cannot be used."""
        if self._try_quarantine(bad):
            return
        if self._options.on_bad == "stop":
            raise BadRowsError(
                f"window {bad.label!r} cannot be added: {bad.reason}. Mend the source and ingest again; or go on "
                "without this window (on_bad skip), or without the files to blame (quarantine)",
                *bad.blame(),
            )
        skipped = {bad.slot: [bad.label, bad.reason, bad.n_rows]}
        self._store.commit_growth("set_aside", {"skipped": skipped, "kept_out": {}})
        self._report.skipped.append(bad)
        self._on_event("skipped", {"window": bad.label, "reason": bad.reason})

    def _keep_out(self, bad: BadWindow) -> None:
        """Do what was said of late rows with which a window cannot be built again."""
        if self._try_quarantine(bad):
            return
        if self._options.on_bad == "stop":
            raise BadRowsError(
                f"window {bad.label!r} cannot take in its late or changed rows: {bad.reason}. Mend the source and "
                "ingest again; or keep them out (on_bad skip), or set the files to blame aside (quarantine)",
                *bad.blame(),
            )
        self._store.commit_growth("set_aside", {"skipped": {}, "kept_out": {bad.slot: bad.n_rows}})
        self._report.skipped.append(bad)
        self._on_event("kept_out", {"window": bad.label, "reason": bad.reason})

    def _try_quarantine(self, bad: BadWindow) -> bool:
        if self._quarantine is None or bad.is_mixed:
            return False
        try:
            blamed = bad.parts or find_bad_parts(self._plan().select(bad.slot))
        except SourceError:
            return False
        parts = [self._parts[name] for name in blamed if self._quarantine.can_move(self._parts[name])]
        moved = [ref for ref in parts if self._move(ref, bad.reason)]
        if moved:
            self._store.commit_growth("source", {"parts": {}, "removed": [ref.name for ref in moved]})
        return bool(moved)

    def _set_aside_part(self, ref: PartRef, reason: str) -> None:
        """Do what was said of a part that cannot be read at all."""
        if self._quarantine is not None and self._quarantine.can_move(ref) and self._move(ref, reason):
            return
        if self._options.on_bad == "stop":
            raise BadRowsError(
                f"{ref.name} cannot be used: {reason}. Mend or remove it and ingest again; or go on without it "
                "(on_bad skip, or quarantine)",
                ref.name,
                reason,
            )
        self._report.left_out.append(ref.name)
        self._on_event("left_out", {"part": ref.name, "reason": reason})

    def _move(self, ref: PartRef, reason: str) -> bool:
        """Set a part aside; where it cannot be moved, later windows go on without it if that was said (`on_bad`)."""
        if self._quarantine is None:
            return False
        try:
            self._quarantine.move(ref, reason)
        except ConfigError as error:
            if self._options.on_bad == "stop":
                raise
            self._on_event("not_moved", {"part": ref.name, "reason": str(error)})
            return False
        self._parts.pop(ref.name, None)
        self._report.quarantined.append(ref.name)
        self._on_event("quarantined", {"part": ref.name, "reason": reason})
        return True


def _read_config(store: Store, source: SourcePlace | None) -> RunConfig:
    if not store.is_complete:
        raise StoreError(f"the run of {store.path} is not finished; finish it first, with the command that began it")
    config = RunConfig.from_json(store.config)
    if source is not None:
        config = config.model_copy(update={"source": config.source.model_copy(update={"path": str(source)})})
    if config.source.id is None and config.source.format != "zarr":
        raise ConfigError(
            "the source names no id column; ingestion needs one (id), since numbers of rows change as files come: "
            "make the store again with an id"
        )
    return config


def _find_bad(rows: WindowRows, refusal: Refusal) -> BadWindow:
    return BadWindow(rows.slot, rows.label, refusal.reason, len(rows.ids))
