"""Kernels that better approximate lists of nearest rows by the neighbours of neighbours; numpy and numba only.

One round reads the lists as they are and writes new ones, so that what comes out depends on no order of the rows.
Dimensions: n rows; d features; k neighbours of a list, the row itself not among them; r places of a reverse list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.jit import exact_uncounted, fast_uncounted

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array


class NearLists(NamedTuple):
    """Lists of near rows, ascending by (squared distance, row number); the distances are measured again when needed."""

    indices: Int32Array
    """(n, k)."""
    is_new: npt.NDArray[np.bool_]
    """(n, k) whether a row was not in the list a round ago."""


class ReverseLists(NamedTuple):
    """Of every row, some of the rows that have it in their lists; -1 where there are fewer."""

    indices: Int32Array
    """(n, r)."""
    is_new: npt.NDArray[np.bool_]
    """(n, r) as in the list that they come from."""


class Scratch(NamedTuple):
    """What one call of `join_rows` works in."""

    seen: Int32Array
    """(n,) the last row that each row was looked at for."""
    squared: Float32Array
    """(k,) squared distances of the list at work, in float32 arithmetic."""


@fast_uncounted
def measure_squared(one: Float32Array, two: Float32Array) -> np.float32:
    """Squared euclidean distance, summed in vector lanes."""
    total = np.float32(0.0)
    for f in range(len(one)):
        difference = one[f] - two[f]
        total += difference * difference
    return total


@fast_uncounted
def order_lists(rows: Float32Array, indices: Int32Array, squared: Float32Array) -> None:
    """Put lists, (n, k), in order; `squared`, (k,), is scratch."""
    for row in range(len(indices)):
        for place in range(indices.shape[1]):
            j = indices[row, place]
            apart = measure_squared(rows[row], rows[j])
            at = place
            while at > 0 and (squared[at - 1] > apart or (squared[at - 1] == apart and indices[row, at - 1] > j)):
                squared[at] = squared[at - 1]
                indices[row, at] = indices[row, at - 1]
                at -= 1
            squared[at] = apart
            indices[row, at] = j


@exact_uncounted
def reverse_lists(near: NearLists, reverse: ReverseLists, counts: Int32Array) -> None:
    """List, for every row, the rows that hold it: those first that hold it nearest to the top of their lists."""
    reverse.indices[:] = -1
    reverse.is_new[:] = False
    counts[:] = 0
    most = reverse.indices.shape[1]
    for place in range(near.indices.shape[1]):
        for row in range(len(near.indices)):
            j = near.indices[row, place]
            if counts[j] < most:
                reverse.indices[j, counts[j]] = row
                reverse.is_new[j, counts[j]] = near.is_new[row, place]
                counts[j] += 1


@fast_uncounted
def join_rows(
    rows: Float32Array,
    span: tuple[int, int],
    near: NearLists,
    reverse: ReverseLists,
    out: NearLists,
    scratch: Scratch,
) -> int:
    """Look for nearer rows among the neighbours of neighbours, both ways, of the rows [first, last).

    Parameters
    ----------
    rows
        (n, d).
    span
        First row and last + 1.
    near, reverse
        The lists as they are; pairs of which neither half is new were looked at before.
    out
        Lists to be written, of these rows.
    scratch
        Of this call alone; -1 at first.

    Returns
    -------
    int
        How many places of the lists changed.
    """
    n_changed = 0
    seen, squared = scratch
    for row in range(span[0], span[1]):
        seen[row] = row
        for place in range(near.indices.shape[1]):
            j = near.indices[row, place]
            seen[j] = row
            out.indices[row, place] = j
            squared[place] = measure_squared(rows[row], rows[j])
            out.is_new[row, place] = False
        for place in range(near.indices.shape[1]):
            n_changed += _visit(
                rows, row, near.indices[row, place], near.is_new[row, place], (near, reverse), out, scratch
            )
        for place in range(reverse.indices.shape[1]):
            j = reverse.indices[row, place]
            if j >= 0:
                n_changed += _offer(rows, row, j, out, scratch)
                n_changed += _visit(rows, row, j, reverse.is_new[row, place], (near, reverse), out, scratch)
    return n_changed


@fast_uncounted
def _visit(
    rows: Float32Array,
    row: int,
    by: int,
    is_new: bool,  # noqa: FBT001 - a kernel
    lists: tuple[NearLists, ReverseLists],
    out: NearLists,
    scratch: Scratch,
) -> int:
    near, reverse = lists
    n_changed = 0
    for place in range(near.indices.shape[1]):
        if is_new or near.is_new[by, place]:
            n_changed += _offer(rows, row, near.indices[by, place], out, scratch)
    for place in range(reverse.indices.shape[1]):
        j = reverse.indices[by, place]
        if j >= 0 and (is_new or reverse.is_new[by, place]):
            n_changed += _offer(rows, row, j, out, scratch)
    return n_changed


@fast_uncounted
def _offer(rows: Float32Array, row: int, j: int, out: NearLists, scratch: Scratch) -> int:
    """Put row j into the list of another, unless it was seen before or that is full of nearer ones."""
    seen, squared = scratch
    if seen[j] == row:
        return 0
    seen[j] = row
    indices, is_new = out.indices[row], out.is_new[row]
    last = len(indices) - 1
    apart = measure_squared(rows[row], rows[j])
    if apart > squared[last] or (apart == squared[last] and j > indices[last]):
        return 0
    at = last
    while at > 0 and (squared[at - 1] > apart or (squared[at - 1] == apart and indices[at - 1] > j)):
        squared[at] = squared[at - 1]
        indices[at] = indices[at - 1]
        is_new[at] = is_new[at - 1]
        at -= 1
    squared[at] = apart
    indices[at] = j
    is_new[at] = True
    return 1
