"""Watching a store that grows: what its last ingest left, how its newest window compares, and what is alarming."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.time_spans import MICROSECONDS, parse_duration, read_duration, shift_times
from driftmap.pipeline.config.time_zones import to_utc
from driftmap.pipeline.errors import ConfigError, PlanError
from driftmap.pipeline.ingestion.altered import list_altered
from driftmap.pipeline.ingestion.late import count_pending, list_late
from driftmap.pipeline.ingestion.slots import make_slots
from driftmap.pipeline.ingestion.watch.outcome import read_outcome
from driftmap.pipeline.planning.cuts import LEAST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from driftmap.pipeline.store import Store

MEASURES = ("neighbours", "related", "drift")
N_HISTORY = 64
"""Windows before the newest that it is compared with."""

MIN_HISTORY = 8
"""With fewer, no z-score is given: their spread says little."""

_ALARM = re.compile(r"\s*(\w+)\s*([<>])\s*([^\s<>]+)\s*")
_DURATIONS = {"lag": "lag_seconds", "age": "seconds_since_ingest"}
_COUNTS = {"late": "rows_late", "pending": "rows_pending", "skipped": "windows_skipped", "altered": "windows_altered"}


def describe_growth(store: Store, now: datetime | None = None) -> dict[str, Any]:
    """Say how a store grows: facts of its log, and how the newest window compares with those before it.

    Parameters
    ----------
    store
        An opened store.
    now
        For ages; the clock when left out.

    Returns
    -------
    JSON: `last_ingest` (UTC), `seconds_since_ingest`, `outcome` of the last attempt (see `IngestOutcome`),
    `newest_row`, `lag_seconds` from the end of the newest window to the newest row seen, `rows_pending`, `rows_late`,
    `late`, `skipped` and `empty` by window, `altered` (final windows whose rows changed in the source), `provisional`
    with how far each moved at the last ingest, `generation`,
    and `quality` of the newest window with its z-scores; None where something is not known.
    """
    growth, windows = store.growth, store.state()
    late, n_pending, altered = _count_rows(store)
    last = None if growth.last_ingest is None else datetime.fromisoformat(growth.last_ingest)
    moment = now or datetime.now(UTC)
    zone = store.config.get("windows", {}).get("timezone")
    outcome = read_outcome(store.location)
    skipped = {one.label: one.reason for one in growth.skipped.values() if one.n_rows >= LEAST_ROWS}
    empty = [one.label for one in growth.skipped.values() if one.n_rows < LEAST_ROWS]
    return {
        "generation": store.generation,
        "n_ingested": growth.n_ingests,
        "last_ingest": growth.last_ingest,
        "seconds_since_ingest": None if last is None else round((moment - last).total_seconds(), 3),
        "outcome": None if outcome is None else asdict(outcome),
        "newest_row": growth.newest,
        "lag_seconds": _measure_lag(growth.newest, windows[-1].end if windows else None, zone),
        "rows_pending": n_pending,
        "rows_late": sum(late.values()),
        "late": late,
        "windows_altered": len(altered),
        "altered": altered,
        "windows_skipped": len(skipped),
        "skipped": skipped,
        "windows_empty": len(empty),
        "empty": empty,
        "windows_provisional": sum(window.status == "provisional" for window in windows),
        "provisional": {window.label: window.moved for window in windows if window.status == "provisional"},
        "quality": compare_newest(store),
    }


def compare_newest(store: Store) -> dict[str, Any]:
    """Compare the newest ingested window with those before it, each as it was measured when it was the newest.

    Returns
    -------
    `window`; `neighbours`, `related` and `drift` (see `layout.figures.MapFigures`), and for each the same name with
    `_z`: how many standard deviations it is from the mean of the windows before; None with too few of them.
    """
    measured = [window for window in store.state() if window.quality_when_new]
    if not measured:
        return {}
    newest, history = measured[-1], measured[-1 - N_HISTORY : -1]
    figures: dict[str, Any] = {"window": newest.label}
    for name in MEASURES:
        value = (newest.quality_when_new or {}).get(name)
        before = [w.quality_when_new[name] for w in history if w.quality_when_new and name in w.quality_when_new]
        figures[name] = value
        figures[f"{name}_z"] = _score(value, before)
    return figures


class Alarm(NamedTuple):
    """A threshold, and what passed it."""

    spec: str
    value: float

    def __str__(self) -> str:
        return f"alarm {self.spec}: it is {self.value:g}"


def find_alarms(facts: Mapping[str, Any], specs: Iterable[str]) -> list[Alarm]:
    """Find the thresholds that are passed.

    Parameters
    ----------
    facts
        Of `describe_growth`.
    specs
        Such as `drift>0.5`, `neighbours<0.3`, `drift_z>4`, `z>4` (any of them, in either direction), `late>100`,
        `pending>100000`, `skipped>0`, `altered>0` (counts), `lag>2D`, `age>1D` (times). What is not known passes no
        threshold.

    Raises
    ------
    ConfigError
        When one is not of that form.
    """
    found = []
    for spec in specs:
        name, sign, limit = _read_alarm(spec)
        value = _read_value(facts, name)
        if value is not None and (value > limit if sign == ">" else value < limit):
            found.append(Alarm(spec.strip(), value))
    return found


def _count_rows(store: Store) -> tuple[dict[str, int], int, list[str]]:
    try:
        slots = make_slots(RunConfig.from_json(store.config), store.growth.origin)
    except PlanError:  # windows of so many rows each: they are not ingested
        return {}, 0, []
    late = {late.label: late.n_rows for late in list_late(store, slots)}
    return late, count_pending(store, slots), list_altered(store, slots)


def _measure_lag(newest: str | None, end: str | None, zone: str | None) -> float | None:
    if newest is None or end is None:
        return None
    lag = np.datetime64(newest, "us") - to_utc(np.array([end], MICROSECONDS), zone)[0]
    return max(0.0, float(lag / np.timedelta64(1, "s")))


def _score(value: float | None, before: list[float]) -> float | None:
    if value is None or len(before) < MIN_HISTORY:
        return None
    spread = float(np.std(before, ddof=1))
    return round((value - float(np.mean(before))) / max(spread, 1e-6), 3)


def _read_alarm(spec: str) -> tuple[str, str, float]:
    match = _ALARM.fullmatch(spec)
    names = [*MEASURES, *(f"{name}_z" for name in MEASURES), "z", *_COUNTS, *_DURATIONS]
    if match is None or match[1] not in names:
        raise ConfigError(
            f"alarm is {spec!r}; a name, < or > and a number were expected, such as drift>0.5, z>4 or lag>2D. "
            f"Names are: {', '.join(names)}"
        )
    name, sign, text = match.groups()
    if name in _DURATIONS:
        length = parse_duration(str(read_duration(text, f"alarm {name}")))
        start = np.datetime64("2000-01-01", "us")
        span = shift_times(np.array([start]), length)[0] - start
        return name, sign, float(span / np.timedelta64(1, "s"))
    try:
        return name, sign, float(text)
    except ValueError:
        raise ConfigError(f"alarm is {spec!r}; {text!r} is no number") from None


def _read_value(facts: Mapping[str, Any], name: str) -> float | None:
    quality = facts["quality"]
    if name == "z":
        scores = [abs(score) for measure in MEASURES if (score := quality.get(f"{measure}_z")) is not None]
        return max(scores, default=None)
    known = _COUNTS | _DURATIONS
    value = facts[known[name]] if name in known else quality.get(name)
    return None if value is None else float(value)
