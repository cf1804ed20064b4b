"""Kernels that gather candidates for every row's nearest by distances of whole numbers, and measure those alone.

Candidates are kept by (score, position): what comes out depends on no order in which they come.
Dimensions: n rows; b rows and q columns of a block of products; c places of a row's candidates; k of its list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact_uncounted
from driftmap.engine.neighbours.kernels.topk_kernels import CHUNK, has_near
from driftmap.engine.neighbours.kernels.topk_merge_kernels import insert_measured

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists
    from driftmap.engine.types import Float32Array, Int32Array, Int64Array

    Float64Array = npt.NDArray[np.float64]


@exact_uncounted
def add_candidates(
    products: Float32Array,
    columns: tuple[Float32Array, int],
    some: Int32Array,
    own: Int32Array,
    candidates: Lists,
) -> None:
    """Put rows of a part among the candidates of some rows, where they are nearer than the last.

    Parameters
    ----------
    products
        (b, q) inner products of the rows `own[some]` with those of the part.
    columns
        Squared norms of the part's q rows, and the position of the first of them.
    some
        (b,) which of the rows that candidates are gathered for.
    own
        Positions of all these.
    candidates
        Positions and scores, (rows, c), ascending by both; -1 at inf where there are fewer.
    """
    norms, first = columns
    for b in range(len(products)):
        row = own[some[b]]
        positions, scores = candidates[0][some[b]], candidates[1][some[b]]
        last = len(positions) - 1
        for start in range(0, products.shape[1], CHUNK):
            stop = min(start + CHUNK, products.shape[1])
            if not has_near(norms[start:stop], products[b, start:stop], scores[last]):
                continue
            for column in range(start, stop):
                j = first + column
                score = norms[column] - (products[b, column] + products[b, column])
                if j == row or score > scores[last] or (score == scores[last] and j > positions[last]):
                    continue
                at = last
                while at > 0 and (scores[at - 1] > score or (scores[at - 1] == score and positions[at - 1] > j)):
                    scores[at] = scores[at - 1]
                    positions[at] = positions[at - 1]
                    at -= 1
                scores[at] = score
                positions[at] = j


@exact_uncounted
def measure_candidates(
    positions: Int32Array, own: Int32Array, order: Int32Array, numbers: Int32Array, data: Data, lists: Lists
) -> int:
    """Put the nearest of every row's candidates into its list; return how many distances were summed.

    Parameters
    ----------
    positions
        (rows, c) candidates; -1, at the end, where there are fewer.
    own
        (rows,) numbers of these rows.
    order
        (n,) number of the row at each position.
    numbers
        (n,) every row's number, 0 to n - 1.
    data
        As in `measure_distance`, by numbers.
    lists
        Indices and distances, (n, k), by numbers; empty for these rows.
    """
    n_summed = 0
    for place in range(len(own)):
        row = own[place]
        lists[0][row, 0] = row
        lists[1][row, 0] = 0.0
        for position in positions[place]:
            if position < 0:
                break
            n_summed += insert_measured(data, numbers, row, order[position], lists)
    return n_summed


@exact_uncounted
def measure_all(some: Int32Array, numbers: Int32Array, data: Data, lists: Lists) -> int:
    """Put the nearest of all rows into the lists of some, which are empty."""
    n_summed = 0
    for row in some:
        lists[0][row] = -1
        lists[1][row] = float("inf")
        lists[0][row, 0] = row
        lists[1][row, 0] = 0.0
        for j in range(len(numbers)):
            if j != row:
                n_summed += insert_measured(data, numbers, row, j, lists)
    return n_summed


@exact_uncounted
def find_smallest(scores: Float32Array, nearest: Int32Array) -> None:
    """Find the columns of the smallest numbers of every row, (rows, p) of (rows, m); ties by column."""
    last = nearest.shape[1] - 1
    for row in range(len(scores)):
        filled = 0
        for column in range(scores.shape[1]):
            score = scores[row, column]
            if filled > last and score >= scores[row, nearest[row, last]]:
                continue
            at = min(filled, last)
            while at > 0 and scores[row, nearest[row, at - 1]] > score:
                nearest[row, at] = nearest[row, at - 1]
                at -= 1
            nearest[row, at] = column
            filled = min(filled + 1, last + 1)


@exact_uncounted
def fill_centred(
    rows: Float32Array,
    scales: Float64Array,
    frame: tuple[Float64Array, float],
    which: Int64Array,
    centred: Float32Array,
) -> None:
    """Bring some scaled rows about a middle, times a unit: to the bits of `normalise.centre_about`."""
    middle, unit = frame
    for place in range(len(which)):
        row, scale = rows[which[place]], scales[which[place]]
        for f in range(len(middle)):
            centred[place, f] = np.float32((row[f] * scale - middle[f]) * unit)
