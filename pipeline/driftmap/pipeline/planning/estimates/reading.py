"""Whether rows are read window by window, or sorted by window first: by what reading passes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.sources.row_ranges import join_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.sources import Source

MAX_READ_RATIO = 1.3
"""What reading window by window may pass over, in sizes of the windows' rows. Rows that are sorted first are read from
the source once, and once more where they were put."""

LEAST_EXCESS_BYTES = 8 * 2**20
"""Less that is passed over is read in no time."""

_DETAIL_BYTES = 64 * 2**20
"""Less reading than that needs no line of its own."""


class Reading(NamedTuple):
    """How the rows of all windows are read."""

    path: str
    n_bytes: int
    """What reading window by window passes over."""
    own_bytes: int
    """What the windows' rows have of the source."""
    staged_bytes: int
    """What their rows take where they are sorted by window."""
    n_rows: int
    """Of the source that are in windows; each once."""
    is_sorted: bool
    """Whether they are read once, sorted into the store, and read from there."""
    source_bytes: int = 0
    """Of the source."""
    opening_bytes: int = 0
    """What every process passes over that opens the source, as it does to read window by window."""
    planning_bytes: int = 0
    """What is passed over until the windows are known."""

    @property
    def ratio(self) -> float:
        """The amplification of reading window by window."""
        return self.n_bytes / max(1, self.own_bytes)

    @property
    def is_apart(self) -> bool:
        """Whether the rows of windows lie apart, so that much is passed over to read them window by window."""
        return is_far(self.n_bytes, self.own_bytes)

    @property
    def total_ratio(self) -> float:
        """What all of a run reads, in sizes of the source; at least, where several processes open it."""
        rows = self.source_bytes if self.is_sorted else self.n_bytes + self.opening_bytes
        return (self.planning_bytes + rows) / max(1, self.source_bytes)

    def describe(self) -> list[str]:
        """Say what is done, and what it costs; nothing where that does not matter."""
        passed = format_size(self.n_bytes)
        if self.is_sorted:
            if self.is_apart:
                why = (
                    f"parts of {self.path} that are read as a whole hold rows of several windows: reading window by "
                    f"window passes over {passed}, {self.ratio:,.1f} times what they have"
                )
            else:
                why = f"every process that reads windows of {self.path} passes over all of its text first"
            line = (
                f"{why}; so they are read once and sorted by window into the store, where they take "
                f"{format_size(self.staged_bytes)} until the graphs are built"
            )
        elif self.n_bytes >= _DETAIL_BYTES:
            line = f"reading window by window passes over {passed}, {self.ratio:,.1f} times what the windows have"
        else:
            return []
        if self.planning_bytes:
            line += f"; with what planning passes over, a run reads {self.total_ratio:,.1f} times the source"
        return [line]

    def to_json(self) -> dict[str, Any]:
        """Say it to programs."""
        return {**self._asdict(), "ratio": round(self.ratio, 3), "total_ratio": round(self.total_ratio, 3)}


def plan_reading(source: Source, windows: Sequence[Int64Array]) -> Reading | None:
    """Choose how the rows of windows are read; None where a source picks any rows at the same cost.

    Parameters
    ----------
    source
        Opened; no rows are read.
    windows
        The row ranges of each window.
    """
    cost = source.count_bytes(windows)
    if cost is None:
        return None
    n_rows = sum(int((runs[:, 1] - runs[:, 0]).sum()) for runs in windows)
    own_bytes = int(cost.source_bytes * n_rows / max(1, source.n_rows))
    read = source.estimate_read(1)
    # Blocks of unlike widths are refused window by window; rows of a source in memory are picked.
    pin = source.spec.pin
    can_sort = pin is not None and bool(source.spec.path) and (not pin.is_list or pin.dimension is not None)
    staged_bytes = n_rows * (4 * read.n_features + read.row_bytes)
    used = join_runs(windows)
    n_used = int((used[:, 1] - used[:, 0]).sum())
    is_sorted = can_sort and is_far(cost.n_bytes + cost.opening_bytes, own_bytes)
    return Reading(
        source.spec.path,
        cost.n_bytes,
        own_bytes,
        staged_bytes,
        n_used,
        is_sorted,
        cost.source_bytes,
        cost.opening_bytes,
        cost.planning_bytes,
    )


def is_far(n_bytes: int, own_bytes: int) -> bool:
    """Whether so much more is passed over than is wanted that it is worth to sort rows first."""
    return n_bytes > MAX_READ_RATIO * own_bytes and n_bytes - own_bytes > LEAST_EXCESS_BYTES
