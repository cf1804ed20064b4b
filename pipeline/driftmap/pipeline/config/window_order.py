"""The order of windows by a column, as users give it."""

from __future__ import annotations

ORDER_NAMES = ("natural", "text")
"""Orders that have a name; see `planning.value_order`."""


def read_order(given: object) -> object:
    """Read an order: one that has a name, or the values themselves, in a list or as text with commas.

    Raises
    ------
    ValueError
        When a value is named more than once.
    """
    if isinstance(given, str) and given not in ORDER_NAMES:
        given = [part.strip() for part in given.split(",")]
    if not isinstance(given, list | tuple):
        return given
    texts = tuple(str(part) for part in given)
    repeated = [text for text in dict.fromkeys(texts) if texts.count(text) > 1]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is in it more than once; name each value once")
    return texts
