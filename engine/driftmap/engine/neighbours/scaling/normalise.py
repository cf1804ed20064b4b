"""Rows made ready for BLAS: inner products that give a metric, with bounds of what rounding does to them.

Dimensions: n rows; d features; k neighbours, the row itself included.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine.types import KnnGraph

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array

Float64Array = npt.NDArray[np.float64]

COSINE_TINY = 2.0**-45
"""Squared distance of unit vectors that float32 rows cannot tell from 0; twice their cosine distance."""
CENTRING_BYTES = 1 << 24
"""Memory for the float64 copy of one block of rows."""
_MEDIAN_ROWS, _MEDIAN_COLUMNS = 64, 512
"""Rows whose median is taken, up to twice as many less one, and features at once: 256 kB, several times."""


class Centred(NamedTuple):
    """Scaled rows about a middle, times `unit`, and bounds of their squared norms; see `centre_about`."""

    rows: npt.NDArray[Any]
    least: npt.NDArray[Any]
    most: npt.NDArray[Any]
    unit: float


def scale_rows(rows: Float32Array, metric: str) -> tuple[Float32Array, Float64Array]:
    """Rows and a factor for each, such that the metric is a function of the scaled rows' euclidean distance.

    Cosine distance is half the squared distance of unit vectors, and correlation is cosine of rows less their mean.
    Rows of zeros get a feature of their own, so that they lie at cosine distance 1 from all others and 0 from each
    other, as in umap-learn and pynndescent.
    """
    if metric == "euclidean":
        return rows, np.ones(len(rows))
    if metric == "correlation":
        rows = (rows - rows.mean(axis=1, dtype=np.float64, keepdims=True)).astype(np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    is_zero = norms == 0.0
    if is_zero.any():
        rows = np.column_stack([rows, is_zero.astype(np.float32)])
        norms[is_zero] = 1.0
    return rows, 1.0 / norms


def centre_rows(rows: Float32Array, scales: Float64Array, tiny: float, dtype: type[np.floating[Any]]) -> Centred:
    """Scaled rows about a middle, and bounds of their squared norms that take up the products' rounding."""
    return centre_about(find_middle(rows, scales), choose_unit(measure_extent(rows, scales)), rows, scales, tiny, dtype)


def find_middle(rows: Float32Array, scales: Float64Array) -> Float64Array:
    """Return a median of some scaled rows: a single far row does not widen the bounds of all others.

    The upper one of an even number of rows, feature by feature, in single precision: any middle will do that lies among
    the rows. np.median of all 434 rows of 700 features, in double precision, takes 25 times as long.
    """
    n, d = rows.shape
    some = slice(None, None, max(1, n // _MEDIAN_ROWS))
    middle = np.empty(d)
    for start in range(0, d, _MEDIAN_COLUMNS):
        columns = slice(start, start + _MEDIAN_COLUMNS)
        scaled = (rows[some, columns] * scales[some, None]).T.astype(np.float32, order="C")
        middle[columns] = np.sort(scaled, axis=1)[:, scaled.shape[1] // 2]
    return middle


def measure_extent(rows: Float32Array, scales: Float64Array) -> float:
    """Return the largest magnitude of a number in the scaled rows."""
    return float((np.maximum(rows.max(axis=1), -rows.min(axis=1)) * scales).max())


def choose_unit(extent: float) -> float:
    """Return the power of two that brings numbers of this magnitude near 1."""
    return 2.0 ** -math.ceil(math.log2(extent)) if extent > 0.0 else 1.0


def centre_about(
    middle: Float64Array,
    unit: float,
    rows: Float32Array,
    scales: Float64Array,
    tiny: float,
    dtype: type[np.floating[Any]],
) -> Centred:
    """Scaled rows about a given middle, times `unit`, and bounds of their squared norms.

    A product of d terms is off by at most `d u (|x|^2 + |y|^2) / 2`, u the unit roundoff, in whatever order it is
    summed (Higham 2002, section 3.1); 32 more u cover the centring, the norms and the last steps, and all are brought
    near 1 by a power of two so that nothing over- or underflows unseen. Rows that are to be compared need one middle
    and one unit.
    """
    n, d = rows.shape
    centred = np.empty((n, d), dtype=dtype)
    norms = np.empty(n)
    step = max(1, CENTRING_BYTES // (8 * d))
    for start in range(0, n, step):
        part = (rows[start : start + step] * scales[start : start + step, None] - middle) * unit
        centred[start : start + step] = part
        norms[start : start + step] = np.einsum("ij,ij->i", part, part)
    info = np.finfo(dtype)
    slack = (d + 32) * float(info.eps) / 2.0
    smallest = tiny * unit**2 + d * float(info.tiny)
    least = norms * (1.0 - slack) - smallest
    most = norms * (1.0 + slack) + smallest
    return Centred(centred, least.astype(dtype), most.astype(dtype), unit)


def new_graph(n: int, k: int) -> tuple[Int32Array, Float32Array]:
    """Room for the neighbours of n rows: indices -1 at distance inf."""
    return np.full((n, k), -1, dtype=np.int32), np.full((n, k), np.inf, dtype=np.float32)


def as_graph(indices: Int32Array, distances: Float32Array, metric: str) -> KnnGraph:
    """Turn euclidean distances of scaled rows, in place, into those of the metric."""
    if metric != "euclidean":
        np.multiply(distances, np.float32(0.5) * distances, out=distances)
    return KnnGraph(indices, distances)
