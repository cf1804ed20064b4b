"""What float32 leaves of rows that were given with more digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_SHARE = 1e-3
"""Rounding below this share of the rows' spread changes no map: neighbours differ by more."""

_HALF_STEP = 2.0**-24
"""Largest error of a number in float32, over the number."""

_LEAST_HALF_STEP = 2.0**-150
"""Largest error of numbers next to 0."""

_SMALL = 2.0**-100
"""Numbers that are all below lose digits, if any, since they are small."""


def measure_rounding(rows: Any) -> float:
    """Measure how much of the rows' spread gets lost in float32.

    Parameters
    ----------
    rows
        (n, d), numbers of any type; dense, or scipy's CSR.

    Returns
    -------
    The largest error of rounding, over all columns, as a share of the rows' standard deviation; 0 for rows that are all
    equal or not all finite, and for types that float32 holds.
    """
    if float32_holds(rows.dtype) or rows.shape[0] < 2:
        return 0.0
    is_dense = isinstance(rows, np.ndarray)
    values: Any = rows.astype(np.float64, copy=False)
    spread: float
    least: float
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused elsewhere
        largest = np.abs(values).max(axis=0) if is_dense else _find_largest(values)
        top = float(largest.max(initial=0.0))
        if not 0 < top < np.inf:
            return 0.0
        unit = 1.0 if top > _SMALL else top  # squares of numbers next to 0 are 0
        values = values if unit == 1 else values / unit
        spread = float(np.sqrt(values.var(axis=0).sum() if is_dense else _add_variances(values)))
        error = _add_up(_round(largest) / unit)
        least = 1e3 * np.finfo(np.float64).eps * _add_up(largest / unit)
    if spread <= least and is_dense and rows.dtype.kind in "iu":  # what float64 has lost as well
        apart = (rows - rows[0]).astype(np.int64, copy=False)  # modulo 2**64: exact where it is small
        spread = float(np.sqrt(apart.var(axis=0).sum()))
        least = 0.0
    return error / spread if spread > least else 0.0


def estimate_rounding(lows: Sequence[float], highs: Sequence[float], *, by_column: bool) -> float:
    """Estimate what `measure_rounding` does from the least and the largest value of each column.

    Parameters
    ----------
    lows, highs
        (d,), as they were given; whole numbers of any size.
    by_column
        Whether each column is scaled by its own spread.

    Returns
    -------
    float
        At most as much as `measure_rounding` finds, since no standard deviation is above half a range; 0 below
        `LEAST_SHARE`.
    """
    spreads = np.array([float(high - low) / 2 for low, high in zip(lows, highs, strict=True)])
    largest = np.array([max(abs(float(low)), abs(float(high))) for low, high in zip(lows, highs, strict=True)])
    top = float(largest.max(initial=0.0))
    is_varied = spreads > 0  # what is all equal stays so
    if not 0 < top < np.inf or not is_varied.any():
        return 0.0
    unit = 1.0 if top > _SMALL else top
    errors, spreads = _round(largest[is_varied]) / unit, spreads[is_varied] / unit
    lost = float((errors / spreads).max()) if by_column else _add_up(errors) / _add_up(spreads)
    return lost if LEAST_SHARE < lost < np.inf else 0.0


def float32_holds(dtype: np.dtype[Any]) -> bool:
    """Tell whether float32 holds the numbers of a type: exactly, or as closely as the type does.

    Parameters
    ----------
    dtype : numpy.dtype
        Of numbers or bools.

    Returns
    -------
    bool
        Whether it does.
    """
    return dtype.kind == "b" or dtype.itemsize < (8 if dtype.kind == "f" else 4)


def explain_rounding(largest: float, share: str) -> str:
    """Say why float32 rounds numbers, and what to do.

    Parameters
    ----------
    largest
        The largest magnitude among them.
    share
        How much of what is lost.

    Returns
    -------
    str
        To follow "holds".
    """
    why, todo = "large, for how little they differ, that float32 rounds away", "subtract the columns' means"
    if largest < _SMALL:
        why = "small that float32 keeps few of their digits, or none, and rounds away"
        todo = "multiply them by a constant"
    return f"numbers so {why} {share}, and rows that differ may become equal; {todo} first"


def is_faint(distances: npt.NDArray[Any]) -> bool:
    """Tell whether the largest of some distances is so small that float32 rounds away more than `LEAST_SHARE` of it."""
    return float(distances.max(initial=0.0)) * LEAST_SHARE < _LEAST_HALF_STEP


def _round(largest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(_HALF_STEP * largest, _LEAST_HALF_STEP)


def _add_up(errors: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt((np.minimum(errors, 1e100) ** 2).sum()))  # whose squares are numbers


def _find_largest(rows: Any) -> npt.NDArray[np.float64]:
    largest = np.zeros(rows.shape[1])
    np.maximum.at(largest, rows.indices, np.abs(rows.data))
    return largest


def _add_variances(rows: Any) -> float:
    """Add up the columns' variances; of a sparse matrix, about each column's mean."""
    n, d = rows.shape
    means = np.bincount(rows.indices, rows.data, minlength=d) / n
    stored = np.bincount(rows.indices, minlength=d)
    return float((((rows.data - means[rows.indices]) ** 2).sum() + ((n - stored) * means**2).sum()) / n)
