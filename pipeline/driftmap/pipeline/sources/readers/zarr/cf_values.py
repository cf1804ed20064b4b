"""What an array's attributes say of its numbers by the CF conventions, as xarray writes them: missing, packed, times.

https://cfconventions.org, sections 2.5.1 (missing data), 4.4 (time) and 8.1 (packed data).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNITS = {
    "D": ("days", "day", "d"),
    "h": ("hours", "hour", "hrs", "hr", "h"),
    "m": ("minutes", "minute", "mins", "min"),
    "s": ("seconds", "second", "secs", "sec", "s"),
    "ms": ("milliseconds", "millisecond", "millisecs", "millisec", "msecs", "msec", "ms"),
    "us": ("microseconds", "microsecond", "microsecs", "microsec"),
    "ns": ("nanoseconds", "nanosecond", "nanosecs", "nanosec"),
}
"""By numpy's code: what a unit of time may be called."""

_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names}

_SINCE = re.compile(
    r"(\w+) since (\d{4}-\d{1,2}-\d{1,2})(?:[T ]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?(?: ?(?:Z|UTC|\+?00:00|\+00))?"
)

_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
"""Calendars of the dates that people live by; others have days that those do not."""

_GREGORIAN_SINCE = np.datetime64("1582-10-15")
"""Before this day the standard calendar of CF is the Julian one."""

_MICROSECOND = np.timedelta64(1, "us")


class CfRules(NamedTuple):
    """How the numbers of an array are to be read."""

    missing: tuple[float, ...] = ()
    """Stored numbers that stand for none."""
    scale: float = 1.0
    offset: float = 0.0
    is_unsigned: bool = False
    """Whether the bits of whole numbers are those of numbers without a sign."""

    @classmethod
    def of(cls, array: Any, name: str) -> CfRules:
        """Read the rules of an array; those of one without attributes change nothing.

        Raises
        ------
        SourceError
            When an attribute is no number.
        """
        attrs = getattr(array, "attrs", None) or {}
        if array.dtype.kind not in "iuf":
            return cls()
        missing = tuple(_list_missing(array, attrs, name))
        scale, offset = (
            _read_number(attrs, key, name, usual) for key, usual in (("scale_factor", 1), ("add_offset", 0))
        )
        is_unsigned = array.dtype.kind == "i" and str(attrs.get("_Unsigned", "")).lower() == "true"
        return cls(missing, scale, offset, is_unsigned)

    @property
    def is_packed(self) -> bool:
        """Whether numbers are others than those that are stored."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def find_type(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """Give the type of the numbers, where none is missing."""
        if self.is_packed:
            return np.dtype(np.float64)
        return np.dtype(f"u{stored.itemsize}") if self.is_unsigned else stored

    def decode(self, stored: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Decode numbers; those that are missing are masked."""
        if self == CfRules():
            return stored
        with np.errstate(over="ignore"):
            hidden = np.array(self.missing, dtype=stored.dtype)
        is_missing = np.isin(stored, hidden) if len(hidden) else None
        numbers = stored.view(f"u{stored.itemsize}") if self.is_unsigned else stored
        if self.is_packed:
            numbers = numbers * np.float64(self.scale) + self.offset
        if is_missing is None or not is_missing.any():
            return numbers
        return np.ma.masked_array(numbers, is_missing)


def fill_missing(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give numbers as they are, or as floats where some are masked: NaN."""
    if not isinstance(numbers, np.ma.MaskedArray):
        return numbers
    kind = numbers.dtype if numbers.dtype.kind == "f" else np.dtype(np.float64)
    return np.ma.filled(numbers.astype(kind), np.nan)


def counts_since(attrs: Any) -> bool:
    """Whether an array's attributes say that its numbers count from a moment: they are times then, as xarray has it."""
    return _SINCE.fullmatch(str(attrs.get("units", "")).strip()) is not None


def count_since(values: np.ndarray[Any, Any], attrs: Any, name: str) -> np.ndarray[Any, Any]:
    """Turn numbers into times by what an array's attributes say that they count.

    Parameters
    ----------
    values
        Whole numbers or floats (n,), perhaps masked.
    attrs
        With `units` such as `days since 2024-01-01`, and perhaps `calendar`.
    name
        Of the array.

    Returns
    -------
    numpy.ndarray
        datetime64[us] (n,) in UTC; NaT where a value is missing.

    Raises
    ------
    SourceError
        When they are no numbers since a moment, or of a calendar with other days.
    """
    units, calendar = attrs.get("units"), str(attrs.get("calendar") or _CALENDARS[0]).lower()
    match = _SINCE.fullmatch(units.strip()) if isinstance(units, str) else None
    unit: Any = None if match is None else _UNIT_OF.get(match[1].lower(), match[1] if match[1] in _UNITS else None)
    if match is None or unit is None:
        raise SourceError(
            f"time array {name!r} holds {values.dtype} with the units {units!r}; datetime64 was expected, or "
            "numbers with an attribute units such as 'seconds since 1970-01-01' (UTC; "
            f"{', '.join(names[0] for names in _UNITS.values())})"
        )
    start = _read_start(match, units, name)
    if calendar not in _CALENDARS or (calendar != _CALENDARS[-1] and start < _GREGORIAN_SINCE):
        raise SourceError(
            f"time array {name!r} counts {units!r} in the calendar {calendar!r}, whose dates are not those of the "
            "proleptic Gregorian calendar; convert it, such as with xarray's "
            "convert_calendar('proleptic_gregorian'), and write it again"
        )
    is_missing = np.ma.getmaskarray(values) | ~np.isfinite(np.ma.getdata(values))
    stored = np.where(is_missing, 0, np.ma.getdata(values))
    if stored.dtype.kind == "f":
        passed = np.rint(stored * (np.timedelta64(1, unit) / _MICROSECOND)).astype(np.int64).astype("timedelta64[us]")
    else:
        passed = stored.astype(np.int64).astype(f"timedelta64[{unit}]").astype("timedelta64[us]")
    return np.where(is_missing, np.datetime64("NaT", "us"), start + passed)


def _read_start(match: re.Match[str], units: object, name: str) -> np.datetime64:
    year, month, day = match[2].split("-")
    hour, _, rest = (match[3] or "00:00").partition(":")
    try:
        return np.datetime64(f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{rest}", "us")
    except ValueError as error:
        raise SourceError(f"time array {name!r} has the units {units!r}, which name no moment ({error})") from error


def _list_missing(array: Any, attrs: Any, name: str) -> Iterator[float]:
    """List what stands for missing numbers; NaN does by itself."""
    found = [attrs.get("_FillValue"), *np.atleast_1d(np.asarray(attrs.get("missing_value"), dtype=object)).tolist()]
    # xarray keeps it as the fill value of an array of format 2; 0 is what other writers leave there unasked.
    if "_ARRAY_DIMENSIONS" in attrs and getattr(getattr(array, "metadata", None), "zarr_format", 3) == 2:
        found.append(getattr(array, "fill_value", None) or None)
    for value in found:
        number = None if value is None else _as_number(value, array.dtype.kind)
        if value is not None and number is None:
            raise SourceError(
                f"the array {name!r} has an attribute _FillValue or missing_value of {value!r}; a number was expected"
            )
        if number is not None and not math.isnan(number) and _is_held(number, array.dtype):
            yield number


def _as_number(value: Any, kind: str) -> float | int | None:
    """Read a number of an attribute; xarray writes a float for an array of format 3 as the bytes of a double."""
    if isinstance(value, str):
        try:
            if kind == "f":
                return float(struct.unpack("<d", base64.standard_b64decode(value))[0])
        except (binascii.Error, struct.error):
            pass
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) else value.item() if isinstance(value, np.number) else None


def _is_held(number: float, kind: np.dtype[Any]) -> bool:
    """Whether an array can hold a number: one that it cannot stands for nothing."""
    if kind.kind == "f":
        return True
    limits = np.iinfo(kind)
    return float(number).is_integer() and limits.min <= number <= limits.max


def _read_number(attrs: Any, key: str, name: str, usual: float) -> float:
    value = attrs.get(key, usual)
    values = np.asarray(value, dtype=object).ravel().tolist()  # some writers give a list of one
    number = _as_number(values[0], "") if len(values) == 1 else None
    if number is None or not math.isfinite(number):
        raise SourceError(f"the array {name!r} has an attribute {key} of {value!r}; a number was expected")
    return float(number)
