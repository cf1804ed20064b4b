"""Lengths of time as users write them: `30D`, `12h`, `1M`. Nothing slow to load is needed for them."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from datetime import date, timedelta

from driftmap.pipeline.errors import ConfigError

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

_LONGEST = 10_000 * 366 * FIXED_UNITS["D"]
"""Microseconds; sums of longer times would not fit into 64 bits."""

_COMMON_UNITS = {"m": "min", "H": "h", "d": "D", "w": "W", "y": "Y"}
"""Units as people write them, where it is clear what they mean."""

_MAY_BE_MONTHS = ("window", "stride", "keep")
"""Options that are given in months and in minutes."""

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


def write_duration(value: object) -> str:
    """Write a length of time as users do; text, read later, is returned as it is.

    Parameters
    ----------
    value
        Text, or a `timedelta` of whole seconds: Python's, or that of pandas or numpy.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    if isinstance(value, str):
        return value
    given = value.item() if hasattr(value, "item") else value
    if isinstance(given, timedelta) and given > timedelta(0):
        for unit in ("D", "h", "min", "s"):
            count, rest = divmod(given, timedelta(microseconds=FIXED_UNITS[unit]))
            if not rest:
                return f"{count}{unit}"
    raise ConfigError(
        f"{value!r} is not a length of time; text of a whole number and a unit was expected, such as '30D', '12h' or "
        "'1M' (s, min, h, D days, W weeks, M months, Y years), or a timedelta of whole seconds"
    )


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


def read_duration(value: object, name: str) -> Duration:
    """Read a length of time, also in units as people write them (`30d`, `2y`), or a `timedelta`.

    Raises
    ------
    ConfigError
        When it is none; naming the option.
    """
    try:
        given = write_duration(value).strip()
        number = given.rstrip(string.ascii_letters)
        unit = given[len(number) :]
        if name in _MAY_BE_MONTHS and unit == "m":
            raise ConfigError(f"{value!r} may be months or minutes; write M for months or min for minutes")
        return parse_duration(number + _COMMON_UNITS.get(unit, unit))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def write_keep(value: object) -> str:
    """Write how long something is kept, a length of time or a number of windows, as users do.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    text = str(value).strip()
    return text if text.isdecimal() else str(read_duration(value, "keep"))


def measure_seconds(length: Duration) -> float:
    """Give a length of time in seconds; months and years as they were from 2000 on."""
    if not length.is_calendar:
        return length.count * FIXED_UNITS[length.unit] / 1e6
    years, months = divmod(length.count * CALENDAR_UNITS[length.unit], 12)
    cycles, years = divmod(years, 400)  # the calendar repeats
    days = (date(2000 + years, 1 + months, 1) - date(2000, 1, 1)).days + cycles * 146_097
    return days * 86_400.0
