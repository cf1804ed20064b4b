"""Sparse rows: scipy's CSR arrays of float32, features of a row in order, no zeros stored; what is done with them.

Dimensions: n rows; d features; e stored numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import is_sparse, join_sparse_rows, tidy_sparse_rows
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.value_ranges import find_sparse_ranges
from driftmap.pipeline.sources.row_ranges import name_rows, name_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.config.vector_pin import VectorPin
    from driftmap.pipeline.sources.protocol import Rows, ValueRanges

STORED_BYTES = 8
"""Of a number: itself, and its feature."""

_MOST_FEATURES = 2**31 - 1


class SparseParts(NamedTuple):
    """Sparse rows that may differ in width, flat."""

    values: Float32Array
    """(e,) all numbers that are stored, row by row."""
    features: npt.NDArray[np.int32]
    """(e,) which feature each is."""
    lengths: Int64Array
    """(n,) how many are stored."""
    widths: Int64Array
    """(n,) how many features there are."""
    ranges: ValueRanges | None = None
    """Of the numbers as they were given."""


def read_sparse_parts(given: Sequence[Any], name: str) -> SparseParts:
    """Read sparse matrices of any format, one after the other."""
    parts = [read_sparse(matrix, name) for matrix in given]
    return SparseParts(
        np.concatenate([part.data for part in parts]),
        np.concatenate([part.indices.astype(np.int32, copy=False) for part in parts]),
        np.concatenate([np.diff(part.indptr) for part in parts]).astype(np.int64),
        np.repeat([part.shape[1] for part in parts], [part.shape[0] for part in parts]).astype(np.int64),
        find_sparse_ranges(given),
    )


def read_sparse(given: Any, name: str) -> Rows:
    """Read a sparse matrix of any format; what is too large for float32 becomes infinite.

    Raises
    ------
    SourceError
        When it holds no numbers, or has no features.
    """
    shape, kind = tuple(given.shape), np.dtype(given.dtype)
    if len(shape) != 2 or kind.kind not in "iufb" or not 0 < shape[1] <= _MOST_FEATURES:
        raise SourceError(
            f"{name}: a sparse matrix of shape {shape} and type {kind} was given; (n, d) numbers were expected"
        )
    return tidy_sparse_rows(given.tocsr())


def read_width(widths: Int64Array, rows: Int64Array, pin: VectorPin | None = None) -> int:
    """Give the number of features of a window's rows.

    Raises
    ------
    SourceError
        When it is not one, or not what was pinned.
    """
    width = int(widths[0])
    odd = np.flatnonzero(widths != width)
    if len(odd):
        raise SourceError(
            f"sparse vectors differ in features within a window: {name_rows(rows[odd])} of the source, the first with "
            f"{widths[odd[0]]:,} where the window's first has {width:,}; they must agree"
        )
    if pin is not None and pin.dimension not in (None, width):
        raise SourceError(
            f"column {pin.names[0]!r} has sparse vectors of {width:,} features, from row {rows[0]} on, and "
            f"{pin.dimension:,} were expected, as in the run"
        )
    return width


class MostStored:
    """The most numbers that some rows can have.

    Parameters
    ----------
    offsets
        int64 (n + 1,) where the numbers of each row begin.
    """

    def __init__(self, offsets: Int64Array) -> None:
        self._offsets = offsets
        self._sums: Int64Array | None = None

    def count(self, n_rows: int) -> int:
        """Count those of so many rows that have the most; of more rows than there are, as if there were more."""
        if self._sums is None:
            lengths = np.sort(np.diff(self._offsets))[::-1]
            self._sums = np.concatenate([[0], np.cumsum(lengths)])
        n_there = len(self._sums) - 1
        share = max(1.0, n_rows / max(1, n_there))
        return int(share * self._sums[min(n_rows, n_there)])


def flag_bad_sparse(rows: Rows) -> npt.NDArray[np.bool_]:
    """Flag rows with a number that is not finite; bool (n,)."""
    n_bad = np.concatenate([[0], np.cumsum(~np.isfinite(rows.data))])
    is_bad: npt.NDArray[np.bool_] = np.diff(n_bad[rows.indptr]) > 0
    return is_bad


def refuse_bad_sparse(rows: Rows, numbers: Int64Array, pin: VectorPin | None = None) -> None:
    """Refuse rows that hold NaN or infinity.

    Raises
    ------
    SourceError
        Naming the rows of the source, and the features.
    """
    bad = numbers[flag_bad_sparse(rows)]
    if len(bad):
        name = "vectors" if pin is None else pin.names[0]
        features = np.unique(rows.indices[~np.isfinite(rows.data)]).tolist()
        named = name_some([repr(f"{name}[{feature}]") for feature in features])
        raise SourceError(
            f"vectors hold NaN, infinity or values too large for float32 in {name_rows(bad)} of the source, "
            f"column{'' if len(features) == 1 else 's'} {named}; fill them, or drop these rows (on_bad_rows drop)"
        )


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Join rows of equal width, dense or sparse.

    Raises
    ------
    SourceError
        When some are sparse and others are not.
    """
    if len(parts) == 1:
        return parts[0]
    kinds = {is_sparse(part) for part in parts}
    if len(kinds) > 1:
        raise SourceError(
            "some vectors of a window are sparse rows and others are not; give all as one or the other: "
            "scipy.sparse.csr_array(vectors), or toarray()"
        )
    if not kinds.pop():
        return np.concatenate(parts)
    return join_sparse_rows(parts)
