"""A file of text, CSV or JSON lines: cut into blocks of some MB, so that few rows are read without the others.

Where blocks begin and how many rows they have is found when the file is opened, by passing over it once. Types are
found at the same time for a new run; the run then keeps those of columns with a role, and numbers of vectors are read
as float64. The keys that its windows are planned by are kept in memory from that pass, until the plan stands.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.readers.table_file import ColumnSizes, explain_read
from driftmap.pipeline.sources.readers.text.kept_keys import KeptKeys
from driftmap.pipeline.sources.readers.text.text_bytes import TextBytes
from driftmap.pipeline.sources.readers.text.text_formats import FORMATS, explain_column
from driftmap.pipeline.sources.readers.text.text_types import TypeFinder, read_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyarrow import fs

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.locations import SourcePlace
    from driftmap.pipeline.sources.readers.text.kept_keys import KeyBudget
    from driftmap.pipeline.sources.readers.text.text_formats import TextFormat

_PARSED_BLOCKS = 6
"""What reading a block takes besides its numbers, in blocks of text: the text, fields cut out of it, what is left over
(tests/pipeline/sources/readers/test_text_file.py measures it)."""


class _Block(NamedTuple):
    begin: int
    end: int
    first_row: int
    n_rows: int


class TextFile:
    """A file of text.

    Parameters
    ----------
    base
        The folder that it lies below.
    path
        Its name from there.
    files
        The folder as Arrow has it.
    spec
        Roles; format; and, of a run, types and pin.
    budget
        For keys that are kept in memory.
    """

    def __init__(self, base: SourcePlace, path: str, files: fs.FileSystem, spec: SourceSpec, budget: KeyBudget) -> None:
        self.name = base.name(path)
        self._spec = spec
        self._bytes = TextBytes(files, path)
        with explain_read(self.name):
            self._format: TextFormat = FORMATS[spec.format](self._bytes.read_head(), self.name)
            self._found = TypeFinder(self.name, spec, is_text=self._format.is_text)
            keys = [name for name in dict.fromkeys((spec.time, spec.id, spec.by)) if name is not None]
            self._keys = KeptKeys(keys if self._found.is_whole else [], budget, is_text=self._format.is_text)
            self._blocks = list(self._pass_over())
        self.lengths = np.array([block.n_rows for block in self._blocks], dtype=np.int64)
        self.read_as(self._found.find_roles())

    def read_as(self, text_types: Mapping[str, str]) -> None:
        """Settle what columns with a role are read as."""
        self.text_types = dict(text_types)
        self._types = self._found.find_types(self.text_types, self._format.names)
        self.schema = pa.schema(list(self._types.items()))

    def read_blocks(self, blocks: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read some blocks; see `TableFile`."""
        wanted = [self._blocks[number] for number in blocks]
        for block, data in zip(wanted, self._bytes.read_ranges([block[:2] for block in wanted]), strict=True):
            n_rows = block.n_rows
            if columns:
                table = self._parse(data, columns, block.first_row)
                n_rows = len(table)
            if len(data) != block.end - block.begin or n_rows != block.n_rows:
                raise SourceError(f"{self.name} changed while it was read; plan again")
            if n_rows:
                yield table.combine_chunks().to_batches()[0] if columns else pa.record_batch({"": pa.nulls(n_rows)})

    def read_columns(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all rows; see `TableFile`."""
        wanted = pa.schema([self.schema.field(name) for name in columns])
        if columns:
            with explain_read(self.name):
                kept = self._keys.read(columns, self.text_types)
            if kept is not None:
                return pa.table(kept, wanted)
        return pa.Table.from_batches(self.read_blocks(range(len(self._blocks)), columns) if columns else [], wanted)

    def measure(self, columns: Sequence[str]) -> ColumnSizes:
        """Measure columns by the lengths of lines; see `TableFile`."""
        used = [block for block in self._blocks if block.n_rows]
        if not used:
            return ColumnSizes(0, 0, 0)
        line_bytes = max(-(-(block.end - block.begin) // block.n_rows) for block in used)
        pin = self._spec.pin
        row_bytes = row_values = 0
        for name in columns:
            kind = self._types.get(name)
            if kind is None:
                continue
            n_values = 1
            if pt.is_list(kind):  # no longer than a line has room for
                known = pin.dimension if pin is not None else self._found.lengths.get(name, (0, 0))[1]
                n_values = known or line_bytes // 2
            row_values += n_values
            row_bytes += line_bytes if pt.is_string(kind) else 8 * n_values
        largest = max(block.end - block.begin for block in used)
        n_rows = max(block.n_rows for block in used)
        return ColumnSizes(row_bytes, row_values, _PARSED_BLOCKS * largest + 2 * n_rows * row_bytes)

    def count_nulls(self, columns: Sequence[str]) -> dict[str, int]:
        """Count missing values, where all of the file was looked at; see `TableFile`."""
        return {name: self._found.nulls[name] for name in columns if self._found.nulls.get(name)}

    def find_ranges(self, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Find least and largest values, where all of the file was looked at; see `TableFile`."""
        return {name: self._found.ranges[name] for name in columns if name in self._found.ranges}

    def find_list_length(self, column: str) -> int | None:
        """Tell the length of a column's lists, where all of the file was looked at; see `TableFile`."""
        shortest, longest = self._found.lengths.get(column, (0, 1))
        return longest if shortest == longest else None

    @property
    def has_keys(self) -> bool:
        """Whether its keys are in memory."""
        return self._keys.is_kept

    def forget_keys(self) -> None:
        """Keep no keys in memory any more."""
        self._keys.forget()

    @property
    def is_sequential(self) -> bool:
        """Whether it is compressed, and so read from its start; see `TableFile`."""
        return self._bytes.is_compressed

    def measure_blocks(self, columns: Sequence[str]) -> Int64Array:  # noqa: ARG002 - lines are read whole
        """Measure the text of blocks; see `TableFile`."""
        return np.array([block.end - block.begin for block in self._blocks], dtype=np.int64)

    def _pass_over(self) -> Iterator[_Block]:
        begin, n_rows = self._format.n_skipped, 0
        for data, end in self._bytes.iterate(begin, self._format.find_cut):
            if self._found.wants_more:
                table = self._read_all(data, n_rows)
                self._found.add(table)
                self._keys.add(table, partial(self._read_text, data))
                found = len(table)
            else:
                with self._explain_rows(n_rows):
                    found = self._format.count(data)
            yield _Block(begin, end, n_rows, found)
            begin, n_rows = end, n_rows + found

    def _read_all(self, data: bytes, first_row: int) -> pa.Table:
        with self._explain_rows(first_row):
            return self._format.parse(data, None, self._found.known)

    def _read_text(self, data: bytes, name: str) -> pa.ChunkedArray:
        return self._format.parse(data, [name], {name: pa.string()}).column(name)

    def _parse(self, data: bytes, columns: Sequence[str], first_row: int) -> pa.Table:
        types = {name: self._types[name] for name in columns}
        with self._explain_rows(first_row):
            if not self._format.is_text:
                return self._format.parse(data, columns, types)
            texts = {name: pa.string() for name in columns if name in self.text_types}
            table = self._format.parse(data, columns, {**types, **texts})
        for place, name in enumerate(columns):
            if name in self.text_types:
                with explain_read(f"{self.name}: column {name!r}"):
                    table = table.set_column(place, name, read_texts(table.column(name), self.text_types[name]))
        return table

    @contextmanager
    def _explain_rows(self, first_row: int) -> Iterator[None]:
        try:
            yield
        except pa.ArrowException as error:
            said = explain_column(str(error), self._format.names or (), first_row)
            raise SourceError(f"{self.name} cannot be read: {said}") from error
