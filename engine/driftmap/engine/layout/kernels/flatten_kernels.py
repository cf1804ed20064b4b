"""The edges of a window's graph in the order of the flat arrays, njit only, without temporary arrays of their size.

Dimensions: n rows of the window; e edges that are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact, exact_uncounted

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array, Int64Array


@exact
def count_edges(
    indptr: Int64Array, data: Float32Array, rows: Int64Array, n_epochs: np.float32, strongest: np.float32
) -> Int64Array:
    """Count the edges of each row in the shuffled order, (n,), that attract at least once in so many epochs."""
    counts = np.zeros(len(rows), np.int64)
    for place in range(len(rows)):
        for edge in range(indptr[rows[place]], indptr[rows[place] + 1]):
            counts[place] += data[edge] * n_epochs >= strongest
    return counts


@exact
def fill_edges(
    graph: tuple[Int64Array, Int32Array, Float32Array],
    order: tuple[Int64Array, Int64Array],
    offset: int,
    limits: tuple[np.float32, np.float32],
    edges: tuple[Int32Array, Float32Array],
    row_rates: Float32Array,
) -> None:
    """Fill a window's part of the flat arrays, the edges of a row by their other end.

    Parameters
    ----------
    graph
        Of the window: indptr, indices, data.
    order
        (n,) row at each index of the shuffled order, and the index of each row.
    offset
        First row of the window in the block.
    limits
        Epochs, and the window's largest membership strength, as in `count_edges`.
    edges
        (e,) rows of the block, and rates.
    row_rates
        (n,) sum of each row's rates.
    """
    indptr, indices, data = graph
    rows, places = order
    n_epochs, strongest = limits
    others, rates = edges
    last = 0
    for place in range(len(rows)):
        first, row, total = last, rows[place], 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            if data[edge] * n_epochs >= strongest:
                others[last] = offset + places[indices[edge]]
                rates[last] = data[edge] / strongest
                last += 1
        sort_edges(others[first:last], rates[first:last])
        for edge in range(first, last):
            total += rates[edge]
        row_rates[place] = total


@exact_uncounted
def sort_edges(others: Int32Array, rates: Float32Array) -> None:
    """Sort a row's edges by their other end, in place: Shell's method (1959), for rows of few edges."""
    n, gap = len(others), 1
    while 3 * gap + 1 < n:
        gap = 3 * gap + 1
    while gap > 0:
        for k in range(gap, n):
            other, rate, free = others[k], rates[k], k
            while free >= gap and others[free - gap] > other:
                others[free], rates[free] = others[free - gap], rates[free - gap]
                free -= gap
            others[free], rates[free] = other, rate
        gap //= 3
