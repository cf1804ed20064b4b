"""How far rows are from others that are named, njit only.

Dimensions: b rows of a block; d features; p others of each row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.jit import exact_uncounted, reordered_uncounted
from driftmap.engine.neighbours.kernels.topk_sparse_kernels import measure_sparse_distance

if TYPE_CHECKING:
    from driftmap.engine.neighbours.kernels.topk_sparse_kernels import Compressed
    from driftmap.engine.types import Float32Array, Int32Array

Scaled = tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]
"""(b, d) rows, and a factor for each, as `normalise.scale_rows` gives them."""


@reordered_uncounted
def measure_drawn(rows: Scaled, others: Scaled, first: int, drawn: Int32Array, apart: Float32Array) -> None:
    """Measure rows against those of their drawn ones that are in a block of others.

    Parameters
    ----------
    rows, others
        Of two blocks, or of one twice.
    first
        Number of the first one of the others.
    drawn
        (b, p) numbers of rows.
    apart
        (b, p) set to distances, where the other row is in the block.
    """
    here, scales = rows
    there, other_scales = others
    for row in range(len(drawn)):
        one, by_one = here[row], scales[row]
        for k in range(drawn.shape[1]):
            place = drawn[row, k] - first
            if place < 0 or place >= len(there):
                continue
            two, by_two = there[place], other_scales[place]
            total = 0.0
            for f in range(len(one)):
                difference = one[f] * by_one - two[f] * by_two
                total += difference * difference
            apart[row, k] = np.sqrt(total)  # as of sparse rows: they choose alike


@exact_uncounted
def measure_drawn_sparse(rows: Compressed, drawn: Int32Array, apart: Float32Array) -> None:
    """Do as `measure_drawn`, for the sparse rows of a whole window."""
    for row in range(len(drawn)):
        for k in range(drawn.shape[1]):
            apart[row, k] = measure_sparse_distance(rows, 0.0, row, drawn[row, k])
