"""Memory that building a window's graph takes at its peak, known before it is built.

Bounds from above of what was measured (tests/pipeline/test_estimates.py), at most twice as much.
Dimensions: n rows; d features; k neighbours, the row itself included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.engine.knn import BLAS_METRICS, BLOCK_BYTES, EXACT_FUNCTION_WORK, EXACT_WORK
from driftmap.engine.scaling import CENTRING_BYTES

if TYPE_CHECKING:
    from driftmap.engine.settings import GraphSettings

_FUZZY_BYTES = 46
"""Per row and neighbour: edges one way, the other way and mixed, the last with room for twice as many."""
_LIST_BYTES = 8
_ROW_BYTES = 40
"""Scales, norms and bounds of a row, in float64 and float32."""
_DESCENT_BYTES = 40
"""Per row and neighbour, of pynndescent: its graph, candidates old and new, and trees."""
_COMPILING_BYTES = 400 * 2**20
"""What pynndescent's compilation leaves in a process."""
_SLACK_SHARE, _SLACK_BYTES = 1.1, 8 * 2**20
"""What the allocators keep."""


def graph_bytes(n_rows: int, n_features: int, settings: GraphSettings) -> int:
    """Bound the memory that `build_window_graph` takes, the rows themselves (dense, float32) included."""
    rows = 4 * n_rows * n_features
    neighbours = n_rows * settings.n_neighbors
    is_blas = isinstance(settings.metric, str) and settings.metric in BLAS_METRICS
    width, work = (180.0, EXACT_WORK) if is_blas else (20.0, EXACT_FUNCTION_WORK)
    if n_rows * n_rows * (n_features + width) > work:
        search = rows + neighbours * _DESCENT_BYTES + _COMPILING_BYTES
    elif is_blas:
        # The rows about their middle; before the products, two float64 copies of one block of rows.
        copies = rows if settings.metric in ("euclidean", "l2") else 2 * rows
        products = max(min(BLOCK_BYTES, 4 * n_rows * n_rows), 4 * n_rows)
        search = copies + max(products, 2 * min(CENTRING_BYTES, 2 * rows)) + neighbours * _LIST_BYTES
    else:
        search = 4 * BLOCK_BYTES + 2 * rows + neighbours * _LIST_BYTES
    fuzzy = neighbours * (_FUZZY_BYTES + _LIST_BYTES)
    peak = rows + n_rows * _ROW_BYTES + max(search, fuzzy)
    return int(_SLACK_SHARE * peak) + _SLACK_BYTES
