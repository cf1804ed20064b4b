"""Rows put into parts by k-means, and which parts each row is nearest to; all in whole numbers, so without rounding.

Dimensions: n rows; q features, or axes; m parts; p parts searched per row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.buffers import Buffers
from driftmap.engine.types import Float32Array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.engine.core.threads import RowShare
    from driftmap.engine.types import Int32Array

ReadWhole = Callable[[npt.NDArray[np.integer] | slice, Buffers], Float32Array]
"""Gives rows in whole numbers, none of a norm much above `projection.WHOLE_NORM`; in the buffers, or as they are."""

PARTS_PER_ROOT = 1.0
"""Parts per square root of n: with more, finding the parts costs more than searching them."""
ROWS_PER_CENTRE = 40
"""Rows that k-means sees, per part; with twice as many the same number of parts must be searched."""
N_ROUNDS = 4
"""Rounds of k-means."""
PART_BLOCK_BYTES = 1 << 24
"""Memory for one block of products, and for the rows gathered for it."""
MULTIPLY_SECONDS, LOOK_SECONDS = 2e-11, 8e-10
"""One thread: a multiplication of a product, and a look at the product."""
MAX_INSERTED = 32
"""Parts of a row that are put in order one by one; numpy takes less for more."""


class Parts(NamedTuple):
    """Rows in the order of their parts: `order` (n,) their numbers, part i is [starts[i], starts[i + 1])."""

    order: Int32Array
    starts: npt.NDArray[np.int64]
    centres: Float32Array


def count_parts(n_rows: int, per_root: float = PARTS_PER_ROOT) -> int:
    """Return into how many parts rows are put."""
    return max(1, round(per_root * math.sqrt(n_rows)))


def estimate_search(n_rows: float, n_axes: int) -> float:
    """Estimate the seconds that comparing one row with so many takes, on one thread."""
    return n_rows * (n_axes * MULTIPLY_SECONDS + LOOK_SECONDS)


def part_block_bytes(n_rows: int, n_features: int) -> int:
    """Return what one block of scores of all parts takes, or of rows; four are there at a time."""
    return min(PART_BLOCK_BYTES, 4 * n_rows * max(count_parts(n_rows), n_features))


def part_rows(read: ReadWhole, n: int, m: int, rng: np.random.Generator, share: RowShare) -> Parts:
    """Part n rows by a few rounds of k-means on some of them (Lloyd 1982)."""
    from scipy.sparse import csr_array  # late: 0.1 s

    some = np.sort(rng.choice(n, min(n, ROWS_PER_CENTRE * m), replace=False))
    sample = read(some, Buffers())
    centres = sample[np.sort(rng.choice(len(sample), m, replace=False))]
    labels = np.empty(len(sample), dtype=np.int32)
    for _ in range(N_ROUNDS):
        share(partial(_find_nearest_centres, partial(take_rows, sample), centres, labels), len(sample))
        counts = np.bincount(labels, minlength=m)
        is_used = counts > 0
        one_of_each = np.ones(len(labels)), (labels, np.arange(len(labels)))
        sums = csr_array(one_of_each, shape=(m, len(labels))) @ sample
        centres[is_used] = np.rint(sums[is_used] / counts[is_used, None])
    labels = np.empty(n, dtype=np.int32)
    share(partial(_find_nearest_centres, read, centres, labels), n)
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=m))])
    return Parts(np.argsort(labels, kind="stable").astype(np.int32), starts, centres)


def _find_nearest_centres(read: ReadWhole, centres: Float32Array, labels: Int32Array, part: slice) -> int:
    """Set the labels of a part of the rows."""
    buffers = Buffers()
    for start, stop in cut(part, max(centres.shape)):
        labels[start:stop] = score_centres(read(slice(start, stop), buffers), centres, buffers).argmin(axis=1)
    return 0


def take_rows(whole: Float32Array, which: npt.NDArray[np.integer] | slice, _: Buffers) -> Float32Array:
    """Read rows that are whole numbers already."""
    return whole[which]


def score_centres(whole: Float32Array, centres: Float32Array, buffers: Buffers) -> Float32Array:
    """Squared distances, less that of the row itself, of rows to all centres; whole numbers all of them."""
    products = np.matmul(whole, centres.T, out=buffers.take("products", len(whole), len(centres)))
    products *= -2.0
    products += square_norms(centres)
    return products


def square_norms(whole: Float32Array) -> Float32Array:
    """Squared norms of rows in whole numbers."""
    norms: Float32Array = np.einsum("ij,ij->i", whole, whole, dtype=np.float64).astype(np.float32)
    return norms


def list_parts(parts: Parts, own_rows: slice) -> Iterator[tuple[int, int]]:
    """List first row and last + 1 of the parts to which a run of rows belongs."""
    for first, last in pairwise(parts.starts.tolist()):
        if max(first, own_rows.start) < min(last, own_rows.stop):
            yield first, last


def find_nearest_parts(parts: Parts, read: ReadWhole, own: Int32Array, n_probes: int, buffers: Buffers) -> Int32Array:
    """Find the nearest parts of rows at some positions, (rows, p), the nearest of all first; `read` by positions."""
    from driftmap.engine.neighbours.kernels.candidate_kernels import find_smallest

    nearest = np.empty((len(own), n_probes), dtype=np.int32)
    for start, stop in cut(slice(0, len(own)), max(parts.centres.shape)):
        scores = score_centres(read(own[start:stop], buffers), parts.centres, buffers)
        if n_probes <= MAX_INSERTED:
            find_smallest(scores, nearest[start:stop])
        else:
            among = np.argpartition(scores, n_probes - 1, axis=1)[:, :n_probes]
            first = np.take_along_axis(scores, among, axis=1).argmin(axis=1)
            rows = np.arange(len(among))
            among[rows, first], among[:, 0] = among[:, 0], among[rows, first]
            nearest[start:stop] = among
    return nearest


def list_visitors(nearest: Int32Array, m: int) -> Iterator[Int32Array]:
    """List, for every of m parts, which rows of (rows, p) nearest parts have it among these, ascending."""
    from scipy.sparse import csr_array  # late: 0.1 s

    n, p = nearest.shape
    pairs = np.arange(n + 1, dtype=np.int32) * np.int32(p)
    by_part = csr_array((np.ones(n * p, dtype=np.int8), nearest.ravel(), pairs), shape=(n, m)).tocsc()
    for first, last in pairwise(by_part.indptr):
        yield by_part.indices[first:last].astype(np.int32)


def cut(run: slice, width: int) -> Iterator[tuple[int, int]]:
    """Cut a run of rows into blocks of which each, `width` float32 numbers a row, fits `PART_BLOCK_BYTES`."""
    step = max(1, PART_BLOCK_BYTES // (4 * max(width, 1)))
    for start in range(run.start, run.stop, step):
        yield start, min(start + step, run.stop)
