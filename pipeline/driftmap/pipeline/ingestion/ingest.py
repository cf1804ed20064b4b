"""An ingest: what is new in a growing source is taken into a store; what was left out is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from driftmap.pipeline.config.arguments import refuse_other_calls
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.source_spec import ROW_OPTIONS
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors.choice import WORKER_OPTIONS, Workplace
from driftmap.pipeline.executors.worker_process import refuse_unguarded_call
from driftmap.pipeline.ingestion.bad_files import BadRowsError
from driftmap.pipeline.ingestion.options import IngestOptions
from driftmap.pipeline.ingestion.unchanged import begin_look, name_call
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth
from driftmap.pipeline.ingestion.watch.outcome import StageClock, record_outcome
from driftmap.pipeline.ingestion.work import IngestWork, refuse_call
from driftmap.pipeline.sources.relation_table import is_by_rows, read_relation_table
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.tracing import trace

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.executors import Client
    from driftmap.pipeline.ingestion.bad_files import OnEvent
    from driftmap.pipeline.ingestion.options import IngestKeywords, IngestReport
    from driftmap.pipeline.store.relation_book import RelationBook

__all__ = ["BadRowsError", "ingest"]


def ingest(
    store: str | Path,
    *,
    source: object = None,
    relations: object = None,
    scheduler: str | Client | None = None,
    on_event: OnEvent | None = None,
    **options: Unpack[IngestKeywords],
) -> IngestReport:
    """Take new windows of a growing source into a store whose run is done; call it as often as you like.

    New windows are laid out one after the other, together with the provisional windows before them; final windows
    never move. A call that finds nothing new changes no window. One that is killed at any moment is made good by the
    next. When it was last tried, and how that ended, is kept in the store (`read_outcome`), also on failure.

    Parameters
    ----------
    store
        The store, made by `run`.
    source
        Where the source is now, when it is not where the run found it. Or new rows themselves: a table, a data frame or
        arrays. Or a function that gives such rows: it is called with the newest time stamp seen (a datetime in UTC),
        or the label of the newest window where windows are made by values, and returns the rows that came after it;
        None, or no rows, when there are none. Rows from Python are kept in the store.
    relations
        Relations of new windows with each other and with those before, beside equal ids: a table, or a file of one, as
        for `run`. They are kept in the store; the newest that name two windows hold for these.
    scheduler
        As for `run`; when no workers are asked for and there is one new window, its graph is built in this process. A
        cluster's workers lay windows out too.
    on_event
        Called with a name and facts whenever something happened: `window`, `rebuilt`, `schema`, `empty`, `skipped`,
        `quarantined`, `reopened`, and `ended` with the `IngestOutcome`, on failure too. Facts have the name of the
        ingest (`run`) and what it is at (`stage`: start, look, graphs, layout).
    **options
        As `IngestKeywords` has them: `tls`, `workers` and `worker_memory` as for `run`; `grace`, `clock`, `complete`,
        `reopen`, `reopen_from`, `keep`, `on_bad`, `on_empty`, `duplicates`, `on_bad_rows`, `quarantine`, `wait`,
        `accept_schema`, `vectors`, `exclude` as
        `IngestOptions` describes them.

    Returns
    -------
    IngestReport
        What was done, and what was left out or waits.

    Raises
    ------
    DriftmapError
        When the source or the store cannot be used, or a new window cannot be and `on_bad` is "stop"; what was taken
        in before stays.
    """
    refuse_other_calls(on_event=on_event)
    call = name_call(source, scheduler, {"relations": relations, **options})
    given: dict[str, Any] = dict(options)
    place = Workplace.of(scheduler, **{name: given.pop(name) for name in WORKER_OPTIONS if name in given})
    settled = _read_options(given)
    if scheduler is None:
        refuse_unguarded_call()
    location = Store.open(store).location
    clock = StageClock()
    given_event = on_event or _ignore

    def tell(name: str, facts: dict[str, Any]) -> None:
        given_event(name, {**facts, "run": clock.run, "stage": clock.stage})

    try:
        with (
            trace("ingest", run=clock.run, store=str(location)),
            hold_lock(location, wait_seconds=settled.wait_seconds) as lock,
        ):
            opened = Store.open(location, read_only=False)
            opened.lock = lock
            refuse_call(opened, source, settled)
            book = _read_relations(opened, relations)
            _take_rules(opened, settled, tell)
            _keep_relations(opened, book)
            look = begin_look(opened, source, call)
            report = IngestWork(opened, source, settled, place, tell, clock).run()
            memo = None if look is None else look.describe(report, describe_growth(opened))
    except BaseException as error:
        tell("ended", {"outcome": record_outcome(location, error, clock)})
        raise
    tell("ended", {"outcome": record_outcome(location, clock=clock, memo=memo)})
    return report


def _take_rules(store: Store, options: IngestOptions, on_event: OnEvent) -> None:
    """Have the store go on with a rule for rows in place of their refusal: none of its windows has such rows."""
    source = dict(store.config["source"])
    for name in ROW_OPTIONS:
        wanted, stored = getattr(options, name), source.get(name, "refuse")
        if wanted in (None, stored):
            continue
        if stored != "refuse":
            raise ConfigError(
                f"{name} is {wanted!r}, and the store {store.path} was made with {stored!r}, which its windows rest "
                "on; leave it out"
            )
        source[name] = wanted
        on_event("rule", {"option": name, "value": wanted})
    if source != store.config["source"]:
        config = {**store.config, "source": source}
        RunConfig.from_json(config)
        store.commit_config(config)


def _read_relations(store: Store, given: object) -> RelationBook | None:
    if given is None:
        return None
    if is_by_rows(given):
        raise ConfigError(
            "relations by the numbers of rows were given, and the rows of new windows have no order yet; give a table "
            "with the columns window, id, other_window, other_id"
        )
    return read_relation_table(given, RunConfig.from_json(store.config).source, store.window_keys(0))


def _keep_relations(store: Store, book: RelationBook | None) -> None:
    """Keep relations in the store, unless the same are there."""
    known = list(store.config.get("relations") or ())
    if book is not None and book.digest not in known:
        store.commit_config({**store.config, "relations": [*known, book.write(store.location)]})


def _read_options(options: dict[str, Any]) -> IngestOptions:
    unknown = [name for name in options if name not in IngestOptions.__dataclass_fields__]
    if unknown:
        known = ", ".join([*IngestOptions.__dataclass_fields__, *WORKER_OPTIONS])
        raise ConfigError(f"unknown option {unknown[0]!r} of ingest; options are: {known}")
    return IngestOptions(**options)


def _ignore(name: str, facts: dict[str, Any]) -> None:
    pass
