"""What a source's metadata say against its vectors, before any is read: missing values, spreads far apart, rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine import (
    BOOLEAN_METRICS,
    estimate_rounding,
    explain_rounding,
    read_window_rows,
    refuse_sparse_metric,
)
from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.planning.value_order import NATURAL, has_two_orders
from driftmap.pipeline.sources.row_ranges import join_runs, name_some, rows_to_runs, runs_to_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.window_rule import WindowRule
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source

MAX_SPREAD_RATIO = 100
"""Columns whose spreads differ by more are pointed out: distances are then those of the widest ones."""

_FIRST_ROWS = 64
"""Of a window, that are read to see whether a metric can compare them."""

_MOST_ROWS = 10_000
"""Of a window that is read as a whole for it."""

_MOST_BYTES = 64 * 2**20
"""What each such reading may pass over: of text, all that comes before the rows."""


def check_columns(source: Source, windows: list[WindowPlan], scale: str = "none") -> tuple[str, ...]:
    """Look at the vectors' columns by the source's metadata.

    Parameters
    ----------
    source
        The source.
    windows
        Which of its rows are used.
    scale
        How vectors are scaled: of columns that are, spreads do not matter.

    Returns
    -------
    What a user should know, a line each.

    Raises
    ------
    SourceError
        When values are missing and every row is in some window: the run could not end.
    """
    facts = source.column_facts()
    lines = []
    if facts.nulls and source.spec.on_bad_rows == "refuse":
        n_nulls = sum(facts.nulls.values())
        counts = [f"{name!r}: {count:,}" for name, count in facts.nulls.items()]
        missing = f"{n_nulls:,} values of the vectors are missing (null), by column {name_some(counts)}"
        if _count_used(windows) == source.n_rows:
            raise SourceError(
                f"{missing}; fill them, drop these rows (on_bad_rows drop), or leave the columns out (exclude)"
            )
        lines.append(f"{missing}; windows with such a row will be refused")
    spreads = {name: spread for name, spread in facts.spreads.items() if spread > 0}
    if spreads and scale in ("none", "unit"):
        widest, narrowest = max(spreads, key=lambda n: spreads[n]), min(spreads, key=lambda n: spreads[n])
        if spreads[widest] > MAX_SPREAD_RATIO * spreads[narrowest]:
            lines.append(
                f"columns differ in spread: {widest} over {spreads[widest]:,.4g}, {narrowest} over "
                f"{spreads[narrowest]:,.4g}; with most metrics the wide ones decide alone: scale them (--scale "
                "standard), or leave some out (exclude)"
            )
    return tuple(lines)


def describe_rounding(source: Source, scale: str) -> str:
    """Say what float32 rounds away of the vectors, where the source knows their ranges and it may change maps.

    The engine warns of the same rows.
    """
    ranges = source.column_facts().ranges
    if ranges is None:
        return ""
    lost = estimate_rounding(*ranges, by_column=scale in ("standard", "robust"))
    if not lost:
        return ""
    largest = max(map(abs, (*ranges.lows, *ranges.highs)))
    return f"vectors hold {explain_rounding(largest, f'{min(lost, 1):.2g} of their spread or more')}"


def refuse_sparse_settings(source: Source, metric: object, scale: str) -> None:
    """Refuse settings that sparse rows cannot have.

    Raises
    ------
    ConfigError
        When columns are to be scaled about their centres, or the metric cannot compare sparse rows.
    """
    pin = source.spec.pin
    if pin is None or not pin.is_sparse:
        return
    if scale in ("standard", "robust"):
        raise ConfigError(
            f"scale is {scale!r}, which takes its centre from each column, and would fill the sparse rows of "
            f"{pin.names[0]}; give scale unit, or scale them before, such as with sklearn.preprocessing.MaxAbsScaler "
            "or StandardScaler(with_mean=False)"
        )
    try:
        refuse_sparse_metric(str(metric))
    except InvalidInputError as error:
        raise ConfigError(str(error)) from error


def refuse_unfit_metrics(source: Source, windows: list[WindowPlan], metric: object, target_metric: object) -> None:
    """Refuse metrics that cannot compare the vectors, or the values of the target.

    Raises
    ------
    ConfigError
        When columns are not as many as the metric compares, or the target of one that compares numbers has none.
    """
    pin, target = source.spec.pin, source.spec.target
    width = None if pin is None else pin.dimension if pin.is_list else len(pin.names)
    if metric == "haversine" and width not in (None, 2):
        raise ConfigError(
            f"metric is 'haversine', which compares latitude and longitude in radians, but the vectors have {width:,} "
            "numbers; name these two columns (vectors), or give another metric"
        )
    if target is None or target_metric == "categorical":
        return
    if target_metric == "haversine":
        raise ConfigError(
            "target_metric is 'haversine', which compares latitude and longitude in radians, but a target is one "
            "column; give another metric, such as euclidean"
        )
    first = int(windows[0].runs[0, 0])
    kind = source.read_rows(np.array([[first, first + 1]]), with_vectors=False).labels[target].dtype.kind
    if kind not in "fiub":
        raise ConfigError(
            f"target_metric is {target_metric!r}, which compares numbers, but the target column {target!r} has none; "
            "give target_metric categorical, or a column of numbers"
        )


def refuse_unfit_rows(source: Source, windows: Sequence[WindowPlan], metric: str) -> None:
    """Refuse rows that the metric makes nothing of: degrees, where it takes radians, or numbers that are never 0.

    For these metrics alone the first rows of some windows are read, and where they are at fault and that does not tell
    for all of a window, this window; not where that passes over much. The engine refuses the others as they come.

    Raises
    ------
    ConfigError
        Naming the window, its rows and what to give.
    """
    if metric not in {"haversine", *BOOLEAN_METRICS}:
        return
    for window in (windows[0], windows[len(windows) // 2], windows[-1]):
        first = rows_to_runs(runs_to_rows(window.runs)[:_FIRST_ROWS])
        flaw = _find_flaw(source, first, metric)
        if flaw and metric in BOOLEAN_METRICS:
            flaw = _find_flaw(source, window.runs, metric) if window.n_rows <= _MOST_ROWS else ""
        if flaw:
            raise ConfigError(f"window {window.label!r}: {flaw}")


def describe_times(source: Source, rule: WindowRule) -> tuple[str, ...]:
    """Say how times are read where their type does not."""
    column = source.spec.time if rule.window is not None else None
    note = None if column is None else source.describe_key(column).note
    return () if note is None else (note,)


def describe_order(rule: WindowRule, labels: Sequence[str]) -> list[str]:
    """Say how the dates that windows are made by, all of them, are read, where either number can be the month."""
    if rule.by is None or rule.order != NATURAL or not has_two_orders(labels):
        return []
    said = (
        f"windows by {rule.by!r}: dates such as {labels[0]} are read as month, day, year; if the day comes first, the "
        "windows are in the wrong order: give the right one (order), or write dates as 2024-12-31"
    )
    return [said]


def describe_lone_rows(set_op_mix_ratio: float) -> tuple[str, ...]:
    """Say that rows may have no edge, and so no position, where edges of one direction alone are dropped."""
    if set_op_mix_ratio > 0:
        return ()
    return (
        "set_op_mix_ratio is 0, which drops edges of one direction alone: rows without others get no position (NaN)",
    )


def _count_used(windows: list[WindowPlan]) -> int:
    runs = join_runs([window.runs for window in windows])
    return int((runs[:, 1] - runs[:, 0]).sum())


def _find_flaw(source: Source, runs: Int64Array, metric: str) -> str:
    cost = source.count_bytes([runs])
    if cost is not None and cost.n_bytes > _MOST_BYTES:
        return ""
    try:
        read_window_rows(source.read_rows(runs).vectors, metric)
    except InvalidInputError as error:
        return str(error)
    return ""
