"""Times of rows, from whatever a column holds that can only be read as one: timestamps, dates, ISO text, years.

A time of day without a zone is in UTC. A date, month or year has no time of day: it begins when that day begins by the
clock that is asked for, whatever else its column or another file holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from driftmap.pipeline.config.times.time_spans import MICROSECONDS
from driftmap.pipeline.config.times.time_zones import UTC_NAMES, to_utc
from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Column = np.ndarray[Any, Any]

FIRST_YEAR, LAST_YEAR = 1000, 9999
"""Whole numbers within are taken for years, others for none: seconds since 1970 are larger."""

_MOST_SINCE = (("D", 1e6), ("s", 1e11), ("ms", 1e14), ("us", 1e17))
"""Units in which numbers count from 1970, and what they stay below for three thousand years."""

_YEAR_OR_MONTH = r"^[0-9]{4}(-[0-9]{2})?$"
_HAS_ZONE = r"([Zz]|[+-][0-9]{2}:?([0-9]{2})?)$"
_HAS_TIME = r"[0-9][T ][0-9]"
_OFFSET = r"[0-9][T ][0-9].*(?P<offset>[Zz]|[+-][0-9]{2}:?(?:[0-9]{2})?)$"


def read_moments(array: pa.Array, name: str, clock: str | None = None) -> Column:
    """Read times as datetime64[us], UTC.

    Parameters
    ----------
    array
        The times, none missing.
    name
        Of the column.
    clock
        Time zone by whose clock dates, months and years begin; None: UTC.

    Raises
    ------
    SourceError
        When they are something else; what to do is said.
    """
    kind = array.type
    if pt.is_timestamp(kind) or pt.is_date(kind):
        unit = kind.unit if pt.is_timestamp(kind) else "D" if pt.is_date32(kind) else "ms"
        moments = (
            to_numbers(array.view(pa.int32() if pt.is_date32(kind) else pa.int64()))
            .astype(np.int64)
            .view(f"datetime64[{unit}]")
            .astype(MICROSECONDS)
        )
        return begin_days(moments, clock) if pt.is_date(kind) else moments
    if pt.is_string(kind) or pt.is_large_string(kind):
        return _read_texts(array, name, clock)
    if pt.is_integer(kind) and not _find_odd_years(array):
        years = np.array(array.cast(pa.int64()).to_numpy() - 1970, dtype="datetime64[Y]")
        return begin_days(years.astype(MICROSECONDS), clock)
    remedy = _find_remedy(array)
    shown = f" ({', '.join(map(str, _find_odd_years(array)))}, for some)" if pt.is_integer(kind) else ""
    raise SourceError(
        f"time column {name!r} holds {kind}{shown}, not times; dates, timestamps, ISO text or years ({FIRST_YEAR} to "
        f"{LAST_YEAR}) were expected: convert it, such as with {remedy}, or make windows by its values (by) or by rows "
        "(rows)"
    )


def begin_days(days: Column, clock: str | None) -> Column:
    """Give the moments, in UTC, at which days begin by a clock, of datetime64[us] at midnight."""
    if clock in UTC_NAMES or not len(days):
        return days
    numbers = pa.Array.from_buffers(pa.int64(), len(days), [None, pa.py_buffer(np.ascontiguousarray(days))])
    encoded = numbers.dictionary_encode()  # days are few, and each is looked up in the zone
    return to_utc(to_numbers(encoded.dictionary).view(MICROSECONDS), clock)[to_numbers(encoded.indices)]


def to_numbers(array: pa.Array) -> Column:
    """Copy numbers, none missing, to numpy; `to_numpy` would import pandas where it is installed, for a second."""
    return np.array(np.from_dlpack(array))


def describe_moments(
    kind: pa.DataType, name: str, offsets: Sequence[str] = (), *, has_days: bool = False
) -> str | None:
    """Say how a column is read as times where its type does not."""
    if pt.is_integer(kind):
        return f"time column {name!r}: whole numbers are taken for years"
    if pt.is_string(kind) or pt.is_large_string(kind):
        several = f"; it names {len(offsets)} offsets from UTC, such as {offsets[0]}" if len(offsets) > 1 else ""
        days = ", dates without a time of day as days by the clock of timezone" if has_days else ""
        return (
            f"time column {name!r}: text is read as ISO dates and times, in UTC where it names no zone{days}{several}"
        )
    return None


def tells_by_values(kind: pa.DataType, *, is_time: bool) -> bool:
    """Whether the values of a key column tell more than its type: categories, and times that are text."""
    is_text = pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
    return bool(pt.is_dictionary(kind) or (is_time and is_text))


def find_offsets(column: pa.ChunkedArray) -> tuple[str, ...]:
    """Find the different offsets from UTC of times that are text, such as +02:00, ascending; none for other columns.

    A text without an offset is of UTC, as it is read.
    """
    if not (pt.is_string(column.type) or pt.is_large_string(column.type)):
        return ()
    found: set[str] = set()
    for chunk in column.drop_null().chunks:
        texts = pc.utf8_trim_whitespace(chunk.cast(pa.string()))
        named = pc.struct_field(pc.extract_regex(texts, _OFFSET), "offset")
        found |= {_write_offset(text or "Z") for text in pc.unique(named).to_pylist()}
    return tuple(sorted(found, key=lambda text: (text[0] == "+", text)))


def find_days(column: pa.ChunkedArray) -> bool:
    """Find whether a column of times has dates, months or years, without a time of day."""
    kind = column.type
    if not (pt.is_string(kind) or pt.is_large_string(kind)):
        return bool(pt.is_date(kind) or pt.is_integer(kind))
    return not all(pc.all(pc.match_substring_regex(chunk, _HAS_TIME), min_count=0).as_py() for chunk in column.chunks)


def _write_offset(text: str) -> str:
    digits = text[1:].replace(":", "").ljust(4, "0")
    return "+00:00" if text in ("Z", "z") or digits == "0000" else f"{text[0]}{digits[:2]}:{digits[2:]}"


def _find_remedy(array: pa.Array) -> str:
    """Say how numbers that are no years are made times, by how large they are."""
    kind = array.type
    if not (pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)) or not len(array):
        return "pandas.to_datetime(column)"
    low, high = (float(number) for number in pc.min_max(array).as_py().values())
    if not math.isfinite(low + high):
        return "pandas.to_datetime(column)"
    if FIRST_YEAR <= low <= high <= LAST_YEAR:
        return "column.astype(int)"
    for digits, written in ((4, "%Y%m%d"), (2, "%Y%m")):
        if FIRST_YEAR * 10**digits < low <= high <= LAST_YEAR * 10**digits and _is_month(low, high, 10 ** (digits - 2)):
            return f"pandas.to_datetime(column.astype(int).astype(str), format={written!r})"
    largest = max(abs(low), abs(high))
    unit = next((unit for unit, most in _MOST_SINCE if largest < most), "ns")
    return f"pandas.to_datetime(column, unit={unit!r})"


def _is_month(low: float, high: float, step: int) -> bool:
    return all(1 <= int(number) // step % 100 <= 12 for number in (low, high))


def _find_odd_years(array: pa.Array) -> list[int]:
    is_year = pc.and_(pc.greater_equal(array, FIRST_YEAR), pc.less_equal(array, LAST_YEAR))
    odd: list[int] = array.filter(pc.invert(is_year)).slice(0, 3).to_pylist()
    return odd


def _read_texts(array: pa.Array, name: str, clock: str | None) -> Column:
    texts = pc.utf8_trim_whitespace(array.cast(pa.string()))
    short = pc.match_substring_regex(texts, _YEAR_OR_MONTH)
    texts = pc.if_else(short, pc.binary_join_element_wise(texts, _find_rest(texts), ""), texts)
    has_time = pc.match_substring_regex(texts, _HAS_TIME)
    has_zone = pc.and_(pc.match_substring_regex(texts, _HAS_ZONE), has_time)
    moments = np.empty(len(texts), dtype=MICROSECONDS)
    for mask, zone in ((has_zone, "UTC"), (pc.invert(has_zone), None)):
        chosen = np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)
        if chosen.any():
            moments[chosen] = _parse(texts.filter(mask), zone, name)
    is_day = ~np.asarray(has_time.to_numpy(zero_copy_only=False), dtype=np.bool_)
    moments[is_day] = begin_days(moments[is_day], clock)
    return moments


def _find_rest(texts: pa.Array) -> pa.Array:
    """Give what makes a date of a year or a month."""
    return pc.if_else(pc.equal(pc.utf8_length(texts), 4), "-01-01", "-01")


def _parse(texts: pa.Array, zone: str | None, name: str) -> Column:
    for unit in ("us", "ns"):  # nanoseconds are read by the finer unit alone, years far off by the coarser
        try:
            return np.array(texts.cast(pa.timestamp(unit, zone)).to_numpy(zero_copy_only=False)).astype(MICROSECONDS)
        except pa.ArrowInvalid:
            continue
    raise SourceError(
        f"time column {name!r} holds the text {_find_bad(texts, zone)!r}, which is no ISO date or time (2024-03-01, "
        "2024-03-01T10:30:00, with +01:00 or Z for its zone); convert the column, such as with "
        "pandas.to_datetime(column)"
    )


def _find_bad(texts: pa.Array, zone: str | None) -> str:
    """Find the first text that is no time, by halves."""
    while len(texts) > 1:
        half = texts.slice(0, len(texts) // 2)
        try:
            half.cast(pa.timestamp("ns", zone))
            texts = texts.slice(len(half))
        except pa.ArrowInvalid:
            texts = half
    found: str = texts[0].as_py()
    return found[:80]
