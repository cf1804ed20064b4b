"""Rows neither near each row nor far from it, by which a layout arranges what its neighbours do not tie together.

Dimensions: n rows; d features; m mid-near rows of each; p of each that are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.sizes import LARGE_ROWS
from driftmap.engine.neighbours.rows import is_sparse, read_rows
from driftmap.engine.neighbours.scaling.normalise import as_graph, scale_rows
from driftmap.engine.neighbours.sparse import SPARSE_METRICS, scale_sparse_rows, unpack
from driftmap.engine.settings import BLAS_METRICS, PRECOMPUTED

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.neighbours.blocked import ReadRows
    from driftmap.engine.neighbours.kernels.mid_near_kernels import Scaled
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.settings import GraphSettings
    from driftmap.engine.types import Float32Array, Int32Array, KnnGraph

N_MID_NEAR = 4
"""Mid-near rows of each row."""
N_COMPARED = 12
"""Rows at random, of which the second nearest is a mid-near row. Of 6, as in PaCMAP, digits carry labels over by .80
instead of .83; of 24 little is left of what they do for Gapminder's countries."""
_RANK = 1
_PIECES = 4
"""Into which a block is cut, so that scaling takes no more than a second block."""
_SAME = 1e-3
"""Of the largest distance: what a given graph's may differ by."""


def find_mid_near(rows: Any, settings: GraphSettings) -> Int32Array | None:
    """Find mid-near rows of every row of a window: each is the second nearest of 12 rows that are drawn at random.

    Which rows those are depends on the numbers of rows alone: windows of the same rows are arranged by the same pairs.

    Parameters
    ----------
    rows
        Of the window, as `build_knn_graph` takes them.
    settings
        Of the window's graph: the metric.

    Returns
    -------
    numpy.ndarray of int32, or None
        Shape (n, 4); -1 where the distance to that row is infinite. None for windows of more than 20,000 rows, and by
        metrics other than euclidean, cosine, correlation (of dense rows) and a dense matrix of distances.

    Notes
    -----
    Wang, Huang, Rudin, Shaposhnik 2021 (JMLR 22, 201), section 5: PaCMAP compares 6 rows.
    """
    if not _has_any(rows, settings.metric):
        return None
    drawn = _draw(np.shape(rows)[0])
    return _choose(drawn, _measure(read_rows(rows, settings.metric), str(settings.metric), drawn))


def are_rows_of(knn: KnnGraph, rows: Any, settings: GraphSettings) -> bool:
    """Tell whether rows are those that a kNN graph is of: whether they give its distances.

    Parameters
    ----------
    knn
        Graph that came with the rows.
    rows, settings
        As for `find_mid_near`.

    Returns
    -------
    bool
        False too where `find_mid_near` finds none.
    """
    if not _has_any(rows, settings.metric) or np.shape(rows)[0] != len(knn.indices) or knn.indices.shape[1] < 2:
        return False
    drawn = knn.indices[:, 1:2]
    is_known = drawn[:, 0] >= 0
    given, found = knn.distances[is_known, 1], _measure(read_rows(rows, settings.metric), str(settings.metric), drawn)
    if settings.metric != PRECOMPUTED:
        found = as_graph(drawn, found, BLAS_METRICS[str(settings.metric)]).distances
    apart = np.abs(found[is_known, 0] - given)
    return bool((apart <= _SAME * given.max(initial=0.0)).all())


def _has_any(rows: Any, metric: Any) -> bool:
    """Tell whether rows have mid-near rows: neither by their number nor by their metric they are without."""
    if not isinstance(metric, str) or np.shape(rows)[0] > LARGE_ROWS:
        return False
    if metric == PRECOMPUTED:
        return not is_sparse(rows)
    return BLAS_METRICS.get(metric) in (SPARSE_METRICS if is_sparse(rows) else BLAS_METRICS.values())


def _measure(rows: Rows, metric: str, drawn: Int32Array) -> npt.NDArray[Any]:
    """Measure each row against its drawn ones, (n, p): distances of scaled rows, in the order of the metric's."""
    if metric == PRECOMPUTED:
        return np.take_along_axis(rows, drawn, axis=1)
    apart = np.empty(drawn.shape, np.float32)
    if is_sparse(rows):
        from driftmap.engine.neighbours.kernels.mid_near_kernels import measure_drawn_sparse

        measure_drawn_sparse(unpack(scale_sparse_rows(rows, BLAS_METRICS[metric])), drawn, apart)
        return apart
    data = scale_rows(rows, BLAS_METRICS[metric])
    _fill(data, data, 0, drawn, apart)
    return apart


def find_mid_near_in_blocks(
    read_rows: ReadRows, n_rows: int, settings: GraphSettings, block_rows: int
) -> Int32Array | None:
    """Find what `find_mid_near` does, of a window of which two blocks of rows at a time are in memory.

    Parameters
    ----------
    read_rows, n_rows, settings, block_rows
        As for `build_window_graph_from_blocks`.

    Returns
    -------
    numpy.ndarray of int32, or None
        As `find_mid_near`.
    """
    if n_rows > LARGE_ROWS:
        return None
    drawn, metric = _draw(n_rows), BLAS_METRICS[str(settings.metric)]
    apart = np.empty(drawn.shape, np.float32)
    piece = max(1, block_rows // _PIECES)
    for first in range(0, n_rows, block_rows):
        own = _load(read_rows, range(first, min(first + block_rows, n_rows)), piece, metric)
        part = slice(first, first + len(own[0]))
        for other in range(0, n_rows, piece):
            rows = range(other, min(other + piece, n_rows))
            _fill(own, _load(read_rows, rows, piece, metric), other, drawn[part], apart[part])
    return _choose(drawn, apart)


def _load(read_rows: ReadRows, rows: range, piece: int, metric: str) -> Scaled:
    """Read rows and scale them, so many at a time; with room for the feature that rows of zeros have."""
    loaded, scales = np.empty((0, 0), np.float32), np.empty(len(rows))
    for start in range(0, len(rows), piece):
        here = slice(start, min(start + piece, len(rows)))
        given = np.ascontiguousarray(read_rows(rows.start + here.start, rows.start + here.stop), dtype=np.float32)
        if not loaded.size:
            loaded = np.empty((len(rows), given.shape[1] + (metric != "euclidean")), np.float32)
        scaled, scales[here] = scale_rows(given, metric)
        loaded[here, : scaled.shape[1]] = scaled
        loaded[here, scaled.shape[1] :] = 0.0
    return loaded, scales


def _draw(n: int) -> Int32Array:
    """Draw the rows to compare each row with, (n, p): a row itself may be among them, and one row twice.

    With others in every window of Gapminder's countries the maps are pulled to and fro: distances on them correlate by
    .613 with those in the data instead of .624, and .604 with none.
    """
    shares = np.random.default_rng(0).random((n, N_MID_NEAR * N_COMPARED), dtype=np.float32)
    drawn: Int32Array = np.minimum(shares * np.float32(n), n - 1).astype(np.int32)
    return drawn


def _fill(rows: Scaled, others: Scaled, first: int, drawn: Int32Array, apart: Float32Array) -> None:
    from driftmap.engine.neighbours.kernels.mid_near_kernels import measure_drawn  # late: loads numba

    measure_drawn(rows, others, first, drawn, apart)


def _choose(drawn: Int32Array, apart: npt.NDArray[Any]) -> Int32Array:
    """Choose the second nearest of each 12; of rows equally far the one drawn first."""
    shape = len(drawn), N_MID_NEAR, N_COMPARED
    apart = apart.reshape(shape)
    chosen = np.argsort(apart, axis=2, kind="stable")[:, :, _RANK : _RANK + 1]
    rows = np.take_along_axis(drawn.reshape(shape), chosen, axis=2)[:, :, 0]
    is_known = np.isfinite(np.take_along_axis(apart, chosen, axis=2)[:, :, 0])
    rows[~is_known] = -1
    return np.ascontiguousarray(rows, dtype=np.int32)
