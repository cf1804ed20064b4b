"""A file of Arrow's own format, or a stream: its blocks are its record batches. Local ones are mapped, not copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyarrow import ipc

from driftmap.pipeline.sources.readers.table_file import ColumnSizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyarrow import fs

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.sources.locations import SourcePlace

_MAGIC = b"ARROW1"

_N_MEASURED = 64
"""Batches that are measured, the first and others spread over the file."""

_BUFFER_BYTES = 64
"""To such a number Arrow rounds a buffer up; it counts in batches of few rows."""

_COLUMN_BYTES = 8192
"""Of each column of a batch: its objects in Arrow and Python, and the page that it shares with the next."""


class _Sizes(NamedTuple):
    row_bytes: int
    row_values: int
    lengths: frozenset[int]


class ArrowFile:
    """A file of Arrow's format (Feather), or a stream as `datasets.save_to_disk` writes them.

    Parameters
    ----------
    base
        The folder that it lies below.
    path
        Its name from there.
    files
        The folder as Arrow has it.
    """

    def __init__(self, base: SourcePlace, path: str, files: fs.FileSystem) -> None:
        self.name = base.name(path)
        self._path = path
        self._files = files
        self._mapped = str(base.folder / path) if base.is_local else None
        with self._open() as source:
            self._is_stream = source.read(len(_MAGIC)) != _MAGIC
        with self._open() as source:
            self.schema = (ipc.open_stream if self._is_stream else ipc.open_file)(source).schema
        has_dictionary = any(_has_dictionary(field.type) for field in self.schema)
        self.is_sequential = self._is_stream and (has_dictionary or self._mapped is None)
        """Whether batches can only be read after those before them."""
        self._offsets: list[int] = []
        self._sizes: dict[str, _Sizes] = {}
        self.lengths = np.array(self._look(), dtype=np.int64)

    def read_blocks(self, blocks: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read some record batches; see `TableFile`."""
        for batch in self._iterate(blocks, columns):
            if batch.num_rows:
                yield batch.select(list(columns)) if columns else pa.record_batch({"": pa.nulls(batch.num_rows)})

    def read_columns(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all rows; see `TableFile`."""
        wanted = pa.schema([self.schema.field(name) for name in columns])
        batches = self.read_blocks(range(len(self.lengths)), columns) if columns else []
        return pa.Table.from_batches(batches, wanted)

    def measure(self, columns: Sequence[str]) -> ColumnSizes:
        """Measure columns by some of the batches; see `TableFile`."""
        there = [self._sizes[name] for name in columns if name in self._sizes]
        row_bytes, row_values = sum(one.row_bytes for one in there), sum(one.row_values for one in there)
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        unpacked = sum(one.row_bytes for one in self._sizes.values()) if self._is_stream else row_bytes
        # What is mapped of a batch, what is unpacked of it, and what is picked from that.
        batch = longest * (2 * unpacked + row_bytes) + _COLUMN_BYTES * len(self._sizes if self._is_stream else there)
        return ColumnSizes(row_bytes, row_values, batch)

    def count_nulls(self, columns: Sequence[str]) -> dict[str, int]:  # noqa: ARG002 - of the protocol
        """Tell nothing: batches tell only when they are read; see `TableFile`."""
        return {}

    def find_ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:  # noqa: ARG002 - of the protocol
        """Tell nothing; see `TableFile`."""
        return {}

    def find_list_length(self, column: str) -> int | None:
        """Tell the length of a column's lists, by some of the batches; see `TableFile`."""
        lengths = self._sizes[column].lengths if column in self._sizes else frozenset()
        return next(iter(lengths)) if len(lengths) == 1 else None

    def measure_blocks(self, columns: Sequence[str]) -> Int64Array:
        """Measure batches: of a stream all columns are read, of others those that are wanted; see `TableFile`."""
        read = self._sizes if self._is_stream else columns
        return self.lengths * sum(self._sizes[name].row_bytes for name in read if name in self._sizes)

    def _look(self) -> list[int]:
        """Count the rows of each batch, note where it begins, and measure some."""
        lengths: list[int] = []
        with self._open() as source:
            reader = ipc.open_stream(source) if self._is_stream else None
            while True:
                begin, number = source.tell(), len(lengths)
                try:
                    batch = next(reader) if reader is not None else self._read_batch(number, self.schema.names)
                except (StopIteration, IndexError):
                    return lengths
                self._offsets.append(begin)
                lengths.append(batch.num_rows)
                if number < 2 or number % max(1, number // _N_MEASURED) == 0:
                    self._measure(batch)

    def _measure(self, batch: pa.RecordBatch) -> None:
        for field, column in zip(batch.schema, batch.columns, strict=True):
            n_bytes = column.nbytes + _BUFFER_BYTES * len(column.buffers())
            row_bytes = -(-n_bytes // max(1, len(column)))
            known = self._sizes.get(field.name, _Sizes(0, 0, frozenset()))
            values, lengths = 1, known.lengths
            storage = column.storage if isinstance(column, pa.ExtensionArray) else column
            if pt.is_list(storage.type) or pt.is_large_list(storage.type) or pt.is_fixed_size_list(storage.type):
                found = pc.unique(pc.drop_null(pc.list_value_length(storage))).to_pylist()
                values, lengths = max(found, default=0), lengths | frozenset(found)
            sizes = _Sizes(max(known.row_bytes, row_bytes), max(known.row_values, values), lengths)
            self._sizes[field.name] = sizes

    def _iterate(self, blocks: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if not self.is_sequential:
            for number in blocks:
                yield self._read_batch(number, columns)
            return
        wanted, last = set(blocks), max(blocks, default=-1)
        with self._open(is_mapped=False) as source:
            reader = ipc.open_stream(source)
            for number in range(last + 1):
                batch = next(reader)
                if number in wanted:
                    yield batch

    def _read_batch(self, number: int, columns: Sequence[str]) -> pa.RecordBatch:
        # Opened for each: what was mapped of one counts as memory until it is closed.
        with self._open() as source:
            if self._is_stream:
                source.seek(self._offsets[number])
                return ipc.read_record_batch(ipc.read_message(source), self.schema)
            fields = sorted(self.schema.get_field_index(name) for name in columns) or [0]
            reader = ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=fields, use_threads=False))
            if number >= reader.num_record_batches:
                raise IndexError(number)
            return reader.get_batch(number)

    def _open(self, *, is_mapped: bool = True) -> pa.NativeFile:
        if self._mapped is not None and is_mapped:
            return pa.memory_map(self._mapped)
        return self._files.open_input_file(self._path)


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pt.is_dictionary(kind):
        return True
    return any(_has_dictionary(kind.field(number).type) for number in range(kind.num_fields))
