"""The edges of a window's graph in the order of the flat arrays, njit only, without temporary arrays of their size.

Dimensions: n rows of the window; e edges that are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact, exact_uncounted

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array, Int64Array


@exact
def count_edges(
    indptr: Int64Array,
    data: Float32Array,
    places: Int64Array,
    n_epochs: np.float32,
    strongest: np.float32,
    counts: Int64Array,
) -> None:
    """Count the edges of some rows that attract at least once in so many epochs.

    Parameters
    ----------
    indptr, data
        Of these rows.
    places
        Of each row among those that are wanted, in the shuffled order; below 0, or beyond them, for others.
    n_epochs, strongest
        Epochs, and the window's largest membership strength.
    counts
        (m,) of the rows that are wanted; 0 before.
    """
    for row in range(len(places)):
        if 0 <= places[row] < len(counts):
            for edge in range(indptr[row], indptr[row + 1]):
                counts[places[row]] += data[edge] * n_epochs >= strongest


@exact
def fill_edges(
    block: FuzzyGraph,
    order: tuple[Int64Array, Int64Array],
    offset: int,
    limits: tuple[np.float32, np.float32],
    ends: Int64Array,
    filled: tuple[Int32Array, Float32Array, Float32Array],
) -> None:
    """Fill the flat arrays of some rows, the edges of a row by their other end.

    Parameters
    ----------
    block
        These rows of the graph.
    order
        Of each row its place among those that are wanted, as in `count_edges`; (n,) of all rows of the window their
        index in the shuffled order.
    offset
        First row of the window in the block of windows.
    limits
        Epochs, and the window's largest membership strength, as in `count_edges`.
    ends
        (m + 1,) where the edges of the wanted rows begin.
    filled
        (e,) rows of the block of windows, and rates; (m,) sum of each row's rates.
    """
    indptr, indices, data = block
    here, places = order
    n_epochs, strongest = limits
    others, rates, row_rates = filled
    for row in range(len(here)):
        if here[row] < 0 or here[row] >= len(row_rates):
            continue
        first, total = ends[here[row]], 0.0
        last = first
        for edge in range(indptr[row], indptr[row + 1]):
            if data[edge] * n_epochs >= strongest:
                others[last] = offset + places[indices[edge]]
                rates[last] = data[edge] / strongest
                last += 1
        sort_edges(others[first:last], rates[first:last])
        for edge in range(first, last):
            total += np.float64(rates[edge])
        row_rates[here[row]] = total


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
