"""A window's fuzzy graph in the store, whose rows are read as they are needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.types import FuzzyGraph, GraphRows
from driftmap.pipeline.store.disk.arrays import list_chunks, read_of_group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.engine.types import Int32Array, Int64Array
    from driftmap.pipeline.store.disk.packed import GroupFiles


class StoredGraph:
    """A `ReadableGraph` of a group: what begins where is held, and of the edges one chunk of each array at a time.

    A chunk's checksum finds damage as it is read.

    Parameters
    ----------
    files
        Of the group that `write_graph` wrote.
    where
        What it belongs to, for errors: `window 'congress 104'`.
    n_rows
        Rows of the window.
    """

    def __init__(self, files: GroupFiles, where: str, n_rows: int) -> None:
        self._files, self._where = files, where
        self.n_rows = n_rows
        """Number of rows of the window."""

    @cached_property
    def indptr(self) -> Int64Array:
        """(n + 1,), as `FuzzyGraph` has it."""
        return self._read("indptr", self.n_rows + 1)

    def list_blocks(self, n_rows: int) -> Iterator[GraphRows]:
        """Give all rows in their order, so many at a time; see `ReadableGraph`."""
        indptr = self.indptr
        if not indptr[-1]:
            yield from FuzzyGraph(indptr, np.empty(0, np.int32), np.empty(0, np.float32)).list_blocks(n_rows)
            return
        indices, data = (_Edges(self._list_chunks(array)) for array in ("indices", "data"))
        for first in range(0, self.n_rows, n_rows):
            ends = indptr[first : first + n_rows + 1]
            n_edges = int(ends[-1] - ends[0])
            yield GraphRows(first, FuzzyGraph(ends - ends[0], indices.take(n_edges), data.take(n_edges)))

    def load(self) -> FuzzyGraph:
        """Give the graph in memory."""
        return FuzzyGraph(self.indptr, self.load_indices(), self._read("data"))

    def load_indices(self) -> Int32Array:
        """Give the columns of all edges alone."""
        return self._read("indices")

    def _read(self, array: str, length: int | None = None) -> np.ndarray[Any, Any]:
        return read_of_group(self._files, array, self._where, length)

    def _list_chunks(self, array: str) -> Iterator[np.ndarray[Any, Any]]:
        for chunk in list_chunks(self._files, array, self._where, int(self.indptr[-1])):
            yield chunk.values


class _Edges:
    """Values of an array, taken in order from its chunks."""

    def __init__(self, chunks: Iterator[np.ndarray[Any, Any]]) -> None:
        self._chunks = chunks
        self._left: np.ndarray[Any, Any] | None = None

    def take(self, n: int) -> np.ndarray[Any, Any]:
        """Take the next n values."""
        taken: list[np.ndarray[Any, Any]] = []
        while self._left is None or len(self._left) < n:
            if self._left is not None:
                taken.append(self._left.copy())  # so that the chunk is gone when the next one comes
                n -= len(self._left)
                self._left = None
            self._left = next(self._chunks)
        taken.append(self._left[:n])
        self._left = self._left[n:]
        return taken[0] if len(taken) == 1 else np.concatenate(taken)
