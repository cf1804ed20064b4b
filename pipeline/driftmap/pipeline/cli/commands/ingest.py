"""`driftmap ingest`: take new windows of a growing source into a store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from driftmap.pipeline.cli.commands.watch_options import (
    WATCHING,
    alarm_option,
    check_alarms,
    check_prometheus,
    watch,
    write_failure,
    write_log,
)
from driftmap.pipeline.cli.groups import GroupedCommand
from driftmap.pipeline.cli.lines import say, say_on_stderr
from driftmap.pipeline.cli.option import Option
from driftmap.pipeline.cli.options import DURATION_HELP, collect_place, give_options, place_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.ingestion.options import IngestReport
    from driftmap.pipeline.ingestion.unchanged import Unchanged

_EVENTS = {
    "window": "new window {window!r}: {rows:,} rows",
    "rebuilt": "window {window!r} built again of late or changed rows: {rows:,} now",
    "rule": "{option} is {value!r} from here on",
    "empty": "left out as empty: {windows}",
    "skipped": "window {window!r} skipped: {reason}",
    "kept_out": "late or changed rows of window {window!r} kept out: {reason}",
    "left_out": "{part} left out: {reason}",
    "quarantined": "{part} set aside: {reason}",
    "not_moved": "{reason}",
    "schema": "{part} has another schema, taken in from here on: {now}; before: {before}",
    "reopened": "reopened from window {window!r} as generation {generation}",
}


_DATA, _BAD, _STORE = "What goes in", "Late, changed and bad rows", "Store"
_SCHEMA = "A schema change on purpose"
_OPTIONS = (
    Option("source", str, "Where the data are now, when they were moved.", "PATH", group=_DATA, is_common=True),
    Option(
        "grace",
        str,
        f"How long after a window's end its rows may still come: {DURATION_HELP}. Time passes by the newest time stamp "
        "of the rows, in UTC where they have no zone.",
        "DURATION",
        group=_DATA,
        is_common=True,
    ),
    Option(
        "complete",
        bool,
        "Treat the source as complete: also ingest the last, still open window.",
        group=_DATA,
        is_common=True,
        default=False,
    ),
    Option(
        "keep",
        str,
        "Remove graphs of windows that ended longer ago than this, such as 2Y, or of all but so many windows.",
        "DURATION|N",
        group=_STORE,
        is_common=True,
    ),
    Option(
        "wait",
        str,
        "How long to wait for another run or ingest on STORE, such as 10min.",
        "DURATION",
        group=_STORE,
        is_common=True,
    ),
    Option(
        "clock",
        bool,
        "Let time pass by the clock, not by the newest time stamp of the rows.",
        group=_DATA,
        default=False,
    ),
    Option("relations", str, "Table of related rows of new windows, as for `driftmap run`.", "FILE", group=_DATA),
    Option(
        "reopen",
        bool,
        "Go back to before the first window of late or changed rows, or that was skipped and can be used now.",
        group=_BAD,
        default=False,
    ),
    Option("reopen_from", str, "Go back to before this window: it is damaged, or was rewritten.", "LABEL", group=_BAD),
    Option(
        "on_bad",
        click.Choice(["stop", "skip"]),
        "Whether later windows wait for one that cannot be used, or go on without it.  [default: stop]",
        group=_BAD,
        default="stop",
    ),
    Option(
        "on_empty",
        click.Choice(["skip", "refuse"]),
        "Whether windows of fewer than 2 rows are left out, or treated as --on-bad says.  [default: as in the run]",
        group=_BAD,
    ),
    Option(
        "duplicates",
        click.Choice(["refuse", "first", "last", "mean"]),
        "What stands for an id that comes more than once in a window, from here on.  [default: as in the run]",
        group=_BAD,
    ),
    Option(
        "on_bad_rows",
        click.Choice(["refuse", "drop"]),
        "What becomes of rows without an id, or with missing or infinite numbers.  [default: as in the run]",
        group=_BAD,
    ),
    Option(
        "quarantine", str, "Move files with rows that cannot be used here, with the reason.", "DIR|s3://...", group=_BAD
    ),
    Option(
        "accept_schema",
        bool,
        "Take files with other columns of vectors in, as a new schema, for windows of their own: once, on purpose.",
        group=_SCHEMA,
        default=False,
    ),
    Option("vectors", str, "Columns of vectors from then on.", "COLUMN", is_many=True, group=_SCHEMA),
    Option("exclude", str, "Columns that stay out of the vectors.", "COLUMN", is_many=True, group=_SCHEMA),
)
_WATCH_OPTIONS = (
    Option("prometheus", str, "Write the state in Prometheus's text format; - is stdout.", "FILE", group=WATCHING),
    Option("log_json", bool, "Write what happens as lines of JSON to stderr.", group=WATCHING, default=False),
)


@click.command(cls=GroupedCommand, short_help="Add the windows that came since.")
@click.argument("store")
@give_options(*_OPTIONS)
@place_options
@alarm_option
@give_options(*_WATCH_OPTIONS)
def ingest(store: str, alarm: tuple[str, ...], prometheus: str | None, *, log_json: bool, **options: Any) -> None:
    """Take new windows of the source of STORE into its maps; run it as often as you like.

    A window is taken in when it is whole. The last windows of a store are provisional and may still move; final ones
    never do. With nothing new it says so, and changes nothing. Windows by numbers of rows (--rows) are refused: which
    rows come next would depend on the order in which files arrive. A provisional window is built again when late rows
    come, or when its files are rewritten with other vectors or labels; where those of a final window are, its rows are
    read and compared, and changes are reported. Empty windows are left out, and reported. A file with other columns of
    vectors than the run's is refused; --accept-schema takes it in, for windows that have no rows of the old columns:
    once, on purpose, and not in a schedule. Later starts know the new columns.
    --prometheus is written on failure too. Exit codes: 0; 2 when something must be mended; 3 for an alarm.
    """
    check_alarms(alarm)
    check_prometheus(prometheus)
    call = {**collect_place(options), **options}
    if unchanged := _find_unchanged(store, call):
        ended: dict[str, Any] = {"outcome": unchanged.outcome, "run": unchanged.outcome.run}
        _show_report(unchanged.report, unchanged.said, ended, log_json=log_json)
        watch(unchanged.store, alarm, prometheus, _find_log(ended, log_json=log_json), unchanged.facts)
        return
    report, ended = _take_in(store, call, prometheus, log_json=log_json)
    _show_report(report.to_json(), str(report), ended, log_json=log_json)
    watch(report.store, alarm, prometheus, _find_log(ended, log_json=log_json))


def _find_unchanged(store: str, call: dict[str, Any]) -> Unchanged | None:
    from driftmap.pipeline.ingestion.unchanged import find_unchanged, name_call

    options = dict(call)
    named = name_call(options.pop("source", None), options.pop("scheduler", None), options)
    return find_unchanged(store, named)


def _take_in(
    store: str, call: dict[str, Any], prometheus: str | None, *, log_json: bool
) -> tuple[IngestReport, dict[str, Any]]:
    """Do all there is to do, telling what happens; returns the report, and how the ingest ended."""
    from driftmap.pipeline import ingest as take_in
    from driftmap.pipeline.sources.row_ranges import name_some

    ended: dict[str, Any] = {}

    def show(name: str, facts: dict[str, Any]) -> None:
        if name == "ended":
            ended.update(facts)
        elif log_json:
            write_log(name, **facts)
        else:
            shown = {**facts, "windows": name_some([repr(label) for label in facts.get("windows", ())])}
            say(_EVENTS[name].format(**shown))

    try:
        return take_in(store, on_event=show, **call), ended
    except BaseException as error:
        if log_json:
            kind = type(error).__name__
            write_log("failed", "error", **_describe_end(ended), reason=str(error) or kind, kind=kind)
        if prometheus is not None:
            write_failure(store, error, prometheus, ended.get("outcome"))
        raise


def _show_report(report: dict[str, Any], said: str, ended: dict[str, Any], *, log_json: bool) -> None:
    from driftmap.pipeline.store.log.growth import BEFORE

    if log_json:
        write_log("done", **_describe_end(ended), **report)
    else:
        for label, n_rows in report["late"].items():
            remedy = "" if label.startswith(f"{BEFORE} ") else "; --reopen takes them in"
            say_on_stderr(f"window {label!r}: {n_rows:,} rows came too late and are kept out{remedy}")
        for label in report["altered"]:
            say_on_stderr(
                f"window {label!r}: its rows are others in the source now, and its map is of the former ones; "
                "--reopen lays out again from there"
            )
        say(said)


def _find_log(ended: dict[str, Any], *, log_json: bool) -> Callable[..., None] | None:
    return partial(write_log, run=ended["run"], stage="watch") if log_json else None


def _describe_end(ended: dict[str, Any]) -> dict[str, Any]:
    """Say which ingest ended, and the seconds of its stages; nothing of one that did not begin."""
    outcome = ended.get("outcome")
    if outcome is None:
        return {}
    return {"run": outcome.run, "stage": "end", "window": outcome.blocked, "seconds": outcome.seconds}
