"""Options of `ingest` and `status` for those who watch a store: thresholds, Prometheus, logs as JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from driftmap.pipeline.cli.groups import GroupedOption
from driftmap.pipeline.cli.lines import say_on_stderr
from driftmap.pipeline.errors import hide_credentials_within
from driftmap.pipeline.ingestion.watch.alarms import EXIT_ALARM

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.ingestion.watch.outcome import IngestOutcome
    from driftmap.pipeline.store.log_view import LogView

WATCHING = "Watching"
"""Heading of these options."""

FACTS = (
    *("rows_late", "rows_pending", "windows_skipped", "windows_altered"),
    *("behind_seconds", "lag_seconds", "seconds_since_ingest"),
)

ALARM_HELP = (
    "Leave with exit code 3 when this holds: neighbours<0.3, drift>0.5, drift_z>4, z>4, late>100, pending>100000, "
    "skipped>0, altered>0, behind>2D or age>1D. May be given several times."
)


def alarm_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--alarm`."""
    return click.option(
        "--alarm", multiple=True, metavar="NAME>VALUE", help=ALARM_HELP, cls=GroupedOption, group=WATCHING
    )(command)


def write_log(event: str, level: str = "info", **facts: Any) -> None:
    """Write one line of JSON to stderr."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"time": time, "level": level, "event": event, **hide_credentials_within(facts)}
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()


def write_event(event: str, facts: dict[str, Any]) -> None:
    """Write what happened in a run as one line of JSON to stderr."""
    write_log(event, "error" if event == "failed" else "info", **facts)


def write_prometheus(text: str, file: str) -> None:
    """Write a file for Prometheus's node exporter, whole or not at all; `-` is stdout."""
    from driftmap.pipeline.store.disk.output_files import whole_file  # late: loads the store

    if file == "-":
        click.echo(text, nl=False)
        return
    try:
        with whole_file(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(file, str(error)) from error


def check_alarms(alarms: tuple[str, ...]) -> None:
    """Refuse thresholds that cannot be read, before any work."""
    if alarms:
        from driftmap.pipeline.ingestion.watch.alarms import find_alarms

        find_alarms({"quality": {}, **dict.fromkeys(FACTS)}, alarms)


def check_prometheus(file: str | None) -> None:
    """Refuse a file that cannot be written, before any work."""
    if file is None or file == "-":
        return
    from driftmap.pipeline.store.disk.output_files import check_output

    place = check_output(file)
    if isinstance(place, Path) and not place.parent.is_dir():
        raise click.FileError(file, f"there is no folder {place.parent}; make it first")
    if isinstance(place, Path) and place.is_dir():
        raise click.FileError(file, "it is a folder; name a file in it")


def write_failure(path: str, error: BaseException, file: str, known: IngestOutcome | None = None) -> None:
    """Write the metrics of an ingest that failed: how it ended, and the store's state where it can be read."""
    from driftmap.engine.errors import DriftmapError
    from driftmap.pipeline import open_store
    from driftmap.pipeline.ingestion.watch.monitoring import describe_growth
    from driftmap.pipeline.ingestion.watch.outcome import describe_outcome, read_outcome
    from driftmap.pipeline.ingestion.watch.prometheus import outcome_to_prometheus, to_prometheus

    try:
        store = open_store(path)
        text = to_prometheus(store, describe_growth(store))
        before = read_outcome(store.location)
    except (DriftmapError, OSError):
        text, before = "", None
    text += outcome_to_prometheus(known or describe_outcome(error, before))
    try:
        write_prometheus(text, file)
    except click.FileError as failed:  # the first error is the one to show
        say_on_stderr(f"warning: {failed.format_message()}")


def watch(
    store: LogView,
    alarms: tuple[str, ...],
    prometheus: str | None,
    log: Callable[..., None] | None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Write what is to be watched, and leave with exit code 3 when a threshold is passed; `facts` where known."""
    if not alarms and prometheus is None:
        return
    from driftmap.pipeline.ingestion.watch.alarms import find_alarms

    facts = facts or _describe_growth(store)
    found = find_alarms(facts, alarms)
    if prometheus is not None:
        write_prometheus(_describe(store, facts, is_alarmed=bool(found)), prometheus)
    for alarm in found:
        if log is not None:
            log("alarm", "warning", alarm=alarm.spec, value=alarm.value)
        else:
            say_on_stderr(str(alarm))
    if found:
        raise click.exceptions.Exit(EXIT_ALARM)


def _describe_growth(store: LogView) -> dict[str, Any]:
    from driftmap.pipeline.ingestion.watch.monitoring import describe_growth  # late: loads numpy

    return describe_growth(store)


def _describe(store: LogView, facts: dict[str, Any], *, is_alarmed: bool) -> str:
    from dataclasses import replace

    from driftmap.pipeline.ingestion.watch.outcome import read_outcome
    from driftmap.pipeline.ingestion.watch.prometheus import outcome_to_prometheus, to_prometheus

    outcome = read_outcome(store.location)
    text = to_prometheus(store, facts)
    if outcome is None:
        return text
    if is_alarmed and outcome.exit_code == 0:
        outcome = replace(outcome, exit_code=EXIT_ALARM, reason="an alarm; see the command's output")
    return text + outcome_to_prometheus(outcome)
