"""Rows of a file of a table, or of a folder of them, in any format that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftmap.pipeline.config.vector_pin import VectorPin
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.choice import choose_vectors, merge_types
from driftmap.pipeline.sources.columns.key_columns import flag_missing, join_parts, read_key, read_label
from driftmap.pipeline.sources.columns.key_facts import describe_files
from driftmap.pipeline.sources.columns.texts import OBJECT_BYTES
from driftmap.pipeline.sources.columns.value_ranges import (
    choose_sample,
    find_table_ranges,
    join_ranges,
    merge_ranges,
    pick_ranges,
)
from driftmap.pipeline.sources.columns.vectors import (
    VectorColumns,
    find_vectors,
    flag_bad_vectors,
    join_vectors,
    read_vectors,
    refuse_missing_columns,
    refuse_not_finite,
    to_matrix,
)
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.protocol import ColumnFacts, KeyFacts, ReadEstimate, WindowRows
from driftmap.pipeline.sources.readers.held_rows import HeldBatch, join_batches
from driftmap.pipeline.sources.readers.table_file import ColumnSizes, add_folders, explain_read, pick_rows
from driftmap.pipeline.sources.readers.tables import formats
from driftmap.pipeline.sources.readers.tables.listing import find_folder_columns, list_files
from driftmap.pipeline.sources.readers.tables.npy_matrix import MAPPED_BYTES, NpyVectors
from driftmap.pipeline.sources.readers.tables.row_blocks import RowBlocks
from driftmap.pipeline.sources.readers.tables.schemas import add_fields
from driftmap.pipeline.sources.row_ranges import name_some, refuse_outside, rows_to_runs, runs_to_rows, split_runs
from driftmap.pipeline.sources.stamps import describe_stamps
from driftmap.pipeline.store.id_types import join_id_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import HeldRows, ReadCost, ValueRanges
    from driftmap.pipeline.sources.readers.table_file import TableFile

_ROWS_AT_ONCE = 4096


class TableSource:
    """Rows of a file, or of all files of one format below a folder in the order of their paths.

    Folders such as `year=2020` make a column.

    Parameters
    ----------
    spec
        Path, format and columns.
    must_pin
        Choose the columns of the vectors now, and pin them.
    """

    window_names: Sequence[str] | None = None

    def __init__(self, spec: SourceSpec, *, must_pin: bool = False) -> None:
        self.spec = spec
        base, self._stamps = list_files(place := SourcePlace(spec.path), spec.files, spec.format)
        self._files = formats.open_files(base, self._stamps, spec)
        self.spec = spec = formats.settle_text_types(self._files, spec)
        names = [stamp.path for stamp in self._stamps] if base is place else [""]
        fields, self._folders = find_folder_columns(names)
        self._schemas = [
            add_fields(file.schema, [field for field in fields if field.name in folders])
            for file, folders in zip(self._files, self._folders, strict=True)
        ]
        self._blocks = RowBlocks.of(self._files)
        self._refuse_unlike_files()
        self._outside = self._open_outside() if spec.vectors_file else None
        if must_pin and spec.pin is None:
            self.spec = spec = spec.model_copy(update={"pin": self._pin(), "id_type": self._find_id_type()})
        if self._outside is not None:
            self._vectors = VectorColumns((), is_list=False)
            refuse_missing_columns(self._schemas[0].names, spec.named_columns, spec.path)
            self._check_outside(self._outside)
            return
        for file, schema, folders in zip(self._files, self._schemas, self._folders, strict=True):
            self._vectors = find_vectors(schema, spec, folders, file.name)
            if spec.pin is None:
                break  # a store of before 0.2: as its first file says
            self._check_lengths(file)

    @property
    def n_rows(self) -> int:
        """Number of rows, as the files tell."""
        return self._blocks.n_rows

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Read columns that windows are planned by; see `Source`."""
        parts: dict[str, list[pa.ChunkedArray]] = {name: [] for name in names}
        if runs is not None:
            for batch, _ in self._read_batches(runs_to_rows(runs), list(names)):
                for name in names:
                    parts[name].append(pa.chunked_array([batch.column(name)]))
        else:
            for number in range(len(self._files)):
                table = self._read_columns(number, names)
                for name in names:
                    parts[name].append(table.column(name))
        return {name: self._read_key(columns, name) for name, columns in parts.items()}

    def describe_key(self, name: str) -> KeyFacts:
        """Say what the type of a key column tells; see `Source`."""
        if name not in self._schemas[0].names:
            return KeyFacts()
        files = zip(self._files, self._schemas, strict=True)
        kinds = {file.name: schema.field(name).type for file, schema in files}
        return describe_files(kinds, lambda number: self._read_columns(number, [name]).column(name), name, self.spec)

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows, from the blocks that hold them; see `Source`."""
        rows = runs_to_rows(runs)
        refuse_outside(rows, self.n_rows, self.spec.path)
        wanted = self._list_wanted(with_vectors=with_vectors)
        return self._convert(self._read_batches(rows, wanted) if wanted else (), rows, with_vectors=with_vectors)

    def hold_rows(self, runs: Int64Array, n_rows: int) -> Iterator[HeldRows]:
        """Read rows in one pass; see `Source`."""
        rows = runs_to_rows(runs)
        refuse_outside(rows, self.n_rows, self.spec.path)
        for batch, own in join_batches(self._read_batches(rows, self._list_wanted()), n_rows):
            yield HeldBatch(own, batch, self._convert)

    def list_starts(self) -> Int64Array:
        """List the first rows of blocks that are read by themselves; see `Source`."""
        return self._blocks.list_starts(self._files)

    def _list_wanted(self, *, with_vectors: bool = True) -> list[str]:
        return list(dict.fromkeys([*self._columns_beside(), *(self._vectors.names if with_vectors else ())]))

    def _convert(
        self, batches: Iterable[tuple[pa.RecordBatch, Int64Array]], rows: Int64Array, *, with_vectors: bool = True
    ) -> WindowRows:
        """Make the rows of a window of what was read of them, batch by batch."""
        is_inside = with_vectors and self._outside is None
        vectors, ids = [], []
        labels: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in self.spec.beside}
        for batch, batch_rows in batches:
            if is_inside:
                vectors.append(read_vectors(batch, self._vectors, batch_rows))
            if self.spec.id is not None:
                ids.append(read_key(pa.chunked_array([batch.column(self.spec.id)]), self.spec.id, self.spec))
            for name, parts in labels.items():
                parts.append(read_label(pa.chunked_array([batch.column(name)]), name, self.spec))
        matrix = to_matrix(join_vectors(vectors), rows, self.spec.pin) if is_inside else None
        if with_vectors and self._outside is not None:
            matrix = self._outside.read(rows_to_runs(rows))
            refuse_not_finite(matrix, rows, self.spec.pin)
        return WindowRows(
            matrix,
            join_parts(ids, self.spec.id) if self.spec.id is not None else None,
            {name: join_parts(parts, name) for name, parts in labels.items()},
        )

    def find_bad_rows(self, runs: Int64Array) -> Int64Array:
        """Find rows that cannot be used, batch by batch; see `Source`."""
        rows = runs_to_rows(runs)
        if not len(rows):
            return rows
        refuse_outside(rows, self.n_rows, self.spec.path)
        wanted = [*([] if self.spec.id is None else [self.spec.id]), *self._vectors.names]
        found = [np.empty(0, dtype=np.int64)]
        if not wanted and self._outside is not None:
            for part in split_runs(runs, _ROWS_AT_ONCE):
                is_bad = ~np.isfinite(self._outside.read(part)).all(axis=1)
                found.append(runs_to_rows(part)[is_bad])
            return np.concatenate(found)
        for batch, batch_rows in self._read_batches(rows, list(dict.fromkeys(wanted))):
            if self._outside is None:
                is_bad = flag_bad_vectors(batch, self._vectors)
            else:
                is_bad = np.asarray(~np.isfinite(self._outside.read(rows_to_runs(batch_rows))).all(axis=1))
            if self.spec.id is not None:
                is_bad |= flag_missing(pa.chunked_array([batch.column(self.spec.id)]))
            found.append(batch_rows[is_bad])
        return np.concatenate(found)

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading takes, by what the files tell of their columns; see `Source`."""
        beside = self._columns_beside()
        vectors, others, both = (
            ColumnSizes.largest([file.measure(columns) for file in self._files])
            for columns in (self._vectors.names, beside, list(dict.fromkeys([*beside, *self._vectors.names])))
        )
        prose = [name for name in self.spec.beside if self.spec.is_prose(name)]
        row_bytes = others.row_bytes + len(prose) * OBJECT_BYTES
        sizes = {"text_bytes": self._measure_text(), "label_bytes": row_bytes - self._measure(self.spec.id)}
        if self._outside is not None:  # what is mapped, what is picked, and a flag for each number
            n_features = self._outside.n_features
            kept = n_rows * (5 * n_features + 3 * row_bytes)
            working = max(both.working_bytes, 2 * MAPPED_BYTES)
            return ReadEstimate(n_features, row_bytes, kept + working, **sizes)
        # Parts and then the whole, and a flag for each number.
        kept = n_rows * (9 * vectors.row_values + 3 * row_bytes)
        return ReadEstimate(vectors.row_values, row_bytes, kept + both.working_bytes, **sizes)

    def _measure_text(self) -> int:
        text = self.spec.text
        return 0 if text is None else OBJECT_BYTES + self._measure(text)

    def _measure(self, column: str | None) -> int:
        """Find how long a row's value is on average, in the file where it is longest; 0 where there is no column."""
        return 0 if column is None else max(file.measure([column]).row_bytes for file in self._files)

    def column_facts(self) -> ColumnFacts:
        """Count missing values and find spreads, as far as the files tell; see `Source`."""
        nulls: dict[str, int] = {}
        spreads: dict[str, float] = {}
        files = [file for file in self._files if file.lengths.sum()]
        for file in files:
            for name, count in file.count_nulls(self._vectors.names).items():
                nulls[name] = nulls.get(name, 0) + count
        ranges = merge_ranges([file.find_ranges(self._vectors.names) for file in files])
        if not self._vectors.is_list:
            spreads = {name: high - low for name, (low, high) in ranges.items()}
        known = pick_ranges(ranges, self._vectors.names, self._schemas[0])
        return ColumnFacts(nulls, spreads, known or self._sample_ranges())

    def _sample_ranges(self) -> ValueRanges | None:
        """Find the ranges of some rows, where reading them costs little."""
        if self._outside is not None:
            return self._outside.sample_ranges()
        if self.spec.format != "arrow" or any(file.is_sequential for file in self._files):
            return None
        names, is_list = self._vectors.names, self._vectors.is_list
        batches = self._read_batches(runs_to_rows(choose_sample(self.n_rows)), list(names))
        return join_ranges([find_table_ranges(pa.table(batch), names, is_list=is_list) for batch, _ in batches])

    def count_bytes(self, windows: Sequence[Int64Array]) -> ReadCost:
        """Count what reading some windows passes over; see `Source`."""
        sizes = np.concatenate([file.measure_blocks(self._list_wanted()) for file in self._files])
        cost = self._blocks.count_bytes(self._files, sizes, windows)
        return formats.add_text_passes(cost, self._files, self.spec)

    def forget_keys(self) -> None:
        """Free keys that are kept in memory."""
        for file in formats.list_text_files(self._files, self.spec):
            file.forget_keys()

    def fingerprint(self) -> dict[str, Any]:
        """Tell when a file was added, removed or written again."""
        outside = [] if self._outside is None else self._outside.stamps
        return {"format": self.spec.format, "rows": self.n_rows, **describe_stamps([*self._stamps, *outside])}

    def spill(self, folder: str | Path) -> Self:  # noqa: ARG002 - of the protocol
        """Give the source itself: it is on disk."""
        return self

    def _columns_beside(self) -> list[str]:
        return list(dict.fromkeys([*([] if self.spec.id is None else [self.spec.id]), *self.spec.beside]))

    def _open_outside(self) -> NpyVectors:
        spec = self.spec
        counts = [int(file.lengths.sum()) for file in self._files]
        names = [stamp.path for stamp in self._stamps]
        return NpyVectors(str(spec.vectors_file), names, counts, spec.path)

    def _check_outside(self, outside: NpyVectors) -> None:
        pin = self.spec.pin
        if pin is not None and pin.dimension not in (None, outside.n_features):
            raise SourceError(
                f"vectors_file: {outside.name} has vectors of {outside.n_features:,} numbers, and {pin.dimension:,} "
                "were expected, as in the run"
            )

    def _pin(self) -> VectorPin:
        if self._outside is not None:
            name, dimension = self._outside.name, self._outside.n_features
            return VectorPin(names=(name,), types=("list of number",), dimension=dimension)
        refuse_missing_columns(self._schemas[0].names, self.spec.named_columns, self.spec.path)
        pins: list[VectorPin] = []
        for file, schema, folders in zip(self._files, self._schemas, self._folders, strict=True):
            pins.append(choose_vectors(schema, self.spec, folders))
            if pins[-1].names != pins[0].names:
                odd = sorted(set(pins[-1].names) ^ set(pins[0].names)) or list(pins[-1].names)
                raise SourceError(
                    f"{file.name} has other columns of vectors than {self._files[0].name}: "
                    f"{name_some(list(map(repr, odd)))}; write both alike, or name the columns (vectors)"
                )
        pin = merge_types(pins)
        if not pin.is_list:
            return pin
        lengths = {file.find_list_length(pin.names[0]) for file in self._files}
        # Footers tell averages: a look at the first rows tells lists of 3 and of 5 from lists of 4.
        lengths |= {self._look_at_length(number, pin.names[0]) for number in {0, len(self._files) - 1}}
        return pin.model_copy(update={"dimension": lengths.pop() if len(lengths) == 1 else None})

    def _find_id_type(self) -> str | None:
        name = self.spec.id
        return None if name is None else join_id_types([schema.field(name).type for schema in self._schemas])

    def _look_at_length(self, number: int, name: str) -> int | None:
        """Find the length of the lists in a file's first rows, where it is one."""
        if not len(self._files[number].lengths):
            return None
        with explain_read(self._files[number].name, self._stamps[number]):
            batch = next(iter(self._files[number].read_blocks([0], [name])), None)
        if batch is None:  # a block of no rows
            return None
        column = batch.column(0)
        storage = column.storage if isinstance(column, pa.ExtensionArray) else column
        lengths = pc.unique(pc.list_value_length(storage)).to_pylist()
        return lengths[0] if len(lengths) == 1 else None

    def _check_lengths(self, file: TableFile) -> None:
        """Refuse a file whose lists are all of another length than the pinned one; mixed ones are seen when read."""
        pin = self.spec.pin
        if pin is None or not pin.is_list or pin.dimension is None:
            return
        length = file.find_list_length(pin.names[0])
        if length not in (None, pin.dimension):
            raise SourceError(
                f"{file.name}: the lists of column {pin.names[0]!r} have {length:,} numbers, and "
                f"{pin.dimension:,} were expected, as in the run"
            )

    def _refuse_unlike_files(self) -> None:
        first = self._schemas[0]
        for file, schema in zip(self._files, self._schemas, strict=True):
            lacking, extra = set(first.names) - set(schema.names), set(schema.names) - set(first.names)
            if lacking or extra:
                odd = [f"no {name!r}" for name in sorted(lacking)] + [f"also {name!r}" for name in sorted(extra)]
                raise SourceError(
                    f"the files of {self.spec.path} have different columns: {file.name} has {name_some(odd)}, unlike "
                    f"{self._files[0].name}; write them with the same columns, or name one file"
                )

    def _read_key(self, columns: Sequence[pa.ChunkedArray], name: str) -> np.ndarray[Any, Any]:
        kinds = {column.type for column in columns}
        if len(kinds) == 1:  # rows are then counted over all files where values are missing
            chunks = [chunk for column in columns for chunk in column.chunks]
            return read_key(pa.chunked_array(chunks, columns[0].type), name, self.spec)
        return join_parts([read_key(column, name, self.spec) for column in columns], name)

    def _read_columns(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Read some columns of all rows of a file."""
        file, folders = self._files[number], self._folders[number]
        with explain_read(file.name, self._stamps[number]):
            table = file.read_columns([name for name in columns if name not in folders])
        if not table.num_columns:  # of folders alone, which tell no number of rows
            n_rows = int(file.lengths.sum())
            table = pa.table({"": pa.nulls(n_rows)})
        return add_folders(table, folders, self._schemas[number], columns)

    def _read_batches(self, rows: Int64Array, columns: list[str]) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """Read the wanted rows in order, with their numbers, batch by batch."""
        found = self._blocks.find(rows)
        for number in np.unique(self._blocks.files[found]).tolist():
            is_here = self._blocks.files[found] == number
            here, used = np.unique(found[is_here]), rows[is_here]
            # Rows are counted within the blocks that are read: where each begins among them, and in the source.
            lengths = self._blocks.lengths[here]
            shift = np.cumsum(lengths) - lengths - self._blocks.starts[here]
            places = used + shift[np.searchsorted(here, found[is_here])]
            yield from self._take(number, self._blocks.ids[here], columns, places, used)

    def _take(
        self, number: int, blocks: Int64Array, columns: list[str], places: Int64Array, rows: Int64Array
    ) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """Decode blocks of one file until the wanted places among their rows are read."""
        file, folders = self._files[number], self._folders[number]
        in_file = [name for name in columns if name not in folders]
        begin = 0
        with explain_read(file.name, self._stamps[number]):
            for batch in file.read_blocks(blocks.tolist(), in_file):
                low, high = np.searchsorted(places, [begin, begin + batch.num_rows])
                if low < high:
                    picked = pick_rows(batch, places[low:high] - begin)
                    yield add_folders(picked, folders, self._schemas[number], columns), rows[low:high]
                begin += batch.num_rows
                if begin > places[-1]:
                    return
