"""A Parquet file: its blocks are its row groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from driftmap.pipeline.sources.readers.table_file import ColumnSizes
from driftmap.pipeline.sources.readers.tables.footers import (
    GroupSizes,
    count_nulls,
    find_ranges,
    measure_columns,
    measure_groups,
    measure_length,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyarrow import fs

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.sources.locations import SourcePlace

BATCH_BYTES = 4 * 2**20
"""What is decoded at a time, as it will lie in memory: what is read of a row group but not wanted is dropped then."""

MAX_BATCH_ROWS = 16_384

MIN_BUFFER_BYTES = 4096
BUFFER_BYTES = 4 * 2**20
"""Read ahead from a file, for all columns together and at least for each.

Rows are decoded as they are read, since row groups may be large (1,048,576 rows when nothing else is said). A window of
2,000 rows in a group of 400,000 rows of 64 features takes 25 MB and 0.02 to 0.7 s so; Arrow's data sets decode whole
groups, 430 MB and 4 s (tests/pipeline/sources/readers/test_table_source.py).
"""
REMOTE_BUFFER_BYTES = 32 * 2**20
"""The same from object storage, where each read is a request that takes as long as a few MB."""


class ParquetFile:
    """A Parquet file.

    Parameters
    ----------
    base
        The folder that it lies below.
    path
        Its name from there.
    files
        The folder as Arrow has it.
    """

    is_sequential = False

    def __init__(self, base: SourcePlace, path: str, files: fs.FileSystem) -> None:
        self.name = base.name(path)
        self._files = files
        self._buffer_bytes = BUFFER_BYTES if base.is_local else REMOTE_BUFFER_BYTES
        self._path = path
        with pq.ParquetFile(path, filesystem=files, pre_buffer=False) as file:
            self._metadata, self.schema = file.metadata, file.schema_arrow
        groups = range(self._metadata.num_row_groups)
        self.lengths = np.array([self._metadata.row_group(number).num_rows for number in groups], dtype=np.int64)
        self._sizes: dict[tuple[str, ...], GroupSizes] = {}

    def read_blocks(self, blocks: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Decode some row groups in order; see `TableFile`."""
        sizes = self._measure(columns)
        # One thread and nothing ahead: workers read in parallel.
        with pq.ParquetFile(
            self._path,
            metadata=self._metadata,
            pre_buffer=False,
            buffer_size=max(MIN_BUFFER_BYTES, self._buffer_bytes // max(1, sizes.n_leaves)),
            filesystem=self._files,
        ) as file:
            yield from file.iter_batches(
                batch_size=min(MAX_BATCH_ROWS, max(1, BATCH_BYTES // max(1, sizes.row_bytes))),
                row_groups=list(blocks),
                columns=list(columns),
                use_threads=False,
            )

    def read_columns(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all rows; see `TableFile`."""
        # Without threads: where memory is too little for one of Arrow's, it waits for it without end.
        with pq.ParquetFile(self._path, metadata=self._metadata, pre_buffer=False, filesystem=self._files) as file:
            return file.read(columns=list(columns), use_threads=False)

    def measure(self, columns: Sequence[str]) -> ColumnSizes:
        """Measure columns by the footer; see `TableFile`."""
        sizes = self._measure(columns)
        most_rows = int(self.lengths.max(initial=0))
        ahead = min(2 * self._buffer_bytes, 2 * sizes.stored_bytes)
        batches = 3 * min(BATCH_BYTES, most_rows * sizes.row_bytes)
        working = sizes.page_bytes + ahead + batches
        return ColumnSizes(sizes.row_bytes, sizes.row_values, working)

    def count_nulls(self, columns: Sequence[str]) -> dict[str, int]:
        """Count missing values, where the footer tells; see `TableFile`."""
        return count_nulls(self._metadata, columns)

    def find_ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Find least and largest values, where the footer tells; see `TableFile`."""
        return find_ranges(self._metadata, columns)

    def find_list_length(self, column: str) -> int | None:
        """Tell the length of a column's lists, by the footer's counts and the first rows; see `TableFile`."""
        return measure_length(self._metadata, column)

    def measure_blocks(self, columns: Sequence[str]) -> Int64Array:
        """Measure row groups by the footer, as they are compressed; see `TableFile`."""
        return measure_groups(self._metadata, columns)

    def _measure(self, columns: Sequence[str]) -> GroupSizes:
        wanted = tuple(columns)
        if wanted not in self._sizes:
            self._sizes[wanted] = measure_columns(self._metadata, wanted)
        return self._sizes[wanted]
