"""Source and rule -> windows: which rows each has (pure; reads keys, never vectors)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.config.time_spans import parse_duration
from driftmap.pipeline.config.time_zones import read_zone
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.cuts import LEAST_ROWS, Cuts, Spans, cut_rows, cut_times, cut_values
from driftmap.pipeline.planning.shared_ids import count_shared_ids, count_shared_rows
from driftmap.pipeline.planning.value_order import NATURAL
from driftmap.pipeline.sources.protocol import KeyFacts
from driftmap.pipeline.sources.row_ranges import name_some, rows_to_runs

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.window_rule import WindowRule
    from driftmap.pipeline.sources.protocol import Source

    Keys = np.ndarray[Any, Any]
    Times = np.ndarray[tuple[int], np.dtype[Any]]


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
        cuts = cut_rows(source.n_rows, rule.rows, rule.row_stride or rule.rows)
    elif rule.window is not None:
        window = parse_duration(rule.window)
        stride = window if rule.stride is None else parse_duration(rule.stride)
        cuts = cut_times(keys[source.spec.time or ""], Spans(window, stride, rule.timezone), n_neighbors)
    else:
        cuts = cut_values(keys[rule.by or ""], source.window_names, rule)
    cuts, skipped = _leave_out_empty(cuts, rule)
    ids = None if source.spec.id is None else keys[source.spec.id]
    shared = count_shared_ids(cuts, ids, rule, reach) if ids is not None else count_shared_rows(cuts, rule)
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


def _plan_window(cuts: Cuts, index: int, n_shared: int) -> WindowPlan:
    n_rows = int(cuts.highs[index] - cuts.lows[index])
    if cuts.order is None:
        runs = np.array([[cuts.lows[index], cuts.highs[index]]], dtype=np.int64)
    else:
        runs = rows_to_runs(cuts.rows(index))
    start = None if cuts.starts is None else cuts.starts[index]
    end = None if cuts.ends is None else cuts.ends[index]
    return WindowPlan(index, cuts.labels[index], runs, n_rows, start, end, n_shared)


def _leave_out_empty(cuts: Cuts, rule: WindowRule) -> tuple[Cuts, list[str]]:
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


def _count_windows(names: list[str], one: str, many: str) -> str:
    return f"window {names[0]} {one}" if len(names) == 1 else f"{len(names)} windows ({name_some(names)}) {many}"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
