"""What float32 leaves of rows that were given with more digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_SHARE = 1e-3
"""Rounding below this share of the rows' spread changes no map: neighbours differ by more."""

_HALF_STEP = 2.0**-24
"""Largest error of a number in float32, over the number."""


def measure_rounding(rows: npt.NDArray[Any]) -> float:
    """Measure how much of the rows' spread gets lost in float32.

    Parameters
    ----------
    rows
        (n, d), numbers of any type.

    Returns
    -------
    The largest error of rounding, over all columns, as a share of the rows' standard deviation; 0 for rows that are all
    equal or not all finite, and for types that float32 holds.
    """
    if rows.dtype.kind == "b" or rows.dtype.itemsize < (8 if rows.dtype.kind == "f" else 4) or len(rows) < 2:
        return 0.0
    values = rows.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused elsewhere
        spread = float(np.sqrt(values.var(axis=0).sum()))
        error = _HALF_STEP * float(np.sqrt((np.abs(values).max(axis=0) ** 2).sum()))
    return error / spread if spread > 1e3 * np.finfo(np.float64).eps * error / _HALF_STEP else 0.0
