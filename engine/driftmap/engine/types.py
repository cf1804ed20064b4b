"""The data that passes between the engine's rooms: named tuples of arrays, and frozen settings.

Dimensions: n, m rows of a window; k neighbours of a row (the row itself included, as in umap-learn);
e stored edges of a fuzzy graph; c components of the layout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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


class WindowGraph(NamedTuple):
    """What is computed of one window before any layout."""

    knn: KnnGraph
    fuzzy: FuzzyGraph
