"""Windows whose rows do not fit a worker together: how many rows at a time, and reading them from the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.protocol import WindowRows
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source

_COPIED_ROWS = 4096
"""Rows that are put in another order at a time."""


class BlockReader:
    """Rows of one window, read from the source a part at a time.

    Parameters
    ----------
    source
        Where they are.
    window
        Which ones.
    block_rows
        At most so many at a time.
    """

    def __init__(self, source: Source, window: WindowPlan, block_rows: int) -> None:
        self._source = source
        self._numbers = runs_to_rows(window.runs)
        self._block_rows = block_rows
        self._n_features: int | None = None

    @property
    def n_features(self) -> int:
        """Of the window's first row; every other must have as many."""
        return self._n_features or int(self._read(self._numbers[:1]).shape[1])

    def read_beside(self) -> WindowRows:
        """Read ids and labels of the whole window."""
        spec = self._source.spec
        if spec.id is None and not spec.label:
            return WindowRows(None, None, {})
        rows = self._source.read_rows(rows_to_runs(self._numbers), with_vectors=False)
        for column in (*([] if rows.ids is None else [rows.ids]), *rows.labels.values()):
            self._refuse_other_count(len(column), len(self._numbers))
        return rows

    def read_vectors(self, first: int, last: int) -> Float32Array:
        """Read the vectors of the window's rows [first, last)."""
        return self._read(self._numbers[first:last])

    def read_in_order(self, order: npt.NDArray[np.intp]) -> Iterator[Float32Array]:
        """Read all vectors in another order, and give them in parts; each part of the source is read in its own."""
        for start in range(0, len(order), self._block_rows):
            wanted = order[start : start + self._block_rows]
            vectors = self._read(self._numbers[np.sort(wanted)])
            places = np.empty(len(wanted), dtype=np.intp)
            places[np.argsort(wanted)] = np.arange(len(wanted))
            for begin in range(0, len(places), _COPIED_ROWS):
                yield vectors[places[begin : begin + _COPIED_ROWS]]

    def _read(self, numbers: npt.NDArray[np.int64]) -> Float32Array:
        vectors = self._source.read_rows(rows_to_runs(numbers)).vectors
        if vectors is None:
            raise SourceError(f"the source {self._source.spec.path} gave no vectors; name their column (vectors)")
        self._refuse_other_count(len(vectors), len(numbers))
        self._n_features = self._n_features or int(vectors.shape[1])
        if vectors.shape[1] != self._n_features:
            raise SourceError(
                f"vectors differ in length within a window: rows {numbers[0]} to {numbers[-1]} of the source have "
                f"{vectors.shape[1]} numbers where the window's first has {self._n_features}; they must agree"
            )
        return vectors

    def _refuse_other_count(self, n_read: int, n_wanted: int) -> None:
        if n_read != n_wanted:
            raise SourceError(f"{n_wanted} rows were planned and {n_read} were read: the source changed; plan anew")
