"""What a source's metadata say against its vectors, before any is read: missing values, and spreads far apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.sources.row_ranges import join_runs, name_some

if TYPE_CHECKING:
    from driftmap.pipeline.config.window_rule import WindowRule
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source

MAX_SPREAD_RATIO = 100
"""Columns whose spreads differ by more are pointed out: distances are then those of the widest ones."""

MAX_READ_RATIO = 2
"""What reading may pass over, in sizes of what is read, before it is pointed out."""
LEAST_READ_BYTES = 64 * 2**20
"""Less is read in no time."""


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


def check_reading(source: Source, windows: list[WindowPlan], rule: WindowRule) -> tuple[str, ...]:
    """Say how key columns are read where their types do not, and what reading takes where a format has no index."""
    column = source.spec.time if rule.window is not None else None
    note = None if column is None else source.describe_key(column).note
    lines = [] if note is None else [note]
    cost = source.count_bytes([window.runs for window in windows])
    if cost is None or cost.n_bytes < LEAST_READ_BYTES:
        return tuple(lines)
    own_bytes = cost.source_bytes * sum(window.n_rows for window in windows) / source.n_rows
    if cost.n_bytes > MAX_READ_RATIO * own_bytes:
        lines.append(
            f"the rows of a window lie far apart in {source.spec.path}: reading all windows passes over "
            f"{format_size(cost.n_bytes)}, {cost.n_bytes / own_bytes:,.1f} times what they have; sort the rows in the "
            "order of the windows, or write Parquet"
        )
    return tuple(lines)


def _count_used(windows: list[WindowPlan]) -> int:
    runs = join_runs([window.runs for window in windows])
    return int((runs[:, 1] - runs[:, 0]).sum())
