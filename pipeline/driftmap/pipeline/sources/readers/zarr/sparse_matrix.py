"""A sparse matrix as AnnData writes it, of which rows are read: in HDF5 or Zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import make_sparse_rows
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.sparse_rows import MostStored

if TYPE_CHECKING:
    from driftmap.pipeline.sources.protocol import Rows

_BLOCK_NUMBERS = 2**20
"""Numbers that are read together."""


class SparseMatrix:
    """Rows (n, d) of a matrix in CSR, read by slices of rows.

    Parameters
    ----------
    group
        Its arrays: `indptr`, `indices`, `data`.
    shape
        (n, d).
    """

    def __init__(self, group: Any, shape: tuple[int, int]) -> None:
        self._values, self._features = group["data"], group["indices"]
        self._offsets = np.asarray(group["indptr"][:], dtype=np.int64)
        self.shape = shape
        self.dtype = np.dtype(self._values.dtype)
        mean = max(1, int(self._offsets[-1]) // max(1, shape[0]))
        self.chunks = (max(1, _BLOCK_NUMBERS // mean), shape[1])
        self.most_stored = MostStored(self._offsets)

    def __getitem__(self, selection: slice) -> Rows:
        """Read the rows of a slice without steps."""
        first, last, _ = selection.indices(self.shape[0])
        offsets = self._offsets[first : max(first, last) + 1]
        begin, end = int(offsets[0]), int(offsets[-1])
        parts = np.asarray(self._values[begin:end]), np.asarray(self._features[begin:end])
        return make_sparse_rows(*parts, offsets - begin, self.shape[1])


def open_sparse(group: Any, where: str) -> SparseMatrix:
    """Open a sparse matrix.

    Parameters
    ----------
    group
        Of HDF5 or Zarr.
    where
        How messages call it.

    Raises
    ------
    SourceError
        When it is none, or its columns are stored together and not its rows.
    """
    kind = str(group.attrs.get("encoding-type") or group.attrs.get("h5sparse_format", ""))
    if kind.startswith("csc"):
        raise SourceError(
            f"{where} is a sparse matrix by columns (CSC), of which rows cannot be read by themselves; write it by "
            "rows (adata.X = adata.X.tocsr())"
        )
    if not kind.startswith("csr"):
        raise SourceError(
            f"{where} is a table or a group, and vectors are a matrix, dense or sparse; name X, or an array of obsm or "
            "layers (vectors)"
        )
    shape = group.attrs["shape"] if "shape" in group.attrs else group.attrs["h5sparse_shape"]
    n_rows, n_features = (int(length) for length in shape)
    return SparseMatrix(group, (n_rows, n_features))
