"""Thresholds of what is watched, and which are passed. Nothing slow to load is needed for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.config.times.durations import measure_seconds, read_duration
from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MEASURES = ("neighbours", "related", "drift")
"""Of the newest window: see `layout.figures.MapFigures`."""

EXIT_ALARM = 3
"""Exit code of a command that went well, with a threshold passed."""

_ALARM = re.compile(r"\s*(\w+)\s*([<>])\s*([^\s<>]+)\s*")
_DURATIONS = {"behind": "behind_seconds", "lag": "lag_seconds", "age": "seconds_since_ingest"}
_COUNTS = {"late": "rows_late", "pending": "rows_pending", "skipped": "windows_skipped", "altered": "windows_altered"}


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
        `pending>100000`, `skipped>0`, `altered>0` (counts), `behind>2D`, `lag>9D`, `age>1D` (times). What is not
        known passes no threshold.

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


def _read_alarm(spec: str) -> tuple[str, str, float]:
    match = _ALARM.fullmatch(spec)
    names = [*MEASURES, *(f"{name}_z" for name in MEASURES), "z", *_COUNTS, *_DURATIONS]
    if match is None or match[1] not in names:
        raise ConfigError(
            f"alarm is {spec!r}; a name, < or > and a number were expected, such as drift>0.5, z>4 or behind>2D. "
            f"Names are: {', '.join(names)}"
        )
    name, sign, text = match.groups()
    if name in _DURATIONS:
        return name, sign, measure_seconds(read_duration(text, f"alarm {name}"))
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
