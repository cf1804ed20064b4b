"""A connected part of a graph as a graph of its own, without a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.types import FuzzyGraph, GraphRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.types import Int32Array, Int64Array, ReadableGraph

_BLOCK_ROWS = 100_000


class ConnectedPart:
    """Some rows of a graph that no edge joins to others, such as a connected part.

    Parameters
    ----------
    graph
        That they are of.
    rows
        (m,) their numbers there, ascending.
    """

    def __init__(self, graph: ReadableGraph, rows: npt.NDArray[np.integer]) -> None:
        self._graph, self._rows = graph, rows
        degrees = np.diff(graph.indptr)[rows]
        self.indptr: Int64Array = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def list_blocks(self, n_rows: int) -> Iterator[GraphRows]:
        """Give all rows in their order, at most so many at a time; see `ReadableGraph`."""
        numbers = np.full(self._graph.n_rows, -1, dtype=np.int32)
        numbers[self._rows] = np.arange(len(self._rows))
        for first, block in self._graph.list_blocks(n_rows):
            is_own = numbers[first : first + block.n_rows] >= 0
            own = np.flatnonzero(is_own)
            if not len(own):
                continue
            degrees = np.diff(block.indptr)
            edges = np.repeat(is_own, degrees)
            indptr = np.concatenate([[0], np.cumsum(degrees[own])]).astype(np.int64)
            part = FuzzyGraph(indptr, numbers[block.indices[edges]], block.data[edges])
            yield GraphRows(int(numbers[first + own[0]]), part)

    def load(self) -> FuzzyGraph:
        """Give the part in memory."""
        indices, data = np.empty(self.indptr[-1], np.int32), np.empty(self.indptr[-1], np.float32)
        for first, block in self.list_blocks(_BLOCK_ROWS):
            edges = slice(self.indptr[first], self.indptr[first + block.n_rows])
            indices[edges], data[edges] = block.indices, block.data
        return FuzzyGraph(self.indptr, indices, data)

    def load_indices(self) -> Int32Array:
        """Give the columns of all edges alone."""
        return self.load().indices
