"""Windows whose rows do not fit a worker together: their rows are read from the source, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows
from driftmap.pipeline.sources.rows.pieces import read_piece_columns
from driftmap.pipeline.sources.rows.repeated_ids import RowAverage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.sources.rows.pieces import Piece, PieceColumns
    from driftmap.pipeline.sources.rows.repeated_ids import Groups

_COPIED_ROWS = 4096
"""Rows that are put in another order at a time."""


class BlockReader:
    """Rows of one window, some at a time.

    Parameters
    ----------
    pieces
        Where they are.
    block_rows
        At most so many at a time.
    by_id
        Number the rows in the order of their ids; else as they stand.
    """

    def __init__(self, pieces: Sequence[Piece], block_rows: int, *, by_id: bool = False) -> None:
        self._pieces = pieces
        self._sources = [piece.open() for piece in pieces]
        self._by_id = by_id
        self._numbers = np.concatenate([runs_to_rows(piece.runs) for piece in pieces])
        self._owners = np.repeat(np.arange(len(pieces), dtype=np.int32), [piece.n_rows for piece in pieces])
        self._block_rows = block_rows
        self._is_merging = pieces[0].spec.duplicates == "mean"
        self._groups: Groups | None = None
        self._n_features: int | None = None

    @property
    def n_features(self) -> int:
        """Of the window's first row; every other must have as many."""
        return self._n_features or int(self._read_rows(np.zeros(1, dtype=np.intp)).shape[1])

    def read_beside(self) -> PieceColumns:
        """Read ids and labels of the whole window; rows that are put in order are so from here on."""
        columns = read_piece_columns(self._pieces, by_id=self._by_id)
        if columns.order is not None:
            self._numbers, self._owners = self._numbers[columns.order], self._owners[columns.order]
        self._by_id = False
        self._groups = columns.groups
        self._is_merging = False  # by now it is known whether there is anything to merge
        return columns

    def read_vectors(self, first: int, last: int) -> Float32Array:
        """Read the vectors of the window's rows [first, last)."""
        if self._by_id or self._is_merging:
            self.read_beside()
        n_rows = len(self._numbers) if self._groups is None else len(self._groups.starts) - 1
        return self._read(np.arange(first, min(last, n_rows)))

    def read_in_order(self, order: npt.NDArray[np.intp]) -> Iterator[Float32Array]:
        """Read all vectors in another order, and give them in row blocks; each block is read in the source's order."""
        for start in range(0, len(order), self._block_rows):
            wanted = order[start : start + self._block_rows]
            vectors = self._read(np.sort(wanted))
            positions = np.empty(len(wanted), dtype=np.intp)
            positions[np.argsort(wanted)] = np.arange(len(wanted))
            for begin in range(0, len(positions), _COPIED_ROWS):
                yield vectors[positions[begin : begin + _COPIED_ROWS]]

    def _read(self, rows: npt.NDArray[np.intp]) -> Float32Array:
        """Read vectors of the window's rows; of those that are the means of several, a block at a time."""
        if self._groups is None:
            return self._read_rows(rows)
        starts = self._groups.starts
        counts = starts[rows + 1] - starts[rows]
        places = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        members = self._groups.order[starts[rows][places] + within]
        order = np.argsort(members)  # as they are read when the window is read as a whole
        average = RowAverage(counts)
        for begin in range(0, len(order), self._block_rows):
            here = order[begin : begin + self._block_rows]
            average.add(places[here], self._read_rows(members[here]))
        return average.finish()

    def _read_rows(self, rows: npt.NDArray[np.intp]) -> Float32Array:
        """Read vectors of rows as they stand, from each piece in its own order."""
        owners, numbers = self._owners[rows], self._numbers[rows]
        if len(self._pieces) == 1 and bool((np.diff(numbers) > 0).all()):
            return self._read_piece(0, numbers)
        joined: Float32Array | None = None
        for owner in np.unique(owners).tolist():
            there = np.flatnonzero(owners == owner)
            there = there[np.argsort(numbers[there])]
            vectors = self._read_piece(owner, numbers[there])
            if joined is None:
                joined = np.empty((len(rows), vectors.shape[1]), dtype=np.float32)
            joined[there] = vectors
        return np.empty((0, self._n_features or 0), dtype=np.float32) if joined is None else joined

    def _read_piece(self, owner: int, numbers: npt.NDArray[np.int64]) -> Float32Array:
        piece = self._pieces[owner]
        try:
            read = self._sources[owner].read_rows(rows_to_runs(numbers))
        except SourceError as error:
            raise SourceError(piece.explain(str(error))) from error
        vectors: Float32Array | None = read.vectors
        if vectors is None:
            raise SourceError(
                piece.explain(f"the source {piece.spec.path} gave no vectors; name their column (vectors)")
            )
        if len(vectors) != len(numbers):
            counts = f"{len(numbers)} rows were planned and {len(vectors)} were read"
            raise SourceError(piece.explain(f"{counts}: the source changed; plan again"))
        self._n_features = self._n_features or int(vectors.shape[1])
        if vectors.shape[1] != self._n_features:
            different = (
                f"vectors differ in length within a window: rows {numbers[0]} to {numbers[-1]} of the source have "
                f"{vectors.shape[1]} numbers where the window's first has {self._n_features}; they must agree"
            )
            raise SourceError(piece.explain(different))
        return vectors
