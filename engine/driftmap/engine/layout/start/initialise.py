"""Start positions: spectral for a window that stands alone, from related rows for one that follows others."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact
from driftmap.engine.core.sizes import LARGE_ROWS, SMALL_ROWS
from driftmap.engine.core.threads import limit_blas
from driftmap.engine.graph.connected_part import ConnectedPart
from driftmap.engine.layout.start.components import find_components
from driftmap.engine.types import FuzzyGraph

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array, Int64Array, ReadableGraph

    PlacePart = Callable[[ReadableGraph, int], npt.NDArray[np.float64]]

START_RADIUS = 8.0
"""Half width of a start. umap-learn takes 10 for the farthest row, this is for 95 % of them: a map of like extent."""
FARTHEST = 1.25
"""Where the other rows are clipped, times the half width."""
_LARGE_PART = 0.1
"""Share of a window's rows from which a part that nothing relates to the others is a group to be put beside them."""
_GAP = 0.25
"""Room left between such a part and the others, as a share of their extent."""
GRID = 1024.0
"""Starts are rounded to parts of one in so many."""
_JITTER = 0.01


def spectral_start(graph: ReadableGraph, n_components: int, seed: int) -> Float32Array:
    """Place rows by the first eigenvectors of the graph's normalised Laplacian.

    Each connected component is laid out by itself, and the components are put next to each other on a spiral. Axes are
    centred on their medians and scaled so that 95 % of the rows lie within 8; the rest are clipped at 10, since a few
    rows that hardly hang together with the others would otherwise squeeze those into a point.

    Parameters
    ----------
    graph
        Fuzzy graph of the window, (n, n).
    n_components
        Number of axes, c.
    seed
        Seed of the jitter that parts rows with equal eigenvectors.

    Returns
    -------
    float32 (n, c). Values are rounded to 1/1024 before the jitter, so that the last bits of a linear algebra library,
    which may depend on its threads, do not reach the layout.

    Notes
    -----
    Belkin and Niyogi 2003, Laplacian eigenmaps; used by UMAP (arXiv 1802.03426, section 4.1).
    """
    return place_parts(graph, n_components, seed, place_by_spectrum)


def place_by_spectrum(graph: ReadableGraph, n_components: int) -> npt.NDArray[np.float64]:
    """Place the rows of one connected part, (n, c), within [-10, 10]: see `spectral_start`."""
    return _spread_out(_eigenvectors(graph, n_components))


def place_parts(graph: ReadableGraph, n_components: int, seed: int, place_part: PlacePart) -> Float32Array:
    """Place the rows of all connected parts, each by itself, and the parts next to each other on a spiral.

    Parameters
    ----------
    graph, n_components, seed
        As for `spectral_start`.
    place_part
        Places the rows of one part, given its graph and how many axes there are, within [-10, 10].
    """
    n = graph.n_rows
    n_parts, part_of = find_components(graph)
    positions = np.zeros((n, n_components))
    sizes = np.bincount(part_of, minlength=n_parts)
    order = np.argsort(-sizes, kind="stable")
    reach = 0.0
    members = np.split(np.argsort(part_of, kind="stable").astype(np.int32), np.cumsum(sizes)[:-1])
    small = _SmallParts(graph, sizes[part_of] <= LARGE_ROWS)
    del part_of
    for rank, part in enumerate(order):
        rows = members[part]
        share = np.sqrt(len(rows) / n)
        cut = _cut_out(graph, rows) if len(rows) > LARGE_ROWS else small.cut_out(rows)
        local = place_part(cut, n_components) * share
        radius = START_RADIUS * share
        centre = np.zeros(n_components)
        if rank:
            angle = rank * np.pi * (3 - np.sqrt(5))
            centre[: min(2, n_components)] = (reach + radius) * np.array([np.cos(angle), np.sin(angle)])[:n_components]
        positions[rows] = local + centre
        reach = max(reach, radius if not rank else reach + radius * share)
    rounded = np.round(positions * GRID) / GRID
    return jitter(rounded.astype(np.float32), np.ones(n, dtype=np.bool_), seed)


def random_start(n_rows: int, n_components: int, seed: int) -> Float32Array:
    """Place rows evenly at random in [-8, 8] on every axis; float32 (n, c)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-START_RADIUS, START_RADIUS, size=(n_rows, n_components)).astype(np.float32)


def pca_start(rows: Float32Array, n_components: int, seed: int) -> Float32Array:
    """Place rows by their first principal components, each scaled like a spectral start; float32 (n, c)."""
    from scipy.linalg import svd

    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    left, strengths, _ = svd(centred, full_matrices=False)
    wanted = min(n_components, len(strengths))
    scores = np.zeros((len(rows), n_components))
    scores[:, :wanted] = left[:, :wanted] * strengths[:wanted]
    scores *= np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(n_components)])
    rounded = np.round(_spread_out(scores) * GRID) / GRID
    return jitter(rounded.astype(np.float32), np.ones(len(rows), dtype=np.bool_), seed)


def start_from_previous(graph: ReadableGraph, known: Float32Array, fallback: Float32Array, seed: int) -> Float32Array:
    """Place a window's rows where related rows lie, and new rows at the weighted mean of their placed neighbours.

    Parameters
    ----------
    graph
        Fuzzy graph of the window, (n, n).
    known
        float32 (n, c): position of each row's related row in an earlier window; NaN where there is none.
    fallback
        float32 (m, c): finite positions of the previous window. Of the rows that no path joins to a placed row, a large
        connected part is put beside the placed rows, a small one on one of these.
    seed
        Seed of that choice and of the jitter of new rows.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, c).
    """
    graph = graph.load()
    positions = known.copy()
    is_new = np.isnan(known[:, 0])
    rng = np.random.default_rng(seed)
    _place_by_neighbours(graph.indptr, graph.indices, graph.data, positions)
    if np.isnan(positions[:, 0]).any():
        _place_large_parts(graph, positions)
    while len(left := np.flatnonzero(np.isnan(positions[:, 0]))):
        positions[left[0]] = fallback[rng.integers(len(fallback))]
        _place_by_neighbours(graph.indptr, graph.indices, graph.data, positions)
    return jitter(positions, is_new, seed)


def _place_large_parts(graph: ReadableGraph, positions: Float32Array) -> None:
    """Put each large connected part without a place beside the placed rows, laid out by its own spectrum.

    Begun on top of other rows, a new group would still lie among them at the end: a carry pass is too short and too
    cool to part them (tests/engine/layout/test_iris_slices.py: clusters score .57 for one seed of eleven, else 1).
    """
    n, n_components = positions.shape
    _, part_of = find_components(graph)
    is_left = np.isnan(positions[:, 0])
    sizes = np.bincount(part_of[is_left])
    for part in np.argsort(-sizes, kind="stable"):
        if sizes[part] < max(_LARGE_PART * n, n_components + 1):
            break
        rows = np.flatnonzero(part_of == part)
        placed = positions[~np.isnan(positions[:, 0])].astype(np.float64)
        local = _spread_out(_eigenvectors(_cut_out(graph, rows), n_components)) / START_RADIUS
        rounded = np.round(_put_beside(placed, local * np.sqrt(len(rows) / len(placed))) * GRID) / GRID
        positions[rows] = rounded.astype(np.float32)


def _put_beside(placed: npt.NDArray[np.float64], local: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale a part by the extent of the placed rows and put it on that side of them where the map grows least."""
    centred = placed - np.median(placed, axis=0)
    extent = max(float(np.quantile(np.abs(centred), 0.95)), _JITTER)
    part = local * extent
    sides = np.concatenate([np.eye(placed.shape[1]), -np.eye(placed.shape[1])])
    deltas = (centred @ sides.T).max(axis=0) + (-part @ sides.T).max(axis=0) + _GAP * extent
    side = int(deltas.argmin())
    moved: npt.NDArray[np.float64] = np.median(placed, axis=0) + part + deltas[side] * sides[side]
    return moved


def jitter(positions: Float32Array, rows: npt.NDArray[np.bool_], seed: int) -> Float32Array:
    """Return a copy with normal noise of scale .01 on the marked rows, so that no two of them stand on one spot."""
    noise = np.random.default_rng([seed, 1]).normal(scale=_JITTER, size=positions.shape).astype(np.float32)
    return np.where(rows[:, None], positions + noise, positions).astype(np.float32)


@exact
def _place_by_neighbours(indptr: Int64Array, indices: Int32Array, data: Float32Array, positions: Float32Array) -> None:
    """Give rows at NaN the weighted mean of their placed neighbours, ring after ring, until nothing changes."""
    n = len(positions)
    ring = np.empty(n, np.int64)
    means = np.empty_like(positions)
    n_ring = 1
    while n_ring > 0:
        n_ring = 0
        for row in range(n):
            if np.isnan(positions[row, 0]):
                first, last = indptr[row], indptr[row + 1]
                if _average(indices[first:last], data[first:last], positions, means[n_ring]):
                    ring[n_ring] = row
                    n_ring += 1
        for k in range(n_ring):
            positions[ring[k]] = means[k]


@exact
def _average(neighbours: Int32Array, weights: Float32Array, positions: Float32Array, mean: Float32Array) -> bool:
    """Set `mean` (c,) to the weighted mean of the neighbours that have a place; tell whether there are any."""
    total = np.float32(0)
    mean[:] = 0
    for k in range(len(neighbours)):
        if not np.isnan(positions[neighbours[k], 0]):
            total += weights[k]
            for d in range(len(mean)):
                mean[d] += weights[k] * positions[neighbours[k], d]
    if total > 0:
        mean /= total
    return bool(total > 0)


def _spread_out(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centre each axis on its median and scale 95 % of the rows into [-8, 8]; clip the others at 10."""
    if not len(vectors):
        return vectors
    centred = vectors - np.median(vectors, axis=0)
    width = np.quantile(np.abs(centred), 0.95, axis=0)
    width = np.where(width > 1e-12, width, np.maximum(np.abs(centred).max(axis=0), 1e-12))
    scaled: npt.NDArray[np.float64] = np.clip(centred / width, -FARTHEST, FARTHEST) * START_RADIUS
    return scaled


def _cut_out(graph: ReadableGraph, rows: npt.NDArray[np.integer]) -> ReadableGraph:
    """Return the graph of a connected part's rows, ascending: the graph itself, not a copy, where these are all."""
    return graph if len(rows) == graph.n_rows else ConnectedPart(graph, rows)


class _SmallParts:
    """Connected parts that are small, cut out of a graph of them all: there may be many.

    Parameters
    ----------
    graph
        Of all rows.
    is_small
        (n,) whether each row is in such a part.
    """

    def __init__(self, graph: ReadableGraph, is_small: npt.NDArray[np.bool_]) -> None:
        self._graph, self._rows = graph, np.flatnonzero(is_small).astype(np.int32)

    @cached_property
    def _joined(self) -> FuzzyGraph:
        return _cut_out(self._graph, self._rows).load()

    def cut_out(self, rows: Int32Array) -> FuzzyGraph:
        """Return the graph of one part's rows, ascending."""
        from scipy.sparse import csr_array

        joined = self._joined
        if len(rows) == joined.n_rows:
            return joined
        here = np.searchsorted(self._rows, rows)
        matrix = csr_array((joined.data, joined.indices, joined.indptr), shape=(joined.n_rows, joined.n_rows))
        matrix = matrix[here][:, here]
        return FuzzyGraph(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)


def _eigenvectors(graph: ReadableGraph, n_components: int) -> npt.NDArray[np.float64]:
    """Return the eigenvectors 1..c of the normalised Laplacian of one connected graph, (n, c), signs fixed."""
    from driftmap.engine.layout.start.multilevel import find_eigenvectors

    n = graph.n_rows
    wanted = min(n_components, n - 1)
    vectors = np.zeros((n, n_components))
    if not wanted:
        return vectors
    found = find_eigenvectors(graph, wanted, _solve) if n > LARGE_ROWS else _solve(graph.load(), wanted)
    strongest = np.abs(found).argmax(axis=0)
    vectors[:, :wanted] = found * np.sign(found[strongest, np.arange(wanted)])
    return vectors


def _solve(graph: FuzzyGraph, wanted: int) -> npt.NDArray[np.float64]:
    """Return so many eigenvectors of the normalised Laplacian, the constant one left out, (n, wanted)."""
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.linalg import eigsh

    n = graph.n_rows
    matrix = csr_array((graph.data.astype(np.float64), graph.indices, graph.indptr), shape=(n, n))
    scale = diags_array(1 / np.sqrt(np.asarray(matrix.sum(axis=1)).ravel()))
    similarity = (scale @ matrix @ scale).tocsr()
    if n <= max(SMALL_ROWS, 2 * wanted + 3):  # all of them: faster and surer than an iteration
        return find_last(similarity.toarray(), wanted + 1)[1][:, 1:]
    start = np.linspace(1.0, 2.0, n)
    values, found = eigsh(
        similarity, k=wanted + 1, which="LA", v0=start, tol=1e-4, ncv=max(20, 4 * wanted + 1), maxiter=n * 5
    )
    parted: npt.NDArray[np.float64] = found[:, np.argsort(-values)][:, 1 : wanted + 1]
    return parted


def find_last(matrix: npt.NDArray[np.float64], wanted: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the largest eigenvalues, the largest first, and their eigenvectors in columns."""
    from scipy.linalg import eigh

    n = len(matrix)
    with limit_blas(1):  # a matrix this small takes two threads ten times the CPU time, most of it spent in waiting
        values, vectors = eigh(matrix, subset_by_index=[n - wanted, n - 1])
        if vectors.shape[1] < wanted:  # of many equal eigenvalues LAPACK's search by number may find none
            values, vectors = eigh(matrix)
    return values[-wanted:][::-1], vectors[:, -wanted:][:, ::-1]
