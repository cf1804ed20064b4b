"""Memory that placing the rows of a window takes at its peak, known before it is done."""

from __future__ import annotations

from driftmap.engine.core.sizes import LARGE_ROWS

_EDGE_BYTES, _ROW_BYTES = 44, 300
_MERGED_EDGE_BYTES, _MERGED_ROW_BYTES = 9, 150
_KEPT_ROW_BYTES, _MOST_KEPT_BYTES = 300, 96 * 2**20
"""What the allocator keeps of arrays that are not large enough to be given back at once."""


_HELD_EDGE_BYTES, _SMOOTHED_ROW_BYTES = 8, 120


def far_start_bytes(n_rows: int, n_edges: int, read_bytes: int) -> int:
    """Bound the memory that `spectral_start` takes of a graph that is read some rows at a time.

    Parameters
    ----------
    n_rows, n_edges
        As for `start_bytes`.
    read_bytes
        What reading takes beside what is read.

    Returns
    -------
    int
        Bytes at the peak: while rows are merged, or, with the graph, while what came of that is smoothed.
    """
    held = n_rows * n_edges * _HELD_EDGE_BYTES
    if n_rows <= LARGE_ROWS:
        return held + max(read_bytes, start_bytes(n_rows, n_edges))
    return max(start_bytes(n_rows, n_edges), held + n_rows * _SMOOTHED_ROW_BYTES + read_bytes)


def start_bytes(n_rows: int, n_edges: int) -> int:
    """Bound the memory that `spectral_start` takes, the graph not counted.

    Parameters
    ----------
    n_rows
        Of the window.
    n_edges
        Stored edges of a row.

    Returns
    -------
    int
        Bytes at the peak. Measured: 1,310 a row of 15,000 with 20 edges; 355 a row of 400,000 with 19, 214 of 2,000,000
        (`python -m tests.benchmarks stages`).
    """
    if n_rows <= LARGE_ROWS:
        return n_rows * (n_edges * _EDGE_BYTES + _ROW_BYTES)
    kept = min(n_rows * _KEPT_ROW_BYTES, _MOST_KEPT_BYTES)
    return n_rows * (n_edges * _MERGED_EDGE_BYTES + _MERGED_ROW_BYTES) + kept
