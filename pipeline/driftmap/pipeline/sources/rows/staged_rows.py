"""Rows of a source sorted by window: files of a store, for the time in which graphs are built.

A file holds what one pass over some of the source's rows found of each window: a block of bytes for each, its vectors
first, then ids and label columns as numpy writes them.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.sources.columns.key_columns import join_parts
from driftmap.pipeline.sources.columns.texts import PackedTexts, is_texts
from driftmap.pipeline.sources.protocol import ReadEstimate, WindowRows
from driftmap.pipeline.sources.row_ranges import runs_to_rows
from driftmap.pipeline.store.attempts import STAGED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.store.disk.location import Location


class StagedBlock(NamedTuple):
    """Where the rows of a window lie that one file has."""

    file: str
    begin: int
    n_bytes: int
    n_rows: int
    checksum: int


class StagedRows(NamedTuple):
    """Where the rows of a window lie, block by block in the order of the source."""

    store: Location
    n_features: int
    names: tuple[str, ...]
    """Of the label columns."""
    has_ids: bool
    blocks: tuple[StagedBlock, ...]

    def open(self, runs: Int64Array) -> StagedReader:
        """Open them; `runs` are the rows of the window in the source."""
        return StagedReader(self, runs)


class StagedReader:
    """Reads rows of one window by their numbers in the source.

    Parameters
    ----------
    staged
        Where they are.
    runs
        All rows of the window, int64 (r, 2) row ranges of the source.
    """

    def __init__(self, staged: StagedRows, runs: Int64Array) -> None:
        self._staged = staged
        self._rows = runs_to_rows(runs)
        self._ends = np.cumsum([block.n_rows for block in staged.blocks], dtype=np.int64)
        if not len(self._ends) or self._ends[-1] != len(self._rows):
            raise StoreError(f"the rows staged in {staged.store.name(STAGED)} are not those of the window; run again")

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows; see `Source`."""
        places = np.searchsorted(self._rows, runs_to_rows(runs))
        parts = []
        for number in np.unique(np.searchsorted(self._ends, places, side="right")).tolist():
            block = self._staged.blocks[number]
            first = int(self._ends[number]) - block.n_rows
            begin, end = np.searchsorted(places, [first, first + block.n_rows])
            parts.append(self._read_block(block, places[begin:end] - first, with_vectors=with_vectors))
        return WindowRows(
            np.concatenate([part.vectors for part in parts if part.vectors is not None]) if with_vectors else None,
            join_parts([part.ids for part in parts if part.ids is not None], "id") if self._staged.has_ids else None,
            {name: join_parts([part.labels[name] for part in parts], name) for name in self._staged.names},
        )

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading so many rows takes: blocks, and then the whole; see `Source`."""
        n_features = self._staged.n_features
        n_bytes = sum(block.n_bytes for block in self._staged.blocks)
        row_bytes = max(0, n_bytes // max(1, len(self._rows)) - 4 * n_features)
        return ReadEstimate(n_features, row_bytes, n_rows * (9 * n_features + 3 * row_bytes))

    def _read_block(self, block: StagedBlock, places: Int64Array, *, with_vectors: bool) -> WindowRows:
        width = 4 * self._staged.n_features
        is_whole = len(places) == block.n_rows
        if is_whole and with_vectors:
            data = self._read_range(block, 0, block.n_bytes)
            if zlib.crc32(data) != block.checksum:
                raise StoreError(self._explain(block))
            matrix = np.frombuffer(data[: block.n_rows * width], dtype=np.float32)
            return self._unpack(data[block.n_rows * width :], matrix.reshape(-1, self._staged.n_features), None)
        vectors: Float32Array | None = None
        if with_vectors:  # from the first row that is wanted to the last one
            low, high = int(places[0]), int(places[-1]) + 1
            data = self._read_range(block, low * width, (high - low) * width)
            vectors = np.frombuffer(data, dtype=np.float32).reshape(-1, self._staged.n_features)[places - low]
        begin = block.n_rows * width
        return self._unpack(self._read_range(block, begin, block.n_bytes - begin), vectors, places)

    def _read_range(self, block: StagedBlock, begin: int, n_bytes: int) -> memoryview:
        data = self._staged.store.read_range(block.file, block.begin + begin, n_bytes)
        if len(data) != n_bytes:
            raise StoreError(self._explain(block))
        return data

    def _unpack(self, data: memoryview, vectors: Float32Array | None, places: Int64Array | None) -> WindowRows:
        stream = io.BytesIO(data)
        n_columns = self._staged.has_ids + len(self._staged.names)
        columns = [_read_column(stream) for _ in range(n_columns)]
        picked: list[np.ndarray[Any, Any]] = columns if places is None else [column[places] for column in columns]
        ids = picked.pop(0) if self._staged.has_ids else None
        return WindowRows(vectors, ids, dict(zip(self._staged.names, picked, strict=True)))

    def _explain(self, block: StagedBlock) -> str:
        store = self._staged.store
        return f"{store.name(block.file)} is not as it was written; delete {store.name(STAGED)} and run again"


def pack_rows(rows: WindowRows) -> bytes:
    """Make the block of bytes of some rows of a window."""
    stream = io.BytesIO()
    if rows.vectors is not None:
        stream.write(np.ascontiguousarray(rows.vectors, dtype=np.float32).data)
    columns: Sequence[np.ndarray[Any, Any]] = [*([] if rows.ids is None else [rows.ids]), *rows.labels.values()]
    for column in columns:
        _write_column(stream, column)
    return stream.getvalue()


def _write_column(stream: io.BytesIO, column: np.ndarray[Any, Any]) -> None:
    """Write a column as numpy does; of texts first their offsets, (n + 1, 1), by whose shape they are known."""
    arrays = [column]
    if is_texts(column):
        packed = PackedTexts.of(column)
        arrays = [packed.offsets[:, None], packed.data]
    for array in arrays:
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def _read_column(stream: io.BytesIO) -> np.ndarray[Any, Any]:
    column: np.ndarray[Any, Any] = np.lib.format.read_array(stream, allow_pickle=False)
    if column.ndim == 1:
        return column
    return PackedTexts(np.lib.format.read_array(stream, allow_pickle=False), column[:, 0]).take_all()
