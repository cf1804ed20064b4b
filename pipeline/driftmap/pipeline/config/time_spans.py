"""Lengths of time as users write them: `30D`, `12h`, `1M`."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array

    Times = np.ndarray[tuple[int], np.dtype[Any]]

FIXED_UNITS = {
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "D": 86_400_000_000,
    "W": 7 * 86_400_000_000,
}
"""Microseconds of the units that are always equally long."""

CALENDAR_UNITS = {"M": 1, "Y": 12}
"""Months of the units that follow the calendar."""

MICROSECONDS = np.dtype("datetime64[us]")
MONTHS = np.dtype("datetime64[M]")

_FIRST_MONDAY = 4 * FIXED_UNITS["D"]
"""Microseconds from 1970-01-01, a Thursday, to the Monday after it."""

_LONGEST = 10_000 * 366 * FIXED_UNITS["D"]
"""Microseconds; sums of longer times would not fit into 64 bits."""

_COMMON_UNITS = {"m": "min", "d": "D", "w": "W", "y": "Y"}
"""Units as people write them, where it is clear what they mean."""

_PATTERN = re.compile(r"([0-9]+)\s*([A-Za-z]+)")


@dataclass(frozen=True)
class Duration:
    """A length of time: a whole number of one unit; months and years follow the calendar."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def is_calendar(self) -> bool:
        """Whether it is counted in months or years, which differ in length."""
        return self.unit in CALENDAR_UNITS


def parse_duration(text: str) -> Duration:
    """Read a length of time.

    Parameters
    ----------
    text
        A whole number and a unit: s, min, h, D (days), W (weeks), M (months) or Y (years).

    Raises
    ------
    ConfigError
        When it is nothing of that kind.
    """
    match = _PATTERN.fullmatch(text.strip())
    units = [*FIXED_UNITS, *CALENDAR_UNITS]
    if match is None or match[2] not in units or int(match[1]) == 0:
        raise ConfigError(
            f"{text!r} is not a length of time; a whole number and a unit were expected, such as 30D, 12h or 1M "
            "(s, min, h, D days, W weeks, M months, Y years)"
        )
    duration = Duration(int(match[1]), match[2])
    if duration.count * FIXED_UNITS.get(duration.unit, 31 * FIXED_UNITS["D"]) > _LONGEST:
        raise ConfigError(f"{text!r} is longer than ten thousand years; a shorter length of time was expected")
    return duration


def floor_to_border(moment: np.datetime64, unit: str) -> np.datetime64:
    """Find the last border of a unit at or before a moment: midnight, Monday, the first of a month or of January."""
    if unit in CALENDAR_UNITS:
        return np.datetime64(moment.astype(f"datetime64[{unit}]"), "us")
    length, shift = FIXED_UNITS[unit], _FIRST_MONDAY if unit == "W" else 0
    since = int(moment.astype(MICROSECONDS).astype(np.int64))
    return np.datetime64((since - shift) // length * length + shift, "us")


def shift_times(times: Times, step: Duration, counts: Int64Array | int = 1) -> Times:
    """Add a duration to moments, some number of times.

    Parameters
    ----------
    times
        datetime64[us] (n,); the first of a month, at midnight, where the step is in months or years.
    step, counts
        What is added, and how many times: one number for all moments, or one for each.

    Returns
    -------
    datetime64[us] (n,)
    """
    many = np.asarray(counts, dtype=np.int64)
    moved: Times
    if step.is_calendar:
        months = (many * (step.count * CALENDAR_UNITS[step.unit])).astype("timedelta64[M]")
        moved = (times.astype(MONTHS) + months).astype(MICROSECONDS)
    else:
        moved = times + (many * (step.count * FIXED_UNITS[step.unit])).astype("timedelta64[us]")
    return moved


def count_steps(start: np.datetime64, stop: np.datetime64, step: Duration) -> int:
    """Count the whole steps that fit between two moments; 0 where `stop` is at or before `start`."""
    if step.is_calendar:
        months = int((stop.astype(MONTHS) - start.astype(MONTHS)).astype(np.int64))
        return max(0, months // (step.count * CALENDAR_UNITS[step.unit]))
    elapsed = int((stop - start).astype("timedelta64[us]").astype(np.int64))
    return max(0, elapsed // (step.count * FIXED_UNITS[step.unit]))


def read_duration(text: str, name: str) -> Duration:
    """Read a length of time, also in units as people write them: `10m`, `2y`.

    Raises
    ------
    ConfigError
        When it is none; naming the option.
    """
    given = str(text).strip()
    number = given.rstrip(string.ascii_letters)
    unit = given[len(number) :]
    if name == "keep" and unit == "m":
        raise ConfigError(f"{name} is {text!r}; write M for months or min for minutes")
    try:
        return parse_duration(number + _COMMON_UNITS.get(unit, unit))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def step_back(moment: np.datetime64, step: Duration) -> np.datetime64:
    """Find the moment a length of time before another; months and years as 30 and 365 days."""
    if step.is_calendar:
        days = step.count * (365 if step.unit == "Y" else 30)
        return (moment - np.timedelta64(days, "D")).astype(MICROSECONDS)
    length = shift_times(np.array([moment.astype(MICROSECONDS)]), step)[0] - moment
    return np.datetime64(moment - length, "us")
