"""The data that passes between the engine's rooms: named tuples of arrays, and frozen settings.

Dimensions: n, m rows of a window; k neighbours of a row (the row itself included, as in umap-learn);
e stored edges of a fuzzy graph; c components of the layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

Relation = npt.NDArray[np.int32]
"""Rows of an older window to rows of a newer one: int32 (n,), -1 where a row has no partner; one-to-one."""


class Coupling(NamedTuple):
    """Pairs of related rows of an older and a newer window, where a row may have several partners; (p,) each."""

    old: Int32Array
    new: Int32Array
    """Rows of each pair, in the order of `old` and then `new`, no pair twice."""
    weights: Float32Array
    """Above 0; the largest is 1."""


class KnnGraph(NamedTuple):
    """Nearest neighbours of every row of one window; column 0 is the row itself, at distance 0."""

    indices: Int32Array
    """(n, k); -1 where a row has fewer neighbours."""
    distances: Float32Array
    """(n, k), ascending; inf where the index is -1."""


class FuzzyGraph(NamedTuple):
    """Symmetric fuzzy graph of one window in CSR form, rows sorted by column, no explicit zeros, no diagonal."""

    indptr: Int64Array
    """(n + 1,)"""
    indices: Int32Array
    """(e,)"""
    data: Float32Array
    """(e,) membership strengths in (0, 1]."""

    @property
    def n_rows(self) -> int:
        """Number of rows of the window."""
        return len(self.indptr) - 1

    def list_blocks(self, n_rows: int) -> Iterator[GraphRows]:
        """Give so many rows at a time; see `ReadableGraph`."""
        for first in range(0, self.n_rows, n_rows):
            ends = self.indptr[first : first + n_rows + 1]
            edges = slice(int(ends[0]), int(ends[-1]))
            yield GraphRows(first, FuzzyGraph(ends - ends[0], self.indices[edges], self.data[edges]))

    def load(self) -> FuzzyGraph:
        """Give the graph itself."""
        return self

    def load_indices(self) -> Int32Array:
        """Give the columns of all edges."""
        return self.indices


class GraphRows(NamedTuple):
    """Consecutive rows of a graph."""

    first: int
    graph: FuzzyGraph
    """Of m rows: `indptr` is (m + 1,), from 0; columns are those of the whole graph."""


class ReadableGraph(Protocol):
    """A graph whose rows are read as they are needed, so that it need not be held: `FuzzyGraph` is one too."""

    @property
    def indptr(self) -> Int64Array:
        """(n + 1,), as `FuzzyGraph` has it."""

    @property
    def n_rows(self) -> int:
        """Number of rows of the window."""

    def list_blocks(self, n_rows: int) -> Iterator[GraphRows]:
        """Give all rows in their order, so many at a time."""

    def load(self) -> FuzzyGraph:
        """Give the graph in memory."""

    def load_indices(self) -> Int32Array:
        """Give the columns of all edges alone: half of its memory."""


class WindowGraph(NamedTuple):
    """What is computed of one window before any layout."""

    knn: KnnGraph
    fuzzy: FuzzyGraph
    mid_near: Int32Array | None = None
    """(n, m) rows by which far groups are arranged at first, as `find_mid_near` gives them; None: they are not."""
