"""Rows whose nearest of all are known: they say how far to search, and how much was found.

Dimensions: n rows; k neighbours, the row itself included; s rows of the sample; m parts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.buffers import Buffers
from driftmap.engine.neighbours.partitions.parts import score_centres
from driftmap.engine.neighbours.partitions.projection import MIN_FEATURES

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.neighbours.partitions.parts import Parts
    from driftmap.engine.types import Float32Array, Int32Array

N_SAMPLED = 512
"""Rows whose exact neighbours say how far to search: the share found has a standard error of .002."""
N_SAMPLED_WIDE = 256
"""Of `projection.MIN_FEATURES` features, where comparing these rows with all takes long: a standard error of .003."""
RECALL_MARGIN, RECALL_MARGIN_WIDE = 0.005, 0.008
"""How much more of the sample's neighbours must be found than are wanted of all rows: two and a half standard errors.

250,000 text-like rows of 384 features had .977 with a margin of .005 (tests/benchmarks/bench_knn.py).
"""


class Sample(NamedTuple):
    """Some rows, (s,), and their nearest rows among all, (s, k - 1), ascending by number."""

    rows: Int32Array
    near: Int32Array

    def measure_recall(self, found: Int32Array) -> float:
        """Share of the sample's neighbours that lists, (n, k - 1), hold."""
        held = [np.isin(near, found[row]).sum() for row, near in zip(self.rows, self.near, strict=True)]
        return float(np.sum(held)) / self.near.size


def add_margin(recall: float, d: int) -> float:
    """Return the share of the sample's neighbours that is to be found where so many of all rows' are wanted."""
    return min(recall + (RECALL_MARGIN if d < MIN_FEATURES else RECALL_MARGIN_WIDE), 1.0)


def choose_sample(n: int, d: int) -> Int32Array:
    """Choose rows evenly spaced."""
    n_rows = N_SAMPLED if d < MIN_FEATURES else N_SAMPLED_WIDE
    return np.arange(0, n, max(1, n // n_rows), dtype=np.int32)


class Reach(NamedTuple):
    """What searching more parts adds."""

    ranks: npt.NDArray[np.int64]
    """(s (k - 1),) ascending: how many parts are nearer to a sampled row than that of one of its neighbours."""
    shares: npt.NDArray[np.float64]
    """(m,) share of all rows that so many nearest parts hold, one part more each time."""

    def count_probes(self, recall: float) -> int:
        """Return how many parts hold so much of the sample's neighbours."""
        return int(self.ranks[math.ceil(recall * len(self.ranks)) - 1]) + 1

    def measure_recall(self, n_probes: int) -> float:
        """Return the share of the sample's neighbours that so many nearest parts hold."""
        return float(np.searchsorted(self.ranks, n_probes)) / len(self.ranks)


def measure_reach(parts: Parts, whole: Float32Array, near_positions: npt.NDArray[np.integer]) -> Reach:
    """Find how near the parts of the neighbours are.

    Parameters
    ----------
    parts
        Of all rows.
    whole
        (s, q) the sample's rows in whole numbers.
    near_positions
        (s, k - 1) where their neighbours stand in the order of the parts.
    """
    order = np.argsort(score_centres(whole, parts.centres, Buffers()), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
    part_of_near = np.searchsorted(parts.starts, near_positions, side="right") - 1
    shares = np.cumsum(np.diff(parts.starts)[order], axis=1).mean(axis=0) / len(parts.order)
    return Reach(np.sort(np.take_along_axis(ranks, part_of_near, axis=1), axis=None), shares)
