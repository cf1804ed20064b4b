"""Matrices of distances that the caller computed: what cannot be distances is refused, what is odd is warned of."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.rounding import is_faint
from driftmap.engine.core.validation import describe_rows
from driftmap.engine.errors import InvalidInputError

TOLERANCE = 1e-5
"""Differences below this share of the largest distance are rounding."""

_BLOCK = 1024


def check_distances(matrix: Any, name: str) -> None:
    """Check a square matrix of distances, dense or scipy's csr_array; NaN has been refused before.

    Raises
    ------
    InvalidInputError
        When distances are below 0, a row is not at distance 0 from itself, or one triangle is empty.

    Warns
    -----
    UserWarning
        When the distance of two rows depends on which of them comes first, or all distances are next to 0.
    """
    is_sparse = hasattr(matrix, "tocsr")
    values = matrix.data if is_sparse else matrix
    finite = values[np.isfinite(values)]
    limit = TOLERANCE * float(np.abs(finite).max(initial=0.0))
    if bool((finite < -limit).any()):
        rows = _rows_below(matrix, -limit)
        msg = f"{name} holds distances below 0 in {describe_rows(rows)}, such as {finite.min():g}; "
        msg += "with metric='precomputed' give distances, not similarities or products."
        raise InvalidInputError(msg)
    diagonal = matrix.diagonal()
    far = np.flatnonzero(np.isfinite(diagonal) & (np.abs(diagonal) > limit))
    if len(far):
        msg = f"{name} has {diagonal[far[0]]:g} on its diagonal in {describe_rows(far)}; the distance of a row to "
        msg += "itself is 0: with metric='precomputed' give distances, not similarities."
        raise InvalidInputError(msg)
    _check_symmetry(matrix, name, limit, is_sparse=is_sparse)
    if finite.any() and is_faint(finite):
        message = (
            f"{name} holds distances so small that float32 keeps few of their digits, or none, and rows that differ "
            "may become equal; multiply them by a constant first."
        )
        warnings.warn(message, UserWarning, stacklevel=5)


def _rows_below(matrix: Any, limit: float) -> npt.NDArray[np.intp]:
    if hasattr(matrix, "tocsr"):
        return np.unique(np.searchsorted(matrix.indptr, np.flatnonzero(matrix.data < limit), side="right") - 1)
    return np.flatnonzero((matrix < limit).any(axis=1))


def _check_symmetry(matrix: Any, name: str, limit: float, *, is_sparse: bool) -> None:
    n_differing, has_upper, has_lower = (_compare_sparse if is_sparse else _compare_dense)(matrix, limit)
    if has_upper != has_lower:
        empty = "below" if has_upper else "above"
        msg = f"{name} is empty {empty} its diagonal: half a matrix of distances; fill in the other half, such as with "
        msg += "d + d.T."
        raise InvalidInputError(msg)
    if n_differing:
        message = (
            f"{name} is not symmetric: of {n_differing:,} pairs of rows the distance depends on which comes first; "
            "each row's neighbours are those of its own line. Average it with its transpose if that is not meant."
        )
        warnings.warn(message, UserWarning, stacklevel=6)


def _compare_dense(matrix: npt.NDArray[Any], limit: float) -> tuple[int, bool, bool]:
    n, n_differing, has_upper, has_lower = len(matrix), 0, False, False
    for first in range(0, n, _BLOCK):
        own, other = matrix[first : first + _BLOCK, :], matrix[:, first : first + _BLOCK].T
        with np.errstate(invalid="ignore"):  # inf - inf
            is_same = (own == other) | (np.abs(own - other) <= limit)
        n_differing += int(np.count_nonzero(~is_same))
        is_above = np.arange(n)[None, :] > np.arange(first, first + len(own))[:, None]
        has_upper = has_upper or bool((own[is_above] != 0).any())
        has_lower = has_lower or bool((other[is_above] != 0).any())
    return n_differing // 2, has_upper, has_lower


def _compare_sparse(matrix: Any, limit: float) -> tuple[int, bool, bool]:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    has_upper, has_lower = bool((matrix.indices > rows).any()), bool((matrix.indices < rows).any())
    # Lists of nearest rows are not mutual: only pairs that are stored both ways are compared.
    both = matrix.astype(bool).multiply(matrix.T.astype(bool))
    apart = abs(matrix - matrix.T).multiply(both)
    return int((apart > limit).sum()) // 2, has_upper, has_lower
