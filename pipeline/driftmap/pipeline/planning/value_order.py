"""The order of windows that are made by the values of a column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Int64Array

NATURAL = "natural"
"""Numbers within texts as numbers (v2 before v10), months, quarters and days of a year in its order; other values
ascending."""

TEXT = "text"
"""Texts that are all whole numbers as numbers, other texts by their bytes: stores made before there was a choice."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?)"
)
_DATED_MONTH = re.compile(rf"(\d{{4}})?[\s_/-]*{_MONTH}\.?[\s_/,'-]*(\d{{4}})?", re.IGNORECASE)
_SHORT_MONTH = re.compile(rf"{_MONTH}\.?[\s_/-]*(')?(\d{{2}})", re.IGNORECASE)
_QUARTER = re.compile(r"(\d{4})?[\s_/-]*Q([1-4])[\s_/,'-]*(\d{4})?", re.IGNORECASE)
_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_MOST_MONTH = 12
_FIRST_SHORT_YEAR = 69  # as POSIX reads two digits
_DIGITS = re.compile(r"([0-9]+)")


def sort_texts(texts: Sequence[str], order: str | Sequence[str] | None) -> Int64Array:
    """Sort the different values of a column, as texts.

    Parameters
    ----------
    texts
        The values.
    order
        `NATURAL`, `TEXT` (also None), or the values themselves in their order; those not in it follow in natural order.

    Returns
    -------
    int64 (u,): numbers of the values, in order.
    """
    numbers = range(len(texts))
    if order is None or order == TEXT:
        key: Callable[[int], Any] = _whole_numbers(texts) or (lambda number: texts[number].encode())
    else:
        given = {} if isinstance(order, str) else {value: place for place, value in enumerate(order)}
        natural = _find_natural_key([text for text in texts if text not in given])

        def key(number: int) -> Any:
            text = texts[number]
            return (0, given[text]) if text in given else (1, natural(text), text)

    return np.array(sorted(numbers, key=key), dtype=np.int64)


def has_two_orders(texts: Sequence[str]) -> bool:
    """Whether values are dates such as 03/04/2024 that come in one order by day and month, in another by month and day.

    They are then read as month and day, in which order their texts come within a year.
    """
    try:
        readings = _list_day_readings(texts)
    except ValueError:
        return False
    return len({tuple(sorted(texts, key=reading)) for reading in readings}) > 1


def _whole_numbers(texts: Sequence[str]) -> Callable[[int], Any] | None:
    try:
        whole = [int(text) for text in texts]
    except ValueError:
        return None
    return lambda number: (whole[number], texts[number])


def _find_natural_key(texts: Sequence[str]) -> Callable[[str], Any]:
    """Choose what texts are sorted by: as numbers, months, quarters or days, if all are; else number by number."""
    for key in (float, _read_month, _choose_short_month(texts), _read_quarter, _choose_day(texts)):
        try:
            if all(key(text) == key(text) for text in texts):  # NaN is no number to sort by
                return key
        except ValueError:
            continue
    return _split_numbers


def _read_month(text: str) -> tuple[int, int]:
    match = _match(_DATED_MONTH, text)
    if match[1] and match[3]:
        raise ValueError(text)
    return int(match[1] or match[3] or 0), _MONTHS.index(match[2][:3].lower())


def _read_quarter(text: str) -> tuple[int, int]:
    match = _match(_QUARTER, text)
    if match[1] and match[3]:
        raise ValueError(text)
    return int(match[1] or match[3] or 0), int(match[2])


def _choose_short_month(texts: Sequence[str]) -> Callable[[str], tuple[int, ...]]:
    """Read Oct-23 as a month of a year or as a day, whichever brings the texts closer together."""

    def read_year(text: str) -> tuple[int, int]:
        match = _match(_SHORT_MONTH, text)
        year = int(match[3])
        return year + (1900 if year >= _FIRST_SHORT_YEAR else 2000), _MONTHS.index(match[1][:3].lower())

    def read_day(text: str) -> tuple[int, int]:
        match = _match(_SHORT_MONTH, text)
        return _MONTHS.index(match[1][:3].lower()), int(match[3])

    try:
        months = [12 * year + month for year, month in map(read_year, texts)]
        days = [31 * month + day for month, day in map(read_day, texts)]
    except ValueError:
        return read_year  # which refuses them again
    is_day = bool(texts) and all(1 <= read_day(text)[1] <= 31 and "'" not in text for text in texts)
    return read_day if is_day and max(days) - min(days) < max(months) - min(months) else read_year


def _choose_day(texts: Sequence[str]) -> Callable[[str], tuple[int, ...]]:
    """Read 31.12.2024, and 12/31/2024 by whichever number can be the month, the first one where both can."""
    try:
        readings = _list_day_readings(texts)
    except ValueError:
        return _read_day_first  # which refuses them again
    return readings[0] if readings else _refuse


def _list_day_readings(texts: Sequence[str]) -> Sequence[Callable[[str], tuple[int, ...]]]:
    """List how dates can be read: dots come after a day, and no month has a number above 12."""
    parts = [_match(_DAY, text) for text in texts]
    is_dotted = all(match[2] == "." for match in parts)
    by_month = not is_dotted and all(int(match[1]) <= _MOST_MONTH for match in parts)
    by_day = all(int(match[3]) <= _MOST_MONTH for match in parts)
    return [_read_month_first] * by_month + [_read_day_first] * by_day


def _refuse(text: str) -> tuple[int, ...]:
    raise ValueError(text)


def _read_day_first(text: str) -> tuple[int, ...]:
    match = _match(_DAY, text)
    return int(match[4]), int(match[3]), int(match[1])


def _read_month_first(text: str) -> tuple[int, ...]:
    match = _match(_DAY, text)
    return int(match[4]), int(match[1]), int(match[3])


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return match


def _split_numbers(text: str) -> list[Any]:
    # Texts and numbers take turns, the first one a text: so no text is compared with a number.
    return [int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(text))]
