"""A source's rows cut into pieces, one for each window: by number, by time, or by the values of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from driftmap.pipeline.config.times.time_spans import count_steps, floor_to_border, shift_times
from driftmap.pipeline.config.times.time_zones import LONGEST_SHIFT, UTC_NAMES, to_local, to_utc
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.value_order import sort_texts
from driftmap.pipeline.sources.row_ranges import name_rows, name_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.times.durations import Duration
    from driftmap.pipeline.config.window_rule import WindowRule

    Keys = np.ndarray[Any, Any]
    Times = np.ndarray[tuple[int], np.dtype[Any]]

MAX_WINDOWS = 1_000_000
"""More than this is taken for a slip in the unit of a stride."""

LEAST_ROWS = 2
"""A window of fewer rows has no graph; one of fewer than n_neighbors has all its rows as neighbours."""

MAX_SKIPPED_WINDOWS = 100
"""So many consecutive windows without rows are taken for a wrong time stamp, also where empty ones are skipped."""

_LABEL_UNITS: dict[str, Literal["Y", "M", "D", "h", "m", "s"]] = {
    "Y": "Y",
    "M": "M",
    "W": "D",
    "D": "D",
    "h": "h",
    "min": "m",
    "s": "s",
}


class Cuts(NamedTuple):
    """Windows as pieces of the rows in one order, which may overlap."""

    order: Int64Array | None
    """Row numbers in that order; None: the source's own. Piece i has the rows `order[lows[i]:highs[i]]`."""
    lows: Int64Array
    highs: Int64Array
    labels: list[str]
    starts: list[str] | None = None
    ends: list[str] | None = None

    def list_piece(self, index: int) -> Int64Array:
        """List the rows of a piece, in the order of the cuts."""
        low, high = int(self.lows[index]), int(self.highs[index])
        return np.arange(low, high) if self.order is None else self.order[low:high]

    def drop(self, rows: Int64Array, n_rows: int) -> Cuts:
        """Leave rows out of all pieces: those that are given by number, of a source with so many."""
        if not len(rows):
            return self
        is_kept = np.ones(n_rows, dtype=np.bool_)
        is_kept[rows] = False
        order = np.arange(n_rows) if self.order is None else self.order
        is_kept = is_kept[order]
        n_before = np.concatenate([[0], np.cumsum(is_kept)]).astype(np.int64)
        return self._replace(order=order[is_kept], lows=n_before[self.lows], highs=n_before[self.highs])

    def pick(self, indices: Int64Array) -> Cuts:
        """Keep some of the pieces."""

        def of(texts: list[str]) -> list[str]:
            return [texts[index] for index in indices.tolist()]

        starts, ends = (None if texts is None else of(texts) for texts in (self.starts, self.ends))
        return Cuts(self.order, self.lows[indices], self.highs[indices], of(self.labels), starts, ends)


def cut_rows(n_rows: int, length: int, stride: int) -> Cuts:
    """Cut rows in their own order into windows of equal length; those at the end that fill none are left out."""
    if n_rows < length:
        raise PlanError(f"rows is {length}, but the source has only {n_rows} rows; lower rows")
    lows = np.arange(0, n_rows - length + 1, stride, dtype=np.int64)
    highs = lows + length
    labels = [f"rows {low}-{high - 1}" for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    return Cuts(None, lows, highs, labels)


class Spans(NamedTuple):
    """Windows in time, and the zone whose clock says where they begin."""

    window: Duration
    stride: Duration
    zone: str | None
    origin: str | None = None
    """Start of the first window in local time, where it is known; None: it goes by the first row."""


def cut_times(times: Times, spans: Spans, n_neighbors: int) -> Cuts:
    """Cut rows by their time, in UTC; see `plan_windows`. The last piece may be only partly filled."""
    is_sorted = bool((times[1:] >= times[:-1]).all())
    order = None if is_sorted else np.argsort(times, kind="stable")
    ordered = times if order is None else times[order]
    starts, ends = _place_windows(ordered, order, spans)
    lows, highs = (np.searchsorted(ordered, to_utc(borders, spans.zone)) for borders in (starts, ends))
    _refuse_far_rows(ordered, order, lows, highs, n_neighbors)
    labels = label_times(starts, spans.stride)
    return Cuts(order, lows.astype(np.int64), highs.astype(np.int64), labels, show_times(starts), show_times(ends))


def _place_windows(ordered: Times, order: Int64Array | None, spans: Spans) -> tuple[Times, Times]:
    """Give the starts and ends of all windows, in local time."""
    first, last = ordered[0], ordered[-1]
    (window, stride, zone, known), (local_first, local_last) = spans, to_local(np.array([first, last]), spans.zone)
    origin = floor_to_border(local_first, stride.unit) if known is None else np.datetime64(known, "us")
    if to_utc(np.array([origin]), zone)[0] > last:
        raise PlanError(
            f"the newest row is of {last.astype('datetime64[s]')}, and the store begins at {known}; "
            "name the source that it was made of"
        )
    # Where the clock was put back, the last row's local time may be earlier than that of rows before it.
    n_starts = count_steps(origin, local_last if zone in UTC_NAMES else local_last + LONGEST_SHIFT, stride) + 1
    if n_starts > MAX_WINDOWS:
        raise PlanError(
            f"stride is {stride}: the rows from {first} to {last} would give {n_starts:,} windows, more than "
            f"{MAX_WINDOWS:,}; make the stride longer, or look for a wrong time stamp: {_name_far_rows(ordered, order)}"
        )
    starts = shift_times(np.full(n_starts, origin), stride, np.arange(n_starts, dtype=np.int64))
    starts = starts[to_utc(starts, zone) <= last]
    ends = shift_times(starts, window)
    if known is not None:  # an ingest may have taken in several that are not whole
        return starts, ends
    n_whole = int(np.searchsorted(to_utc(ends, zone), last, side="right"))  # windows that end before the last row
    return starts[: n_whole + 1], ends[: n_whole + 1]


def _refuse_far_rows(
    ordered: Times, order: Int64Array | None, lows: Int64Array, highs: Int64Array, n_neighbors: int
) -> None:
    """Refuse a few rows that lie many empty windows before or after all others: their time stamps must be wrong."""
    filled = np.flatnonzero(highs > lows)
    gaps = np.flatnonzero(np.diff(filled) > MAX_SKIPPED_WINDOWS)
    if not len(gaps):
        return
    n_before = lows[filled[gaps + 1]]
    if bool((np.minimum(n_before, len(ordered) - n_before) < n_neighbors).any()):
        raise PlanError(
            f"{_name_far_rows(ordered, order)}; more than {MAX_SKIPPED_WINDOWS} empty windows would lie between: mend "
            "or drop what is wrong, or make windows longer"
        )


def _name_far_rows(ordered: Times, order: Int64Array | None) -> str:
    """Name the rows on the smaller side of the longest time without rows."""
    if len(ordered) < LEAST_ROWS:
        return f"row 0 has {ordered[0]}"
    gap = int(np.argmax(np.diff(ordered))) + 1
    is_early = 2 * gap <= len(ordered)
    places = np.arange(gap) if is_early else np.arange(gap, len(ordered))
    rows = places if order is None else order[places]
    times = sorted({str(time) for time in ordered[places].astype("datetime64[s]")})
    near = ordered[gap if is_early else gap - 1].astype("datetime64[s]")
    which = "first after" if is_early else "last before"
    return f"{name_rows(rows)} of the source: {name_some(times)}, and the {which} that is {near}"


def label_times(starts: Times, stride: Duration) -> list[str]:
    """Give the labels of windows that start at these moments."""
    labels: list[str] = np.datetime_as_string(starts, unit=_LABEL_UNITS[stride.unit]).tolist()
    return labels


def show_times(moments: Times) -> list[str]:
    """Write moments as dates, or with the time of day where one of them is not midnight."""
    is_midnight = bool((moments.astype("datetime64[D]") == moments).all())
    shown: list[str] = np.datetime_as_string(moments, unit="D" if is_midnight else "s").tolist()
    return shown


def cut_values(values: Keys, names: Sequence[str] | None, rule: WindowRule) -> Cuts:
    """Cut rows by the values of a column; `names` where these are numbers of windows that have names."""
    uniques, codes = encode_keys(values)
    if names is not None:  # the values are numbers of windows, of which some may have no rows
        uniques, codes = np.arange(len(names)), values.astype(np.int64)
    uniques = _by_clock(uniques, rule.timezone)
    sorting = np.arange(len(uniques)) if names is not None else _sort_values(uniques, rule)
    rank = np.empty(len(uniques), dtype=np.int64)
    rank[sorting] = np.arange(len(uniques))
    codes = rank[codes]
    highs = np.cumsum(np.bincount(codes, minlength=len(uniques))).astype(np.int64)
    lows = np.concatenate([[0], highs[:-1]])
    is_sorted = bool((codes[1:] >= codes[:-1]).all())
    order = None if is_sorted else np.argsort(codes, kind="stable")
    labels = list(names) if names is not None else show_values(uniques[sorting])
    return Cuts(order, lows, highs, labels)


def encode_keys(values: Keys) -> tuple[Keys, Int64Array]:
    """Give a number to each of the different values of a key column, in the order in which they come up.

    Returns
    -------
    The different values, (u,), and for each value its number, (n,).

    Notes
    -----
    Arrow's hash table; sorting, as `np.unique` does, takes several times as long for 10^7 ids. Arrays are handed over
    as buffers: Arrow's own conversions import pandas where it is installed, which takes longer than a small ingest.
    """
    import pyarrow as pa

    if values.dtype.kind == "b":
        column = pa.array(values)
    else:
        is_text = values.dtype.kind == "S"
        kind = pa.binary(values.dtype.itemsize) if is_text else pa.from_numpy_dtype(values.dtype)
        column = pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
    encoded = column.dictionary_encode()
    codes = np.array(np.from_dlpack(encoded.indices)).astype(np.int64)
    firsts = np.empty(len(encoded.dictionary), dtype=np.int64)
    firsts[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return values[firsts], codes


def _sort_values(uniques: Keys, rule: WindowRule) -> Int64Array:
    if isinstance(rule.order, tuple):
        texts = show_values(uniques)
        missing = [repr(text) for text in texts if text not in rule.order]
        if missing:
            raise PlanError(f"order does not name {name_some(missing)}, which column {rule.by!r} has; name every value")
        return sort_texts(texts, rule.order)
    if uniques.dtype.kind != "S":
        return np.argsort(uniques, kind="stable")
    return sort_texts(show_values(uniques), rule.order)


def _by_clock(values: Keys, zone: str | None) -> Keys:
    return to_local(values, zone) if values.dtype.kind == "M" else values


def show_categories(values: Keys, zone: str | None) -> list[str]:
    """Write the values of a column of categories as the labels of the windows that `cut_values` makes by them."""
    return show_values(_by_clock(values, zone))


def show_values(values: Keys) -> list[str]:
    """Write the values of a key column, as labels and messages show them."""
    if values.dtype.kind == "S":
        return [value.decode("utf-8", errors="backslashreplace") for value in values.tolist()]
    if values.dtype.kind == "M":
        return show_times(values)
    if values.dtype.kind == "f" and bool((values == np.floor(values)).all()):
        return [str(int(value)) if np.isfinite(value) else str(value) for value in values.tolist()]
    return [str(value) for value in values.tolist()]
