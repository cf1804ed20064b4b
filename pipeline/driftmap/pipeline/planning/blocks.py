"""Windows -> blocks: which windows are laid out together (pure)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine import MERGED_ROWS, cluster_bytes, far_start_bytes, start_bytes
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.executors.machine import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CORE_WINDOWS = 64
"""Longest core that is chosen: longer ones win nothing, and a kill loses the work of one block."""

BESIDE_ROWS = 2_000
"""Rows of a window above which a block's clusters are found beside its layout, where it may use several threads: with
windows of 50,000, 5,000 and 2,500 rows runs on two cores take .85, .87 and .92 of the time; with 1,000 rows and fewer
both threads wait for each other as often as not."""

EXCHANGE_CORE_WINDOWS = 4, 8
"""Shortest and longest core that is chosen for blocks in parallel: each worker should have some, and what rounds cost
in quality was measured with cores of four."""

# What one stored edge and one row cost while a block is laid out: an edge's column and weight in its graph and in the
# flat arrays; a row's positions (now, at the epoch's start, in random order), its id and its places; a related row of
# another window while the relations are put into order. Measured: tests/pipeline/planning/estimates/test_memory.py.
_EDGE_BYTES = 16
_ROW_BYTES = 64
_RELATION_BYTES = 48
_PART_ROW_BYTES = 72
"""Of every row of a block, in each of several parts: where it lies, its places, where its edges begin, its partners."""
_CLUSTERED_ROW_BYTES = 40
"""Of every row of a block, while clusters of one window follow those of another: its id, its clusters, its partner."""
_MERGED_ROW_BYTES = 60
"""Of a row that is merged with others, while edges are read: its group, its sum, where its edges go."""
_READ_BYTES = 4 * 64 * 2**20
"""What reading a graph some rows at a time takes: chunks of its two arrays, one of them as it is unpacked."""
_EDGES_PER_NEIGHBOUR = 2
"""A symmetric graph of k neighbours, the row itself included, has at most 2 (k - 1) n edges."""


class Block(NamedTuple):
    """Windows that are optimised together, by their numbers in the run."""

    halo: range
    """Final windows just before the core: read by the alignment, not moved."""
    core: range
    """Windows that are final once the block is laid out."""
    lookahead: range
    """Windows after the core: optimised with it, provisional, and optimised again by the next block."""
    later_halo: range = range(0)
    """Windows just after the core of a block that is laid out beside others: read, not moved."""

    @property
    def windows(self) -> range:
        """All windows of the block, in order."""
        return range(self.halo.start, max(self.lookahead.stop, self.later_halo.stop))


def plan_blocks(n_windows: int, block_windows: int, lookahead: int, reach: int) -> list[Block]:
    """Cut a run into blocks; their cores partition the windows that may become final.

    Parameters
    ----------
    n_windows
        Windows of the run.
    block_windows
        Windows in a core, at least 1.
    lookahead
        Windows after a core that are optimised with it, at least 0.
    reach
        The alignment reach: how many final windows before a core are read, at least 0.

    Returns
    -------
    Blocks in the order in which they are laid out.
    """
    _check_least(n_windows=(n_windows, 0), block_windows=(block_windows, 1), lookahead=(lookahead, 0), reach=(reach, 0))
    # Where the rest fits into one block, its core reaches the end: a last block of its own would see no new window.
    starts = range(0, max(1, n_windows - lookahead), block_windows) if n_windows else range(0)
    return [
        Block(range(max(0, start - reach), start), range(start, stop), range(stop, min(n_windows, stop + lookahead)))
        for start, stop in pairwise([*starts, n_windows])
    ]


def plan_exchange_blocks(n_windows: int, block_windows: int, reach: int) -> list[Block]:
    """Cut a run into blocks that are laid out in parallel; their cores partition the windows, in even lengths.

    Parameters
    ----------
    n_windows
        Windows of the run.
    block_windows
        Windows in a core at most, at least 1.
    reach
        The alignment reach: how many windows on either side of a core are read, at least 0.
    """
    _check_least(n_windows=(n_windows, 0), block_windows=(block_windows, 1), reach=(reach, 0))
    n_blocks = -(-n_windows // block_windows)
    bounds = [number * n_windows // max(1, n_blocks) for number in range(n_blocks + 1)]
    return [
        Block(
            halo=range(max(0, start - reach), start),
            core=range(start, stop),
            lookahead=range(stop, stop),
            later_halo=range(stop, min(n_windows, stop + reach)),
        )
        for start, stop in pairwise(bounds)
    ]


def choose_exchange_core(n_windows: int) -> int:
    """Choose the longest core of blocks in parallel: that of eight blocks or more, where there are windows for them."""
    least, most = EXCHANGE_CORE_WINDOWS
    return max(least, min(most, n_windows // 8))


def is_final(index: int, n_windows: int, lookahead: int) -> bool:
    """Whether a window of a laid out core never moves again: whether all windows of its lookahead are there.

    The last `lookahead` windows of a run stay provisional, so that windows that arrive later may still move them.
    """
    return index < n_windows - lookahead


def choose_block_windows(
    window_rows: Sequence[int],
    memory_limit_bytes: int,
    *,
    n_neighbors: int,
    n_components: int,
    lookahead: int,
    reach: int,
    at_most: int = MAX_CORE_WINDOWS,
    n_parts: int = 1,
) -> int:
    """Choose how many windows a core holds, so that every block stays within a memory limit.

    Parameters
    ----------
    window_rows
        Rows of every window of the run.
    memory_limit_bytes
        What one block may take.
    n_neighbors, n_components
        Neighbours of a row; components of the maps.
    lookahead, reach
        As in `plan_blocks`; of blocks in parallel, `reach` windows are read after a core too.
    at_most
        Longest core that is chosen.
    n_parts
        Workers that share a block's rows: what one of them takes is to stay within the limit.

    Returns
    -------
    The largest number of windows that fits, at most `at_most` and at most the windows of the run.

    Raises
    ------
    PlanError
        When a core of a single window does not fit.
    """
    totals = np.concatenate([[0], np.cumsum(np.asarray(window_rows, dtype=np.int64))])
    largest, need = max(window_rows, default=0), 0
    for n_core in range(max(1, min(at_most, len(window_rows))), 0, -1):
        n_windows = min(len(window_rows), reach + n_core + lookahead)
        n_rows = int((totals[n_windows:] - totals[: len(totals) - n_windows]).max(initial=0))
        shape = {"n_neighbors": n_neighbors, "n_components": n_components, "reach": reach, "n_parts": n_parts}
        need = block_bytes(n_rows, largest, n_windows, **shape)
        if need <= memory_limit_bytes:
            return n_core
    raise PlanError(
        f"memory_limit is {format_size(memory_limit_bytes)}, but the largest block of one window with its {reach} "
        f"windows before and {lookahead} after takes {format_size(need)}; raise memory_limit (bytes, or text such as "
        "'2GB'), make windows smaller, or lower lookahead or alignment_window_size"
    )


def block_bytes(
    n_rows: int,
    largest: int,
    n_windows: int,
    *,
    n_neighbors: int,
    n_components: int,
    reach: int,
    id_bytes: int = 0,
    n_parts: int = 1,
) -> int:
    """Bound what a block takes at its peak: while a window is started, and while its clusters or turnover are found.

    Parameters
    ----------
    n_rows, largest, n_windows
        Rows of the block, and of the largest window; windows of the block.
    n_neighbors, n_components, reach
        Neighbours of a row; components of the maps; the alignment reach.
    id_bytes
        What the ids of a row take beyond eight bytes.
    n_parts
        Workers that share the rows of every window; then what one of them takes.

    Returns
    -------
    int
        Bytes.
    """
    edges = _EDGES_PER_NEIGHBOUR * (n_neighbors - 1)
    related = _RELATION_BYTES * max(0, min(2 * reach, n_windows - 1))
    # Turnover reads the nearest rows of two windows, of one with their distances.
    found = max(cluster_bytes(largest, n_neighbors), largest * (12 * n_neighbors + 24))
    if n_parts > 1:
        graph = largest * edges * 8
        read = min(graph, _READ_BYTES)
        opened = n_rows * (_ROW_BYTES + id_bytes)  # ids are gone once it is known which rows are related
        beside = n_rows * (_PART_ROW_BYTES + 3 * 4 * n_components)
        own = n_rows * (edges * 8 + related) // n_parts
        # While pulls are weighed, the columns of one graph are held and another is read, as edges are taken from it.
        made = beside + max(graph // 2 + n_rows * related // n_parts, own)
        # Clusters of a large window are found of its merged rows, which are read; of others the graph is held.
        read_for_clusters = graph + largest * _MERGED_ROW_BYTES + read
        followed = n_rows * (_CLUSTERED_ROW_BYTES + id_bytes) + max(found, read_for_clusters)
        if largest <= MERGED_ROWS:
            followed += graph
        return max(opened, made + read, far_start_bytes(largest, edges, read), followed)
    laid_out = n_rows * (edges * _EDGE_BYTES + _ROW_BYTES + 3 * 4 * n_components + related + id_bytes)
    started = laid_out + start_bytes(largest, edges)
    if largest > BESIDE_ROWS:
        return started + found
    return max(started, n_rows * (edges * 8 + _ROW_BYTES + id_bytes) + found)  # found before the block is set up


def _check_least(**given: tuple[int, int]) -> None:
    for name, (value, least) in given.items():
        if value < least:
            raise PlanError(f"{name} is {value}; it must be at least {least}")
