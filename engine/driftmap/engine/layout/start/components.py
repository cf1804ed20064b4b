"""Connected parts of a graph, found in a few bytes a row: scipy first copies the graph, twice and to float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    from driftmap.engine.types import Int32Array, Int64Array, ReadableGraph


def find_components(graph: ReadableGraph) -> tuple[int, Int32Array]:
    """Find the connected parts of a symmetric graph.

    Parameters
    ----------
    graph
        Of a window, (n, n).

    Returns
    -------
    tuple
        How many there are, and int32 (n,) the part of each row, numbered in the order of their first rows.
    """
    part_of = np.full(graph.n_rows, -1, dtype=np.int32)
    return _fill_parts(graph.indptr, graph.load_indices(), part_of), part_of


@exact
def _fill_parts(indptr: Int64Array, indices: Int32Array, part_of: Int32Array) -> int:
    """Give each row its part, one part after the other from its first row on; returns how many there are."""
    ring = np.empty(len(part_of), np.int32)
    n_parts = 0
    for row in range(len(part_of)):
        if part_of[row] >= 0:
            continue
        part_of[row] = n_parts
        ring[0], done, known = row, 0, 1
        while done < known:
            here = ring[done]
            done += 1
            for edge in range(indptr[here], indptr[here + 1]):
                other = indices[edge]
                if part_of[other] < 0:
                    part_of[other] = n_parts
                    ring[known] = other
                    known += 1
        n_parts += 1
    return n_parts
