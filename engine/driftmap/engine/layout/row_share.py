"""Which rows of a block one process moves, where several share the rows of a window; loads no kernels."""

from __future__ import annotations

import itertools
from typing import NamedTuple

LEAST_SHARED_ROWS = 1_000
"""Smaller windows are carried by one process; of those below `SMALL_ROWS` several starts may be compared first."""


class RowShare(NamedTuple):
    """One of several equal parts of the rows of every window, in their random order."""

    part: int = 0
    n_parts: int = 1

    def cut(self, n_active: int) -> list[range]:
        """Cut the rows of a window that have an edge into all parts."""
        bounds = [number * n_active // self.n_parts for number in range(self.n_parts + 1)]
        return [range(first, last) for first, last in itertools.pairwise(bounds)]

    def own(self, n_active: int) -> range:
        """Return the rows of a window that this process moves."""
        return self.cut(n_active)[self.part]


WHOLE = RowShare()
"""All rows."""
