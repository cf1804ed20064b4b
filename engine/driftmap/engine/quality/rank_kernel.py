"""The kernel behind `quality.trustworthiness`; apart, so that the other figures compile nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from driftmap.engine.types import Int32Array


@exact
def sum_excess_ranks(distances: npt.NDArray[np.float64], first_row: int, near: Int32Array) -> int:
    """Sum `max(0, rank - k)` over the rows of a block.

    Parameters
    ----------
    distances
        (b, n) distances of the block's rows to all rows, up to a term of each row's own.
    first_row
        Number of the block's first row.
    near
        (n, k) rows whose ranks are wanted, of all rows.
    """
    k = near.shape[1]
    total = 0
    for b in range(len(distances)):
        row = first_row + b
        for j in near[row]:
            bar = distances[b, j]
            rank = 1  # the row itself is skipped, in both loops, by taking its vote back
            for other in range(j):
                rank += distances[b, other] <= bar
            for other in range(j + 1, distances.shape[1]):
                rank += distances[b, other] < bar
            if (row < j and distances[b, row] <= bar) or (row > j and distances[b, row] < bar):
                rank -= 1
            if rank > k:
                total += rank - k
    return total
