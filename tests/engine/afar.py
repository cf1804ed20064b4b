"""A graph that is not held, as those of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.engine import FuzzyGraph
    from driftmap.engine.types import GraphRows, Int32Array


class Afar:
    """A `ReadableGraph` whose rows come few at a time."""

    def __init__(self, graph: FuzzyGraph, n_rows: int = 37) -> None:
        self._graph, self._n_read = graph, n_rows
        self.indptr, self.n_rows = graph.indptr, graph.n_rows

    def list_blocks(self, n_rows: int) -> Iterator[GraphRows]:
        """Give fewer rows at a time than were asked for."""
        yield from self._graph.list_blocks(min(n_rows, self._n_read))

    def load(self) -> FuzzyGraph:
        """Give the graph."""
        return self._graph

    def load_indices(self) -> Int32Array:
        """Give its columns."""
        return self._graph.indices
