"""Source and rule -> windows: which rows each has (pure; reads keys, never vectors)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from driftmap.pipeline.config.time_spans import Duration, count_steps, floor_to_border, parse_duration, shift_times
from driftmap.pipeline.config.time_zones import LONGEST_SHIFT, UTC_NAMES, read_zone, to_local, to_utc
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.value_order import NATURAL, sort_texts
from driftmap.pipeline.sources.protocol import KeyFacts
from driftmap.pipeline.sources.row_ranges import name_rows, name_some, rows_to_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.run_config import WindowRule
    from driftmap.pipeline.sources.protocol import Source

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


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """One window of a run: which rows of the source it has."""

    index: int
    """Its number in the run."""
    label: str
    runs: Int64Array
    """(r, 2) row ranges [start, stop), ascending and apart."""
    n_rows: int
    start: str | None = None
    end: str | None = None
    """For windows in time: `start` belongs to the window, `end` does not."""
    n_shared: int = 0
    """Rows whose id, or which themselves where there are no ids, are in the window before too."""


class PlannedWindows(NamedTuple):
    """The windows of a run, and those that are left out of it."""

    windows: list[WindowPlan]
    skipped: list[str]
    """Labels of windows of fewer than `LEAST_ROWS` rows, in order."""


class _Cuts(NamedTuple):
    """Windows as pieces of the rows in one order, which may overlap."""

    order: Int64Array | None
    """Row numbers in that order; None: the source's own. Piece i has the rows `order[lows[i]:highs[i]]`."""
    lows: Int64Array
    highs: Int64Array
    labels: list[str]
    starts: list[str] | None = None
    ends: list[str] | None = None

    def rows(self, index: int) -> Int64Array:
        low, high = int(self.lows[index]), int(self.highs[index])
        return np.arange(low, high) if self.order is None else np.sort(self.order[low:high])

    def pick(self, indices: Int64Array) -> _Cuts:
        """Keep some of the pieces."""

        def of(texts: list[str]) -> list[str]:
            return [texts[index] for index in indices.tolist()]

        starts, ends = (None if texts is None else of(texts) for texts in (self.starts, self.ends))
        return _Cuts(self.order, self.lows[indices], self.highs[indices], of(self.labels), starts, ends)


def plan_windows(source: Source, rule: WindowRule, n_neighbors: int, *, reach: int | None = None) -> PlannedWindows:
    """Cut a source into windows.

    By time, windows start at the last border of the stride's unit at or before the first row (midnight for `7D`,
    Monday for `1W`, the first of the month for `1M`; by the clock of the rule's time zone), then every stride, until
    one reaches past the last row.
    That last one is kept when it has enough rows for `n_neighbors`, though it may be only partly filled, and left out
    otherwise. By rows, windows have exactly `rows` rows each, and rows at the end that do not fill another are left
    out. By a column, each of its values is a window, in the rule's order; numbers and dates ascending where it has
    none.

    Windows of fewer than `LEAST_ROWS` rows are left out, or refused where the rule says so (`on_empty`).

    Parameters
    ----------
    source
        An opened source; only its columns of time, id and by are read.
    rule
        How to cut. A stride that is not given is as long as the window.
    n_neighbors
        The last window in time needs so many rows, or it is left out as not filled yet.
    reach
        The alignment reach: how many windows apart two may be to be related by a shared row or id. None: any number.

    Returns
    -------
    The windows in order, and the labels of those left out.

    Raises
    ------
    PlanError
        When a window is empty and may not be, has an id twice, when all are empty, or when nothing relates the windows
        to each other.
    SourceError
        When a key column is missing, has missing values, or is not of its kind.
    """
    if source.n_rows == 0:
        raise PlanError(f"{source.spec.path or 'the source'} has no rows")
    keys = _read_keys(source, rule)
    if rule.rows is not None:
        cuts = _cut_rows(source.n_rows, rule.rows, rule.row_stride or rule.rows)
    elif rule.window is not None:
        window = parse_duration(rule.window)
        stride = window if rule.stride is None else parse_duration(rule.stride)
        cuts = _cut_times(keys[source.spec.time or ""], _Spans(window, stride, rule.timezone), n_neighbors)
    else:
        cuts = _cut_values(keys[rule.by or ""], source.window_names, rule)
    cuts, skipped = _leave_out_empty(cuts, rule)
    ids = None if source.spec.id is None else keys[source.spec.id]
    shared = _refuse_ids(cuts, ids, rule, reach) if ids is not None else _refuse_apart(cuts, rule)
    windows = [_plan_window(cuts, index, int(shared[index])) for index in range(len(cuts.labels))]
    return PlannedWindows(windows, skipped)


def settle_rule(source: Source, rule: WindowRule) -> WindowRule:
    """Decide what a rule leaves open, by the source's columns: the time zone, and the order of a column's values."""
    settled: dict[str, Any] = {}
    column = source.spec.time if rule.window is not None else rule.by
    facts = KeyFacts() if column is None else source.describe_key(column)
    if rule.timezone is None and (rule.window is not None or facts.zone is not None):
        settled["timezone"] = facts.zone or "UTC"
        if facts.zone is not None:
            read_zone(facts.zone)
    if rule.order is None and rule.by is not None:
        settled["order"] = facts.categories or NATURAL
    return rule.model_copy(update=settled)


def _read_keys(source: Source, rule: WindowRule) -> dict[str, Keys]:
    spec = source.spec
    if rule.window is not None and spec.time is None:
        raise PlanError(f"window is {rule.window!r}, but the source names no time column; give time")
    wanted = (spec.time if rule.window else None, spec.id, rule.by)
    return source.key_columns(list(dict.fromkeys(name for name in wanted if name is not None)))


def _plan_window(cuts: _Cuts, index: int, n_shared: int) -> WindowPlan:
    n_rows = int(cuts.highs[index] - cuts.lows[index])
    if cuts.order is None:
        runs = np.array([[cuts.lows[index], cuts.highs[index]]], dtype=np.int64)
    else:
        runs = rows_to_runs(cuts.rows(index))
    start = None if cuts.starts is None else cuts.starts[index]
    end = None if cuts.ends is None else cuts.ends[index]
    return WindowPlan(index, cuts.labels[index], runs, n_rows, start, end, n_shared)


def _cut_rows(n_rows: int, length: int, stride: int) -> _Cuts:
    if n_rows < length:
        raise PlanError(f"rows is {length}, but the source has only {n_rows} rows; lower rows")
    lows = np.arange(0, n_rows - length + 1, stride, dtype=np.int64)
    highs = lows + length
    labels = [f"rows {low}-{high - 1}" for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
    return _Cuts(None, lows, highs, labels)


class _Spans(NamedTuple):
    window: Duration
    stride: Duration
    zone: str | None


def _cut_times(times: Times, spans: _Spans, n_neighbors: int) -> _Cuts:
    is_sorted = bool((times[1:] >= times[:-1]).all())
    order = None if is_sorted else np.argsort(times, kind="stable")
    ordered = times if order is None else times[order]
    starts, ends = _place_windows(ordered, order, spans)
    lows, highs = (np.searchsorted(ordered, to_utc(borders, spans.zone)) for borders in (starts, ends))
    _refuse_far_rows(ordered, order, lows, highs, n_neighbors)
    if len(starts) > 1 and highs[-1] == len(ordered) and highs[-1] - lows[-1] < n_neighbors:
        starts, ends, lows, highs = starts[:-1], ends[:-1], lows[:-1], highs[:-1]
    labels = label_times(starts, spans.stride)
    return _Cuts(order, lows.astype(np.int64), highs.astype(np.int64), labels, show_times(starts), show_times(ends))


def _place_windows(ordered: Times, order: Int64Array | None, spans: _Spans) -> tuple[Times, Times]:
    """Give the starts and ends of all windows, in local time."""
    first, last = ordered[0], ordered[-1]
    (window, stride, zone), (local_first, local_last) = spans, to_local(np.array([first, last]), spans.zone)
    origin = floor_to_border(local_first, stride.unit)
    # Where the clock was put back, the last row's local time may be earlier than that of rows before it.
    n_starts = count_steps(origin, local_last + (LONGEST_SHIFT if zone not in UTC_NAMES else 0), stride) + 1
    if n_starts > MAX_WINDOWS:
        raise PlanError(
            f"stride is {stride}: the rows from {first} to {last} would give {n_starts:,} windows, more than "
            f"{MAX_WINDOWS:,}; make the stride longer, or look for a wrong time stamp: {_name_far_rows(ordered, order)}"
        )
    starts = shift_times(np.full(n_starts, origin), stride, np.arange(n_starts, dtype=np.int64))
    starts = starts[to_utc(starts, zone) <= last]
    ends = shift_times(starts, window)
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


def _cut_values(values: Keys, names: Sequence[str] | None, rule: WindowRule) -> _Cuts:
    uniques, codes = encode_keys(values)
    if names is not None:  # the values are numbers of windows, of which some may have no rows
        uniques, codes = np.arange(len(names)), values.astype(np.int64)
    if uniques.dtype.kind == "M":
        uniques = to_local(uniques, rule.timezone)
    sorting = np.arange(len(uniques)) if names is not None else _sort_values(uniques, rule)
    rank = np.empty(len(uniques), dtype=np.int64)
    rank[sorting] = np.arange(len(uniques))
    codes = rank[codes]
    highs = np.cumsum(np.bincount(codes, minlength=len(uniques))).astype(np.int64)
    lows = np.concatenate([[0], highs[:-1]])
    is_sorted = bool((codes[1:] >= codes[:-1]).all())
    order = None if is_sorted else np.argsort(codes, kind="stable")
    labels = list(names) if names is not None else show_values(uniques[sorting])
    return _Cuts(order, lows, highs, labels)


def encode_keys(values: Keys) -> tuple[Keys, Int64Array]:
    """Give a number to each of the different values of a key column, in the order in which they come up.

    Returns
    -------
    The different values, (u,), and for each value its number, (n,).

    Notes
    -----
    Arrow's hash table; sorting, as `np.unique` does, takes several times as long for 10^7 ids.
    """
    import pyarrow as pa

    if values.dtype.kind == "S":
        buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.dtype.itemsize), len(values), buffers)
    else:
        column = pa.array(values)
    encoded = column.dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy()).astype(np.int64)
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


def show_values(values: Keys) -> list[str]:
    """Write the values of a key column, as labels and messages show them."""
    if values.dtype.kind == "S":
        return [value.decode("utf-8", errors="backslashreplace") for value in values.tolist()]
    if values.dtype.kind == "M":
        return show_times(values)
    if values.dtype.kind == "f" and bool((values == np.floor(values)).all()):
        return [str(int(value)) for value in values.tolist()]
    return [str(value) for value in values.tolist()]


def _leave_out_empty(cuts: _Cuts, rule: WindowRule) -> tuple[_Cuts, list[str]]:
    """Leave out windows of fewer than `LEAST_ROWS` rows, or refuse them; give the labels of what was left out."""
    counts = cuts.highs - cuts.lows
    is_empty = counts < LEAST_ROWS
    empty = [cuts.labels[index] for index in np.flatnonzero(is_empty).tolist()]
    if not empty:
        return cuts, []
    named = [
        repr(cuts.labels[index]) if counts[index] == 0 else f"{cuts.labels[index]!r} (1 row)"
        for index in np.flatnonzero(is_empty).tolist()
    ]
    what = "no rows" if not counts[is_empty].any() else f"fewer than {LEAST_ROWS} rows"
    if is_empty.all():
        raise PlanError(f"{_count_windows(named, 'has', 'have')} {what}, and there is no other; make windows longer")
    if rule.on_empty == "refuse":
        longer = "" if rule.window is None else f", or make window ({rule.window}) longer than the gap"
        raise PlanError(
            f"{_count_windows(named, 'has', 'have')} {what}, and on_empty is 'refuse'; 'skip' leaves {_it(named)} "
            f"out of the run{longer}"
        )
    return cuts.pick(np.flatnonzero(~is_empty)), empty


def _refuse_ids(cuts: _Cuts, ids: Keys, rule: WindowRule, reach: int | None) -> Int64Array:
    """Refuse ids that are twice in a window, and windows of which no two share an id; count what each shares."""
    uniques, codes = encode_keys(ids)
    n_windows = len(cuts.labels)
    reach = n_windows if reach is None else reach
    places = np.empty(len(uniques), dtype=np.int64)
    last_windows = np.full(len(uniques), -1 - reach, dtype=np.int64)
    shared = np.zeros(n_windows, dtype=np.int64)
    is_tied = n_windows == 1 or rule.allow_unrelated
    for index in range(n_windows):
        piece = slice(int(cuts.lows[index]), int(cuts.highs[index]))
        here = codes[piece] if cuts.order is None else codes[cuts.order[piece]]
        # Of equal ids the last one's place stands, so that all before it find another than their own.
        numbers = np.arange(len(here))
        places[here] = numbers
        again = places[here] != numbers
        if again.any():
            raise PlanError(_describe_repeated(cuts.labels[index], uniques[here], again))
        is_tied = is_tied or bool((last_windows[here] >= index - reach).any())
        shared[index] = np.count_nonzero(last_windows[here] == index - 1) if index else 0
        last_windows[here] = index
    if not is_tied:
        near = "" if reach >= n_windows else f" within {reach} of each other"
        raise PlanError(
            f"no two windows{near} share an id, so nothing relates their maps; name the column (id) whose values come "
            "again in later windows, or allow_unrelated to have maps that cannot be compared"
        )
    return shared


def _describe_repeated(label: str, ids: Keys, again: np.ndarray[Any, Any]) -> str:
    repeated = np.unique(ids[again])
    shown = name_some(
        [repr(text) for text in show_values(repeated)] if ids.dtype.kind == "S" else show_values(repeated)
    )
    what = "an id" if len(repeated) == 1 else f"{len(repeated):,} ids"
    return (
        f"window {label!r} has {what} more than once: {shown}; an id stands for one row of a window: join these rows "
        "into one, choose another id column, or make windows shorter"
    )


def _refuse_apart(cuts: _Cuts, rule: WindowRule) -> Int64Array:
    """Refuse windows without ids of which no two share a row; count what each shares."""
    shared = np.concatenate([[0], np.maximum(cuts.highs[:-1] - cuts.lows[1:], 0)]).astype(np.int64)
    if rule.allow_unrelated or len(cuts.labels) == 1 or bool(shared.any()):
        return shared
    remedy = ""
    if rule.window is not None:
        remedy = f", make stride ({rule.stride or rule.window}) shorter than window ({rule.window})"
    elif rule.rows is not None:
        remedy = f", make row_stride ({rule.row_stride or rule.rows}) less than rows ({rule.rows})"
    raise PlanError(
        f"no two windows share a row, and there is no id column, so nothing relates their maps; name one (id){remedy}, "
        "or allow_unrelated to have maps that cannot be compared"
    )


def _count_windows(names: list[str], one: str, many: str) -> str:
    return f"window {names[0]} {one}" if len(names) == 1 else f"{len(names)} windows ({name_some(names)}) {many}"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
