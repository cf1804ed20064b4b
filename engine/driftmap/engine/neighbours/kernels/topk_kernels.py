"""Kernels that pick every row's nearest rows. Compiled late by `knn`; numpy and numba only.

Dimensions: n rows; d features; b rows of a block; k neighbours wanted, the row itself included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.jit import exact_uncounted, reordered_uncounted

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array

Float64Array = npt.NDArray[np.float64]
Scratch = tuple[npt.NDArray[np.int32], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
"""Where candidates are gathered, see `make_scratch`."""

CHUNK = 64
"""Columns of products that are looked through together, before the near ones among them one by one."""

MIN_GROUPS = 64
GROUPS_PER_NEIGHBOUR = 4
"""Into how many groups rows are put to find a first bound: with four a neighbour, 1.2 rows a neighbour pass it."""

Lists = tuple["Int32Array", "Float32Array"]
Data = tuple[npt.NDArray[np.float32], Float64Array, float]


def select_by_bounds(
    products: npt.NDArray[Any],
    bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    first_row: int,
    data: Data,
    lists: Lists,
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
    lists
        indices and distances, (n, k), filled for the block's rows: ascending, ties by index, the row itself first.
    """
    found: int = _select_by_bounds(products, bounds, first_row, data, lists, make_scratch(products, lists[0].shape[1]))
    return found


@exact_uncounted
def _select_by_bounds(
    products: npt.NDArray[Any],
    bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    first_row: int,
    data: Data,
    lists: Lists,
    scratch: Scratch,
) -> int:
    indices, distances = lists
    candidates, lows, _, _ = scratch
    n_summed = 0
    for b in range(len(products)):
        row = first_row + b
        n_candidates, threshold = gather_candidates(products[b], bounds, row, scratch)
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for c in range(n_candidates):
            if lows[c] > threshold:
                continue
            j = candidates[c]
            filled = insert_neighbour(indices[row], distances[row], filled, j, measure_distance(data, row, j))
            n_summed += 1
    return n_summed


def make_scratch(products: npt.NDArray[Any], k: int) -> Scratch:
    """Give the kernels scratch buffers to find k neighbours in, by (b, n) products such as these."""
    n, dtype = products.shape[-1], products.dtype
    n_groups = max(MIN_GROUPS, GROUPS_PER_NEIGHBOUR * k)
    return np.empty(n, np.int32), np.empty(n, dtype), np.empty(n_groups, dtype), np.empty(k, dtype)


@exact_uncounted
def gather_candidates(
    products: npt.NDArray[Any], bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]], row: int, scratch: Scratch
) -> tuple[int, float]:
    """List the rows that can be among one row's nearest; return how many, and the threshold for their lower bounds.

    `products` is (n,), `bounds` as in `select_by_bounds`, `scratch` as `make_scratch` makes it: its first two arrays
    hold the candidates and their lower bounds.
    """
    least, most = bounds
    candidates, lows, minima, tops = scratch
    widest = most[row] - least[row]  # the own row's share of the uncertainty
    threshold = _bound_nearest(products, most, minima, tops) + widest
    nearest = tops[:-1]
    nearest[:] = np.inf
    n_candidates = 0
    for start in range(0, len(products), CHUNK):
        found = products[start : start + CHUNK]
        if not has_near(least[start : start + CHUNK], found, threshold):
            continue
        for place in range(len(found)):
            j = start + place
            twice = found[place] + found[place]
            low = least[j] - twice
            if low <= threshold and j != row:
                candidates[n_candidates] = j
                lows[n_candidates] = low
                n_candidates += 1
                _push(nearest, most[j] - twice)
                threshold = min(threshold, nearest[-1] + widest)
    return n_candidates, threshold


@exact_uncounted
def _bound_nearest(
    products: npt.NDArray[Any], most: npt.NDArray[Any], minima: npt.NDArray[Any], tops: npt.NDArray[Any]
) -> float:
    """Bound the upper bounds of as many nearest rows as `tops` has places, the row itself perhaps among them.

    The least of each of some groups of rows is found at vector speed, and the rows that these are do for a bound.
    """
    n_groups = len(minima)
    minima[:] = np.inf
    for start in range(0, len(products), n_groups):
        found, top = products[start : start + n_groups], most[start : start + n_groups]
        for group in range(len(found)):
            value = top[group] - (found[group] + found[group])
            minima[group] = value if value < minima[group] else minima[group]  # noqa: FURB136 - as in kernels
    tops[:] = np.inf
    for group in range(n_groups):
        _push(tops, minima[group])
    bound: float = tops[-1]
    return bound


@exact_uncounted
def has_near(least: npt.NDArray[Any], products: npt.NDArray[Any], threshold: float) -> bool:
    """Tell whether a chunk of rows holds one whose lower bound does not pass the threshold.

    Most chunks hold none. Written so that it is vectorised: .35 ns a row instead of 1.3 with a sum in place of the
    `or`, an index into the whole array in place of a slice, or 2 p, which is float64, in place of p + p.
    """
    is_any = False
    for j in range(len(products)):
        is_any |= least[j] - (products[j] + products[j]) <= threshold
    return is_any


@exact_uncounted
def measure_neighbours(found: Int32Array, data: Data, indices: Int32Array, distances: Float32Array) -> None:
    """Give known neighbours, (n, k) with every row's in ascending order, exact distances and put them in order."""
    for row in range(len(found)):
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for j in found[row]:
            if j >= 0 and j != row:
                filled = insert_neighbour(indices[row], distances[row], filled, j, measure_distance(data, row, j))


@exact_uncounted
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


@reordered_uncounted
def measure_distance(data: Data, i: int, j: int) -> np.float32:
    """Euclidean distance of two scaled rows, summed in float64, in vector lanes: 784 terms in 100 ns instead of 520.

    Of 200,000 distances none was another float32 number than when summed term by term.

    `data` is (rows, scales, tiny): (n, d) rows, a factor for each, and the squared distance below which float32 rows
    cannot be distinguished, so that it counts as 0.
    """
    rows, scales, tiny = data
    one, two = rows[i], rows[j]
    by_one, by_two = scales[i], scales[j]
    total = 0.0
    for f in range(len(one)):
        difference = one[f] * by_one - two[f] * by_two
        total += difference * difference
    return np.float32(np.sqrt(total)) if total >= tiny else np.float32(0.0)


@exact_uncounted
def _push(tops: npt.NDArray[Any], value: float) -> None:
    """Keep the smallest values in ascending order."""
    if not value < tops[-1]:
        return
    place = len(tops) - 1
    while place > 0 and tops[place - 1] > value:
        tops[place] = tops[place - 1]
        place -= 1
    tops[place] = value


@exact_uncounted
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
