"""Rows of a store's windows, found again in the source it was made of, or among rows that are given from Python."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.pipeline.errors import PlanError, SourceError
from driftmap.pipeline.executors.choice import Workplace
from driftmap.pipeline.graphs.bad_rows import find_dropped
from driftmap.pipeline.orchestration.known_files import group_files, list_known_files
from driftmap.pipeline.orchestration.run import open_settled, refuse_arrays_far_away
from driftmap.pipeline.planning.shared_ids import choose_over_parts
from driftmap.pipeline.planning.windows import plan_windows, settle_rule
from driftmap.pipeline.sources import open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.opening import open_given
from driftmap.pipeline.sources.readers.python.array_files import find_own, list_batches, refer_to_batch
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows
from driftmap.pipeline.store.attempts import STAGED
from driftmap.pipeline.store.log.growth import INBOX_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.disk.location import Location

    Rows: TypeAlias = dict[str, list[tuple[SourceSpec, WindowPlan]]]
    """By the label of a window: what its rows are read from, and which they are there."""


class FoundRows(NamedTuple):
    """Rows of windows."""

    spec: SourceSpec
    """Of the source, or of its first files that have some."""
    rows: Rows
    held: Source | None = None
    """The source itself, where it was given from Python."""

    def spill(self, location: Location) -> Rows:
        """Give the rows as workers read them; those from Python are written into the store, which the caller holds."""
        if self.held is None:
            return self.rows
        spec = self.held.spill(location.folder / STAGED / "given").spec if location.is_local else self.held.spec
        return {label: [(spec, window) for _, window in found] for label, found in self.rows.items()}


def find_rows(store: Store, config: RunConfig, source: object) -> FoundRows:
    """Find the rows of windows in a source, and in what ingests were given from Python.

    Parameters
    ----------
    store
        The store.
    config
        Its settings, with the columns that are wanted.
    source
        Path or URL of the source; None: where the run found it. Of files only those count that the store knows.
    """
    if source is None and config.source.format == "arrays":
        source = find_own(store.location.folder if store.location.is_local else None, config.source.path)
    given = config.source.path if source is None else source
    known = list_known_files(store, config.source, given)
    batches = _cut_batches(store, config)
    if known is None:
        opened, config = open_settled(given, config, {}, Workplace.of("serial"))
        rows = _by_label([*_pair(opened.spec, _cut(store, config, opened)), *batches])
        return FoundRows(opened.spec, _settle_repeated(rows, config.source))
    roles = config.source.model_copy(update={"path": str(SourcePlace(str(given)))})
    found: list[tuple[SourceSpec, WindowPlan]] = []
    errors: list[Exception] = []
    for schema, files in known.items():
        wanted = {window.label for window in store.state() if window.schema == schema}
        for spec in group_files(_take_schema(config, roles, schema), files):
            try:
                own, cut = _cut_parts(store, config, spec)
            except (SourceError, PlanError) as error:
                errors.append(error)
                continue
            found += [(own, window) for window in cut if window.label in wanted]
    if errors and not found:
        raise errors[0]
    rows = _settle_repeated(_by_label([*found, *batches]), config.source)
    return FoundRows(found[0][0] if found else roles, rows)


def hold_rows(store: Store, config: RunConfig, given: object) -> FoundRows:
    """Find the rows of windows among rows that are given from Python: these are all there are.

    Parameters
    ----------
    store, config
        As for `find_rows`.
    given
        As `run` takes them.
    """
    opened = open_given(given, _take_first(config.source))
    refuse_arrays_far_away(opened, store.location)
    return FoundRows(opened.spec, _by_label(_pair(opened.spec, _cut(store, config, opened))), opened)


def _cut_batches(store: Store, config: RunConfig) -> list[tuple[SourceSpec, WindowPlan]]:
    """Cut what ingests were given from Python where the store's windows lie."""
    found: list[tuple[SourceSpec, WindowPlan]] = []
    for folder in list_batches(store.location.folder) if store.location.is_local else ():
        part = store.growth.parts.get(f"{INBOX_FOLDER}/{folder.name}")
        if part is None:
            continue  # a kill came before it was noted: it is of no window yet
        wanted = {window.label for window in store.state() if window.schema == part.schema}
        spec = _take_schema(config, refer_to_batch(config.source, folder), part.schema)
        try:
            own, cut = _cut_parts(store, config, spec)
        except PlanError:  # all of it is older than the store
            continue
        found += [(own, window) for window in cut if window.label in wanted]
    return found


def _cut_parts(store: Store, config: RunConfig, spec: SourceSpec) -> tuple[SourceSpec, list[WindowPlan]]:
    """Cut parts where the store's windows lie, whatever rows came late: those of ids that are there, or without one."""
    spec = _take_first(spec)
    try:
        opened = open_source(spec)
        return opened.spec, _cut(store, config, opened)
    except SourceError:
        if spec.on_bad_rows == "drop":
            raise
        opened = open_source(spec.model_copy(update={"on_bad_rows": "drop"}))
        return opened.spec, _cut(store, config, opened)


def _cut(store: Store, config: RunConfig, opened: Source) -> list[WindowPlan]:
    """Cut a source where the store's windows lie, whatever came before them or is not whole."""
    rule = settle_rule(opened, config.windows.model_copy(update={"allow_unrelated": True, "on_empty": "skip"}))
    dropped = find_dropped(opened, None)
    return plan_windows(opened, rule, config.graph.n_neighbors, bad_rows=dropped, origin=store.growth.origin).windows


def _take_schema(config: RunConfig, spec: SourceSpec, schema: int) -> SourceSpec:
    return config.schemas[schema - 1].apply(spec) if schema else spec


def _take_first(spec: SourceSpec) -> SourceSpec:
    """Have the first row of an id stand for it: whatever came after it in a window of the store was refused there."""
    is_refused = spec.id is not None and spec.duplicates == "refuse"
    return spec.model_copy(update={"duplicates": "first"}) if is_refused else spec


def _pair(spec: SourceSpec, windows: Iterable[WindowPlan]) -> list[tuple[SourceSpec, WindowPlan]]:
    return [(spec, window) for window in windows]


def _by_label(found: Iterable[tuple[SourceSpec, WindowPlan]]) -> Rows:
    rows: Rows = {}
    for spec, window in found:
        rows.setdefault(window.label, []).append((spec, window))
    return rows


def _settle_repeated(rows: Rows, source: SourceSpec) -> Rows:
    """Leave out rows of an id that a row of another part stands for; inside a part that is done."""
    if source.id is None or source.duplicates not in {"first", "last"}:
        return rows
    return {label: _choose_rows(found, source) if len(found) > 1 else found for label, found in rows.items()}


def _choose_rows(found: list[tuple[SourceSpec, WindowPlan]], source: SourceSpec) -> list[tuple[SourceSpec, WindowPlan]]:
    names = [name for name in (source.id, source.time) if name is not None]
    keys = [open_source(spec).key_columns(names, window.runs) for spec, window in found]
    ids, places = [part[str(source.id)] for part in keys], [spec.path for spec, _ in found]
    times = None if source.time is None else [part[source.time] for part in keys]
    is_kept = choose_over_parts(ids, places, "first" if source.duplicates == "first" else "last", times)
    chosen = []
    for (spec, window), kept in zip(found, is_kept, strict=True):
        if n_rows := int(np.count_nonzero(kept)):
            runs = rows_to_runs(runs_to_rows(window.runs)[kept])
            chosen.append((spec, replace(window, runs=runs, n_rows=n_rows)))
    return chosen
