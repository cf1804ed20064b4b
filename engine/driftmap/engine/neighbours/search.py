"""The kNN graph of a window: exact where that is fast, else from parts of the data or by nearest-neighbour descent.

The one file that imports pynndescent, and late: its import and first call cost half a minute of compilation.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.validation import check_int, describe_rows
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.partitions.inverted_file import find_in_partitions
from driftmap.engine.neighbours.rows import is_sparse, read_window_rows, slice_distances
from driftmap.engine.neighbours.scaling.normalise import COSINE_TINY, as_graph, centre_rows, new_graph, scale_rows
from driftmap.engine.settings import BLAS_METRICS, BOOLEAN_METRICS, DEFAULTS, PAIRWISE_METRICS, PRECOMPUTED
from driftmap.engine.types import KnnGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.neighbours.scaling.normalise import Centred
    from driftmap.engine.types import Float32Array, Int32Array

    Float64Array = npt.NDArray[np.float64]

EXACT_WORK = 1e10
"""Dense rows, by a metric that inner products give: exact search up to n^2 (d + 180) of this, 6,400 rows of 64
features or 3,200 of 784; above, parts of the data and neighbours of neighbours (tests/benchmarks/bench_knn.py). At the
limit both take about as long; 10,000 rows of 64 features .22 CPU s exactly and .08 in parts, 7,000 of 768 .72 and .31.
"""
EXHAUSTIVE_WORK = 1.2e12
"""The same for other metrics, and for rows of which parts and neighbours lead to too few: 70,000 rows of 64 features
or 36,000 of 784, in 14 s on two cores. Above, what those lead to is taken: of noise (80,000 x 64) .56 of the neighbours
in 10 s, where pynndescent found .39 in 35.

pynndescent, which searches by other metrics above, takes 23 to 30 s for a process's first window, nearly all of it
compiling, then 2 to 3 s at these sizes, with .86 of the neighbours found there.
"""
EXACT_SPARSE_WORK = 1e10
"""The same for sparse rows, in multiplications and pairs of rows, at 3.5e-9 s each: see `sparse.count_sparse_work`.

8,000 rows with 100 of 5,000 features: 0.7 s; 16,000 with 60 of 20,000: 1.2 s; at the limit as long as pynndescent.
"""
EXACT_FUNCTION_WORK = 4e10
"""The same for metrics that are functions, in n^2 (d + 20), d the mean number of stored values of sparse rows.

At 7e-10 s each for sums of differences: 4,000 rows of 200 features 2.7 s; at the limit as long as pynndescent.
"""
BLOCK_BYTES = 1 << 25
"""Memory for the products of one block: 14,000 x 784 on two threads take 2.8 s so, with half as much 3.4, with a
quarter 5.2; 5,000 x 64 the same with any of these."""
EXACT_SUM_LIMIT = 32
"""Distances summed one by one per neighbour wanted, above which products are made in float64 instead."""

PREPARED_METRICS = ("dot", "direct_cosine", "inner_product", "bit_hamming", "bit_jaccard")
"""Metrics whose rows pynndescent changes before it compares them."""


def build_knn_graph(
    rows: Any,
    n_neighbors: int,
    metric: str | Callable[..., Any] = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    seed: int = 0,
    recall: float = DEFAULTS["knn_recall"],
) -> KnnGraph:
    """Find the nearest rows of every row of a window.

    Parameters
    ----------
    rows
        (n, d) finite numbers, dense or scipy sparse; converted to float32 once. With `metric="precomputed"`: (n, n)
        distances, inf (or, of a sparse matrix, not stored) between rows that are never neighbours.
    n_neighbors
        How many, the row itself included; 2 to n.
    metric
        "euclidean", "cosine", "correlation" or any other name that pynndescent knows (for sparse rows: knows for them);
        or a function of two rows, and the arguments, that numba compiled or can compile. For sparse rows it is given
        (indices, values) of one row and of the other. Cosine distance of a row of zeros is 0 to another such row and 1
        to any other, as in umap-learn; the same for correlation and constant rows.
    metric_kwds
        Arguments of the metric, such as `{"p": 3}` for "minkowski".
    seed
        Of the approximate search; the exact one needs none.
    recall
        Share of the nearest rows, by distance, that an approximate search is to find; 1: the search is exact, whatever
        it costs, but for metrics and sparse rows that only nearest-neighbour descent can search in time.

    Returns
    -------
    KnnGraph
        Column 0 is the row itself at distance 0, also where other rows equal it; then ascending, ties by row number.
        The same bytes on any number of threads.

    Raises
    ------
    InvalidInputError
        When there are fewer rows than neighbours, rows that are not finite (they are named), or an unknown metric.

    Notes
    -----
    Exact up to `EXACT_WORK`, `EXHAUSTIVE_WORK`, `EXACT_SPARSE_WORK` or `EXACT_FUNCTION_WORK`. Above, dense rows by a
    metric that inner products give are searched in the nearest parts of the data (see `partitions`), unless `recall`
    is 1, and all others by pynndescent. It runs on one thread, since its result depends on their number.
    """
    given = read_window_rows(rows, metric)
    n, k = given.shape[0], check_int(n_neighbors, "n_neighbors", minimum=2)
    if k > n:
        msg = f"n_neighbors={k} needs at least {k} rows, got {n}; lower n_neighbors or give more rows."
        raise InvalidInputError(msg)
    kwds = dict(metric_kwds or {})
    if not isinstance(metric, str):
        return _search_by_function(given, k, metric, kwds, seed)
    if metric == PRECOMPUTED:
        return _select(slice_distances(given, max(1, BLOCK_BYTES // (8 * n))), n, k, metric)
    if metric in BLAS_METRICS:
        _refuse_kwds(metric, kwds)
    if is_sparse(given):
        return _search_sparse(given, k, metric, kwds, seed)
    return (
        _search_products(given, k, metric, seed, recall)
        if metric in BLAS_METRICS
        else _search(given, k, metric, kwds, seed)
    )


def _search_products(rows: Float32Array, k: int, metric: str, seed: int, recall: float) -> KnnGraph:
    """Search by a metric that inner products give."""
    n, d = rows.shape
    known, work = BLAS_METRICS[metric], n * n * (d + 180.0)
    if recall < 1.0 and work > EXACT_WORK:
        found = find_in_partitions(rows, k, known, seed, recall, is_enough=work > EXHAUSTIVE_WORK)
        if found is not None:
            return found
    return find_exact(rows, k, known)


def _search(rows: Float32Array, k: int, metric: str, kwds: Mapping[str, Any], seed: int) -> KnnGraph:
    n, d = rows.shape
    work = n * n * (d + 180.0)
    if work <= EXHAUSTIVE_WORK and (metric in PAIRWISE_METRICS or metric in BOOLEAN_METRICS):
        return _select(_compare_blocks(rows, metric, kwds), n, k, metric)
    return _search_by_name(rows, k, metric, kwds, seed)


def _search_sparse(rows: Rows, k: int, metric: str, kwds: Mapping[str, Any], seed: int) -> KnnGraph:
    from driftmap.engine.neighbours.sparse import (
        SPARSE_METRICS,
        count_sparse_work,
        find_exact_sparse,
        measure_sparse_again,
    )

    known = BLAS_METRICS.get(metric, metric)
    if known not in SPARSE_METRICS:
        return _search_by_name(rows, k, known, kwds, seed)
    tiny = 0.0 if known == "euclidean" else COSINE_TINY
    if count_sparse_work(rows) <= EXACT_SPARSE_WORK:
        found = find_exact_sparse(rows, k, known, tiny)
    else:
        found = measure_sparse_again(rows, find_by_descent(rows, k, known, kwds, seed).indices, known, tiny)
    return as_graph(*found, known)


def _search_by_name(rows: Rows, k: int, metric: str, kwds: Mapping[str, Any], seed: int) -> KnnGraph:
    """Search by a metric of pynndescent's: a small window by that function itself, exactly."""
    function, kwds = find_named_function(rows, metric, kwds)
    if metric in PREPARED_METRICS:
        return find_by_descent(rows, k, metric, kwds, seed)
    return _search_by_function(rows, k, function, kwds, seed, metric)


def find_named_function(rows: Rows, metric: str, kwds: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Find the function of a metric that pynndescent knows for such rows, and its arguments; refuse other names."""
    import pynndescent  # late: 2 s, and tens of seconds where numba's cache is cold

    is_about_sparse = is_sparse(rows)
    of_sparse = pynndescent.sparse.sparse_named_distances
    known = of_sparse if is_about_sparse else pynndescent.distances.named_distances
    if metric not in known:
        names = sorted({*known, *({} if is_about_sparse else PAIRWISE_METRICS)})
        msg = f"metric {metric!r} is not known{' for sparse rows' * is_about_sparse}; give one of {', '.join(names)}."
        raise InvalidInputError(msg)
    if is_about_sparse and metric in pynndescent.sparse.sparse_need_n_features:
        kwds = {**kwds, "n_features": rows.shape[1]}
    return known[metric], kwds


def refuse_sparse_metric(metric: str) -> None:
    """Refuse a metric by which sparse rows cannot be compared.

    Parameters
    ----------
    metric : str
        Name of the metric.

    Raises
    ------
    InvalidInputError
        Saying which metrics can.
    """
    from driftmap.engine.neighbours.sparse import SPARSE_METRICS

    known = BLAS_METRICS.get(metric, metric)
    if known in SPARSE_METRICS:
        return
    from scipy.sparse import csr_array

    find_named_function(csr_array((1, 1), dtype=np.float32), known, {})


def _search_by_function(
    rows: Rows, k: int, function: Any, kwds: Mapping[str, Any], seed: int, name: str | None = None
) -> KnnGraph:
    """Search by a function of two rows; `name` is that of a metric of pynndescent's, None of the caller's own."""
    from driftmap.engine.neighbours.metrics import compare_all, prepare_metric

    function, kwds = prepare_metric(function, kwds, name, rows)
    n = rows.shape[0]
    width = rows.nnz / max(n, 1) if is_sparse(rows) else rows.shape[1]
    if n * n * (width + 20.0) <= EXACT_FUNCTION_WORK:
        return _select(compare_all(rows, function, tuple(kwds.values()), max(1, BLOCK_BYTES // (8 * n))), n, k, name)
    return find_by_descent(rows, k, name or function, kwds, seed)


def compare_by_function(
    new_rows: Rows, rows: Rows, metric: Any, kwds: Mapping[str, Any], block: int
) -> Iterator[Float64Array]:
    """Give the distances of blocks of new rows to all rows, by a function or a name that pynndescent knows."""
    from driftmap.engine.neighbours.metrics import compare_rows, prepare_metric

    name = metric if isinstance(metric, str) else None
    if name in PREPARED_METRICS:
        msg = f"metric {name!r} cannot be used to place new rows; fit with 'cosine', or with a function of two rows."
        raise InvalidInputError(msg)
    if name is not None:
        metric, kwds = find_named_function(rows, name, kwds)
    function, kwds = prepare_metric(metric, kwds, name, rows)
    yield from compare_rows(new_rows, rows, function, tuple(kwds.values()), block)


def find_exact(rows: Float32Array, k: int, metric: str) -> KnnGraph:
    """Compare all rows with all: products by BLAS in blocks, and the distances that may matter once more exactly.

    `metric` is "euclidean", "cosine" or "correlation".
    """
    from driftmap.engine.core.threads import share_rows

    rows, scales = scale_rows(rows, metric)
    tiny = 0.0 if metric == "euclidean" else COSINE_TINY
    n = len(rows)
    lists = new_graph(n, k)
    centred = centre_rows(rows, scales, tiny, np.float32)
    block = max(1, min(n, BLOCK_BYTES // (4 * n)))
    products = np.empty((block, n), dtype=np.float32)
    with share_rows() as share:
        for start in range(0, n, block):
            n_own = min(block, n - start)
            n_summed = share(partial(_compare_with_all, products, centred, (rows, scales, tiny), lists, start), n_own)
            # Tight groups far apart: their distances drown in float32's rounding, and all would be summed by loop.
            if n_summed > EXACT_SUM_LIMIT * k * n_own and centred.rows.dtype == np.float32:
                centred = centre_rows(rows, scales, tiny, np.float64)
                products = np.empty((block, n), dtype=np.float64)
    return as_graph(*lists, metric)


def _compare_with_all(
    products: npt.NDArray[Any], centred: Centred, data: Data, lists: Lists, start: int, part: slice
) -> int:
    """Compare a part of a block of rows, which begins at row `start`, with all; returns how many distances it took."""
    from driftmap.engine.neighbours.kernels.topk_kernels import select_by_bounds

    first = start + part.start
    found = products[part]
    np.matmul(centred.rows[first : start + part.stop], centred.rows.T, out=found)
    return select_by_bounds(found, (centred.least, centred.most), first, data, lists)


def find_by_descent(rows: Rows, k: int, metric: Any, kwds: Mapping[str, Any], seed: int) -> KnnGraph:
    """Find nearest rows approximately by nearest-neighbour descent (Dong, Charikar, Li 2011) with pynndescent.

    It takes the arguments in `kwds` by their order, and dense and sparse rows alike.
    """
    import pynndescent  # late: 2 s, and tens of seconds where numba's cache is cold

    index = pynndescent.NNDescent(
        rows, metric=metric, metric_kwds=dict(kwds) or None, n_neighbors=k, random_state=seed, n_jobs=1
    )
    indices, distances = index.neighbor_graph
    order = np.lexsort((indices, distances), axis=1)
    candidates = np.take_along_axis(indices, order, axis=1)
    return put_first(candidates, np.take_along_axis(distances, order, axis=1))


def measure_again(rows: Float32Array, found: Int32Array, metric: str) -> KnnGraph:
    """Neighbours that were found approximately, with exact distances and in the order of the exact search."""
    from driftmap.engine.neighbours.kernels.topk_kernels import measure_neighbours

    rows, scales = scale_rows(rows, metric)
    indices, distances = new_graph(*found.shape)
    tiny = 0.0 if metric == "euclidean" else COSINE_TINY
    measure_neighbours(np.sort(found, axis=1), (rows, scales, tiny), indices, distances)
    return as_graph(indices, distances, metric)


def put_first(indices: Int32Array, distances: Float32Array) -> KnnGraph:
    """Move every row's own number to column 0; what another row pushed out of the list gives way to it."""
    own = np.arange(len(indices), dtype=np.int32)[:, None]
    is_other = (indices != own) & (indices >= 0)
    # a stable sort by "is not another row" keeps the others in their order and brings the rest to the end
    order = np.argsort(~is_other, axis=1, kind="stable")[:, : indices.shape[1] - 1]
    others = np.take_along_axis(np.where(is_other, indices, -1), order, axis=1)
    apart = np.take_along_axis(np.where(is_other, distances, np.inf), order, axis=1)
    return KnnGraph(
        np.ascontiguousarray(np.hstack([own, others]), dtype=np.int32),
        np.ascontiguousarray(np.hstack([np.zeros_like(own), apart]), dtype=np.float32),
    )


def _select(blocks: Iterator[npt.NDArray[np.float64]], n: int, k: int, metric: str | None) -> KnnGraph:
    """Pick the nearest from blocks of rows of a matrix of all distances."""
    from driftmap.engine.neighbours.kernels.topk_kernels import select_smallest

    indices, distances = new_graph(n, k)
    start = 0
    for block in blocks:
        is_unknown = np.isnan(block) | (block < 0.0)
        if is_unknown.any():
            i, j = np.argwhere(is_unknown)[0]
            rows = start + np.flatnonzero(is_unknown.any(axis=1))
            by = "the given metric" if metric is None else f"metric {metric!r}"
            msg = (
                f"by {by} the distance of row {start + i} to row {j} is {block[i, j]}, and of {describe_rows(rows)} to "
                "some row it is NaN or below 0; drop or change these rows (often they are all zero or constant), or "
                "take another metric."
            )
            raise InvalidInputError(msg)
        select_smallest(block, start, indices, distances)
        start += len(block)
    return KnnGraph(indices, distances)


def _compare_blocks(rows: Float32Array, metric: str, kwds: Mapping[str, Any]) -> Iterator[npt.NDArray[np.float64]]:
    from sklearn.metrics import pairwise_distances  # late: 1 s

    is_boolean = metric in BOOLEAN_METRICS
    name = metric if is_boolean else PAIRWISE_METRICS[metric]
    values = rows != 0.0 if is_boolean else rows
    block = max(1, BLOCK_BYTES // (8 * len(rows)))
    for start in range(0, len(rows), block):
        try:
            found = pairwise_distances(values[start : start + block], values, metric=name, **kwds)
        except (TypeError, ValueError) as error:
            msg = f"metric {metric!r} with metric_kwds {dict(kwds)} failed: {error}"
            raise InvalidInputError(msg) from error
        distances = np.ascontiguousarray(found, dtype=np.float64)
        if metric == "russellrao":
            _join_same(distances, values[start : start + block], values)
        yield fill_equal(distances, values[start : start + block], values)


def _join_same(distances: Float64Array, one: npt.NDArray[Any], two: npt.NDArray[Any]) -> None:
    """Set Russell and Rao's distance of equal rows to 0, as pynndescent and umap-learn have it; else 1 - (both) / d."""
    n_features = one.shape[1]
    n_both = np.rint((1.0 - distances) * n_features)
    n_one, n_two = (np.count_nonzero(rows, axis=1) for rows in (one, two))
    distances[(n_both == n_one[:, None]) & (n_both == n_two)] = 0.0


def fill_equal(distances: Float64Array, one: npt.NDArray[Any], two: npt.NDArray[Any]) -> Float64Array:
    """Set distances of 0/0 to 0 where both rows are the same: two empty samples by Bray-Curtis, for one."""
    rows, others = np.nonzero(np.isnan(distances))
    if len(rows):
        is_equal = (one[rows] == two[others]).all(axis=1)
        distances[rows[is_equal], others[is_equal]] = 0.0
    return distances


def _refuse_kwds(metric: str, kwds: Mapping[str, Any]) -> None:
    if kwds:
        msg = f"metric {metric!r} takes no arguments, got metric_kwds={dict(kwds)}; leave them out."
        raise InvalidInputError(msg)
