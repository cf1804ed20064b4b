"""Ids that come more than once in a window: which row stands for each, or the mean of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from driftmap.engine import average_sparse_rows, is_sparse

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.sources.protocol import Rows

    Keys = np.ndarray[Any, Any]

_ROWS_AT_ONCE = 4096


def choose_rows(codes: Int64Array, rule: Literal["first", "last"], times: Keys | None = None) -> npt.NDArray[np.bool_]:
    """Choose the row that stands for each id.

    Parameters
    ----------
    codes
        int64 (n,), equal for rows of one id, in the order of the source.
    rule
        The first row of each id, or the last.
    times
        (n,), by which rows come first or last; equal ones, and all where it is None, by the order of the source.

    Returns
    -------
    bool (n,): whether a row stays.
    """
    order = np.arange(len(codes)) if times is None else np.argsort(times, kind="stable")
    if rule == "last":
        order = order[::-1]
    is_chosen = np.zeros(len(codes), dtype=np.bool_)
    is_chosen[order[np.unique(codes[order], return_index=True)[1]]] = True
    return is_chosen


class Groups(NamedTuple):
    """Rows as they were read, by the row of the window that they make up."""

    order: Int64Array
    """(m,) the rows that were read, those of one row of the window together, in the order in which they were read."""
    starts: Int64Array
    """(n + 1,) where those of each row of the window begin in `order`."""

    @property
    def firsts(self) -> Int64Array:
        """(n,) of each row of the window, the first row that was read."""
        return self.order[self.starts[:-1]]

    def find_rows(self) -> Int64Array:
        """Give for each row that was read, the row of the window that it is part of; (m,)."""
        rows = np.empty(len(self.order), dtype=np.int64)
        rows[self.order] = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return rows


def group_rows(ids: Keys, *, by_id: bool) -> Groups | None:
    """Group rows by id; None where no id comes twice.

    Parameters
    ----------
    ids
        (m,) as they were read.
    by_id
        Put the groups in the order of their ids; else in that of their first rows.
    """
    uniques, firsts, codes = np.unique(ids, return_index=True, return_inverse=True)
    if len(uniques) == len(ids):
        return None
    if not by_id:
        rank = np.empty(len(uniques), dtype=np.int64)
        rank[np.argsort(firsts)] = np.arange(len(uniques))
        codes = rank[codes]
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(uniques)))])
    return Groups(order, starts.astype(np.int64))


class RowAverage:
    """Means of vectors by group, which come some at a time.

    Sums are taken in float64 and in the order in which vectors come, so that they do not depend on how many come at a
    time.

    Parameters
    ----------
    counts
        int64 (n,), vectors of each group.
    """

    def __init__(self, counts: Int64Array) -> None:
        self._counts = counts
        self._several = np.flatnonzero(counts > 1)
        self._places = np.full(len(counts), -1, dtype=np.int64)
        self._places[self._several] = np.arange(len(self._several))
        self._means: Float32Array | None = None
        self._sums: npt.NDArray[np.float64] = np.empty((0, 0))

    def add(self, groups: Int64Array, vectors: Float32Array) -> None:
        """Add vectors (m, d) of groups (m,)."""
        if self._means is None:
            self._means = np.empty((len(self._counts), vectors.shape[1]), dtype=np.float32)
            self._sums = np.zeros((len(self._several), vectors.shape[1]))
        for begin in range(0, len(groups), _ROWS_AT_ONCE):
            here, rows = groups[begin : begin + _ROWS_AT_ONCE], vectors[begin : begin + _ROWS_AT_ONCE]
            places = self._places[here]
            is_single = places < 0
            self._means[here[is_single]] = rows[is_single]
            np.add.at(self._sums, places[~is_single], rows[~is_single].astype(np.float64))

    def finish(self) -> Float32Array:
        """Give the means; float32 (n, d)."""
        if self._means is None:
            return np.empty((len(self._counts), 0), dtype=np.float32)
        self._means[self._several] = self._sums / self._counts[self._several, None]
        return self._means


def average_rows(vectors: Rows, groups: Groups) -> Rows:
    """Average the vectors (m, d) of each group; (n, d), dense or sparse as they are."""
    if is_sparse(vectors):
        return average_sparse_rows(vectors, groups.order, groups.starts)
    average = RowAverage(np.diff(groups.starts))
    average.add(groups.find_rows(), vectors)
    return average.finish()
