"""Whether rows are read window by window, or sorted by window first: by what reading passes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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

    @property
    def ratio(self) -> float:
        """The amplification of reading window by window."""
        return self.n_bytes / max(1, self.own_bytes)

    def describe(self) -> list[str]:
        """Say what is done, and what it costs; nothing where that does not matter."""
        passed = format_size(self.n_bytes)
        if self.is_sorted:
            line = (
                f"parts of {self.path} that are read as a whole hold rows of several windows: reading window by window "
                f"passes over {passed}, {self.ratio:,.1f} times what they have; so they are read once and sorted by "
                f"window into the store, where they take {format_size(self.staged_bytes)} until the graphs are built"
            )
        elif self.n_bytes >= _DETAIL_BYTES:
            line = f"reading window by window passes over {passed}, {self.ratio:,.1f} times what the windows have"
        else:
            return []
        return [line]


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
    is_far = cost.n_bytes > MAX_READ_RATIO * own_bytes and cost.n_bytes - own_bytes > LEAST_EXCESS_BYTES
    # Blocks of unlike widths are refused window by window; rows of a source in memory are picked.
    pin = source.spec.pin
    can_sort = pin is not None and bool(source.spec.path) and (not pin.is_list or pin.dimension is not None)
    staged_bytes = n_rows * (4 * read.n_features + read.row_bytes)
    used = join_runs(windows)
    n_used = int((used[:, 1] - used[:, 0]).sum())
    return Reading(source.spec.path, cost.n_bytes, own_bytes, staged_bytes, n_used, is_far and can_sort)
