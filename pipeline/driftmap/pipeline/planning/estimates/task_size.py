"""What the graph task of a window takes, and how many rows it reads at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from driftmap.engine import (
    blocked_graph_bytes,
    choose_block_rows,
    fuzzy_graph_bytes,
    graph_bytes,
    sparse_graph_bytes,
    target_bytes,
)
from driftmap.pipeline.sources.rows.pieces import estimate_merged

if TYPE_CHECKING:
    from driftmap.engine.settings import GraphSettings, TargetSettings
    from driftmap.pipeline.sources.protocol import ReadEstimate

_LEFT_SHARE = 0.05
"""What reading a whole window may leave with the process while neighbours are searched, though what is free is given
back to the system before (tests/pipeline/planning/estimates/test_memory.py)."""
_ORDER_BYTES = 32
"""Per row of a window that is read in blocks: its number in the source, and its place in the order of ids."""

_WORDS = 4
"""Memory that finding words takes, over that of texts: at most (tests/pipeline/planning/estimates/test_memory.py)."""


class TaskSize(NamedTuple):
    """What a graph task takes, and how it reads its window."""

    n_bytes: int
    """At its peak, its process not counted."""
    block_rows: int | None
    """Rows that it reads at a time, from which the search keeps two such blocks; None: the whole window."""


class Readable(Protocol):
    """What says how much reading some of its rows takes: a source, or a window of one."""

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading so many rows takes; no rows are read."""


class WindowReads(NamedTuple):
    """Reading a window of a run, some of whose rows may be the means of several."""

    source: Readable
    n_rows: int
    n_read: int

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading so many of its rows takes; no rows are read."""
        return estimate_merged(self.source.estimate_read, n_rows, self.n_rows, self.n_read)


def size_task(
    source: Readable,
    n_rows: int,
    settings: GraphSettings,
    max_bytes: int | None = None,
    target: TargetSettings | None = None,
) -> TaskSize:
    """Estimate what the graph of a window takes, read in blocks where it does not fit as a whole and does so.

    Parameters
    ----------
    source
        Where the rows are; none are read.
    n_rows
        Rows of the window.
    settings
        Of its graph.
    max_bytes
        What the task may take; None: anything.
    target
        How a target changes the graph; None: there is none.

    Returns
    -------
    In blocks only where that fits; otherwise what the whole window takes.
    """
    read = source.estimate_read(n_rows)
    beside = n_rows * 2 * read.row_bytes
    words = n_rows * (read.row_bytes + _WORDS * read.text_bytes)
    fuzzy = max(fuzzy_graph_bytes(n_rows, settings), target_bytes(n_rows, settings, target))
    drawn = max(fuzzy + beside, words)
    left = int(_LEFT_SHARE * read.peak_bytes) + read.left_bytes
    if read.n_stored is not None:  # sparse rows are searched as a whole
        search = sparse_graph_bytes(n_rows, read.n_stored, read.n_features, settings)
        return TaskSize(max(read.peak_bytes, search + beside + left, drawn), None)
    search = graph_bytes(n_rows, read.n_features, settings) + beside + left
    whole = max(read.peak_bytes, search, drawn, read.count_vector_bytes(n_rows) + words)
    if max_bytes is None or whole <= max_bytes:
        return TaskSize(whole, None)

    def read_bytes(block_rows: int) -> int:
        return source.estimate_read(block_rows).peak_bytes

    beside += n_rows * _ORDER_BYTES
    block_rows = choose_block_rows(n_rows, read.n_features, settings, max_bytes - beside, read_bytes)
    if block_rows is None:
        return TaskSize(whole, None)
    in_blocks = blocked_graph_bytes(n_rows, read.n_features, settings, block_rows, read_bytes)
    return TaskSize(max(in_blocks + beside, drawn), block_rows)
