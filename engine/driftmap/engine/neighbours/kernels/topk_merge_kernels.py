"""Kernels that add to lists of nearest rows from parts of the data; what comes out depends on no order of the parts.

Lists are kept by (distance, row number), in the float32 distances that the graph holds, as the plain search has them.
Dimensions: n rows; d features; b rows and q columns of a block of products; k places of a list, the row itself first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.jit import exact_uncounted
from driftmap.engine.neighbours.kernels.topk_kernels import (
    CHUNK,
    gather_candidates,
    has_near,
    make_scratch,
    measure_distance,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.neighbours.kernels.topk_kernels import Data, Lists, Scratch
    from driftmap.engine.types import Int32Array

_RELATIVE = 1.0 + 2.0**-20  # two distances that are one float32 number have squares much nearer than this


def select_among(
    products: npt.NDArray[Any],
    bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    own: Int32Array,
    first_column: int,
    data: Data,
    numbers: Int32Array,
    lists: Lists,
) -> int:
    """Find the nearest of a run of rows for some rows of that run; return how many distances were summed.

    As `topk_kernels.select_by_bounds`, whose bounds these are, for any rows in any order and a part of all columns.

    Parameters
    ----------
    products
        (b, q) inner products of the rows `own` with the rows [first_column, first_column + q).
    bounds
        `least` and `most` of these q rows.
    own
        (b,) rows of `data`, each within the run.
    numbers
        (n,) what each row of `data` is called in the lists; ties go by it.
    lists
        indices and distances, (n, k), overwritten in the rows `own`.
    """
    scratch = make_scratch(products, lists[0].shape[1])
    n_summed: int = _select_among(products, bounds, own, first_column, (data, numbers), lists, scratch)
    return n_summed


@exact_uncounted
def _select_among(
    products: npt.NDArray[Any],
    bounds: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    own: Int32Array,
    first_column: int,
    named: tuple[Data, Int32Array],
    lists: Lists,
    scratch: Scratch,
) -> int:
    data, numbers = named
    indices, distances = lists
    candidates, lows, _, _ = scratch
    n_summed = 0
    for b in range(len(products)):
        row = own[b]
        n_candidates, threshold = gather_candidates(products[b], bounds, row - first_column, scratch)
        indices[row] = -1
        distances[row] = np.inf
        indices[row, 0] = numbers[row]
        distances[row, 0] = 0.0
        for c in range(n_candidates):
            if lows[c] > threshold:
                continue
            j = first_column + candidates[c]
            n_summed += insert_measured(data, numbers, row, j, lists)
    return n_summed


@exact_uncounted
def set_bars(bars: npt.NDArray[Any], least: npt.NDArray[Any], unit: float, limits: npt.NDArray[Any]) -> None:
    """Set what `least[j] - 2 p` of row j must not pass for j to be within a row's limit, a distance; -inf for none."""
    for row in range(len(bars)):
        bars[row] = _find_bar(limits[row], least[row], unit) if limits[row] >= 0.0 else -np.inf


@exact_uncounted
def add_columns(
    products: npt.NDArray[Any],
    columns: tuple[npt.NDArray[Any], int],
    own: Int32Array,
    bars: npt.NDArray[Any],
    scaling: tuple[npt.NDArray[Any], float],
    data: Data,
    numbers: Int32Array,
    lists: Lists,
) -> int:
    """Put a run of rows into the lists of some other rows, where they belong; return how many distances were summed.

    Parameters
    ----------
    products
        (b, q) inner products of the rows `own` with those of the run.
    columns
        `least` of the run's q rows, and the first of them.
    bars
        (n,), see `set_bars`; those of full lists fall as the lists improve.
    scaling
        `least` of all rows, and `unit`.
    """
    run_least, first = columns
    least, unit = scaling
    q = products.shape[1]
    n_summed = 0
    for b in range(len(products)):
        row = own[b]
        for start in range(0, q, CHUNK):
            stop = min(start + CHUNK, q)
            if not has_near(run_least[start:stop], products[b, start:stop], bars[row]):
                continue
            for j in range(start, stop):
                if run_least[j] - (products[b, j] + products[b, j]) <= bars[row] and first + j != row:
                    n_summed += insert_measured(data, numbers, row, first + j, lists)
                    bars[row] = min(bars[row], _find_bar(lists[1][row, -1], least[row], unit))
    return n_summed


@exact_uncounted
def add_rows(
    products: npt.NDArray[Any],
    targets: tuple[int, int],
    own: Int32Array,
    bars: npt.NDArray[Any],
    scaling: tuple[npt.NDArray[Any], float],
    data: Data,
    numbers: Int32Array,
    lists: Lists,
) -> int:
    """Put the rows `own` into the lists of other rows whose threshold lets them: `add_columns` the other way round.

    `products` is (b, n), of the rows `own` with all; `targets` are the first and last + 1 of the rows whose lists are
    added to. Bars of -inf keep lists as they are.
    """
    least, unit = scaling
    first, last = targets
    n_summed = 0
    for b in range(len(products)):
        j = own[b]
        for start in range(first, last, CHUNK):
            stop = min(start + CHUNK, last)
            if not _lets_in(bars[start:stop], products[b, start:stop], least[j]):
                continue
            for row in range(start, stop):
                if least[j] - (products[b, row] + products[b, row]) <= bars[row] and j != row:
                    n_summed += insert_measured(data, numbers, row, j, lists)
                    bars[row] = min(bars[row], _find_bar(lists[1][row, -1], least[row], unit))
    return n_summed


@exact_uncounted
def _lets_in(bars: npt.NDArray[Any], products: npt.NDArray[Any], least: float) -> bool:
    """Tell whether any row's threshold in a chunk lets one row in: `has_near` the other way round."""
    is_any = False
    for row in range(len(products)):
        is_any |= least - (products[row] + products[row]) <= bars[row]
    return is_any


@exact_uncounted
def insert_measured(data: Data, numbers: Int32Array, row: int, j: int, lists: Lists) -> int:
    """Put row j into the list of another row, unless that is full of nearer ones; return how many distances it took."""
    indices, distances = lists[0][row], lists[1][row]
    last = len(indices) - 1
    number = numbers[j]
    if distances[last] == 0.0 and indices[last] < number:
        return 0  # a list full of rows equal to this one, and this of a higher number: no need to measure
    distance = measure_distance(data, row, j)
    if distance > distances[last] or (distance == distances[last] and number > indices[last]):
        return 1
    place = last
    while place > 1 and (
        distances[place - 1] > distance or (distances[place - 1] == distance and indices[place - 1] > number)
    ):
        distances[place] = distances[place - 1]
        indices[place] = indices[place - 1]
        place -= 1
    distances[place] = distance
    indices[place] = number
    return 1


@exact_uncounted
def _find_bar(limit: float, least: float, unit: float) -> float:
    scaled = limit * unit
    return scaled * scaled * _RELATIVE - least
