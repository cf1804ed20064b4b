"""kNN graphs that the caller computed: checked, and brought into the engine's form.

Dimensions: n rows; m neighbours given; k neighbours wanted, the row itself included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.validation import describe_rows, refuse_masked
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.neighbours.search import put_first
from driftmap.engine.types import KnnGraph

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_knn(given: Any, n_rows: int, n_neighbors: int, name: str = "knn") -> KnnGraph | None:
    """Check a window's kNN graph.

    Parameters
    ----------
    given
        None for a window without one, or (indices, distances), each (n, m): integer row numbers, -1 where there is no
        neighbour, and how far they are, in any order. Either the row itself is in its list, in any column (as
        umap-learn's `nearest_neighbors` and pynndescent give it), or it is in no list at all (as scikit-learn's
        `kneighbors()` gives it) and is added. A third entry, umap-learn's search index, is not used.
    n_rows
        n.
    n_neighbors
        k; of more neighbours the nearest are taken.
    name
        How messages call it.

    Returns
    -------
    The row itself in column 0 at distance 0, then ascending; -1 at distance inf where a neighbour is missing.

    Raises
    ------
    InvalidInputError
        When the arrays do not fit the window or each other, hold too few neighbours, rows that do not exist, a
        neighbour twice, or distances that are NaN or below 0.
    """
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) not in {2, 3}:
        got = f"{len(given)} entries" if isinstance(given, tuple | list) else type(given).__name__
        msg = f"{name} must be a pair (indices, distances), got {got}."
        raise InvalidInputError(msg)
    indices, distances = _check_arrays(given[0], given[1], n_rows, name)
    own = np.arange(n_rows, dtype=np.int64)[:, None]
    if not (indices == own).any():
        indices, distances = np.hstack([own, indices]), np.hstack([np.zeros((n_rows, 1)), distances])
    if indices.shape[1] < n_neighbors:
        msg = (
            f"{name} holds {indices.shape[1]} neighbours per row, the row itself included, fewer than"
            f" n_neighbors={n_neighbors}: give more, or lower n_neighbors."
        )
        raise InvalidInputError(msg)
    with np.errstate(over="ignore"):
        single = np.where(indices < 0, np.inf, distances).astype(np.float32)
    rows = np.where(np.isinf(single), -1, indices).astype(np.int32)
    order = np.lexsort((rows, single), axis=1)
    graph = put_first(np.take_along_axis(rows, order, axis=1), np.take_along_axis(single, order, axis=1))
    k = n_neighbors
    return KnnGraph(np.ascontiguousarray(graph.indices[:, :k]), np.ascontiguousarray(graph.distances[:, :k]))


def read_knns(given: Any, sizes: Sequence[int], n_neighbors: Sequence[int], name: str = "knn") -> list[KnnGraph | None]:
    """Check the `knn` of `fit`: None, or one entry per window; errors as in `read_knn`."""
    if given is None:
        return [None] * len(sizes)
    if not isinstance(given, list | tuple) or len(given) != len(sizes):
        got = f"{len(given)} entries" if isinstance(given, list | tuple) else type(given).__name__
        msg = f"{name} must be a list of {len(sizes)} entries, (indices, distances) or None per window, got {got}."
        raise InvalidInputError(msg)
    return [
        read_knn(each, size, min(k, size), f"{name}[{index}]")
        for index, (each, size, k) in enumerate(zip(given, sizes, n_neighbors, strict=True))
    ]


def _check_arrays(
    indices: Any, distances: Any, n_rows: int, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    for values in (indices, distances):
        refuse_masked(values, name)
    try:
        numbers, apart = np.asarray(indices), np.asarray(distances)
    except ValueError as error:
        msg = f"{name} must be two (rows, neighbours) arrays, got rows of unequal length: {error}"
        raise InvalidInputError(msg) from error
    if numbers.ndim != 2 or numbers.shape != apart.shape or len(numbers) != n_rows:
        msg = (
            f"{name} must hold indices and distances of shape ({n_rows}, neighbours), one row per row of the window;"
            f" got {numbers.shape} and {apart.shape}."
        )
        raise InvalidInputError(msg)
    if numbers.dtype.kind not in "iu" or apart.dtype.kind not in "fiu":
        msg = f"{name} must hold integer indices and real distances, got {numbers.dtype} and {apart.dtype}."
        raise InvalidInputError(msg)
    wide = numbers.astype(np.int64)
    ordered = np.sort(wide, axis=1)
    is_twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    for bad, what in (
        ((wide < -1) | (wide >= n_rows), f"indices outside -1 to {n_rows - 1}"),
        (np.isnan(apart) & (wide >= 0), "NaN distances"),
        ((apart < 0) & (wide >= 0), "distances below 0"),
        (is_twice, "a neighbour twice"),
    ):
        rows = np.flatnonzero(bad.any(axis=1))
        if len(rows):
            msg = f"{name} holds {what} in {describe_rows(rows)} of {n_rows}; give rows of the window, each once."
            raise InvalidInputError(msg)
    return wide, apart.astype(np.float64)
