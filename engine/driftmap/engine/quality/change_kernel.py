"""The kernel behind `quality.change.turnover`; apart, so that the other figures compile nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array, Relation


@exact
def fill_turnover(
    old: Int32Array, new: Int32Array, relation: Relation, inverse: Relation, turnover: Float32Array
) -> None:
    """Set the turnover of every related row that has a shared neighbour in both windows; others stay as they are.

    The lists are sorted by distance, so their first shared rows are the nearest of all shared rows: both lists are cut
    to the length of the shorter one, and nothing depends on rows that only one window has.
    """
    here = np.empty(old.shape[1], dtype=np.int32)
    there = np.empty(new.shape[1], dtype=np.int32)
    for row in range(len(relation)):
        partner = relation[row]
        if partner < 0:
            continue
        n_here = n_there = 0
        for neighbour in old[row]:
            if neighbour >= 0 and neighbour != row and relation[neighbour] >= 0:
                here[n_here] = relation[neighbour]
                n_here += 1
        for neighbour in new[partner]:
            if neighbour >= 0 and neighbour != partner and inverse[neighbour] >= 0:
                there[n_there] = neighbour
                n_there += 1
        n = min(n_here, n_there)
        if n == 0:
            continue
        n_stayed = 0
        for one in here[:n]:
            for other in there[:n]:
                n_stayed += one == other
        turnover[row] = np.float32(1.0) - np.float32(n_stayed) / np.float32(n)
