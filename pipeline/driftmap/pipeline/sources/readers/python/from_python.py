"""Rows given from Python, made into arrays: Arrow tables, matrices with columns beside them, data cut into windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from driftmap.engine import is_sparse
from driftmap.pipeline.config.vector_pin import SPARSE, VectorPin
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.choice import choose_vectors
from driftmap.pipeline.sources.columns.key_columns import as_column, flag_missing, read_key, read_label
from driftmap.pipeline.sources.columns.key_facts import describe_column
from driftmap.pipeline.sources.columns.texts import PackedTexts, is_texts
from driftmap.pipeline.sources.columns.value_ranges import find_ranges, find_table_ranges
from driftmap.pipeline.sources.columns.vectors import (
    RaggedRows,
    find_vectors,
    join_vectors,
    read_vectors,
    refuse_missing_columns,
)
from driftmap.pipeline.sources.readers.python.array_files import (
    MISSING_IDS,
    Table,
)
from driftmap.pipeline.sources.readers.python.arrays import ArraySource
from driftmap.pipeline.sources.sparse_rows import SparseParts, read_sparse_parts
from driftmap.pipeline.store.id_types import name_id_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.config.source_spec import SourceSpec

    Column = np.ndarray[Any, Any]

WINDOW_COLUMN = "window"
"""Column that tells the windows of `WindowArrays` apart."""


@dataclass(frozen=True, eq=False)
class WindowArrays:
    """Data that are cut into windows already; vectors may be of another length in each."""

    vectors: Sequence[npt.ArrayLike]
    """Per window (n, d); dense, or scipy sparse in all."""
    ids: Sequence[npt.ArrayLike] | None = None
    """Per window (n,); the same id in two windows relates these rows."""
    labels: Sequence[npt.ArrayLike] | None = None
    """Per window (n,), to colour by; kept as the label column `label`."""
    names: Sequence[str] | None = None
    """Per window its name; numbered from 0 when left out."""


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
    ranges = find_table_ranges(table, columns.names, is_list=columns.is_list)
    spec = _pin_length(spec, vectors)
    named = {name: table.column(name) for name in spec.named_columns}
    facts = {name: describe_column(column, name, spec) for name, column in named.items()}
    return ArraySource(spec, _make_table(vectors, named, spec), facts=facts, ranges=ranges)


def from_columns(
    columns: Mapping[str, object], vectors: npt.ArrayLike, spec: SourceSpec, *, must_pin: bool = True
) -> ArraySource:
    """Hold a matrix and columns beside it.

    Parameters
    ----------
    columns
        One-dimensional, each as long as `vectors`.
    vectors
        (n, d), dense or scipy sparse, or n sequences of numbers that may differ in length.
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
    read = read_sparse_parts([vectors], "vectors") if is_sparse(vectors) else as_vectors(vectors)
    named = {name: as_column(columns[name], name) for name in spec.named_columns}
    if must_pin and spec.pin is None:
        spec = _pin_ids(_pin_matrix(spec, vectors), named)
    spec = _pin_length(spec, read)
    facts = {name: describe_column(column, name, spec) for name, column in named.items()}
    return ArraySource(spec, _make_table(read, named, spec), facts=facts, ranges=read.ranges)


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
    kinds = {is_sparse(vectors) for vectors in windows.vectors}
    if len(kinds) > 1:
        raise SourceError("vectors: some windows are sparse matrices and others are not; give all as one or the other")
    read: RaggedRows | SparseParts
    if kinds == {True}:
        read = read_sparse_parts(windows.vectors, "vectors")
        sizes = [int(vectors.shape[0]) for vectors in windows.vectors]  # type: ignore[union-attr]
    else:
        parts = [as_vectors(vectors) for vectors in windows.vectors]
        read, sizes = join_vectors(parts), [len(part.lengths) for part in parts]
    n_windows = len(sizes)
    names = [str(number) for number in range(n_windows)] if windows.names is None else [str(n) for n in windows.names]
    if len(names) != n_windows or len(set(names)) != n_windows:
        raise SourceError(f"names: {len(set(names))} different ones for {n_windows} windows; one for each was expected")
    columns: dict[str, pa.ChunkedArray] = {WINDOW_COLUMN: as_column(np.repeat(np.arange(n_windows), sizes), "window")}
    for name, given in (("id", windows.ids), ("label", windows.labels)):
        if given is not None:
            columns[name] = _join_windows(given, sizes, name, names)
    if must_pin and spec.pin is None:
        spec = _pin_ids(_pin_matrix(spec, windows.vectors[0] if n_windows else ()), columns)
    spec = _pin_length(spec, read)
    return ArraySource(spec, _make_table(read, columns, spec)._replace(window_names=names), ranges=read.ranges)


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
    lengths = np.full(len(matrix), matrix.shape[1], dtype=np.int64)
    return RaggedRows(_as_float32(matrix).reshape(-1), lengths, find_ranges(matrix))


def _pin_ids(spec: SourceSpec, columns: Mapping[str, pa.ChunkedArray]) -> SourceSpec:
    id_type = None if spec.id is None else name_id_type(columns[spec.id].type)
    return spec.model_copy(update={"id_type": id_type})


def _pin_matrix(spec: SourceSpec, vectors: npt.ArrayLike) -> SourceSpec:
    kind = getattr(getattr(vectors, "dtype", None), "kind", "f")
    inner = {"b": "bool", "i": "integer", "u": "integer"}.get(kind, "float")
    name = spec.vectors if isinstance(spec.vectors, str) else "vectors"
    kind = f"{SPARSE if is_sparse(vectors) else 'list of '}{inner}"
    return spec.model_copy(update={"pin": VectorPin(names=(name,), types=(kind,))})


def _pin_length(spec: SourceSpec, vectors: RaggedRows | SparseParts) -> SourceSpec:
    """Pin the length of the vectors where it is one; refuse another one than is pinned."""
    is_dense = isinstance(vectors, RaggedRows)
    lengths = np.unique(vectors.lengths if isinstance(vectors, RaggedRows) else vectors.widths)
    if spec.pin is not None and spec.pin.is_sparse == is_dense and spec.pin.types[0] != "list of number":
        found, remedy = ("dense", "scipy.sparse.csr_array(vectors)") if is_dense else ("sparse", "vectors.toarray()")
        expected = "dense" if found == "sparse" else "sparse"
        raise SourceError(f"vectors are {found}, and {expected} ones were expected, as in the run; give {remedy}")
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


def _make_table(vectors: RaggedRows | SparseParts, columns: Mapping[str, pa.ChunkedArray], spec: SourceSpec) -> Table:
    for name, column in columns.items():
        if len(column) != len(vectors.lengths):
            raise SourceError(f"column {name!r} has {len(column)} values for {len(vectors.lengths)} vectors")
    keys = {name: read_key(columns[name], name, spec) for name in (spec.time, spec.id, spec.by) if name is not None}
    if spec.id is not None and spec.on_bad_rows == "drop":
        is_missing = flag_missing(columns[spec.id])
        keys |= {MISSING_IDS: is_missing} if is_missing.any() else {}
    read = {name: read_label(columns[name], name, spec) for name in spec.beside}
    labels = {name: PackedTexts.of(column) if is_texts(column) else column for name, column in read.items()}
    table = Table(vectors.values, np.concatenate([[0], np.cumsum(vectors.lengths)]), keys, labels)
    if isinstance(vectors, RaggedRows):
        return table
    return table._replace(features=vectors.features, widths=vectors.widths)
