"""kNN graphs of windows that follow each other: what is known of rows that both have is not computed again.

Where a row's vector is the same in two windows, its neighbours in the newer one are those of the older that are still
there, and rows that are new; only where too few of them are left, or for a new row, are all rows compared.

Dimensions: n rows; d features; k neighbours, the row itself included; w = k + `SPARE` places of a kept list.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.neighbours.rows import is_sparse
from driftmap.engine.neighbours.scaling.normalise import COSINE_TINY, as_graph, centre_rows, new_graph, scale_rows
from driftmap.engine.neighbours.search import BLOCK_BYTES, EXACT_SUM_LIMIT, EXACT_WORK
from driftmap.engine.settings import BLAS_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.neighbours.scaling.normalise import Centred
    from driftmap.engine.settings import GraphSettings
    from driftmap.engine.types import Float32Array, Int32Array, KnnGraph, Relation

SPARE = 10
"""Neighbours kept beyond those asked for: rows may leave before a list is too short (`tests.benchmarks reuse`)."""
MIN_SHARE = 0.45
"""Share of a window's rows that must be unchanged: at half of them little is won yet (same benchmark)."""
MIN_WORK = 2e9
"""n^2 (d + 180) of the smaller of two windows; below it a search takes some hundredths of a second."""


class _Kept(NamedTuple):
    """Neighbours in one window, for the next."""

    lists: Lists
    """indices and distances of the scaled rows, (n, w)."""
    radii: Float32Array
    """(n,) every row nearer than this is in the list."""


class _Prepared(NamedTuple):
    """Rows of one window, ready for products and for exact distances."""

    centred: Centred
    data: Data


def find_in_sequence(
    windows: Sequence[Rows], steps: Sequence[Relation], settings: Sequence[GraphSettings]
) -> Iterator[KnnGraph | None]:
    """Find the kNN graphs of windows that share much with the window before or after; None for the others.

    Parameters
    ----------
    windows
        Rows of each window, as `rows.read_rows` gives them.
    steps
        Relation of each window's rows to the next one's.
    settings
        Of each window's graph.

    Yields
    ------
    One by one, the graphs that `knn.build_knn_graph` would give, or None where that is as good.
    """
    kept: _Kept | None = None
    for index, rows in enumerate(windows):
        now = settings[index]
        unchanged = _find_unchanged(windows, steps, settings, index - 1)
        goes_on = _find_unchanged(windows, steps, settings, index) is not None
        if not goes_on and (unchanged is None or kept is None):
            kept = None
            yield None
            continue
        k, metric = min(now.n_neighbors, len(rows)), BLAS_METRICS[str(now.metric)]
        prepared = _prepare(rows, metric)
        width = min(k + SPARE, len(rows))
        if unchanged is None or kept is None:
            kept = _begin(prepared, width)
        else:
            kept = _follow(kept, unchanged, prepared, k, width)
        if kept is None:
            yield None
            continue
        yield as_graph(kept.lists[0][:, :k].copy(), kept.lists[1][:, :k].copy(), metric)


def _find_unchanged(
    windows: Sequence[Rows], steps: Sequence[Relation], settings: Sequence[GraphSettings], older: int
) -> Relation | None:
    """Relate the rows that are the same in a window and the next, where these are enough; else None."""
    if not 0 <= older < len(steps):
        return None
    old, new = windows[older], windows[older + 1]
    one, two = settings[older], settings[older + 1]
    if one.metric != two.metric or not isinstance(two.metric, str) or two.metric not in BLAS_METRICS:
        return None
    if is_sparse(old) or is_sparse(new) or old.shape[1] != new.shape[1] or one.metric_kwds or two.metric_kwds:
        return None
    n, d = min(len(old), len(new)), new.shape[1]
    if n * n * (d + 180.0) < MIN_WORK or max(len(old), len(new)) ** 2 * (d + 180.0) > EXACT_WORK:
        return None
    relation = steps[older].copy()
    related = np.flatnonzero(relation >= 0)
    is_same = (old[related] == new[relation[related]]).all(axis=1)
    relation[related[~is_same]] = -1
    return relation if np.count_nonzero(is_same) >= MIN_SHARE * len(new) else None


def _prepare(rows: Float32Array, metric: str) -> _Prepared:
    scaled, scales = scale_rows(rows, metric)
    tiny = 0.0 if metric == "euclidean" else COSINE_TINY
    return _Prepared(centre_rows(scaled, scales, tiny, np.float32), (scaled, scales, tiny))


def _begin(window: _Prepared, width: int) -> _Kept | None:
    """Neighbours in the first window of some."""
    n = len(window.centred.rows)
    lists = new_graph(n, width)
    is_done = _compare_with_all(window, np.arange(n, dtype=np.int32), lists, None)
    return _Kept(lists, lists[1][:, -1]) if is_done else None


def _follow(kept: _Kept, unchanged: Relation, window: _Prepared, k: int, width: int) -> _Kept | None:
    """Neighbours in a window from those in the window before."""
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import set_bars

    n = len(window.centred.rows)
    old_rows = np.flatnonzero(unchanged >= 0)
    shared = unchanged[old_rows]
    lists = new_graph(n, width)
    lists[0][:, 0], lists[1][:, 0] = np.arange(n), 0.0
    lists[0][shared], lists[1][shared], radii = _carry_lists(kept, old_rows, unchanged, shared, width)
    limits = np.full(n, -1.0, dtype=np.float32)
    limits[shared] = radii
    bars = np.empty(n, dtype=np.float32)
    set_bars(bars, window.centred.least, window.centred.unit, limits)
    is_new = np.ones(n, dtype=np.bool_)
    is_new[shared] = False
    if not _compare_with_all(window, np.flatnonzero(is_new).astype(np.int32), lists, bars):
        return None
    limits[is_new] = np.inf
    limits = np.where(lists[0][:, -1] >= 0, np.minimum(limits, lists[1][:, -1]), limits).astype(np.float32)
    is_short = (lists[1][:, :k] >= limits[:, None]).any(axis=1) & ~is_new
    if not _compare_with_all(window, np.flatnonzero(is_short).astype(np.int32), lists, None):
        return None
    limits[is_short] = lists[1][is_short, -1]
    return _Kept(lists, limits)


def _carry_lists(
    kept: _Kept, old_rows: npt.NDArray[np.int64], unchanged: Relation, shared: Int32Array, width: int
) -> tuple[Int32Array, Float32Array, Float32Array]:
    """Return the shared rows' lists of rows that are still there, by their new numbers, and how far they reach."""
    old_indices, old_distances = kept.lists[0][old_rows], kept.lists[1][old_rows]
    radii = kept.radii[old_rows]
    indices = np.where(old_indices >= 0, unchanged[old_indices], -1).astype(np.int32)
    is_left = (indices >= 0) & (old_distances < radii[:, None])
    is_left[:, 0] = True  # the row itself
    indices = np.where(is_left, indices, -1).astype(np.int32)
    distances = np.where(is_left, old_distances, np.inf).astype(np.float32)
    first = np.where(indices == shared[:, None], -2, indices)  # it stays first among rows equal to it
    order = np.lexsort((first, distances), axis=1)
    indices, distances = np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    if indices.shape[1] >= width:
        cut = distances[:, width] if indices.shape[1] > width else np.full(len(indices), np.inf, dtype=np.float32)
        return indices[:, :width], distances[:, :width], np.minimum(radii, cut)
    scratch = width - indices.shape[1]
    return (
        np.pad(indices, ((0, 0), (0, scratch)), constant_values=-1),
        np.pad(distances, ((0, 0), (0, scratch)), constant_values=np.inf),
        radii,
    )


def _compare_with_all(window: _Prepared, own: Int32Array, lists: Lists, bars: Float32Array | None) -> bool:
    """Find the nearest of all rows for some; with `bars`, put these into the lists of the others too.

    Returns False, with the lists unfinished, where float32 products say too little, as in `knn.find_exact`.
    """
    from driftmap.engine.core.threads import share_rows
    from driftmap.engine.neighbours.kernels.topk_merge_kernels import add_rows, select_among

    centred, data = window.centred, window.data
    n, width = lists[0].shape
    numbers = np.arange(n, dtype=np.int32)
    step = max(1, min(len(own), BLOCK_BYTES // (4 * n)))
    products = np.empty((step, n), dtype=np.float32)

    def select(some: Int32Array, part: slice) -> int:
        mine, found = some[part], products[part]
        np.matmul(centred.rows[mine], centred.rows.T, out=found)
        return select_among(found, (centred.least, centred.most), mine, 0, data, numbers, lists)

    def add(some: Int32Array, bars: Float32Array, part: slice) -> int:
        targets, scaling = (part.start, part.stop), (centred.least, centred.unit)
        return add_rows(products[: len(some)], targets, some, bars, scaling, data, numbers, lists)

    with share_rows() as share:
        for start in range(0, len(own), step):
            some = own[start : start + step]
            if share(partial(select, some), len(some)) > EXACT_SUM_LIMIT * width * len(some):
                return False
            if bars is not None:
                share(partial(add, some, bars), n)
    return True
