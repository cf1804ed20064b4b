"""What every file of rows offers, whatever its format."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.stamps import find_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.sources.stamps import FileStamp


class ColumnSizes(NamedTuple):
    """Sizes of some columns of a file, where they are largest."""

    row_bytes: int
    """Of a row, decoded."""
    row_values: int
    """Numbers in a row."""
    working_bytes: int
    """Memory that reading them takes, besides the rows that are wanted."""

    @classmethod
    def largest(cls, several: Sequence[ColumnSizes]) -> ColumnSizes:
        """Take the largest of each size."""
        return cls(*map(max, zip(*several, strict=True)))


class TableFile(Protocol):
    """A file of rows in blocks, each of which is read by itself."""

    name: str
    """Its whole path or URL, for messages."""
    schema: pa.Schema
    lengths: Int64Array
    """Rows of each block."""

    @property
    def is_sequential(self) -> bool:
        """Whether a block is read only after all those before it."""

    def read_blocks(self, blocks: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read some blocks in order, batch by batch; what is behind the last batch that is taken is not read."""

    def read_columns(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all rows."""

    def measure(self, columns: Sequence[str]) -> ColumnSizes:
        """Measure columns; those that it does not have count for nothing."""

    def count_nulls(self, columns: Sequence[str]) -> dict[str, int]:
        """Count missing values where that is known without reading; columns without any are left out."""

    def find_ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Find the least and the largest value of columns, where that is known without reading."""

    def find_list_length(self, column: str) -> int | None:
        """Tell the length of a column's lists, as far as is known that all may have it; None otherwise."""

    def measure_blocks(self, columns: Sequence[str]) -> Int64Array:
        """Measure what reading columns of each block takes from the file, in bytes (g,)."""


def add_folders(batch: Any, folders: Mapping[str, Any], schema: pa.Schema, columns: Sequence[str]) -> Any:
    """Add the wanted columns that are the names of folders, such as `year=2020`, to a batch or table."""
    for name in columns:
        if name in folders:
            field = schema.field(name)
            batch = batch.append_column(field, pa.repeat(pa.scalar(folders[name]).cast(field.type), batch.num_rows))
    return batch


def pick_rows(batch: pa.RecordBatch, places: Int64Array) -> pa.RecordBatch:
    """Pick some rows of a batch, in order."""
    if places[-1] - places[0] + 1 == len(places):
        return batch.slice(int(places[0]), len(places))
    return batch.take(pa.array(places))


@contextmanager
def explain_read(name: str, stamp: FileStamp | None = None) -> Iterator[None]:
    """Raise what Arrow raises while a file is read as an error that names it, or says that it changed since `stamp`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if stamp is not None and (change := find_change(name, stamp)):
            raise SourceError(f"{name} {change} while it was read; start again when it is there as a whole") from error
        raise SourceError(f"{name} cannot be read: {error}") from error
