"""Checks of arguments that several rooms of the engine share; every message names the argument and what to do."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.rounding import LEAST_SHARE, explain_rounding, measure_rounding
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.settings import check_number

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array

N_NAMED = 5
"""How many offending rows a message lists."""


def check_int(value: object, name: str, *, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int within bounds; numpy's integers pass, bools and floats do not."""
    return int(check_number(value, name, int, minimum, math.inf if maximum is None else maximum))


def check_float(value: object, name: str, *, minimum: float, maximum: float = math.inf) -> float:
    """Return `value` as a finite float within bounds, both included."""
    return float(check_number(value, name, float, minimum, maximum))


def check_rows(rows: npt.ArrayLike, name: str = "rows") -> Float32Array:
    """Return the rows of a window as a C-ordered float32 (n, d) array, all finite.

    Parameters
    ----------
    rows
        Anything that numpy reads as a 2-D array of numbers or bools; copied only where its type or order asks for it.
    name
        How messages call it.

    Raises
    ------
    InvalidInputError
        When it is not 2-D, not numeric, has no columns, or holds NaN or infinity; the offending rows are named.
    """
    matrix = check_matrix(rows, name)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes inf and is named below
        single = np.ascontiguousarray(matrix, dtype=np.float32)
    bad = find_bad_rows(single)
    if len(bad):
        is_too_large = bool(np.isfinite(matrix[bad].astype(np.float64)).all())
        what = "values too large for float32" if is_too_large else "NaN or infinity"
        todo = "scale the data down" if is_too_large else "drop these rows or fill them"
        msg = f"{name} holds {what} in {describe_rows(bad)} of {len(single)}; {todo} first."
        raise InvalidInputError(msg)
    warn_of_rounding(matrix, name)
    return single


def warn_of_rounding(rows: Any, name: str) -> None:
    """Warn of rows, dense or scipy's CSR, that float32 leaves little of; called by what reads rows."""
    lost = measure_rounding(rows)
    if lost > LEAST_SHARE:
        largest = float(np.abs(rows if isinstance(rows, np.ndarray) else rows.data).max(initial=0.0))
        words = explain_rounding(largest, f"up to {lost:.2g} of the rows' standard deviation")
        warnings.warn(f"{name} holds {words}.", UserWarning, stacklevel=6)


def check_matrix(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Return `values` as a 2-D array of real numbers with at least one column, whatever its type."""
    refuse_masked(values, name)
    try:
        matrix = np.asarray(values)
    except ValueError as error:  # rows of unequal length
        msg = f"{name} must be a 2-D array of numbers, got rows of unequal length: {error}"
        raise InvalidInputError(msg) from error
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        msg = f"{name} must be a 2-D array (rows, features) with at least one feature, got shape {matrix.shape}."
        raise InvalidInputError(msg)
    if matrix.dtype == object:
        matrix = _as_numbers(matrix, name)
    if matrix.dtype.kind not in "fiub":
        msg = f"{name} must hold real numbers, got dtype {matrix.dtype}."
        raise InvalidInputError(msg)
    return matrix


def refuse_masked(values: object, name: str) -> None:
    """Refuse numpy's masked arrays where something is masked: what lies under the mask is no data.

    Raises
    ------
    InvalidInputError
        Naming the rows.
    """
    if not isinstance(values, np.ma.MaskedArray):
        return
    mask = np.ma.getmaskarray(values)
    if mask.any():
        rows = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1)) if mask.ndim else np.zeros(1, dtype=np.intp)
        msg = f"{name} has masked values in {describe_rows(rows)} of {mask.shape[0] if mask.ndim else 1}; drop these "
        msg += "rows or fill them first."
        raise InvalidInputError(msg)


def find_bad_rows(rows: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Numbers of the rows that hold NaN or infinity."""
    # One sum tells for the whole array whether a look at each value is needed; it may overflow, and then we look.
    with np.errstate(over="ignore", invalid="ignore"):
        is_clean = bool(np.isfinite(rows.sum(dtype=np.float64)))
    if is_clean:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(~np.isfinite(rows).all(axis=1))


def describe_rows(rows: npt.NDArray[np.intp]) -> str:
    """Name a few rows: `row 3`, `rows 3, 9`, `rows 0, 1, 2, 3, 4 and 95 more`."""
    named = ", ".join(str(row) for row in rows[:N_NAMED].tolist())
    more = f" and {len(rows) - N_NAMED} more" if len(rows) > N_NAMED else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {named}{more}"


def _as_numbers(matrix: npt.NDArray[Any], name: str) -> npt.NDArray[np.float64]:
    try:
        return matrix.astype(np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name} must hold real numbers, got an object array with something else in it: {error}"
        raise InvalidInputError(msg) from error
