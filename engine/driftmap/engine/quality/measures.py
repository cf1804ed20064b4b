"""How good maps are: trustworthiness and neighbour preservation of one window, drift of a run.

No figure depends on the scale, turn or place of the layout. Rows without a finite place are left out of every figure;
`count_bad_rows` counts them.

Dimensions: n rows of a window; c components of the layout; k neighbours of a row, the row itself not included.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.validation import check_int, check_matrix
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.rows import is_sparse, read_rows, slice_distances
from driftmap.engine.neighbours.scaling.normalise import scale_rows
from driftmap.engine.neighbours.search import BLOCK_BYTES, build_knn_graph, find_exact, measure_again
from driftmap.engine.neighbours.sparse import scale_sparse_rows
from driftmap.engine.quality.change import measure_spread
from driftmap.engine.relations.relations import compose_relations
from driftmap.engine.settings import PRECOMPUTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.types import Float32Array, Int32Array, Relation

    Float64Array = npt.NDArray[np.float64]

RANK_METRICS = ("euclidean", "cosine", "correlation", PRECOMPUTED)
"""Metrics by which trustworthiness ranks rows."""
_FAR = 100.0
"""Maps further away from 0 than so many of their extents are moved there before they are rounded to float32."""
_HELD_EXTENTS = 1e-15, 1e15
"""Between these float32 holds squares of distances."""
TREE_ROWS = 4_000
"""Maps above this many rows are searched by a k-d tree: 14,000 places in 0.03 s instead of 0.3 s, once scipy is in."""
TREE_COMPONENTS = 4
"""And only up to this many components: in more a tree visits nearly everything."""


def trustworthiness(rows: Rows, positions: npt.ArrayLike, n_neighbors: int = 15, metric: str = "euclidean") -> float:
    """How far rows that are near on the map are near in the data.

    Parameters
    ----------
    rows
        (n, d) data of one window, dense or sparse; or its (n, n) distances with `metric="precomputed"`.
    positions
        (n, c) places on the map; rows whose place is not finite are left out.
    n_neighbors
        k, the row itself not included; below half the rows.
    metric
        Of the data: one of RANK_METRICS; of sparse data, all but "correlation".

    Returns
    -------
    float
        In [0, 1]; 1 is best.

    Notes
    -----
    `1 - 2 / (n k (2 n - 3 k - 1)) * sum_i sum_j max(0, r(i, j) - k)`, j over the k nearest of i on the map and r the
    rank of j among i's neighbours in the data, ties by row number: Venna and Kaski 2001 (ICANN, "Neighborhood
    preservation in nonlinear projection methods"), as in scikit-learn. Memory for a block of rows, not for (n, n)
    distances.
    """
    if metric not in RANK_METRICS or (metric == "correlation" and is_sparse(rows)):
        msg = f"metric must be one of {', '.join(RANK_METRICS)} (of sparse rows, not correlation), got {metric!r}."
        raise InvalidInputError(msg)
    data, places = _keep_finite(rows, positions, metric)
    n, k = len(places), check_int(n_neighbors, "n_neighbors", minimum=1)
    if 2 * k >= n:
        msg = f"n_neighbors={k} must be below half of the {n} rows with a finite place; lower it."
        raise InvalidInputError(msg)
    near = find_nearest_places(places, k)
    total = _sum_excess_ranks(data, metric, near)
    return 1.0 - total * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0))


def choose_rank_metric(rows: Rows, metric: Any) -> str:
    """Return the metric by which `trustworthiness` can rank such rows: the one given, or "euclidean"."""
    if not isinstance(metric, str) or metric not in RANK_METRICS or (metric == "correlation" and is_sparse(rows)):
        return "euclidean"
    return metric


def neighbour_preservation(
    rows: Rows, positions: npt.ArrayLike, n_neighbors: int = 15, metric: Any = "euclidean"
) -> float:
    """Share of each row's nearest rows in the data that are among its nearest on the map.

    Parameters
    ----------
    rows
        (n, d) data of one window, dense or sparse; or its (n, n) distances with `metric="precomputed"`.
    positions
        (n, c) places on the map; rows whose place is not finite are left out.
    n_neighbors
        k, the row itself not included; below n.
    metric
        Of the data, any that `build_knn_graph` takes.

    Returns
    -------
    float
        `mean_i |N_k(i) in the data and on the map| / k`, in [0, 1]; 1 is best.

    Notes
    -----
    The mean of Lee and Verleysen's Q_NX(k) (2009, Neurocomputing 72, "Quality assessment of dimensionality reduction").
    """
    data, places = _keep_finite(rows, positions, metric)
    k = check_int(n_neighbors, "n_neighbors", minimum=1)
    knn = build_knn_graph(data, k + 1, metric, recall=1.0)
    return neighbour_preservation_from_graph(knn.indices, places)


def neighbour_preservation_from_graph(
    knn_indices: npt.ArrayLike, positions: npt.ArrayLike, max_rows: int | None = None
) -> float:
    """Share of a stored kNN graph's neighbours that are among the nearest on the map.

    Parameters
    ----------
    knn_indices
        (n, k + 1) as in `KnnGraph`: the row itself in column 0, -1 where there is no neighbour.
    positions
        (n, c) places on the map. Rows whose place is not finite count neither as rows nor as neighbours; a row that
        keeps m neighbours is compared with its m nearest on the map.
    max_rows
        Of more rows than this, so many, evenly spaced, stand for all; every row counts as a neighbour still.

    Returns
    -------
    float
        In [0, 1]; 1 is best; NaN where no row keeps a neighbour.
    """
    places = _read_places(positions)
    indices = np.asarray(knn_indices)
    if indices.ndim != 2 or indices.dtype.kind not in "iu" or len(indices) != len(places) or indices.shape[1] < 2:
        msg = (
            "knn_indices must be integers (n, k + 1), the row itself in column 0, with one row for each of the"
            f" {len(places)} positions; got {indices.dtype} {indices.shape}."
        )
        raise InvalidInputError(msg)
    if indices.size and not -1 <= indices.min() <= indices.max() < len(places):
        msg = f"knn_indices must be from -1, for none, to {len(places) - 1}; got {indices.min()} to {indices.max()}."
        raise InvalidInputError(msg)
    is_finite = np.isfinite(places).all(axis=1)
    kept = np.flatnonzero(is_finite)
    number = np.full(len(places) + 1, -1, dtype=np.int64)  # the last entry catches -1
    number[kept] = np.arange(len(kept))
    neighbours = number[indices[kept, 1:]]
    n_neighbours = (neighbours >= 0).sum(axis=1)
    k = min(neighbours.shape[1], len(kept) - 1)
    has = n_neighbours > 0
    if k < 1 or not has.any():
        return float("nan")
    if max_rows is None or len(kept) <= max_rows:
        near = find_nearest_places(places[kept], k).astype(np.int64)
    else:
        asked = np.arange(0, len(kept), -(-len(kept) // max_rows))
        neighbours, n_neighbours, has = neighbours[asked], n_neighbours[asked], has[asked]
        near = _find_nearest_of(places[kept], asked, k)
    near[np.arange(k) >= n_neighbours[:, None]] = -2
    n_hits = (near[:, :, None] == neighbours[:, None, :]).any(axis=2).sum(axis=1)
    return float((n_hits[has] / n_neighbours[has]).mean())


def drift(positions: Sequence[npt.ArrayLike], relations: Sequence[Relation], n_steps: int = 1) -> float:
    """How far rows move on the map over some windows.

    Parameters
    ----------
    positions
        (n_t, c) places of every window, in order.
    relations
        One for each pair of consecutive windows, rows of t to rows of t + 1, -1 where a row has none.
    n_steps
        Windows between the two places compared. A row is followed through every window between; one that is missing in
        any is left out.

    Returns
    -------
    float
        The mean distance between a row's places in windows t and t + n_steps, averaged over t and divided by the
        spread of the layout; 0 is still. NaN where no row can be followed.

    Notes
    -----
    The spread is the root of the mean, over windows and axes, of the variance of the places.
    """
    n_steps = check_int(n_steps, "n_steps", minimum=1)
    places = [check_matrix(p, f"positions[{t}]").astype(np.float64) for t, p in enumerate(positions)]
    relations = [np.asarray(relation) for relation in relations]
    _check_chain(places, relations)
    spread = measure_spread(places)
    moves = []
    for t in range(len(places) - n_steps):
        through = relations[t]
        for step in relations[t + 1 : t + n_steps]:
            through = compose_relations(through, step)
        old = np.flatnonzero(through >= 0)
        moved = np.linalg.norm(places[t][old] - places[t + n_steps][through[old]], axis=1)
        moved = moved[np.isfinite(moved)]
        if len(moved):
            moves.append(moved.mean())
    return float(np.mean(moves) / spread) if moves and spread > 0.0 else float("nan")


def count_bad_rows(positions: npt.ArrayLike) -> int:
    """Count the rows whose place is not finite: those that every figure here leaves out.

    Parameters
    ----------
    positions
        One map, (n, c).

    Returns
    -------
    int
        Rows with a coordinate that is NaN or infinite.
    """
    places = check_matrix(positions, "positions")
    return int(np.count_nonzero(~np.isfinite(places).all(axis=1)))


def find_nearest_places(places: Float32Array, k: int) -> Int32Array:
    """Find the k nearest other rows of every row on a map of finite places, nearest first; int32 (n, k)."""
    n, c = places.shape
    if n <= TREE_ROWS or c > TREE_COMPONENTS:
        return find_exact(np.ascontiguousarray(places), k + 1, "euclidean").indices[:, 1:]
    from scipy.spatial import cKDTree  # late: 0.2 s

    _, found = cKDTree(places).query(places, k + 1)
    return measure_again(np.ascontiguousarray(places), found.astype(np.int32), "euclidean").indices[:, 1:]


def _find_nearest_of(places: Float32Array, asked: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    from scipy.spatial import cKDTree

    _, found = cKDTree(places).query(places[asked], k + 1)
    is_own = found == asked[:, None]
    is_own[~is_own.any(axis=1), -1] = True  # of many rows at one place, the row itself may not be among those found
    return np.asarray(found[~is_own].reshape(len(asked), k), dtype=np.int64)


def _sum_excess_ranks(data: Rows, metric: str, near: Int32Array) -> float:
    """Sum of how far the ranks, in the data, of the map's nearest rows exceed k."""
    from driftmap.engine.quality.rank_kernel import sum_excess_ranks

    total = start = 0
    for distances in _compare_blocks(data, metric, max(1, BLOCK_BYTES // (8 * data.shape[0]))):
        total += sum_excess_ranks(distances, start, near)
        start += len(distances)
    return float(total)


def _compare_blocks(data: Rows, metric: str, block: int) -> Iterator[Float64Array]:
    """Give blocks of distances of rows to all rows, up to what changes no rank."""
    if metric == PRECOMPUTED:
        yield from slice_distances(data, block)
        return
    if is_sparse(data):
        values = scale_sparse_rows(data, metric)
        norms = np.asarray(values.multiply(values).sum(axis=1)).ravel()
    else:
        rows, scales = scale_rows(data, metric)
        values = rows * scales[:, None]
        norms = np.einsum("ij,ij->i", values, values)
    if metric != "euclidean":
        norms[:] = 1.0  # they are, up to rounding, which would break ties of rows that are at right angles
    for start in range(0, len(norms), block):
        products = values[start : start + block] @ values.T
        # without the block rows' own norms
        yield norms - 2.0 * (products.toarray() if is_sparse(products) else products)


def _keep_finite(rows: Rows, positions: npt.ArrayLike, metric: Any) -> tuple[Rows, Float32Array]:
    data, places = read_rows(rows, metric), _read_places(positions)
    if data.shape[0] != len(places):
        msg = f"rows and positions must have one row each per row of the window, got {data.shape[0]} and {len(places)}."
        raise InvalidInputError(msg)
    is_finite = np.isfinite(places).all(axis=1)
    if is_finite.all():
        return data, places
    kept = np.flatnonzero(is_finite)
    is_precomputed = isinstance(metric, str) and metric == PRECOMPUTED
    return data[kept][:, kept] if is_precomputed else data[kept], places[kept]


def _read_places(positions: npt.ArrayLike) -> Float32Array:
    """Read the places of a map as float32; of one far from 0, or of numbers that float32 does not hold, as moved there.

    Figures depend on neither place nor scale, and float32 holds seven digits of what is left.
    """
    places = check_matrix(positions, "positions")
    finite = places[np.isfinite(places).all(axis=1)].astype(np.float64)
    if not len(finite):
        return places.astype(np.float32)
    low, high = finite.min(axis=0), finite.max(axis=0)
    extent, away = float((high / 2 - low / 2).max()) * 2, float(np.abs(finite).max())
    least, most = _HELD_EXTENTS
    if least < extent < most and away < _FAR * extent:
        return places.astype(np.float32)
    centred = places.astype(np.float64) / 2 - (low / 4 + high / 4)
    moved: Float32Array = (centred / extent if extent else centred).astype(np.float32)
    return moved


def _check_chain(places: Sequence[npt.NDArray[Any]], relations: Sequence[Relation]) -> None:
    if len(relations) != max(0, len(places) - 1):
        msg = f"relations must be one fewer than positions, got {len(relations)} for {len(places)} windows."
        raise InvalidInputError(msg)
    for t, (relation, (old, new)) in enumerate(zip(relations, itertools.pairwise(places), strict=True)):
        array = np.asarray(relation)
        if array.dtype.kind != "i" or array.shape != (len(old),) or (array.size and array.max() >= len(new)):
            msg = (
                f"relations[{t}] must be integers, one for each of the {len(old)} rows of window {t}, below {len(new)};"
                f" got {array.dtype} {array.shape}. as_relation and relate_ids make them."
            )
            raise InvalidInputError(msg)
        if old.shape[1] != new.shape[1]:
            msg = (
                f"positions[{t}] has {old.shape[1]} components and positions[{t + 1}] {new.shape[1]}; give equal ones."
            )
            raise InvalidInputError(msg)
