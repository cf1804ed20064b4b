"""Row numbers of a source, and the runs of consecutive ones that stand for them: int64 (r, 2), [start, stop)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array

N_NAMED = 5
"""How many of several things a message lists."""


def rows_to_runs(rows: Int64Array) -> Int64Array:
    """Join ascending row numbers, each there once, into runs."""
    if len(rows) == 0:
        return np.empty((0, 2), dtype=np.int64)
    breaks = np.flatnonzero(np.diff(rows) != 1)
    starts = rows[np.concatenate([[0], breaks + 1])]
    stops = rows[np.concatenate([breaks, [len(rows) - 1]])] + 1
    return np.column_stack([starts, stops])


def runs_to_rows(runs: Int64Array) -> Int64Array:
    """List the row numbers of runs, in their order."""
    lengths = runs[:, 1] - runs[:, 0]
    ends = np.cumsum(lengths)
    # Counting through all runs, each starts so much later than the rows counted before it.
    rows: Int64Array = np.arange(lengths.sum(), dtype=np.int64) + np.repeat(runs[:, 0] - (ends - lengths), lengths)
    return rows


def join_runs(several: Sequence[Int64Array]) -> Int64Array:
    """Join runs that may overlap into ascending ones that are apart, with the same rows."""
    runs = np.concatenate([np.empty((0, 2), dtype=np.int64), *several])
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    ends = np.maximum.accumulate(runs[:, 1])
    firsts = np.flatnonzero(np.concatenate([[True], runs[1:, 0] > ends[:-1]])[: len(runs)])
    lasts = np.concatenate([firsts[1:], [len(runs)]])[: len(firsts)] - 1
    return np.column_stack([runs[firsts, 0], ends[lasts]])


def split_runs(runs: Int64Array, n_rows: int) -> list[Int64Array]:
    """Split ascending runs into several lists of them, of so many rows each but the last."""
    ends = np.cumsum(runs[:, 1] - runs[:, 0])
    starts = ends - (runs[:, 1] - runs[:, 0])
    total, parts = int(ends[-1]) if len(runs) else 0, []
    for begin in range(0, total, n_rows):
        end = min(begin + n_rows, total)
        first, last = int(np.searchsorted(ends, begin, side="right")), int(np.searchsorted(ends, end))
        part = runs[first : last + 1].copy()
        part[0, 0] += begin - starts[first]
        part[-1, 1] -= ends[last] - end
        parts.append(part)
    return parts


def clip_runs(runs: Int64Array, first: int, last: int) -> Int64Array:
    """Give what ascending runs have of the rows [first, last)."""
    begin, end = np.searchsorted(runs[:, 1], first, side="right"), np.searchsorted(runs[:, 0], last, side="left")
    return np.clip(runs[begin:end], first, last)


def refuse_outside(rows: Int64Array, n_rows: int, path: str) -> None:
    """Refuse to read rows that a source does not have.

    Raises
    ------
    SourceError
        When the source has fewer rows than were planned with.
    """
    if len(rows) == 0 or rows[0] < 0 or rows[-1] >= n_rows:
        what = f"rows {rows[0]} to {rows[-1]}" if len(rows) else "no rows"
        raise SourceError(f"{what} of {path or 'the source'} were asked for, which has {n_rows:,}; plan again")


def name_some(things: list[str]) -> str:
    """List the first few of several things: `a, b` or `a, b, c, d, e and 9 more`."""
    more = f" and {len(things) - N_NAMED:,} more" if len(things) > N_NAMED else ""
    return ", ".join(things[:N_NAMED]) + more


def name_rows(rows: Int64Array) -> str:
    """Name the first few of several rows: `row 3` or `rows 3, 9`."""
    more = f" and {len(rows) - N_NAMED:,} more" if len(rows) > N_NAMED else ""
    return ("row " if len(rows) == 1 else "rows ") + ", ".join(str(row) for row in rows[:N_NAMED].tolist()) + more
