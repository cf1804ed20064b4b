"""Kernels that pick the nearest rows of sparse rows; the twin of `selection`. Compiled late; numpy and numba only.

Dimensions: n rows; e stored values; k neighbours wanted, the row itself included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.jit import exact_uncounted
from driftmap.engine.neighbours.kernels.topk_kernels import gather_candidates, insert_neighbour

if TYPE_CHECKING:
    from driftmap.engine.neighbours.kernels.topk_kernels import Lists, Scratch
    from driftmap.engine.types import Float32Array, Int32Array

Float64Array = npt.NDArray[np.float64]
Compressed = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Float64Array]
"""indptr, indices, data of a matrix in compressed rows, each sorted by column."""


@exact_uncounted
def select_sparse(
    rows: Compressed,
    turned: Compressed,
    bounds: tuple[Float64Array, Float64Array],
    tiny: float,
    lists: Lists,
    work: tuple[Float64Array, Scratch],
) -> None:
    """Find the exact k nearest rows of every row.

    A row's products with all others are gathered feature by feature, from the rows that have the feature; then as in
    `selection.select_by_bounds`, whose distances come out bit for bit.

    Parameters
    ----------
    rows, turned
        The scaled rows, and the same matrix by features.
    bounds
        `least` and `most`, (n,) each, of the squared norms.
    tiny
        Squared distance that counts as 0.
    lists
        indices and distances, (n, k), filled: ascending, ties by index, the row itself first.
    work
        (n,) for a row's products, and what `selection.make_scratch` makes.
    """
    indptr, features, values = rows
    by_indptr, by_rows, by_values = turned
    indices, distances = lists
    products, scratch = work
    candidates, lows, _, _ = scratch
    for row in range(len(indices)):
        products[:] = 0.0
        for e in range(indptr[row], indptr[row + 1]):
            value = values[e]
            for other in range(by_indptr[features[e]], by_indptr[features[e] + 1]):
                products[by_rows[other]] += value * by_values[other]
        n_candidates, threshold = gather_candidates(products, bounds, row, scratch)
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for c in range(n_candidates):
            if lows[c] <= threshold:
                distance = measure_sparse_distance(rows, tiny, row, candidates[c])
                filled = insert_neighbour(indices[row], distances[row], filled, candidates[c], distance)


@exact_uncounted
def measure_sparse_neighbours(
    found: Int32Array, rows: Compressed, tiny: float, indices: Int32Array, distances: Float32Array
) -> None:
    """Give known neighbours, (n, k) with every row's in ascending order, exact distances and put them in order."""
    for row in range(len(found)):
        indices[row, 0] = row
        distances[row, 0] = 0.0
        filled = 1
        for j in found[row]:
            if j >= 0 and j != row:
                distance = measure_sparse_distance(rows, tiny, row, j)
                filled = insert_neighbour(indices[row], distances[row], filled, j, distance)


@exact_uncounted
def measure_sparse_distance(rows: Compressed, tiny: float, i: int, j: int) -> np.float32:
    """Euclidean distance of two rows, summed in float64 over the features that either has, in their order."""
    indptr, features, values = rows
    one, two = indptr[i], indptr[j]
    total = 0.0
    while one < indptr[i + 1] or two < indptr[j + 1]:
        difference = 0.0
        is_last = one == indptr[i + 1]
        if not is_last and (two == indptr[j + 1] or features[one] < features[two]):
            difference = values[one]
            one += 1
        elif is_last or features[two] < features[one]:
            difference = values[two]
            two += 1
        else:
            difference = values[one] - values[two]
            one += 1
            two += 1
        total += difference * difference
    return np.float32(np.sqrt(total)) if total >= tiny else np.float32(0.0)
