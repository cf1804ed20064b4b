"""Sparse rows of float32 made, joined and averaged: features of a row in order, no zeros stored.

Dimensions: n rows; d features; e stored numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.types import Float32Array, Int64Array


def make_sparse_rows(
    values: Float32Array, features: npt.NDArray[np.integer[Any]], offsets: Int64Array, n_features: int
) -> Rows:
    """Make sparse rows of their numbers.

    Parameters
    ----------
    values, features
        Stored numbers, and which feature each is, row by row; (e,).
    offsets
        Where the numbers of each row begin; (n + 1,).
    n_features
        How many features there are, stored or not.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (n, d).
    """
    from scipy.sparse import csr_array  # late: 0.1 s

    parts = np.asarray(values), np.asarray(features), np.asarray(offsets)
    return csr_array(parts, shape=(len(offsets) - 1, n_features))


def tidy_sparse_rows(rows: Any) -> Rows:
    """Give sparse rows in float32, numbers of one feature added up, features in order, without stored zeros.

    Parameters
    ----------
    rows
        Shape (n, d), a matrix of scipy's.

    Returns
    -------
    scipy.sparse.csr_array
        A copy; what is too large for float32 is infinite.
    """
    from scipy.sparse import csr_array

    with np.errstate(over="ignore"):
        tidy = csr_array(rows, dtype=np.float32, copy=True)
    tidy.sum_duplicates()
    tidy.eliminate_zeros()
    return tidy


def join_sparse_rows(parts: Sequence[Rows]) -> Rows:
    """Join sparse rows of equal width, one part after the other.

    Parameters
    ----------
    parts
        At least one.

    Returns
    -------
    scipy.sparse.csr_array
        All their rows.
    """
    from scipy.sparse import csr_array, vstack

    return csr_array(vstack(parts, format="csr"))


def average_sparse_rows(rows: Rows, order: Int64Array, starts: Int64Array) -> Rows:
    """Average groups of sparse rows: sums in float64 and in the order of the rows, as of dense ones.

    Parameters
    ----------
    rows
        Sparse, (m, d).
    order
        Their numbers, those of a group together and ascending; (m,).
    starts
        Where each group begins in `order`; (n + 1,).

    Returns
    -------
    scipy.sparse.csr_array
        The means, (n, d).
    """
    from scipy.sparse import csr_array

    counts = np.diff(starts)
    members = csr_array((np.ones(len(order)), order, starts), shape=(len(counts), rows.shape[0]))
    sums = members @ rows.astype(np.float64)
    sums.data /= np.repeat(counts, np.diff(sums.indptr))
    return tidy_sparse_rows(sums)
