"""Rows of a Parquet file, or of a folder of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.choice import choose_vectors, merge_types
from driftmap.pipeline.sources.columns import describe_column, join_parts, read_key, read_label
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.protocol import ColumnFacts, KeyFacts, ReadEstimate, WindowRows
from driftmap.pipeline.sources.readers.footers import (
    ColumnSizes,
    count_nulls,
    find_spreads,
    measure_columns,
    measure_length,
)
from driftmap.pipeline.sources.row_ranges import name_some, refuse_outside, runs_to_rows
from driftmap.pipeline.sources.stamps import describe_stamps
from driftmap.pipeline.sources.vectors import (
    find_vectors,
    join_vectors,
    read_vectors,
    refuse_missing_columns,
    to_matrix,
)
from driftmap.pipeline.store.id_types import join_id_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.config.vector_pin import VectorPin
    from driftmap.pipeline.sources.stamps import FileStamp

BATCH_BYTES = 4 * 2**20
"""What is decoded at a time, as it will lie in memory: what is read of a row group but not wanted is dropped then."""

MAX_BATCH_ROWS = 16_384

MIN_BUFFER_BYTES = 4096
BUFFER_BYTES = 4 * 2**20
"""Read ahead from a file, for all columns together and at least for each.

Rows are decoded as they are read, since row groups may be large (1,048,576 rows when nothing else is said). A window of
2,000 rows in a group of 400,000 rows of 64 features takes 25 MB and 0.02 to 0.7 s so; Arrow's data sets decode whole
groups, 430 MB and 4 s (tests/pipeline/sources/readers/test_parquet.py).
"""
REMOTE_BUFFER_BYTES = 32 * 2**20
"""The same from object storage, where each read is a request that takes as long as a few MB."""

_N_LOOKED_AT = 64
"""Rows of a file that are read to see how long its lists are."""

SUFFIXES = (".parquet", ".pq", ".parq")


class ParquetSource:
    """Rows of a Parquet file, or of all files below a folder in the order of their paths.

    Folders such as `year=2020` make a column. Names that begin with `.` or `_` are passed over.

    Parameters
    ----------
    spec
        Path and columns.
    must_pin
        Choose the columns of the vectors now, and pin them.
    """

    window_names: Sequence[str] | None = None

    def __init__(self, spec: SourceSpec, *, must_pin: bool = False) -> None:
        self.spec = spec
        place = SourcePlace(spec.path)
        self._base, self._stamps = list_files(place, spec.files)
        self._files = self._base.open_filesystem(self._stamps)
        self._buffer_bytes = BUFFER_BYTES if place.is_local else REMOTE_BUFFER_BYTES
        try:
            dataset = _open_dataset(self._files, self._stamps, is_folder=self._base is place)
            self._fragments = list(dataset.get_fragments())
            self._schemas = [_add_folder_columns(fragment, dataset.schema) for fragment in self._fragments]
            self._groups = _list_groups(self._fragments)
        except (pa.ArrowException, OSError) as error:
            raise _refuse_unreadable(place, error) from error
        self._refuse_unlike_files()
        self._sizes: dict[tuple[int, tuple[str, ...]], ColumnSizes] = {}
        if must_pin and spec.pin is None:
            self.spec = spec = spec.model_copy(update={"pin": self._pin(), "id_type": self._find_id_type()})
        for fragment, schema in zip(self._fragments, self._schemas, strict=True):
            folders = ds.get_partition_keys(fragment.partition_expression)
            self._vectors = find_vectors(schema, spec, folders, self._name_file(fragment))
            if spec.pin is None:
                break  # a store of before 0.2: as its first file says
            self._check_lengths(fragment)

    @property
    def n_rows(self) -> int:
        """Number of rows, from the files' footers."""
        return self._groups.n_rows

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Read columns that windows are planned by; see `Source`."""
        parts: dict[str, list[pa.ChunkedArray]] = {name: [] for name in names}
        if runs is not None:
            for batch, _ in self._read_batches(runs_to_rows(runs), list(names)):
                for name in names:
                    parts[name].append(pa.chunked_array([batch.column(name)]))
            return {name: self._read_key(columns, name) for name, columns in parts.items()}
        try:
            for fragment, schema in zip(self._fragments, self._schemas, strict=True):
                table = fragment.to_table(schema=schema, columns=list(names))
                for name in names:
                    parts[name].append(table.column(name))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.spec.path} cannot be read: {error}") from error
        return {name: self._read_key(columns, name) for name, columns in parts.items()}

    def describe_key(self, name: str) -> KeyFacts:
        """Say what the type of a key column tells; see `Source`."""
        kinds = [schema.field(name).type if name in schema.names else None for schema in self._schemas]
        if not pa.types.is_dictionary(kinds[0]):
            return describe_column(pa.chunked_array([], kinds[0])) if kinds[0] is not None else KeyFacts()
        try:
            parts = [
                chunk
                for fragment, schema in zip(self._fragments, self._schemas, strict=True)
                for chunk in fragment.to_table(schema=schema, columns=[name]).column(name).chunks
            ]
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.spec.path} cannot be read: {error}") from error
        is_one_type = len({chunk.type for chunk in parts}) == 1
        return describe_column(pa.chunked_array(parts)) if is_one_type else KeyFacts()

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows, from the row groups that hold them; see `Source`."""
        rows = runs_to_rows(runs)
        refuse_outside(rows, self.n_rows, self.spec.path)
        wanted = [] if self.spec.id is None else [self.spec.id]
        wanted = list(dict.fromkeys([*wanted, *self.spec.label, *(self._vectors.names if with_vectors else ())]))
        vectors, ids = [], []
        labels: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in self.spec.label}
        for batch, batch_rows in self._read_batches(rows, wanted):
            if with_vectors:
                vectors.append(read_vectors(batch, self._vectors, batch_rows))
            if self.spec.id is not None:
                ids.append(read_key(pa.chunked_array([batch.column(self.spec.id)]), self.spec.id, self.spec))
            for name, parts in labels.items():
                parts.append(read_label(pa.chunked_array([batch.column(name)]), name))
        return WindowRows(
            to_matrix(join_vectors(vectors), rows, self.spec.pin) if with_vectors else None,
            join_parts(ids, self.spec.id) if self.spec.id is not None else None,
            {name: join_parts(parts, name) for name, parts in labels.items()},
        )

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading takes, by the files' footers; see `Source`."""
        beside = tuple(dict.fromkeys([*([self.spec.id] if self.spec.id else []), *self.spec.label]))
        vectors = ColumnSizes.largest(
            self._measure(number, self._vectors.names) for number in range(len(self._fragments))
        )
        others = ColumnSizes.largest(self._measure(number, beside) for number in range(len(self._fragments)))
        n_features = vectors.row_values
        # Parts and then the whole, and a flag for each number; decoding, a few batches.
        kept = n_rows * (9 * n_features + 3 * others.row_bytes)
        working = vectors.page_bytes + others.page_bytes + 2 * self._buffer_bytes + 3 * BATCH_BYTES
        return ReadEstimate(n_features, others.row_bytes, kept + working)

    def column_facts(self) -> ColumnFacts:
        """Count missing values and find spreads, by the files' footers; see `Source`."""
        nulls: dict[str, int] = {}
        for fragment in self._fragments:
            for name, count in count_nulls(fragment.metadata, self._vectors.names).items():
                nulls[name] = nulls.get(name, 0) + count
        if self._vectors.is_list:
            return ColumnFacts(nulls)
        return ColumnFacts(nulls, find_spreads((f.metadata for f in self._fragments), self._vectors.names))

    def fingerprint(self) -> dict[str, Any]:
        """Tell when a file was added, removed or written again."""
        return {"format": "parquet", "rows": self.n_rows, **describe_stamps(self._stamps)}

    def spill(self, folder: str | Path) -> Self:  # noqa: ARG002 - of the protocol
        """Give the source itself: it is on disk."""
        return self

    def _name_file(self, fragment: ds.Fragment) -> str:
        return self._base.name(fragment.path)

    def _measure(self, number: int, columns: tuple[str, ...]) -> ColumnSizes:
        if (number, columns) not in self._sizes:
            self._sizes[number, columns] = measure_columns(self._fragments[number].metadata, columns)
        return self._sizes[number, columns]

    def _pin(self) -> VectorPin:
        refuse_missing_columns(self._schemas[0].names, self.spec.named_columns, self.spec.path)
        pins = []
        for fragment, schema in zip(self._fragments, self._schemas, strict=True):
            folders = ds.get_partition_keys(fragment.partition_expression)
            pins.append(choose_vectors(schema, self.spec, folders))
            if pins[-1].names != pins[0].names:
                odd = sorted(set(pins[-1].names) ^ set(pins[0].names)) or list(pins[-1].names)
                raise SourceError(
                    f"{self._name_file(fragment)} has other columns of vectors than "
                    f"{self._name_file(self._fragments[0])}: {name_some(list(map(repr, odd)))}; write both alike, or "
                    "name the columns (vectors)"
                )
        pin = merge_types(pins)
        if not pin.is_list:
            return pin
        lengths = {measure_length(fragment.metadata, pin.names[0]) for fragment in self._fragments}
        # Footers tell averages: a look at the first rows tells lists of 3 and of 5 from lists of 4.
        lengths |= {self._find_length(number, pin.names[0]) for number in {0, len(self._fragments) - 1}}
        return pin.model_copy(update={"dimension": lengths.pop() if len(lengths) == 1 else None})

    def _find_id_type(self) -> str | None:
        name = self.spec.id
        return None if name is None else join_id_types([schema.field(name).type for schema in self._schemas])

    def _find_length(self, number: int, name: str) -> int | None:
        """Find the length of the lists in a file's first rows, where it is one."""
        try:
            column = self._fragments[number].head(_N_LOOKED_AT, columns=[name]).column(name)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._name_file(self._fragments[number])} cannot be read: {error}") from error
        column = column.combine_chunks()
        storage = column.storage if isinstance(column, pa.ExtensionArray) else column
        lengths = pc.unique(pc.list_value_length(storage)).to_pylist()
        return lengths[0] if len(lengths) == 1 else None

    def _check_lengths(self, fragment: ds.Fragment) -> None:
        """Refuse a file whose lists are all of another length than the pinned one; mixed ones are seen when read."""
        pin = self.spec.pin
        if pin is None or not pin.is_list or pin.dimension is None:
            return
        length = measure_length(fragment.metadata, pin.names[0])
        if length not in (None, pin.dimension):
            raise SourceError(
                f"{self._name_file(fragment)}: the lists of column {pin.names[0]!r} have {length:,} numbers, and "
                f"{pin.dimension:,} were expected, as in the run"
            )

    def _refuse_unlike_files(self) -> None:
        first = self._schemas[0]
        for fragment, schema in zip(self._fragments, self._schemas, strict=True):
            lacking, extra = set(first.names) - set(schema.names), set(schema.names) - set(first.names)
            if lacking or extra:
                odd = [f"no {name!r}" for name in sorted(lacking)] + [f"also {name!r}" for name in sorted(extra)]
                raise SourceError(
                    f"the files of {self.spec.path} have different columns: {self._name_file(fragment)} has "
                    f"{name_some(odd)}, unlike {self._name_file(self._fragments[0])}; write them with the same "
                    "columns, or name one file"
                )

    def _read_key(self, columns: Sequence[pa.ChunkedArray], name: str) -> np.ndarray[Any, Any]:
        kinds = {column.type for column in columns}
        if len(kinds) == 1:  # rows are then counted over all files where values are missing
            chunks = [chunk for column in columns for chunk in column.chunks]
            return read_key(pa.chunked_array(chunks, columns[0].type), name, self.spec)
        return join_parts([read_key(column, name, self.spec) for column in columns], name)

    def _read_batches(self, rows: Int64Array, columns: list[str]) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """Read the wanted rows in order, with their numbers, batch by batch."""
        groups = self._groups.find(rows)
        for number in np.unique(self._groups.fragments[groups]).tolist():
            is_here = self._groups.fragments[groups] == number
            here, used = np.unique(groups[is_here]), rows[is_here]
            # Rows are counted within the row groups that are read: where each begins among them, and in the source.
            lengths = self._groups.lengths[here]
            shift = np.cumsum(lengths) - lengths - self._groups.starts[here]
            places = used + shift[np.searchsorted(here, groups[is_here])]
            yield from self._take(number, self._groups.ids[here], columns, places, used)

    def _take(
        self, number: int, groups: Int64Array, columns: list[str], places: Int64Array, rows: Int64Array
    ) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """Decode row groups of one file until the wanted places among their rows are read."""
        fragment, schema = self._fragments[number], self._schemas[number]
        folders = ds.get_partition_keys(fragment.partition_expression)
        in_file = [name for name in columns if name not in folders]
        sizes = self._measure(number, tuple(in_file))
        batch_rows = min(MAX_BATCH_ROWS, max(1, BATCH_BYTES // max(1, sizes.row_bytes)))
        buffer = max(MIN_BUFFER_BYTES, self._buffer_bytes // max(1, sizes.n_leaves))
        begin = 0
        try:
            # One thread and nothing ahead: workers read in parallel.
            with pq.ParquetFile(
                fragment.path,
                metadata=fragment.metadata,
                pre_buffer=False,
                buffer_size=buffer,
                filesystem=self._files,
            ) as file:
                for batch in file.iter_batches(
                    batch_size=batch_rows, row_groups=groups.tolist(), columns=in_file, use_threads=False
                ):
                    low, high = np.searchsorted(places, [begin, begin + batch.num_rows])
                    if low < high:
                        picked = _pick(batch, places[low:high] - begin)
                        yield _add_folders(picked, folders, schema, columns), rows[low:high]
                    begin += batch.num_rows
                    if begin > places[-1]:
                        return
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._name_file(fragment)} cannot be read: {error}") from error


class _RowGroups(NamedTuple):
    """All row groups of all files, in order; each column (g,)."""

    fragments: Int64Array
    ids: Int64Array
    starts: Int64Array
    lengths: Int64Array

    @property
    def n_rows(self) -> int:
        return int(self.lengths.sum())

    def find(self, rows: Int64Array) -> Int64Array:
        return np.searchsorted(self.starts, rows, side="right") - 1


def list_files(place: SourcePlace, only: Sequence[str] = ()) -> tuple[SourcePlace, list[FileStamp]]:
    """List the files of a source.

    Parameters
    ----------
    place
        A file, or a folder.
    only
        Names of the files to list, from the folder; empty: all.

    Returns
    -------
    The folder that they lie below, `place` itself where it is one; and the files, by their names from there.

    Raises
    ------
    SourceError
        When there are none, or one that was named is gone.
    """
    if only:
        return place, place.stamp_files(only)
    kind = place.find_kind()
    if kind is None:
        raise SourceError(f"no such file or folder: {place}")
    if kind == "file":
        above = place.above()
        return above, above.stamp_files([place.file_name])
    files = [stamp for stamp in place.list_stamps() if _is_data(stamp.path)]
    if not files:
        raise SourceError(f"the folder {place} has no Parquet files (names that end in {', '.join(SUFFIXES)})")
    return place, files


def list_columns(place: SourcePlace) -> list[str]:
    """List the columns of a file, or of a folder of them.

    Raises
    ------
    SourceError
        When there is no Parquet that can be read.
    """
    base, stamps = list_files(place)
    try:
        names: list[str] = _open_dataset(base.open_filesystem(stamps), stamps, is_folder=base is place).schema.names
    except (pa.ArrowException, OSError) as error:
        raise _refuse_unreadable(place, error) from error
    return names


def _open_dataset(files: fs.FileSystem, stamps: Sequence[FileStamp], *, is_folder: bool) -> ds.Dataset:
    folders = ds.partitioning(flavor="hive") if is_folder else None
    return ds.dataset([stamp.path for stamp in stamps], format="parquet", filesystem=files, partitioning=folders)


def _refuse_unreadable(place: SourcePlace, error: Exception) -> SourceError:
    return SourceError(f"{place} is no Parquet that can be read ({error}); write it as Parquet first")


def _add_folder_columns(fragment: ds.Fragment, shared: pa.Schema) -> pa.Schema:
    # A file keeps its own types: lists may be of one fixed length here and of another there.
    own = fragment.physical_schema
    folders = ds.get_partition_keys(fragment.partition_expression)
    fields = [*own, *(shared.field(name) for name in folders if name not in own.names)]
    return pa.schema(fields, metadata=own.metadata)


def _list_groups(fragments: Sequence[ds.Fragment]) -> _RowGroups:
    found = [
        (number, group.id, group.num_rows) for number, fragment in enumerate(fragments) for group in fragment.row_groups
    ]
    fragment_numbers, ids, lengths = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return _RowGroups(fragment_numbers, ids, np.cumsum(lengths) - lengths, lengths)


def _is_data(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not any(part.startswith((".", "_")) for part in name.split("/"))


def _add_folders(
    batch: pa.RecordBatch, folders: dict[str, Any], schema: pa.Schema, columns: list[str]
) -> pa.RecordBatch:
    """Add the wanted columns that are the names of folders, such as `year=2020`."""
    for name in folders.keys() & set(columns):
        field = schema.field(name)
        batch = batch.append_column(field, pa.repeat(pa.scalar(folders[name], field.type), batch.num_rows))
    return batch


def _pick(batch: pa.RecordBatch, places: Int64Array) -> pa.RecordBatch:
    if places[-1] - places[0] + 1 == len(places):
        return batch.slice(int(places[0]), len(places))
    return batch.take(pa.array(places))
