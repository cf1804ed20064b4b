"""Rows of a window put into another order in the flat arrays, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    from driftmap.engine.layout.kernels.arrays import BlockArrays
    from driftmap.engine.types import Float32Array, Int32Array, Int64Array


@exact
def reorder_rows(block: BlockArrays, start: int, order: Int64Array) -> None:
    """Put the first rows of the window that begins at `start` into an order, int64 (n,): old row of each new one.

    Every row keeps its edges and relations in the order that they had, so that its sums are the same.
    """
    n = len(order)
    rank = np.empty(n, np.int32)
    for k in range(n):
        rank[order[k]] = k
    places, row_rates = block.places[start : start + n].copy(), block.row_rates[start : start + n].copy()
    for k in range(n):
        block.places[start + k], block.row_rates[start + k] = places[order[k]], row_rates[order[k]]
    _reorder_lists(block.indptr, block.indices, block.rates, start, order)
    _rename(block.indices[block.indptr[start] : block.indptr[start + n]], start, rank)
    _reorder_lists(block.related_indptr, block.related, block.related_weights, start, order)
    _rename(block.related, start, rank)


@exact
def _reorder_lists(
    indptr: Int64Array, indices: Int32Array, values: Float32Array, start: int, order: Int64Array
) -> None:
    """Put the lists of some rows into an order."""
    n = len(order)
    bounds = indptr[start : start + n + 1].copy()
    first, last = bounds[0], bounds[n]
    old_indices, old_values = indices[first:last].copy(), values[first:last].copy()
    to = first
    for k in range(n):
        begin, end = bounds[order[k]] - first, bounds[order[k] + 1] - first
        for edge in range(begin, end):
            indices[to], values[to] = old_indices[edge], old_values[edge]
            to += 1
        indptr[start + k + 1] = to


@exact
def _rename(indices: Int32Array, start: int, rank: Int32Array) -> None:
    """Name the rows of a window by where they stand now."""
    for k in range(len(indices)):
        row = indices[k] - start
        if 0 <= row < len(rank):
            indices[k] = start + rank[row]
