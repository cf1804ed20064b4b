"""Lists of near rows improved by the neighbours of neighbours (Dong, Charikar, Li 2011)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from driftmap.engine.core.threads import RowShare
    from driftmap.engine.neighbours.kernels.join_kernels import NearLists, ReverseLists
    from driftmap.engine.neighbours.partitions.sample import Sample
    from driftmap.engine.types import Float32Array, Int32Array

MAX_ROUNDS = 8
MIN_GAIN = 0.002
"""A round that finds no more than this share of the neighbours is the last."""
FIRST_GAIN, FIRST_GAIN_NEIGHBOURS = 0.3, 14
"""Share of so many neighbours, the row itself not among them, that a first round adds at most; all later ones together
add no more. In noise of 8 to 128 features (50,000 rows) a first round added .12 to .30 and those after it a third to
all of that; of 49 neighbours a first one added .57 (`uniform:` and `normal:` of tests/benchmarks/bench_knn.py)."""


def improve_lists(
    rows: Float32Array, found: Int32Array, sample: Sample, recall: float, share: RowShare, *, is_enough: bool = False
) -> Int32Array | None:
    """Look at neighbours of neighbours until so many of the sample's are found; None where they cannot be.

    Parameters
    ----------
    rows
        (n, d), whose euclidean distances count.
    found
        Full lists, (n, k - 1), the row itself not among them; overwritten.
    sample
        Rows whose neighbours are known.
    recall
        Share of the sample's neighbours to be found.
    share
        Shares rows out among threads.
    is_enough
        Whether what is found is taken where that is fewer.

    Returns
    -------
    numpy.ndarray of int32 or None
        (n, k - 1) neighbours of every row, itself not among them.
    """
    from driftmap.engine.neighbours.kernels import join_kernels as kernels

    n, k = found.shape
    share_found = sample.measure_recall(found)
    near = kernels.NearLists(found, np.ones((n, k), np.bool_))
    kernels.order_lists(rows, near.indices, np.empty(k, np.float32))
    other = kernels.NearLists(near.indices.copy(), near.is_new.copy())
    reverse = kernels.ReverseLists(np.empty((n, k), np.int32), np.empty((n, k), np.bool_))
    counts = np.empty(n, np.int32)
    for _ in range(MAX_ROUNDS):
        kernels.reverse_lists(near, reverse, counts)
        lists = near, reverse, other

        def join(part: slice, lists: tuple[NearLists, ReverseLists, NearLists] = lists) -> int:
            scratch = kernels.Scratch(np.full(n, -1, np.int32), np.empty(k, np.float32))
            return kernels.join_rows(rows, (part.start, part.stop), *lists, scratch)

        share(join, n)
        near, other = other, near
        before, share_found = share_found, sample.measure_recall(near.indices)
        if share_found >= recall:
            return near.indices
        gain = share_found - before
        if gain < MIN_GAIN or (share_found + gain < recall and not is_enough):
            break
    return near.indices if is_enough else None


def can_reach(share_found: float, recall: float, n_neighbours: int) -> bool:
    """Tell whether rounds may lead from a share of the neighbours found to that wanted."""
    first_gain = FIRST_GAIN * max(1.0, n_neighbours / FIRST_GAIN_NEIGHBOURS)
    return share_found + 2.0 * first_gain >= recall
