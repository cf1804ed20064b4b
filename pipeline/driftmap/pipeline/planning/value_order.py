"""The order of windows that are made by the values of a column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Int64Array

NATURAL = "natural"
"""Numbers within texts as numbers (v2 before v10), names of months as months; other values ascending."""

TEXT = "text"
"""Texts that are all whole numbers as numbers, other texts by their bytes: stores made before there was a choice."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?)"
)
_DATED_MONTH = re.compile(rf"(\d{{4}})?[\s_/-]*{_MONTH}\.?[\s_/,'-]*(\d{{4}})?", re.IGNORECASE)
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


def _whole_numbers(texts: Sequence[str]) -> Callable[[int], Any] | None:
    try:
        whole = [int(text) for text in texts]
    except ValueError:
        return None
    return lambda number: (whole[number], texts[number])


def _find_natural_key(texts: Sequence[str]) -> Callable[[str], Any]:
    """Choose what texts are sorted by: as numbers, or months, if all of them are; else number by number in them."""
    for key in (float, _read_month):
        try:
            if all(key(text) == key(text) for text in texts):  # NaN is no number to sort by
                return key
        except ValueError:
            continue
    return _split_numbers


def _read_month(text: str) -> tuple[int, int]:
    match = _DATED_MONTH.fullmatch(text.strip())
    if match is None or (match[1] and match[3]):
        raise ValueError(text)
    return int(match[1] or match[3] or 0), _MONTHS.index(match[2][:3].lower())


def _split_numbers(text: str) -> list[Any]:
    # Texts and numbers take turns, the first one a text: so no text is compared with a number.
    return [int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(text))]
