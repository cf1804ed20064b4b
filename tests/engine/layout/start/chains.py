"""Graphs that are paths, to place."""

from __future__ import annotations

import numpy as np

from driftmap.engine.types import FuzzyGraph


def chain_graph(*lengths):
    """Paths of these lengths, one component each."""
    rows, columns, offset = [], [], 0
    for n in lengths:
        here = np.arange(offset, offset + n - 1)
        rows += [here, here + 1]
        columns += [here + 1, here]
        offset += n
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((column, row))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=offset))]).astype(np.int64)
    return FuzzyGraph(indptr, column[order].astype(np.int32), np.ones(len(row), np.float32))
