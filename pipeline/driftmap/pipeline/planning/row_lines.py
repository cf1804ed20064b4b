"""Lines that say which rows of a source do not count: those that were dropped, and those another row stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Sequence

_RULES = {
    "first": "the first row stands for each",
    "last": "the last row stands for each",
    "mean": "the mean of its rows stands for each",
}


class CountedRows(Protocol):
    """A window, planned or of a store."""

    @property
    def label(self) -> str:
        """Its label."""

    @property
    def n_dropped(self) -> int:
        """Rows that were dropped."""

    @property
    def n_repeated(self) -> int:
        """Rows of an id that another row, or the mean of all, stands for."""


def describe_rows(on_bad_rows: str, duplicates: str, has_ids: bool, windows: Sequence[CountedRows]) -> list[str]:  # noqa: FBT001
    """Say by window how many rows do not count, and why.

    Parameters
    ----------
    on_bad_rows, duplicates
        The rules of the source.
    has_ids
        Whether rows have ids.
    windows
        Of a plan, or of a store.

    Returns
    -------
    A line for each rule that is not to refuse such rows.
    """
    lines = []
    if on_bad_rows == "drop":
        dropped = [(window.label, window.n_dropped) for window in windows if window.n_dropped]
        what = "without an id, or with missing or infinite numbers" if has_ids else ("with missing or infinite numbers")
        lines.append(f"dropped rows: {_count(dropped)} {what} (on_bad_rows){_name(dropped)}")
    if duplicates in _RULES:
        repeated = [(window.label, window.n_repeated) for window in windows if window.n_repeated]
        more = f"{_count(repeated)} more of an id of the same window; {_RULES[duplicates]}"
        lines.append(f"repeated rows: {more} (duplicates){_name(repeated)}")
    return lines


def _count(counted: list[tuple[str, int]]) -> str:
    return f"{sum(count for _, count in counted):,}" if counted else "none"


def _name(counted: list[tuple[str, int]]) -> str:
    return f": {name_some([f'{count:,} of {label!r}' for label, count in counted])}" if counted else ""
