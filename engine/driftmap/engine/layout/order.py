"""The order of a large window's rows: by where they lie, so that rows which are read together are near in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int64Array

ORDERED_ROWS = 30_000
"""Fewest rows of a window that are ordered; fewer lie in the processor's cache in any order.

An epoch of two related windows of 100,000 rows takes 191 CPU ns a row shuffled and 150 ordered, of 1,000,000 rows 398
and 153 (one thread, beside other work; 2,000 rows take 125 to 140).
"""

_MOST_AXES = 3
_KEY_BITS = 60


def order_by_position(positions: Float32Array) -> Int64Array:
    """Order rows along a curve that fills the map, so that rows next to each other are near.

    Parameters
    ----------
    positions
        float32 (c, n); of more than three axes the first three count.

    Returns
    -------
    int64 (n,), row at each place: by Morton's code (1966), the bits of all axes in turn; ties by row.
    """
    axes = np.nan_to_num(positions[:_MOST_AXES].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    n_bits = min(16, _KEY_BITS // len(axes))
    least = axes.min(axis=1, keepdims=True)
    most = axes.max(axis=1, keepdims=True)
    cells = ((axes - least) / np.maximum(most - least, np.finfo(np.float64).tiny) * (2**n_bits - 1)).astype(np.int64)
    codes = np.zeros(positions.shape[1], dtype=np.int64)
    for bit in range(n_bits):
        for axis, cell in enumerate(cells):
            codes |= ((cell >> bit) & 1) << (bit * len(axes) + axis)
    order: npt.NDArray[np.int64] = np.argsort(codes, kind="stable")
    return order
