"""Scaling of rows before distances are taken: columns about a centre, over a spread; or rows to length 1.

Dimensions: n rows; d features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine.neighbours.rows import is_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.types import Float32Array

Float64Array = npt.NDArray[np.float64]

_BLOCK_BYTES = 1 << 21
"""Memory for the float64 copy of one block of rows."""
_QUARTILES = (25.0, 50.0, 75.0)


class ColumnMoments(NamedTuple):
    """Number of rows, and of each column the mean and the sum of squared deviations from it."""

    n_rows: int
    means: Float64Array
    squares: Float64Array

    @classmethod
    def of(cls, rows: Float32Array) -> ColumnMoments:
        """Take the moments of some rows, (n, d) with at least one row."""
        found: ColumnMoments | None = None
        for block in _list_blocks(rows):
            means = block.mean(axis=0, dtype=np.float64)
            own = cls(len(block), means, np.square(block - means).sum(axis=0))
            found = own if found is None else found.join(own)
        if found is None:
            return cls(0, np.zeros(rows.shape[1]), np.zeros(rows.shape[1]))
        return found

    def join(self, other: ColumnMoments) -> ColumnMoments:
        """Give the moments of these rows and others together."""
        n_rows = self.n_rows + other.n_rows
        if not n_rows:
            return self
        delta = other.means - self.means
        means = self.means + delta * (other.n_rows / n_rows)
        squares = self.squares + other.squares + np.square(delta) * (self.n_rows * other.n_rows / n_rows)
        return ColumnMoments(n_rows, means, squares)


class ColumnScaling(NamedTuple):
    """What is taken from each column, and what it is then divided by; float64 (d,) each."""

    centres: Float64Array
    spreads: Float64Array

    @classmethod
    def standard(cls, moments: ColumnMoments) -> ColumnScaling:
        """Scale to mean 0 and standard deviation 1, as scikit-learn's StandardScaler; constant columns stay 1 wide."""
        variances = moments.squares / max(1, moments.n_rows)
        tiny = np.finfo(np.float64).eps
        noise = moments.n_rows * tiny * variances + np.square(moments.n_rows * moments.means * tiny)
        return cls(moments.means, np.where(variances <= noise, 1.0, np.sqrt(variances)))

    @classmethod
    def robust(cls, rows: Float32Array) -> ColumnScaling:
        """Scale to median 0 and interquartile range 1, as scikit-learn's RobustScaler does of the same rows (n, d)."""
        quartiles = np.array([np.percentile(column.astype(np.float64), _QUARTILES) for column in rows.T]).reshape(-1, 3)
        spreads = quartiles[:, 2] - quartiles[:, 0]
        is_constant = spreads < 10 * np.finfo(np.float64).eps
        return cls(quartiles[:, 1].copy(), np.where(is_constant, 1.0, spreads))

    def apply(self, rows: Float32Array) -> None:
        """Scale rows (n, d) where they stand, each number in float64."""
        for block in _list_blocks(rows):
            with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused as such
                block[:] = (block - self.centres) / self.spreads


def scale_to_unit(rows: Rows) -> None:
    """Scale rows to length 1 where they stand, as scikit-learn's Normalizer; rows of zeros stay.

    Parameters
    ----------
    rows : numpy.ndarray of float32, or scipy's csr_array of it
        Shape (n, d), changed in place.
    """
    if is_sparse(rows):
        wide = rows.astype(np.float64)
        squares = np.asarray(wide.multiply(wide).sum(axis=1)).ravel()
        lengths = np.sqrt(np.where(squares == 0, 1.0, squares))
        rows.data[:] = wide.data / np.repeat(lengths, np.diff(rows.indptr))
        return
    for block in _list_blocks(rows):
        lengths = np.sqrt(np.square(block, dtype=np.float64).sum(axis=1))
        block[:] = block / np.where(lengths == 0, 1.0, lengths)[:, None]


def _list_blocks(rows: Float32Array) -> Iterator[Float32Array]:
    step = max(1, _BLOCK_BYTES // max(1, 8 * rows.shape[1]))
    for begin in range(0, len(rows), step):
        yield rows[begin : begin + step]
