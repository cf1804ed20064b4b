"""Time zones: the local time of a moment, and the moment of a local time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from driftmap.pipeline.config.times.time_spans import MICROSECONDS
from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    Times = np.ndarray[tuple[int], np.dtype[Any]]

UTC_NAMES = (None, "UTC", "Etc/UTC", "Z", "+00:00")
"""Zones whose local time is UTC; None is what stores have that were made before there was a choice."""

LONGEST_SHIFT = np.timedelta64(3, "h")
"""More than any clock is put forward or back."""

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


@lru_cache(maxsize=32)
def read_zone(name: str) -> tzinfo:
    """Find a time zone by its name (`Europe/Berlin`) or offset (`+02:00`).

    Raises
    ------
    ConfigError
        When there is none of that name.
    """
    match = _OFFSET.fullmatch(name)
    if match is not None and int(match[2]) < 24:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is not a known time zone; a name such as Europe/Berlin, UTC, or an offset "
            "such as +02:00 was expected"
        ) from error


def to_local(moments: Times, zone: str | None) -> Times:
    """Give the local times of moments in UTC; datetime64[us] (n,)."""
    if zone in UTC_NAMES:
        return moments
    return _map_each(moments, read_zone(zone or "UTC"), _find_local)


def to_utc(times: Times, zone: str | None) -> Times:
    """Give the moments of local times, ascending where those are.

    Of a local time that comes twice, the first; one that the clock passes over is the moment when it is put forward.
    """
    if zone in UTC_NAMES:
        return times
    return _map_each(times, read_zone(zone or "UTC"), _find_moment)


def _map_each(times: Times, zone: tzinfo, convert: Any) -> Times:
    # One by one: borders of windows are few, and Python knows the zones on every system.
    converted = [_convert(time, zone, convert) for time in times.astype(object).tolist()]
    return np.array(converted, dtype=MICROSECONDS)


def _convert(time: Any, zone: tzinfo, convert: Any) -> Any:
    """Convert a time; one outside of the years 1 to 9999, which Python knows, stays as it is."""
    try:
        return convert(time, zone) if isinstance(time, datetime) else time
    except OverflowError:
        return time


def _find_local(moment: datetime, zone: tzinfo) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)


def _find_moment(time: datetime, zone: tzinfo) -> datetime:
    first = time.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    second = time.replace(tzinfo=zone, fold=1).astimezone(UTC).replace(tzinfo=None)
    if first <= second:
        return first
    low, high = second, first  # no clock shows this time: between these the clock is put forward
    before = _find_local(low, zone) - low
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if _find_local(middle, zone) - middle == before else (low, middle)
    return high
