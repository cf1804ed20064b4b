"""Source and rule -> windows: which rows each has (pure; reads keys, never vectors)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.config.times.durations import parse_duration
from driftmap.pipeline.config.times.time_zones import read_zone
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.cuts import LEAST_ROWS, Cuts, Spans, cut_rows, cut_times, cut_values, show_categories
from driftmap.pipeline.planning.shared_ids import Codes, Kept, count_shared_ids, count_shared_rows, settle_repeated
from driftmap.pipeline.planning.value_order import NATURAL
from driftmap.pipeline.sources.protocol import KeyFacts
from driftmap.pipeline.sources.row_ranges import name_some, rows_to_runs

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.window_rule import WindowRule
    from driftmap.pipeline.sources.protocol import Source

    Keys = np.ndarray[Any, Any]
    Times = np.ndarray[tuple[int], np.dtype[Any]]

_BY_CALENDAR = ("D", "W", "M", "Y")
"""Units of strides whose borders lie at midnight."""


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
    n_dropped: int = 0
    """Rows that were dropped: without an id, or with vectors that are missing or not finite; not counted above."""
    n_repeated: int = 0
    """Rows of an id that another row, or the mean of all, stands for; not counted above."""

    @property
    def n_read(self) -> int:
        """Rows that are read: more than the window has where it has the means of several."""
        return int((self.runs[:, 1] - self.runs[:, 0]).sum())


class PlannedWindows(NamedTuple):
    """The windows of a run, and those that are left out of it."""

    windows: list[WindowPlan]
    skipped: list[str]
    """Labels of windows of fewer than `LEAST_ROWS` rows, in order."""


class _Windows(NamedTuple):
    """The windows while they are cut."""

    cuts: Cuts
    n_dropped: Int64Array
    kept: list[Kept]

    def pick(self, indices: Int64Array) -> _Windows:
        kept = [self.kept[index] for index in indices.tolist()]
        return _Windows(self.cuts.pick(indices), self.n_dropped[indices], kept)


def plan_windows(
    source: Source,
    rule: WindowRule,
    n_neighbors: int,
    *,
    reach: int | None = None,
    bad_rows: Int64Array | None = None,
    origin: str | None = None,
) -> PlannedWindows:
    """Cut a source into windows.

    By time, windows start at the last border of the stride's unit at or before the first row (midnight for `7D`,
    Monday for `1W`, the first of the month for `1M`; by the clock of the rule's time zone), then every stride, until
    one reaches past the last row.
    That last one is kept when it has enough rows for `n_neighbors`, though it may be only partly filled, and left out
    otherwise. By rows, windows have exactly `rows` rows each, and rows at the end that do not fill another are left
    out. By a column, each of its values is a window, in the rule's order; numbers and dates ascending where it has
    none.

    Bad rows are left out of their windows, then rows of an id that another one stands for (`duplicates` of the source;
    first and last go by the time column where one is named, else by the order of the source). Windows of fewer than
    `LEAST_ROWS` remaining rows are left out, or refused where the rule says so (`on_empty`).

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
    bad_rows
        Numbers of the rows that are dropped.
    origin
        Start of the first window in time, where a store has it, whose last windows need not be whole; None: it goes by
        the first row.

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
    cuts = _cut(source, rule, keys, n_neighbors, origin)
    n_read = cuts.highs - cuts.lows
    if bad_rows is not None:
        cuts = cuts.drop(bad_rows, source.n_rows)
    windows = _Windows(cuts, n_read - (cuts.highs - cuts.lows), [])
    if rule.window is not None and origin is None:
        windows = _leave_out_unfilled(windows, source.n_rows, n_neighbors)
    ids = None if source.spec.id is None else Codes.of(keys[source.spec.id])
    windows = windows._replace(kept=_settle_repeated(source, rule, windows.cuts, ids, keys))
    windows, skipped = _leave_out_empty(windows, rule)
    if ids is not None:
        shared = count_shared_ids(windows.cuts, ids, rule, reach, windows.kept)
    else:
        shared = count_shared_rows(windows.cuts, rule)
    planned = [_plan_window(windows, index, int(shared[index])) for index in range(len(windows.kept))]
    return PlannedWindows(planned, skipped)


def _cut(source: Source, rule: WindowRule, keys: dict[str, Keys], n_neighbors: int, origin: str | None) -> Cuts:
    if rule.rows is not None:
        return cut_rows(source.n_rows, rule.rows, rule.row_stride or rule.rows)
    if rule.window is not None:
        window = parse_duration(rule.window)
        stride = window if rule.stride is None else parse_duration(rule.stride)
        return cut_times(keys[source.spec.time or ""], Spans(window, stride, rule.timezone, origin), n_neighbors)
    return cut_values(keys[rule.by or ""], source.window_names, rule)


def _settle_repeated(
    source: Source, rule: WindowRule, cuts: Cuts, ids: Codes | None, keys: dict[str, Keys]
) -> list[Kept]:
    if ids is None:
        return [Kept(None, int(n_rows)) for n_rows in cuts.highs - cuts.lows]
    # Pieces of windows in time are in its order already.
    times = None if rule.window is not None else keys.get(source.spec.time or "")
    return settle_repeated(cuts, ids, source.spec.duplicates, times)


def settle_rule(source: Source, rule: WindowRule) -> WindowRule:
    """Decide what a rule leaves open, by the source's columns: the time zone, and the order of a column's values."""
    settled: dict[str, Any] = {}
    column = source.spec.time if rule.window is not None else rule.by
    facts = KeyFacts() if column is None else source.describe_key(column)
    zone = facts.zone or source.spec.clock
    if rule.timezone is None and (rule.window is not None or zone is not None or facts.clocks):
        _refuse_two_clocks(facts, rule, column)
        settled["timezone"] = zone or "UTC"
        if zone is not None:
            read_zone(zone)
    if rule.order is None and rule.by is not None:
        settled["order"] = NATURAL
        if facts.categories is not None and len(facts.categories):
            zone = settled.get("timezone", rule.timezone)
            settled["order"] = tuple(dict.fromkeys(show_categories(facts.categories, zone)))
    return rule.model_copy(update=settled)


def _refuse_two_clocks(facts: KeyFacts, rule: WindowRule, column: str | None) -> None:
    """Refuse files of several zones; and texts of one with summer time, of which two offsets are known, for days."""
    remedy = "they do not say by which clock days and months begin: give timezone, such as"
    if facts.clocks:
        example = next(zone for _, zone in facts.clocks if zone is not None)
        named = f"time column {column!r} has files of different zones ({facts.show_clocks()})"
        raise PlanError(f"{named}; {remedy} {example}, or UTC")
    if rule.window is None or len(facts.offsets) != 2:
        return
    unit = parse_duration(rule.stride or rule.window).unit
    first, last = (read_zone(offset).utcoffset(None) or timedelta() for offset in facts.offsets)
    if unit in _BY_CALENDAR and abs(last - first) == timedelta(hours=1):
        raise PlanError(
            f"time column {column!r} holds texts with the offsets {' and '.join(facts.offsets)}, as of a zone with "
            f"summer time; {remedy} Europe/Berlin, or UTC"
        )


def _read_keys(source: Source, rule: WindowRule) -> dict[str, Keys]:
    spec = source.spec
    if rule.window is not None and spec.time is None:
        raise PlanError(f"window is {rule.window!r}, but the source names no time column; give time")
    needs_time = rule.window is not None or spec.duplicates in ("first", "last")
    wanted = (spec.time if needs_time else None, spec.id, rule.by)
    return source.key_columns(list(dict.fromkeys(name for name in wanted if name is not None)))


def _plan_window(windows: _Windows, index: int, n_shared: int) -> WindowPlan:
    cuts, kept = windows.cuts, windows.kept[index]
    n_before = int(cuts.highs[index] - cuts.lows[index])
    if cuts.order is None and kept.is_kept is None:
        runs = np.array([[cuts.lows[index], cuts.highs[index]]], dtype=np.int64)
    else:
        rows = cuts.list_piece(index)
        runs = rows_to_runs(np.sort(rows if kept.is_kept is None else rows[kept.is_kept]))
    start = None if cuts.starts is None else cuts.starts[index]
    end = None if cuts.ends is None else cuts.ends[index]
    n_dropped, n_repeated = int(windows.n_dropped[index]), n_before - kept.n_rows
    return WindowPlan(index, cuts.labels[index], runs, kept.n_rows, start, end, n_shared, n_dropped, n_repeated)


def _leave_out_unfilled(windows: _Windows, n_rows: int, n_neighbors: int) -> _Windows:
    """Leave out the last of several windows in time where it reaches past the last row and has too few."""
    cuts = windows.cuts
    n_ordered = n_rows if cuts.order is None else len(cuts.order)
    is_open = cuts.highs[-1] == n_ordered and cuts.highs[-1] - cuts.lows[-1] < n_neighbors
    if len(cuts.labels) == 1 or not is_open:
        return windows
    return _Windows(cuts.pick(np.arange(len(cuts.labels) - 1)), windows.n_dropped[:-1], [])


def _leave_out_empty(windows: _Windows, rule: WindowRule) -> tuple[_Windows, list[str]]:
    """Leave out windows of fewer than `LEAST_ROWS` rows, or refuse them; give the labels of what was left out."""
    cuts, counts = windows.cuts, np.array([kept.n_rows for kept in windows.kept], dtype=np.int64)
    is_empty = counts < LEAST_ROWS
    empty = [cuts.labels[index] for index in np.flatnonzero(is_empty).tolist()]
    if not empty:
        return windows, []
    named = [
        repr(cuts.labels[index]) if counts[index] == 0 else f"{cuts.labels[index]!r} (1 row)"
        for index in np.flatnonzero(is_empty).tolist()
    ]
    what = "no rows" if not counts[is_empty].any() else f"fewer than {LEAST_ROWS} rows"
    if is_empty.all():
        remedy = "make windows longer" if rule.by is None else _explain_lone_values(rule.by)
        raise PlanError(f"{_count_windows(named, 'has', 'have')} {what}, and there is no other; {remedy}")
    if rule.on_empty == "refuse":
        longer = "" if rule.window is None else f", or make window ({rule.window}) longer than the gap"
        raise PlanError(
            f"{_count_windows(named, 'has', 'have')} {what}, and on_empty is 'refuse'; 'skip' leaves {_it(named)} "
            f"out of the run{longer}"
        )
    return windows.pick(np.flatnonzero(~is_empty)), empty


def _explain_lone_values(by: str) -> str:
    return (
        f"each value of {by!r} has a window of its own (by): name a column whose values many rows share, or give "
        f"{by!r} as time, if it holds times, with the length of a window, such as 7D"
    )


def _count_windows(names: list[str], one: str, many: str) -> str:
    return f"window {names[0]} {one}" if len(names) == 1 else f"{len(names)} windows ({name_some(names)}) {many}"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
