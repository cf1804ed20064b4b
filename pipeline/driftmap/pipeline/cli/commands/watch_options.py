"""Options of `ingest` and `status` for those who watch a store: thresholds, Prometheus, logs as JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.store import Store

EXIT_ALARM = 3

FACTS = ("rows_late", "rows_pending", "windows_skipped", "lag_seconds", "seconds_since_ingest")

ALARM_HELP = (
    "Leave with exit code 3 when this holds: neighbours<0.3, drift>0.5, drift_z>4, z>4, late>100, pending>100000, "
    "skipped>0, lag>2D or age>1D. May be given several times."
)


def alarm_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--alarm`."""
    return click.option("--alarm", "alarms", multiple=True, metavar="NAME>VALUE", help=ALARM_HELP)(command)


def write_log(event: str, level: str = "info", **facts: Any) -> None:
    """Write one line of JSON to stderr."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "event": event, **facts}
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()


def write_prometheus(store: Store, facts: dict[str, Any], file: str) -> None:
    """Write a file for Prometheus's node exporter, whole or not at all; `-` is stdout."""
    from pathlib import Path

    from driftmap.pipeline.ingestion.monitoring import to_prometheus

    text = to_prometheus(store, facts)
    if file == "-":
        click.echo(text, nl=False)
        return
    path = Path(file)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise click.FileError(file, str(error)) from error


def check_alarms(alarms: tuple[str, ...]) -> None:
    """Refuse thresholds that cannot be read, before any work."""
    if alarms:
        from driftmap.pipeline.ingestion.monitoring import find_alarms

        find_alarms({"quality": {}, **dict.fromkeys(FACTS)}, alarms)


def watch(store: Store, alarms: tuple[str, ...], prometheus: str | None, log: Callable[..., None] | None) -> None:
    """Write what is to be watched, and leave with exit code 3 when a threshold is passed."""
    if not alarms and prometheus is None:
        return
    from driftmap.pipeline.ingestion.monitoring import describe_growth, find_alarms

    facts = describe_growth(store)
    if prometheus is not None:
        write_prometheus(store, facts, prometheus)
    found = find_alarms(facts, alarms)
    for alarm in found:
        if log is not None:
            log("alarm", "warning", alarm=alarm.spec, value=alarm.value)
        else:
            click.echo(str(alarm), err=True)
    if found:
        raise click.exceptions.Exit(EXIT_ALARM)
