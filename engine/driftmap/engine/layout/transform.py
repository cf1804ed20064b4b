"""Place new rows into a map that stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.fuzzy import smooth_knn_distances
from driftmap.engine.layout.kernels.arrays import BlockArrays
from driftmap.engine.layout.optimiser import Optimiser, Stage
from driftmap.engine.layout.window_values import join_forces
from driftmap.engine.neighbours.rows import is_sparse, read_new_rows, slice_distances
from driftmap.engine.neighbours.scaling.normalise import COSINE_TINY, scale_rows
from driftmap.engine.neighbours.search import BLOCK_BYTES, compare_by_function, fill_equal
from driftmap.engine.neighbours.sparse import SPARSE_METRICS, scale_sparse_rows
from driftmap.engine.settings import BLAS_METRICS, PAIRWISE_METRICS, PRECOMPUTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.layout.window_values import WindowValues
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.settings import GraphSettings
    from driftmap.engine.types import Float32Array, Int32Array

ALL_PAIRWISE = {**PAIRWISE_METRICS, **BLAS_METRICS}
"""Metrics that scikit-learn compares new rows by."""
_LARGEST = 1e15
"""Numbers whose squares float32 can add up, whatever the number of columns."""
TRANSFORM_SHARE = 1 / 3
"""Epochs of a transform as a share of n_epochs, as in umap-learn."""
TRANSFORM_LEARNING_RATE = 0.25
"""Start of the falling learning rate, as a share of learning_rate."""


def find_nearest_rows(X: Any, rows: Rows, settings: GraphSettings) -> tuple[Int32Array, Float32Array]:
    """Find the nearest of a window's rows for each new row, exactly.

    Parameters
    ----------
    X
        New rows, (m, d).
    rows
        Of the window, (n, d).
    settings
        Of the window's graph: metric and n_neighbors.

    Returns
    -------
    indices, distances
        (m, k), ascending; k is n_neighbors, or all rows of a smaller window.

    Raises
    ------
    InvalidInputError
        When the new rows cannot be used, their columns differ from the window's, or the metric cannot compare them.
    """
    new_rows = read_new_rows(X, rows, settings.metric)
    k = min(settings.n_neighbors, rows.shape[0])
    indices = np.empty((new_rows.shape[0], k), dtype=np.int32)
    distances = np.empty((new_rows.shape[0], k), dtype=np.float32)
    start = 0
    for block in _compare(new_rows, rows, settings, max(1, BLOCK_BYTES // (8 * rows.shape[0]))):
        with np.errstate(over="ignore"):  # what is too far for float32 is no neighbour
            single = block.astype(np.float32)  # ties of float32 are ties, by row number, as in the kNN graph
        nearest = _take_nearest(single, k)
        part = slice(start, start + len(block))
        indices[part], distances[part] = nearest, np.take_along_axis(single, nearest, axis=1)
        start += len(block)
    return indices, distances


def _take_nearest(distances: Float32Array, k: int) -> Int32Array:
    """Return the columns (m, k) of the k least distances, ascending, ties by number; NaN comes last."""
    nearest = np.empty((len(distances), k), dtype=np.int32)
    # Sorting whole rows was most of the time: 2.8 ms a row over 40,000 rows.
    limits = np.partition(distances, k - 1, axis=1)[:, k - 1]
    for row, (own, limit) in enumerate(zip(distances, limits, strict=True)):
        near = np.flatnonzero(~(own > limit))  # not `<=`: a limit of NaN leaves nothing out
        nearest[row] = near[np.argsort(own[near], kind="stable")[:k]]
    return nearest


def _compare(new_rows: Rows, rows: Rows, settings: GraphSettings, block: int) -> Iterator[npt.NDArray[Any]]:
    """Give the distances of blocks of new rows to all rows of the window, by scikit-learn where it knows the metric."""
    metric, kwds = settings.metric, dict(settings.metric_kwds or {})
    if isinstance(metric, str) and metric == PRECOMPUTED:
        yield from slice_distances(new_rows, block)
        return
    known = ALL_PAIRWISE.get(metric) if isinstance(metric, str) else None
    if known == "cosine" or (known == "correlation" and not is_sparse(rows)):
        yield from _compare_angles(new_rows, rows, known, block)
        return
    if known is None or (is_sparse(rows) and known not in SPARSE_METRICS):
        yield from compare_by_function(new_rows, rows, metric, kwds, block)
        return
    from sklearn.metrics import pairwise_distances

    new_rows, rows = _widen(new_rows, rows)
    for start in range(0, new_rows.shape[0], block):
        try:
            found = pairwise_distances(new_rows[start : start + block], rows, metric=known, **kwds)
        except (TypeError, ValueError) as error:
            msg = f"metric={metric!r} with metric_kwds {kwds} cannot be used to place new rows: {error}"
            raise InvalidInputError(msg) from error
        if not is_sparse(rows):
            fill_equal(found, new_rows[start : start + block], rows)
        yield found


def _widen(new_rows: Rows, rows: Rows) -> tuple[Rows, Rows]:
    """Take rows whose squares float32 cannot hold as float64: distances may be far smaller than these."""
    largest = max(max(float(side.max()), -float(side.min())) for side in (new_rows, rows) if side.shape[0])
    return (new_rows, rows) if largest < _LARGEST else (new_rows.astype(np.float64), rows.astype(np.float64))


def _compare_angles(new_rows: Rows, rows: Rows, metric: str, block: int) -> Iterator[npt.NDArray[Any]]:
    """Do as the kNN graph does: rows of zeros are alike, and what float32 rows cannot tell from 0 is 0."""
    if is_sparse(rows):
        from scipy.sparse import vstack

        unit = scale_sparse_rows(vstack([new_rows, rows], format="csr"), metric)
    else:
        both, scales = scale_rows(np.concatenate([new_rows, rows]), metric)
        unit = both * scales[:, None]
    n_new = new_rows.shape[0]
    for start in range(0, n_new, block):
        products = unit[start : min(start + block, n_new)] @ unit[n_new:].T
        found = 1.0 - (products.toarray() if is_sparse(products) else products)
        found[found < COSINE_TINY / 2.0] = 0.0
        yield found


def place_rows(
    indices: Int32Array,
    distances: Float32Array,
    positions: Float32Array,
    *,
    local_connectivity: float,
    values: WindowValues,
    seed: int,
) -> Float32Array:
    """Place rows by their neighbours among the rows of a map.

    A row starts at the mean of its neighbours, weighted by membership strength, and is then attracted by them and
    repelled by a sample of the map; new rows do not see each other.

    Parameters
    ----------
    indices, distances
        (m, k) nearest rows of the map and how far they are, ascending.
    positions
        float32 (n, c), the map; rows that are not finite attract and repel nobody.
    local_connectivity
        As for the map's own graph.
    values
        Layout settings of the window; see `window_values`.
    seed
        Of the negative samples.

    Returns
    -------
    numpy.ndarray of float32
        Shape (m, c); NaN for a row none of whose neighbours has a place.
    """
    has_place = np.asarray(np.isfinite(positions).all(axis=1))
    strengths = _weigh(distances, local_connectivity) * has_place[indices]
    total = strengths.sum(axis=1)
    is_placed = total > 0
    start = np.full((len(indices), positions.shape[1]), np.nan, dtype=np.float32)
    near = np.nan_to_num(positions[indices])
    start[is_placed] = (strengths[..., None] * near)[is_placed].sum(axis=1) / total[is_placed, None]
    n_epochs = round(TRANSFORM_SHARE * values.n_epochs)
    if not n_epochs or not is_placed.any():
        return start
    start[is_placed] = _optimise(indices[is_placed], strengths[is_placed], start[is_placed], positions, values, seed)
    return start


def _optimise(
    indices: Int32Array,
    strengths: Float32Array,
    start: Float32Array,
    positions: Float32Array,
    values: WindowValues,
    seed: int,
) -> Float32Array:
    """Run epochs in which the new rows move alone; the map's rows come first and are the negative samples."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(np.isfinite(positions).all(axis=1)))
    place = np.full(len(positions), 0, dtype=np.int64)
    place[order] = np.arange(len(order))
    n_old, n_new = len(order), len(indices)
    keep = strengths > 0
    rates = (strengths / strengths.max(axis=1, keepdims=True)).astype(np.float32)
    degrees = np.concatenate([np.zeros(n_old, np.int64), keep.sum(axis=1)])
    arrays = BlockArrays(
        offsets=np.array([0, n_old + n_new], dtype=np.int64),
        n_active=np.array([n_old], dtype=np.int64),
        indptr=np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64),
        indices=place[indices][keep].astype(np.int32),
        rates=rates[keep],
        row_rates=np.concatenate([np.zeros(n_old), np.where(keep, rates, 0).sum(axis=1)]).astype(np.float32),
        related_indptr=np.zeros(n_old + n_new + 1, dtype=np.int64),
        related=np.empty(0, np.int32),
        related_weights=np.empty(0, np.float32),
        places=np.arange(n_old + n_new, dtype=np.int32),
        mid_near_indptr=np.zeros(n_old + n_new + 1, dtype=np.int64),
        mid_near=np.empty(0, np.int32),
        mid_near_rates=np.empty(0, np.float32),
    )
    forces = join_forces([values])
    optimiser = Optimiser(arrays, forces, [seed], positions.shape[1])
    optimiser.set_positions(0, np.concatenate([positions[order], start]))
    n_epochs = max(1, round(TRANSFORM_SHARE * values.n_epochs))
    falling = TRANSFORM_LEARNING_RATE * values.learning_rate * (1 - np.arange(n_epochs) / n_epochs)
    stage = Stage([0], n_epochs, falling[:, None].astype(np.float32), 0, 1)
    optimiser.run(stage, rows=(n_old, n_old + n_new))
    return optimiser.get_positions(0)[n_old:]


def _weigh(distances: Float32Array, local_connectivity: float) -> Float32Array:
    """Return membership strengths (m, k) of new rows to their neighbours (arXiv 1802.03426, algorithm 3)."""
    with_self = np.concatenate([np.zeros((len(distances), 1), np.float32), distances], axis=1)
    sigmas, rhos = smooth_knn_distances(with_self, local_connectivity)
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.maximum(distances - rhos[:, None], 0)
        strengths = np.where(beyond > 0, np.exp(-beyond / sigmas[:, None]), 1)
    return np.where(np.isfinite(distances), np.nan_to_num(strengths), 0).astype(np.float32)
