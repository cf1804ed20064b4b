"""The rows of a window as the engine holds them: a dense array, a sparse one, or a matrix of distances.

Dimensions: n rows; d features; e stored values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.rounding import float32_holds
from driftmap.engine.core.validation import check_matrix, check_rows, describe_rows, warn_of_rounding
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.settings import BOOLEAN_METRICS, PRECOMPUTED

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDING = 1e-5
"""How far below 0 a distance may come out and count as 0: 1 less a cosine in float32 does."""

MOST_LATITUDE = np.pi / 2 + 1e-3
"""Radians; what lies beyond is no latitude, rounding aside."""
MOST_LONGITUDE = 2 * np.pi + 1e-3
"""The same: longitudes go from -pi to pi, or from 0 to 2 pi."""

Rows = Any
"""float32 (n, d), C-ordered; or scipy's csr_array of float32, sorted, without stored zeros; or distances (n, n)."""


def is_sparse(rows: object) -> bool:
    """Tell a scipy sparse matrix or array of any format; does not import scipy for what cannot be one.

    Parameters
    ----------
    rows : object
        Anything.

    Returns
    -------
    bool
        Whether it is one.
    """
    return hasattr(rows, "tocsr") and hasattr(rows, "nnz")


def read_rows(given: Any, metric: Any = "euclidean", name: str = "rows") -> Rows:
    """Check the rows of a window.

    Parameters
    ----------
    given
        (n, d) finite numbers, dense or sparse. With `metric="precomputed"`: (n, n) distances, inf between rows that are
        never neighbours; of a sparse matrix what is not stored counts as inf.
    metric
        Of the window.
    name
        How messages call the rows.

    Raises
    ------
    InvalidInputError
        When the rows are of the wrong shape or type, or hold NaN or infinity; the offending rows are named.
    """
    if metric is not None and isinstance(metric, str) and metric == PRECOMPUTED:
        return _read_distances(given, name, is_square=True)
    if is_sparse(given):
        return _read_sparse(given, name)
    rows = check_rows(given, name)
    if isinstance(metric, str) and metric == "haversine":
        _refuse_degrees(rows, name)
    return rows


def read_window_rows(given: Any, metric: Any, name: str = "rows") -> Rows:
    """Check rows that are a whole window, by themselves and against what the metric makes of all of them.

    Parameters
    ----------
    given : array-like or sparse
        The rows; as for `read_rows`.
    metric : str or callable
        Of the window.
    name : str
        How messages call the rows.

    Returns
    -------
    Rows
        As `read_rows` gives them.

    Raises
    ------
    InvalidInputError
        As `read_rows` does, and where a metric that asks only which numbers are 0 finds none.
    """
    rows = read_rows(given, metric, name)
    if isinstance(metric, str) and metric in BOOLEAN_METRICS:
        _refuse_no_zeros(rows, metric)
    return rows


def read_new_rows(given: Any, rows: Rows, metric: Any, name: str = "X") -> Rows:
    """Check rows that are to be compared with a window's; with precomputed distances those to each of its rows.

    They come back dense or sparse as the window's are.
    """
    is_precomputed = isinstance(metric, str) and metric == PRECOMPUTED
    new = _read_distances(given, name, is_square=False) if is_precomputed else read_rows(given, metric, name)
    if new.shape[1] != rows.shape[1]:
        what = "distances to each of the window's rows" if is_precomputed else "the same columns"
        msg = f"{name} has {new.shape[1]} columns, the window's rows have {rows.shape[1]}; give {what}."
        raise InvalidInputError(msg)
    if is_precomputed:
        _refuse_negative(new, name)
    elif isinstance(metric, str) and metric in BOOLEAN_METRICS:
        _refuse_measurements(new, rows, metric)
    if is_sparse(new) == is_sparse(rows) or is_precomputed:
        return new
    if is_sparse(new):
        return np.ascontiguousarray(new.toarray())
    from scipy.sparse import csr_array

    return csr_array(new)


def slice_distances(distances: Rows, block: int) -> Iterator[npt.NDArray[np.float64]]:
    """Cut a matrix of distances, dense or sparse, into dense blocks of rows."""
    for start in range(0, distances.shape[0], block):
        part = distances[start : start + block]
        if is_sparse(part):
            dense = np.full(part.shape, np.inf)
            dense[np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)), part.indices] = part.data
        else:
            dense = part.astype(np.float64)
        dense[(dense < 0.0) & (dense > -ROUNDING)] = 0.0
        yield dense


def measure_pairs(one: Rows, two: Rows) -> npt.NDArray[np.float64]:
    """Euclidean distance of each row of `one` to the same row of `two`; either may be sparse."""
    if not is_sparse(one) and not is_sparse(two):
        return np.asarray(np.linalg.norm(one - two, axis=1), dtype=np.float64)
    from scipy.sparse import csr_array

    apart = csr_array(one).astype(np.float64) - csr_array(two).astype(np.float64)
    squared: npt.NDArray[np.float64] = np.asarray(apart.multiply(apart).sum(axis=1)).ravel()
    return np.sqrt(squared)


def _refuse_no_zeros(rows: Rows, metric: str) -> None:
    """Refuse a window's rows that differ, and are all equal to a metric that asks only whether a number is 0."""
    if not is_sparse(rows) and len(rows) and rows.all() and (rows != rows.flat[0]).any():
        msg = (
            f"the rows hold no 0, and metric {metric!r} asks only which numbers are 0: all rows are equal to it; give "
            "true/false or 0/1, such as rows > 0, or another metric."
        )
        raise InvalidInputError(msg)


def _refuse_measurements(new: Rows, rows: Rows, metric: str) -> None:
    """Refuse new rows without a 0 for a window of 0 and 1 alone, unless they are counts: a few may well hold none."""
    values = new.data if is_sparse(new) else new
    if bool((values < 0.0).any() or (values % 1.0 != 0.0).any()):
        known = rows.data if is_sparse(rows) else rows
        if bool(((known == 0.0) | (known == 1.0)).all()):
            _refuse_no_zeros(new, metric)


def _refuse_degrees(rows: npt.NDArray[np.float32], name: str) -> None:
    """Refuse angles that are none in radians: of degrees, or longitudes first, haversine makes distances as well."""
    bounds = (MOST_LATITUDE, "latitudes beyond pi/2"), (MOST_LONGITUDE, "longitudes beyond 2 pi")
    for column, (most, what) in enumerate(bounds[: rows.shape[1]]):
        beyond = np.flatnonzero(np.abs(rows[:, column]) > most)
        if len(beyond):
            msg = (
                f"{name} has {what} in {describe_rows(beyond)} of {len(rows)}, such as {rows[beyond[0], column]:g}; "
                "metric 'haversine' takes latitude and longitude, in this order, in radians: give np.radians of "
                "degrees."
            )
            raise InvalidInputError(msg)


def _read_sparse(given: Any, name: str) -> Rows:
    from scipy.sparse import csr_array  # late: 0.1 s

    _check_sparse_form(given, name)
    with np.errstate(over="ignore"):
        rows = csr_array(given, dtype=np.float32, copy=True)
    rows.sum_duplicates()
    bad = np.flatnonzero(~np.isfinite(rows.data))
    if len(bad):
        numbers = np.unique(np.searchsorted(rows.indptr, bad, side="right") - 1)
        is_too_large = bool(np.isfinite(given.tocsr().data).all())
        what = "values too large for float32" if is_too_large else "NaN or infinity"
        todo = "scale the data down" if is_too_large else "drop these rows or fill them"
        msg = f"{name} holds {what} in {describe_rows(numbers)} of {rows.shape[0]}; {todo} first."
        raise InvalidInputError(msg)
    if not float32_holds(given.dtype):
        warn_of_rounding(given.tocsr(), name)
    rows.eliminate_zeros()
    return rows


def _check_sparse_form(given: Any, name: str) -> None:
    if given.ndim != 2 or given.shape[1] == 0:
        msg = f"{name} must be a 2-D array (rows, features) with at least one feature, got shape {given.shape}."
        raise InvalidInputError(msg)
    if given.dtype.kind not in "fiub":
        msg = f"{name} must hold real numbers, got dtype {given.dtype}."
        raise InvalidInputError(msg)


def _read_distances(given: Any, name: str, *, is_square: bool) -> Rows:
    if is_sparse(given):
        from scipy.sparse import csr_array

        _check_sparse_form(given, name)
        matrix = csr_array(given, dtype=np.float64, copy=True)
        matrix.sort_indices()
        bad = np.unique(np.searchsorted(matrix.indptr, np.flatnonzero(np.isnan(matrix.data)), side="right") - 1)
    else:
        matrix = check_matrix(given, name)
        matrix = matrix.astype(np.float32) if matrix.dtype.kind == "b" else matrix
        bad = np.flatnonzero(np.isnan(matrix).any(axis=1))
    if is_square and matrix.shape[0] != matrix.shape[1]:
        msg = f"{name} must be a square matrix of distances with metric='precomputed', got shape {matrix.shape}."
        raise InvalidInputError(msg)
    if len(bad):
        msg = f"{name} holds NaN distances in {describe_rows(bad)}; give inf for rows that are never neighbours."
        raise InvalidInputError(msg)
    _check_size(matrix, name)
    return matrix


def _refuse_negative(distances: Rows, name: str) -> None:
    """Refuse new rows' distances below 0, as those within a window are."""
    values = distances.data if is_sparse(distances) else distances
    least = float(values.min(initial=0.0))
    if least < -ROUNDING:
        msg = f"{name} holds distances below 0, such as {least:g}; with metric='precomputed' give distances, not "
        msg += "similarities or products."
        raise InvalidInputError(msg)


def _check_size(distances: Rows, name: str) -> None:
    """Refuse distances that are too large for float32."""
    values = distances.data if is_sparse(distances) else distances
    if float32_holds(values.dtype):
        return
    known = np.abs(values[np.isfinite(values)])
    if known.max(initial=0.0) > np.finfo(np.float32).max:
        msg = f"{name} holds distances too large for float32, such as {known.max():g}; divide them by a constant, and "
        msg += "give inf for rows that are never neighbours."
        raise InvalidInputError(msg)
