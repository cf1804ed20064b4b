"""Moments, and lengths of time from one to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.config.times.durations import CALENDAR_UNITS, FIXED_UNITS

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.times.durations import Duration

    Times = np.ndarray[tuple[int], np.dtype[Any]]

MICROSECONDS = np.dtype("datetime64[us]")
MONTHS = np.dtype("datetime64[M]")

_FIRST_MONDAY = 4 * FIXED_UNITS["D"]
"""Microseconds from 1970-01-01, a Thursday, to the Monday after it."""


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


def step_back(moment: np.datetime64, step: Duration) -> np.datetime64:
    """Find the moment a length of time before another; months and years as 30 and 365 days."""
    if step.is_calendar:
        days = step.count * (365 if step.unit == "Y" else 30)
        return (moment - np.timedelta64(days, "D")).astype(MICROSECONDS)
    length = shift_times(np.array([moment.astype(MICROSECONDS)]), step)[0] - moment
    return np.datetime64(moment - length, "us")
