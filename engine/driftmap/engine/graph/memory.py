"""Memory that building a window's graph takes at its peak, known before it is built.

Bounds from above of what was measured (tests/pipeline/planning/estimates/test_memory.py), at most twice as much.
Dimensions: n rows; d features; k neighbours, the row itself included.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from driftmap.engine.neighbours.blocked import can_search_blocks, working_bytes
from driftmap.engine.neighbours.partitions.parts import part_block_bytes
from driftmap.engine.neighbours.partitions.projection import MIN_FEATURES
from driftmap.engine.neighbours.scaling.normalise import CENTRING_BYTES
from driftmap.engine.neighbours.search import (
    BLOCK_BYTES,
    EXACT_FUNCTION_WORK,
    EXACT_SPARSE_WORK,
    EXACT_WORK,
    EXHAUSTIVE_WORK,
)
from driftmap.engine.neighbours.sparse import SPARSE_METRICS
from driftmap.engine.settings import BLAS_METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.engine.settings import GraphSettings, TargetSettings

_FUZZY_BYTES = 24
"""Per row and neighbour: edges in, and mixed, which are at most as many as those in and out."""
_LIST_BYTES = 8
_LABEL_BYTES = 64
"""Per row and neighbour, while edges are drawn to labels: the graph, strengths of another, its edges in, and mixed."""
_UNION_BYTES = 125
"""Per edge of a row's neighbours and of its target's, while graphs with other edges are intersected."""
_ROW_BYTES = 40
"""Scales, bounds and part of a row, and what a thread notes of it."""
_ORDERED_BYTES = 16
"""Scales and bounds once more, in the order of parts."""
_DESCENT_BYTES = 40
"""Per row and neighbour: pynndescent's graph, candidates and trees."""
_ROUND_BYTES = 15
"""Per row and neighbour, the row itself not counted: lists old, new and reverse, with a flag each."""
_PARTS_BYTES = 24 * 2**20
"""What the first search in parts leaves in a process: kernels, and scipy's sparse matrices."""
_WIDE_COLUMNS = 2 * 256
"""Of wide rows: what they are on their main axes, 192 at most, twice, and the products of the sample with all."""
_COMPILING_BYTES = 400 * 2**20
"""What pynndescent's compilation leaves in a process."""
_SLACK_SHARE, _SLACK_BYTES = 1.1, 8 * 2**20
"""What the allocators keep."""

_STORED_BYTES = 8
"""Of a number of a sparse row: itself, and its feature."""
_SPARSE_COPIES = 7
"""Of sparse rows while they are searched: as given, checked, in float64 (one and a half each) as they are and with
rows and features exchanged, and features once more for each."""

LEAST_BLOCK_ROWS = 1_000
"""Smaller blocks are not chosen: a window of 100,000 rows would be read a hundred times."""


def graph_bytes(n_rows: int, n_features: int, settings: GraphSettings) -> int:
    """Bound the memory that `build_knn_graph` takes, the rows themselves (dense, float32) included.

    Parameters
    ----------
    n_rows, n_features
        Shape of the window.
    settings
        Of its graph.

    Returns
    -------
    int
        Bytes at the peak, the rows included.
    """
    rows = 4 * n_rows * n_features
    is_blas = isinstance(settings.metric, str) and settings.metric in BLAS_METRICS
    search = (_product_search_bytes if is_blas else _other_search_bytes)(n_rows, n_features, settings)
    return _add_slack(n_rows * _ROW_BYTES + rows + search)


def fuzzy_graph_bytes(n_rows: int, settings: GraphSettings) -> int:
    """Bound the memory that `build_window_graph` takes where the kNN graph is known, that included and rows not.

    Parameters
    ----------
    n_rows, settings
        As for `graph_bytes`.

    Returns
    -------
    int
        Bytes at the peak.
    """
    return _add_slack(n_rows * (_ROW_BYTES + settings.n_neighbors * (_FUZZY_BYTES + _LIST_BYTES)))


def _add_slack(n_bytes: float) -> int:
    return int(_SLACK_SHARE * n_bytes) + _SLACK_BYTES


def sparse_graph_bytes(n_rows: int, n_stored: int, n_features: int, settings: GraphSettings) -> int:
    """Bound the memory that `build_knn_graph` takes for sparse rows, the rows themselves included.

    Parameters
    ----------
    n_rows, n_features
        Shape of the window.
    n_stored
        Numbers that are stored in it.
    settings
        Of its graph.

    Returns
    -------
    int
        Bytes at the peak, the rows included.
    """
    rows = _STORED_BYTES * n_stored
    neighbours = n_rows * settings.n_neighbors
    descent = neighbours * _DESCENT_BYTES + _COMPILING_BYTES
    if isinstance(settings.metric, str) and BLAS_METRICS.get(settings.metric, settings.metric) in SPARSE_METRICS:
        search = (_SPARSE_COPIES - 1) * rows + 16 * n_features + neighbours * _LIST_BYTES
        # As much work at most as if every feature that is stored at all were in all rows.
        is_exact = (n_stored + n_rows) * n_rows <= EXACT_SPARSE_WORK
        search += 0 if is_exact else descent
    elif n_rows * n_rows * (n_stored / max(1, n_rows) + 20.0) > EXACT_FUNCTION_WORK:
        search = rows + descent
    else:
        search = 4 * BLOCK_BYTES + 2 * rows + _COMPILING_BYTES
    return _add_slack(rows + n_rows * _ROW_BYTES + search)


def _product_search_bytes(n_rows: int, n_features: int, settings: GraphSettings) -> int:
    """Bound the search by a metric that inner products give, with what follows where the first finds too little."""
    rows, neighbours = 4 * n_rows * n_features, n_rows * settings.n_neighbors
    work = n_rows * n_rows * (n_features + 180.0)
    # The rows about their middle; before the products, two float64 copies of one block of rows.
    copies = rows if settings.metric in ("euclidean", "l2") else 2 * rows
    products = max(min(BLOCK_BYTES, 4 * n_rows * n_rows), 4 * n_rows)
    exact = copies + max(products, 2 * min(CENTRING_BYTES, 2 * rows)) + neighbours * _LIST_BYTES
    if settings.knn_recall == 1.0 or work <= EXACT_WORK:
        return exact
    blocks = 4 * part_block_bytes(n_rows, n_features)
    copy = max(rows, 4 * n_rows * _WIDE_COLUMNS) if n_features >= MIN_FEATURES else rows
    scaled = 0 if settings.metric in ("euclidean", "l2") else rows
    found = neighbours * _LIST_BYTES + n_rows * _ORDERED_BYTES + blocks
    in_parts = _PARTS_BYTES + scaled + copy + max(found, (neighbours - n_rows) * _ROUND_BYTES)
    return max(exact, in_parts) if work <= EXHAUSTIVE_WORK else in_parts


def _other_search_bytes(n_rows: int, n_features: int, settings: GraphSettings) -> int:
    """Bound the search by any other metric."""
    rows, neighbours = 4 * n_rows * n_features, n_rows * settings.n_neighbors
    if n_rows * n_rows * (n_features + 20.0) > EXACT_FUNCTION_WORK:
        return rows + neighbours * _DESCENT_BYTES + _COMPILING_BYTES
    return 4 * BLOCK_BYTES + 2 * rows + neighbours * _LIST_BYTES


def target_bytes(n_rows: int, settings: GraphSettings, target: TargetSettings | None) -> int:
    """Bound what `supervise_graph` takes at its peak, the graph of the rows included.

    Parameters
    ----------
    n_rows
        Rows of the window.
    settings
        Of its graph.
    target
        Of its target, if any.

    Returns
    -------
    int
        Bytes at the peak; 0 without a target.
    """
    if target is None:
        return 0
    if target.metric == "categorical":
        return _add_slack(n_rows * (_ROW_BYTES + settings.n_neighbors * (_LABEL_BYTES + _LIST_BYTES)))
    wanted = settings.n_neighbors if target.n_neighbors == -1 else target.n_neighbors
    edges = n_rows * (settings.n_neighbors + min(wanted, n_rows))
    return _add_slack(edges * _UNION_BYTES)


def blocked_graph_bytes(
    n_rows: int,
    n_features: int,
    settings: GraphSettings,
    block_rows: int,
    read_bytes: Callable[[int], int] | None = None,
) -> int:
    """Bound the memory that `build_window_graph_from_blocks` takes.

    Parameters
    ----------
    n_rows, n_features, settings
        Of the window.
    block_rows
        Rows of a block.
    read_bytes
        What reading so many rows takes, they themselves included; when left out, what they take in float32.

    Returns
    -------
    int
        Bytes at the peak.
    """
    block_rows = min(block_rows, n_rows)
    n_kept = n_rows if block_rows == n_rows else 2 * block_rows
    reading = 4 * n_features * block_rows if read_bytes is None else read_bytes(block_rows)
    neighbours = n_rows * settings.n_neighbors
    buffer = n_kept * (4 * (n_features + 1) + _ROW_BYTES) + block_rows * settings.n_neighbors * _LIST_BYTES
    search = neighbours * _LIST_BYTES + buffer + max(reading, working_bytes(n_features))
    return max(_add_slack(search), fuzzy_graph_bytes(n_rows, settings))


def choose_block_rows(
    n_rows: int,
    n_features: int,
    settings: GraphSettings,
    max_bytes: int,
    read_bytes: Callable[[int], int] | None = None,
) -> int | None:
    """Choose the largest blocks with which a window's graph is built within so many bytes.

    Parameters
    ----------
    n_rows, n_features, settings, read_bytes
        As for `blocked_graph_bytes`.
    max_bytes
        What the work may take.

    Returns
    -------
    int | None
        Rows of a block, of which all but the last are equally large; None where not even `LEAST_BLOCK_ROWS` fit, or
        the metric cannot be searched in blocks.
    """

    def fits(n_blocks: int) -> bool:
        block_rows = math.ceil(n_rows / n_blocks)
        return blocked_graph_bytes(n_rows, n_features, settings, block_rows, read_bytes) <= max_bytes

    least, most = 1, max(1, n_rows // LEAST_BLOCK_ROWS)
    if not can_search_blocks(settings) or not fits(most):
        return None
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if fits(middle) else (middle + 1, most)
    return math.ceil(n_rows / least)
