"""Nearest rows of sparse rows by euclidean and cosine distance, without a dense copy.

Dimensions: n rows; d features; k neighbours, the row itself included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from driftmap.engine.types import KnnGraph

if TYPE_CHECKING:
    from driftmap.engine.neighbours.kernels.topk_sparse_kernels import Compressed
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.types import Int32Array

SPARSE_METRICS = ("euclidean", "cosine")
"""Metrics that products of sparse rows give."""


def count_sparse_work(rows: Rows) -> float:
    """Multiplications, and looks at a pair of rows, that the exact search takes."""
    per_feature = np.bincount(rows.indices, minlength=rows.shape[1]).astype(np.float64)
    return float((per_feature**2).sum()) + float(rows.shape[0]) ** 2


def find_exact_sparse(rows: Rows, k: int, metric: str, tiny: float) -> KnnGraph:
    """Compare all rows with all that share a feature; `metric` is one of SPARSE_METRICS.

    `tiny` is the squared distance of the scaled rows that counts as 0. The same neighbours and distances as the dense
    search finds, ties included: products only bound which rows can be near, see `sparse_selection`.
    """
    from driftmap.engine.neighbours.kernels.topk_kernels import make_scratch
    from driftmap.engine.neighbours.kernels.topk_sparse_kernels import select_sparse

    scaled = scale_sparse_rows(rows, metric)
    n = scaled.shape[0]
    norms = np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel()
    # products and norms are each off by at most their number of terms times the unit roundoff (Higham 2002, 3.1)
    n_terms = int(np.diff(scaled.indptr).max(initial=0))
    slack = (2 * n_terms + 32) * float(np.finfo(np.float64).eps) / 2.0
    bounds = (norms * (1.0 - slack) - tiny, norms * (1.0 + slack) + tiny)
    indices, distances = np.full((n, k), -1, dtype=np.int32), np.full((n, k), np.inf, dtype=np.float32)
    products = np.empty(n, dtype=np.float64)
    work = products, make_scratch(products, k)
    select_sparse(unpack(scaled), unpack(scaled.T.tocsr()), bounds, tiny, (indices, distances), work)
    return KnnGraph(indices, distances)


def measure_sparse_again(rows: Rows, found: Int32Array, metric: str, tiny: float) -> KnnGraph:
    """Neighbours that were found approximately, with exact distances and in the order of the exact search."""
    from driftmap.engine.neighbours.kernels.topk_sparse_kernels import measure_sparse_neighbours

    scaled = scale_sparse_rows(rows, metric)
    indices, distances = np.full(found.shape, -1, dtype=np.int32), np.full(found.shape, np.inf, dtype=np.float32)
    measure_sparse_neighbours(np.sort(found, axis=1), unpack(scaled), tiny, indices, distances)
    return KnnGraph(indices, distances)


def scale_sparse_rows(rows: Rows, metric: str) -> Rows:
    """Rows in float64, of which the metric is a function of euclidean distance; see `knn.scale_rows`.

    For cosine, rows of zeros get a feature of their own.
    """
    from scipy.sparse import csr_array, hstack

    wide = rows.astype(np.float64)
    if metric == "euclidean":
        return wide
    norms = np.sqrt(np.asarray(wide.multiply(wide).sum(axis=1)).ravel())
    is_zero = norms == 0.0
    norms[is_zero] = 1.0
    # by the factor and not by the norm, as the dense search scales
    wide.data *= np.repeat(1.0 / norms, np.diff(wide.indptr))
    return csr_array(hstack([wide, csr_array(is_zero.astype(np.float64)[:, None])])) if is_zero.any() else wide


def unpack(matrix: Rows) -> Compressed:
    """Take a matrix apart, as the kernels want it; its columns are sorted where it stands."""
    matrix.sort_indices()
    indptr: npt.NDArray[np.int64] = matrix.indptr.astype(np.int64)
    return indptr, matrix.indices.astype(np.int32), matrix.data
