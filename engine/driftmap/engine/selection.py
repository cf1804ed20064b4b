"""Kernels that pick every row's nearest rows. Compiled late by `knn`; numpy and numba only.

Dimensions: n rows; d features; b rows of a block; k neighbours wanted, the row itself included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.compiling import exact

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array

Float64Array = npt.NDArray[np.float64]
Data = tuple[npt.NDArray[np.float32], Float64Array, float]


@exact
def select_by_bounds(
    products: npt.NDArray[Any],
    bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    first_row: int,
    data: Data,
    indices: Int32Array,
    distances: Float32Array,
) -> int:
    """Find the exact k nearest rows of a block's rows from inexact products; return how many distances that took.

    Up to a term of its own row, the squared distance to row j lies between `least[j] - 2 p` and `most[j] - 2 p`, p the
    rounded product. Whatever can be among the nearest by these bounds gets its distance summed in float64, in one order
    of terms. So what comes out does not depend on how, or on how many threads, BLAS summed the products.

    Parameters
    ----------
    products
        (b, n) inner products of the block's rows with all rows.
    bounds
        `least` and `most`, (n,) each, see above.
    first_row
        Number of the block's first row.
    data
        Rows, scales and tiny, as in `measure_distance`.
    indices, distances
        (n, k), filled for the block's rows: ascending, ties by index, the row itself first.
    """
    n = products.shape[1]
    k = indices.shape[1]
    candidates = np.empty(n, dtype=np.int32)
    lows = np.empty(n, dtype=products.dtype)
    tops = np.empty(k - 1, dtype=products.dtype)
    n_summed = 0
    for b in range(len(products)):
        row = first_row + b
        n_candidates, bar = gather_candidates(products[b], bounds, row, candidates, lows, tops)
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for c in range(n_candidates):
            if lows[c] > bar:
                continue
            j = candidates[c]
            filled = insert_neighbour(indices[row], distances[row], filled, j, measure_distance(data, row, j))
            n_summed += 1
    return n_summed


@exact
def gather_candidates(
    products: npt.NDArray[Any],
    bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    row: int,
    candidates: Int32Array,
    lows: npt.NDArray[Any],
    tops: npt.NDArray[Any],
) -> tuple[int, float]:
    """List the rows that can be among one row's nearest; return how many and the bar that their lower bounds must pass.

    `products` is (n,), `bounds` as in `select_by_bounds`; the other arrays are room to work in.
    """
    least, most = bounds
    widest = most[row] - least[row]  # the own row's share of the uncertainty
    tops[:] = np.inf
    bar = tops[-1]
    n_candidates = 0
    for j in range(len(products)):
        low = least[j] - 2 * products[j]
        if low <= bar and j != row:
            candidates[n_candidates] = j
            lows[n_candidates] = low
            n_candidates += 1
            _push(tops, most[j] - 2 * products[j])
            bar = tops[-1] + widest
    return n_candidates, bar


@exact
def measure_neighbours(found: Int32Array, data: Data, indices: Int32Array, distances: Float32Array) -> None:
    """Give known neighbours, (n, k) with every row's in ascending order, exact distances and put them in order."""
    for row in range(len(found)):
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for j in found[row]:
            if j >= 0 and j != row:
                filled = insert_neighbour(indices[row], distances[row], filled, j, measure_distance(data, row, j))


@exact
def select_smallest(block: Float64Array, first_row: int, indices: Int32Array, distances: Float32Array) -> None:
    """Find the k nearest rows in (b, n) distances; ties by index, the row itself first; none at distance inf."""
    for b in range(len(block)):
        row = first_row + b
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for j in range(block.shape[1]):
            if block[b, j] < np.inf and j != row:
                filled = insert_neighbour(indices[row], distances[row], filled, j, np.float32(block[b, j]))


@exact
def measure_distance(data: Data, i: int, j: int) -> np.float32:
    """Euclidean distance of two scaled rows, summed in float64.

    `data` is (rows, scales, tiny): (n, d) rows, a factor for each, and the squared distance below which float32 rows
    cannot be told apart, so that it counts as 0.
    """
    rows, scales, tiny = data
    one, two = rows[i], rows[j]
    by_one, by_two = scales[i], scales[j]
    total = 0.0
    for f in range(len(one)):
        difference = one[f] * by_one - two[f] * by_two
        total += difference * difference
    return np.float32(np.sqrt(total)) if total >= tiny else np.float32(0.0)


@exact
def _push(tops: npt.NDArray[Any], value: float) -> None:
    """Keep the smallest values in ascending order."""
    if not value < tops[-1]:
        return
    place = len(tops) - 1
    while place > 0 and tops[place - 1] > value:
        tops[place] = tops[place - 1]
        place -= 1
    tops[place] = value


@exact
def insert_neighbour(
    indices: Int32Array, distances: Float32Array, filled: int, index: int, distance: np.float32
) -> int:
    """Put a neighbour in its place behind column 0, ascending by distance; callers come in the order of indices."""
    k = len(indices)
    if filled == k and not distance < distances[k - 1]:
        return filled
    place = min(filled, k - 1)
    while place > 1 and distances[place - 1] > distance:
        distances[place] = distances[place - 1]
        indices[place] = indices[place - 1]
        place -= 1
    distances[place] = distance
    indices[place] = index
    return min(filled + 1, k)
