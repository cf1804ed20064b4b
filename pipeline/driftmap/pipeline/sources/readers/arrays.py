"""Rows given from Python: held in memory, or spilled to a folder that workers read."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from driftmap.pipeline.config.vector_pin import VectorPin
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.choice import choose_vectors
from driftmap.pipeline.sources.columns import as_column, describe_column, flag_missing, read_key, read_label
from driftmap.pipeline.sources.protocol import ColumnFacts, KeyFacts, ReadEstimate, WindowRows
from driftmap.pipeline.sources.readers.array_files import (
    MISSING_IDS,
    VERSION,
    Table,
    digest_table,
    read_manifest,
    write_table,
)
from driftmap.pipeline.sources.row_ranges import refuse_outside, runs_to_rows
from driftmap.pipeline.sources.vectors import (
    RaggedRows,
    find_vectors,
    flag_bad_rows,
    join_vectors,
    read_vectors,
    refuse_missing_columns,
    to_matrix,
)
from driftmap.pipeline.store.id_types import name_id_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec

    Column = np.ndarray[Any, Any]

_ROWS_AT_ONCE = 16_384

WINDOW_COLUMN = "window"
"""Column that tells the windows of `WindowArrays` apart."""


@dataclass(frozen=True, eq=False)
class WindowArrays:
    """Data that are cut into windows already; vectors may be of another length in each."""

    vectors: Sequence[npt.ArrayLike]
    """Per window (n, d)."""
    ids: Sequence[npt.ArrayLike] | None = None
    """Per window (n,); the same id in two windows relates these rows."""
    labels: Sequence[npt.ArrayLike] | None = None
    """Per window (n,), to colour by; kept as the label column `label`."""
    names: Sequence[str] | None = None
    """Per window its name; numbered from 0 when left out."""


class ArraySource:
    """Rows in arrays: in memory, or mapped from a folder.

    Parameters
    ----------
    spec
        Path of the folder, empty for arrays in memory; and columns.
    table
        The arrays.
    digest
        Of the arrays, where it is known; computed otherwise.
    facts
        What the types of key columns say.
    """

    def __init__(
        self, spec: SourceSpec, table: Table, digest: str | None = None, facts: Mapping[str, KeyFacts] | None = None
    ) -> None:
        self.spec = spec
        self._facts = facts or {}
        self._table = table
        self._digest = digest or digest_table(table)
        if self.n_rows == 0:
            raise SourceError("the arrays have no rows")

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._table.offsets) - 1

    @property
    def window_names(self) -> Sequence[str] | None:
        """Names of the windows, where the arrays came cut into windows."""
        return self._table.window_names

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, Column]:
        """Give columns that windows are planned by; see `Source`."""
        if runs is None:
            return {name: self._table.keys[name] for name in names}
        rows = runs_to_rows(runs)
        return {name: np.array(self._table.keys[name][rows]) for name in names}

    def describe_key(self, name: str) -> KeyFacts:
        """Say what the type of a key column says; see `Source`."""
        return self._facts.get(name, KeyFacts())

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows; see `Source`."""
        rows = runs_to_rows(runs)
        refuse_outside(rows, self.n_rows, self.spec.path)
        ids = None if self.spec.id is None else np.array(self._table.keys[self.spec.id][rows])
        labels = {name: np.array(column[rows]) for name, column in self._table.labels.items()}
        return WindowRows(self._read_vectors(runs, rows) if with_vectors else None, ids, labels)

    def find_bad_rows(self, runs: Int64Array) -> Int64Array:
        """Find rows that cannot be used, some at a time; see `Source`."""
        missing = self._table.keys.get(MISSING_IDS)
        values, offsets = self._table.values, self._table.offsets
        found = [np.empty(0, dtype=np.int64)]
        for first, last in runs.tolist():
            for begin in range(first, last, _ROWS_AT_ONCE):
                end = min(begin + _ROWS_AT_ONCE, last)
                lengths = np.diff(offsets[begin : end + 1])
                is_bad = flag_bad_rows(RaggedRows(np.asarray(values[offsets[begin] : offsets[end]]), lengths))
                if missing is not None:
                    is_bad = is_bad | missing[begin:end]
                found.append(begin + np.flatnonzero(is_bad))
        _let_go(values)
        return np.concatenate(found)

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading takes; see `Source`."""
        offsets = self._table.offsets
        n_features = int(np.diff(offsets).max())
        beside = [*([self._table.keys[self.spec.id]] if self.spec.id else []), *self._table.labels.values()]
        row_bytes = sum(column.dtype.itemsize for column in beside)
        # What is mapped counts as well as what is picked, and a flag for each number.
        return ReadEstimate(n_features, row_bytes, n_rows * (9 * n_features + 2 * row_bytes + 24))

    def column_facts(self) -> ColumnFacts:
        """Give nothing: what is missing is seen when a window is read; see `Source`."""
        return ColumnFacts()

    def count_bytes(self, windows: Sequence[Int64Array]) -> None:
        """Tell nothing: rows are picked; see `Source`."""

    def fingerprint(self) -> dict[str, Any]:
        """Tell whether arrays hold the same, wherever they lie."""
        return {"format": "arrays", "rows": self.n_rows, "digest": self._digest}

    def spill(self, folder: str | Path) -> ArraySource:
        """Write the arrays to a folder, unless they are there, and give the source that reads them there.

        Raises
        ------
        SourceError
            When the folder cannot be written.
        """
        if self.spec.path:
            return self
        place = Path(folder).expanduser().absolute()
        spec = self.spec.model_copy(update={"path": str(place)})
        try:
            if read_manifest(place).get("digest") != self._digest:
                write_table(place, self._table, self._digest)
        except OSError as error:
            raise SourceError(f"the arrays cannot be written to {place}: {error}") from error
        return open_arrays(spec)

    def _read_vectors(self, runs: Int64Array, rows: Int64Array) -> Float32Array:
        values, offsets = self._table.values, self._table.offsets
        starts = offsets[rows]
        lengths = offsets[rows + 1] - starts
        width = int(lengths[0])
        if width and len(values) % width == 0 and bool(((starts == rows * width) & (lengths == width)).all()):
            # All vectors up to here are of one length: scattered rows are picked at once, not run by run.
            picked = values.reshape(-1, width)[rows].reshape(-1)
        else:
            picked = np.concatenate([values[offsets[start] : offsets[stop]] for start, stop in runs.tolist()])
        _let_go(values)
        return to_matrix(RaggedRows(np.asarray(picked), lengths), rows, self.spec.pin)


def _let_go(array: Column) -> None:
    """Have what was read of a mapped file count no longer as this process's memory: it stays in the system's cache."""
    mapped: Any = array.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def open_arrays(spec: SourceSpec) -> ArraySource:
    """Open arrays that were spilled to a folder.

    Raises
    ------
    SourceError
        When they are not there, or not whole.
    """
    if not spec.path:
        raise SourceError("the arrays are in the memory of another process; spill them to a folder first")
    folder = Path(spec.path)
    manifest = read_manifest(folder)
    if manifest.get("version") != VERSION:
        raise SourceError(f"{folder} holds no arrays of this version of driftmap; give them again from Python")

    def load(file: str) -> Column:
        try:
            loaded: Column = np.load(folder / file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SourceError(f"{folder / file} cannot be read ({error}); give the arrays again from Python") from error
        return loaded

    keys = {name: load(file) for name, file in manifest["keys"].items()}
    labels = {name: load(file) for name, file in manifest["labels"].items()}
    table = Table(load("values.npy"), load("offsets.npy"), keys, labels, manifest["window_names"])
    return ArraySource(spec, table, manifest["digest"])


def from_arrow(table: pa.Table, spec: SourceSpec, *, must_pin: bool = True) -> ArraySource:
    """Hold an Arrow table as arrays; its columns mean what they would in a Parquet file.

    Parameters
    ----------
    table
        The rows.
    spec
        Which columns mean what; its pin, where there is one, is compared with the table.
    must_pin
        Choose the columns of the vectors, and pin them, where there is no pin.

    Raises
    ------
    SourceError
        When a column is missing, or cannot be used.
    """
    if must_pin and spec.pin is None:
        refuse_missing_columns(table.schema.names, spec.named_columns, "")
        id_type = None if spec.id is None else name_id_type(table.schema.field(spec.id).type)
        spec = spec.model_copy(update={"pin": choose_vectors(table.schema, spec), "id_type": id_type})
    columns = find_vectors(table.schema, spec)
    rows = np.arange(table.num_rows, dtype=np.int64)
    vectors = read_vectors(table, columns, rows, fill=spec.on_bad_rows == "drop")
    spec = _pin_length(spec, vectors)
    named = {name: table.column(name) for name in spec.named_columns}
    facts = {name: describe_column(column, name, spec) for name, column in named.items()}
    return ArraySource(spec, _make_table(vectors, named, spec), facts=facts)


def from_columns(
    columns: Mapping[str, object], vectors: npt.ArrayLike, spec: SourceSpec, *, must_pin: bool = True
) -> ArraySource:
    """Hold a matrix and columns beside it.

    Parameters
    ----------
    columns
        One-dimensional, each as long as `vectors`.
    vectors
        (n, d), or n sequences of numbers that may differ in length.
    spec
        Which columns mean what.
    must_pin
        Pin the vectors and the type of the ids, where there is no pin.

    Raises
    ------
    SourceError
        When a column is missing, or of another length.
    """
    refuse_missing_columns(list(columns), spec.named_columns, "")
    read = as_vectors(vectors)
    named = {name: as_column(columns[name], name) for name in spec.named_columns}
    if must_pin and spec.pin is None:
        spec = _pin_ids(_pin_matrix(spec, vectors), named)
    spec = _pin_length(spec, read)
    facts = {name: describe_column(column, name, spec) for name, column in named.items()}
    return ArraySource(spec, _make_table(read, named, spec), facts=facts)


def from_windows(windows: WindowArrays, spec: SourceSpec, *, must_pin: bool = True) -> ArraySource:
    """Hold data that came cut into windows; `spec` names the columns `window`, and `id` and `label` where given.

    Parameters
    ----------
    windows
        The arrays.
    spec
        Which columns mean what.
    must_pin
        Pin the vectors and the type of the ids, where there is no pin.

    Raises
    ------
    SourceError
        When the windows' arrays do not fit together.
    """
    parts = [as_vectors(vectors) for vectors in windows.vectors]
    n_windows, sizes = len(parts), [len(part.lengths) for part in parts]
    names = [str(number) for number in range(n_windows)] if windows.names is None else [str(n) for n in windows.names]
    if len(names) != n_windows or len(set(names)) != n_windows:
        raise SourceError(f"names: {len(set(names))} different ones for {n_windows} windows; one for each was expected")
    columns: dict[str, pa.ChunkedArray] = {WINDOW_COLUMN: as_column(np.repeat(np.arange(n_windows), sizes), "window")}
    for name, given in (("id", windows.ids), ("label", windows.labels)):
        if given is not None:
            columns[name] = _join_windows(given, sizes, name, names)
    read = join_vectors(parts)
    if must_pin and spec.pin is None:
        spec = _pin_ids(_pin_matrix(spec, windows.vectors[0] if n_windows else ()), columns)
    spec = _pin_length(spec, read)
    return ArraySource(spec, _make_table(read, columns, spec)._replace(window_names=names))


def as_vectors(given: npt.ArrayLike) -> RaggedRows:
    """Read vectors: a matrix, or sequences of numbers that may differ in length.

    Raises
    ------
    SourceError
        When they are not numbers.
    """
    if np.ma.isMaskedArray(given):  # what is masked is missing
        given = np.ma.filled(given.astype(np.float64), np.nan)
    try:
        matrix = np.asarray(given)
    except ValueError:  # rows of unequal length
        parts = [np.asarray(row) for row in given]  # type: ignore[union-attr]
        if any(part.ndim != 1 or part.dtype.kind not in "iufb" for part in parts):
            raise SourceError("vectors: rows that are no sequences of numbers; a matrix (n, d) was expected") from None
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        return RaggedRows(_as_float32(np.concatenate(parts)), lengths)
    if matrix.ndim != 2 or matrix.dtype.kind not in "iufb":
        raise SourceError(
            f"vectors: shape {matrix.shape} and type {matrix.dtype} were given; a matrix (n, d) of numbers was expected"
        )
    return RaggedRows(_as_float32(matrix).reshape(-1), np.full(len(matrix), matrix.shape[1], dtype=np.int64))


def _pin_ids(spec: SourceSpec, columns: Mapping[str, pa.ChunkedArray]) -> SourceSpec:
    id_type = None if spec.id is None else name_id_type(columns[spec.id].type)
    return spec.model_copy(update={"id_type": id_type})


def _pin_matrix(spec: SourceSpec, vectors: npt.ArrayLike) -> SourceSpec:
    kind = getattr(getattr(vectors, "dtype", None), "kind", "f")
    inner = {"b": "bool", "i": "integer", "u": "integer"}.get(kind, "float")
    name = spec.vectors if isinstance(spec.vectors, str) else "vectors"
    return spec.model_copy(update={"pin": VectorPin(names=(name,), types=(f"list of {inner}",))})


def _pin_length(spec: SourceSpec, vectors: RaggedRows) -> SourceSpec:
    """Pin the length of the vectors where it is one; refuse another one than is pinned."""
    lengths = np.unique(vectors.lengths)
    if spec.pin is None or not len(lengths):
        return spec
    length = int(lengths[0]) if len(lengths) == 1 else None
    if spec.pin.dimension is None:
        return spec.model_copy(update={"pin": spec.pin.model_copy(update={"dimension": length})})
    if length != spec.pin.dimension:
        shown = " and ".join(map(str, lengths[:3].tolist()))
        raise SourceError(
            f"column {spec.pin.names[0]!r}: vectors of {shown} numbers, and {spec.pin.dimension:,} were "
            "expected, as in the run"
        )
    return spec


def _as_float32(values: Column) -> Float32Array:
    with np.errstate(over="ignore"):  # becomes inf, and is refused as such when the window is read
        return np.ascontiguousarray(values, dtype=np.float32)


def _join_windows(given: Sequence[npt.ArrayLike], sizes: list[int], name: str, names: list[str]) -> pa.ChunkedArray:
    if len(given) != len(sizes):
        raise SourceError(f"{name}s: given for {len(given)} windows, vectors for {len(sizes)}")
    columns = [as_column(values, name) for values in given]
    for window, column, size in zip(names, columns, sizes, strict=True):
        if len(column) != size:
            raise SourceError(f"{name}s of window {window!r}: {len(column)} for {size} vectors")
    kinds = {column.type for column in columns if len(column)}
    if len(kinds) > 1:
        if not all(pt.is_integer(kind) or pt.is_floating(kind) for kind in kinds):
            shown = ", ".join(sorted(map(str, kinds)))
            raise SourceError(f"{name}s are not of one type in all windows ({shown}); convert them to one")
        whole = pa.uint64() if pa.uint64() in kinds else pa.int64()
        kinds = {whole if all(map(pt.is_integer, kinds)) else pa.float64()}
    kind = kinds.pop() if kinds else pa.null()
    chunks = [chunk for column in columns if len(column) for chunk in column.chunks]
    try:
        return pa.chunked_array([chunk if chunk.type == kind else chunk.cast(kind) for chunk in chunks], kind)
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{name}s cannot be read as {kind} in all windows ({error}); convert them to one type"
        ) from error


def _make_table(vectors: RaggedRows, columns: Mapping[str, pa.ChunkedArray], spec: SourceSpec) -> Table:
    for name, column in columns.items():
        if len(column) != len(vectors.lengths):
            raise SourceError(f"column {name!r} has {len(column)} values for {len(vectors.lengths)} vectors")
    keys = {name: read_key(columns[name], name, spec) for name in (spec.time, spec.id, spec.by) if name is not None}
    if spec.id is not None and spec.on_bad_rows == "drop":
        is_missing = flag_missing(columns[spec.id])
        keys |= {MISSING_IDS: is_missing} if is_missing.any() else {}
    labels = {name: read_label(columns[name], name) for name in spec.label}
    return Table(vectors.values, np.concatenate([[0], np.cumsum(vectors.lengths)]), keys, labels)
