"""Vectors of rows: which columns hold them, and how they become one matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.choice import check_pin, kind_of
from driftmap.pipeline.sources.columns.value_ranges import join_ranges
from driftmap.pipeline.sources.row_ranges import name_rows, name_some

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.config.vector_pin import VectorPin
    from driftmap.pipeline.sources.protocol import ValueRanges

    BoolArray = npt.NDArray[np.bool_]


class VectorColumns(NamedTuple):
    """The columns that hold vectors."""

    names: tuple[str, ...]
    is_list: bool
    """Whether it is one column of lists, or each column one number of the vector."""


class RaggedRows(NamedTuple):
    """Vectors of rows that may differ in length."""

    values: Float32Array
    """All vectors, one after the other."""
    lengths: Int64Array
    """(n,) numbers in each vector."""
    ranges: ValueRanges | None = None
    """Of the numbers as they were given, where they are from Python."""


def find_vectors(schema: pa.Schema, spec: SourceSpec, folders: Iterable[str] = (), where: str = "") -> VectorColumns:
    """Give the columns that hold the vectors: those that `spec` has pinned.

    A store of before 0.2 has no pin. It goes on as it began: the column that `spec.vectors` names; else the only column
    of lists of numbers; else all integer and float columns that `spec` gives no other role.

    Parameters
    ----------
    schema
        Of a file, or a table.
    spec
        Roles and pin.
    folders
        Columns that are names of folders.
    where
        The file, for messages.

    Raises
    ------
    SourceError
        When the columns are not those of the pin; without one, when there are none, or it is not clear which.
    """
    refuse_missing_columns(schema.names, spec.named_columns, spec.path)
    if spec.pin is None:
        return _find_unpinned(schema, spec)
    check_pin(schema, spec, folders, where or spec.path or "the source")
    return VectorColumns(spec.pin.names, spec.pin.is_list)


def _find_unpinned(schema: pa.Schema, spec: SourceSpec) -> VectorColumns:
    if isinstance(spec.vectors, str):
        refuse_missing_columns(schema.names, (spec.vectors,), spec.path)
        kind = schema.field(spec.vectors).type
        if not _is_number_list(kind):
            raise SourceError(f"vectors: column {spec.vectors!r} holds {kind}; lists of numbers were expected")
        return VectorColumns((spec.vectors,), is_list=True)
    free = [field for field in schema if field.name not in spec.named_columns]
    lists = [field.name for field in free if _is_number_list(field.type)]
    if len(lists) > 1:
        raise SourceError(f"vectors may be in any of the columns {name_some(lists)}; name one of them (vectors)")
    if lists:
        return VectorColumns((lists[0],), is_list=True)
    numbers = tuple(field.name for field in free if pt.is_integer(field.type) or pt.is_floating(field.type))
    if not numbers:
        raise SourceError(f"{spec.path or 'the source'} has no column of vectors; it has {name_some(schema.names)}")
    return VectorColumns(numbers, is_list=False)


def refuse_missing_columns(there: Sequence[str], wanted: Sequence[str], path: str) -> None:
    """Refuse columns that a source does not have, or has twice.

    Raises
    ------
    SourceError
        Naming the columns that it has.
    """
    where = path or "the source"
    for name in wanted:
        if name not in there:
            known = ", ".join(there[:50]) + (f" and {len(there) - 50} more" if len(there) > 50 else "")
            raise SourceError(f"{where} has no column {name!r}; its columns are: {known}")
        if list(there).count(name) > 1:
            raise SourceError(f"{where} has more than one column {name!r}; rename one of them")


def read_vectors(
    table: pa.Table | pa.RecordBatch, columns: VectorColumns, rows: Int64Array, *, fill: bool = False
) -> RaggedRows:
    """Read the vectors of a part of a source.

    Parameters
    ----------
    table
        The part, with the columns of vectors.
    columns
        Which columns these are.
    rows
        Numbers of its rows in the source, (n,), to name them.
    fill
        Give rows without a vector one of NaN, for whoever drops them.

    Raises
    ------
    SourceError
        When rows have no vector.
    """
    with np.errstate(over="ignore"):  # what is too large for float32 becomes inf, and is refused as such
        if not columns.is_list:
            # Column by column into one array: many small ones leave a process in pieces that it cannot give back.
            matrix = np.empty((table.num_rows, len(columns.names)), dtype=np.float32)
            for place, name in enumerate(columns.names):
                matrix[:, place] = _read_numbers(table.column(name))
            return RaggedRows(matrix.reshape(-1), np.full(len(matrix), matrix.shape[1], dtype=np.int64))
        column = table.column(columns.names[0])
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        is_there = _flag_there(column)
        if not is_there.all():
            if not fill:
                missing = name_rows(rows[~is_there])
                raise SourceError(
                    f"vectors: {missing} of the source have none in column {columns.names[0]!r}; drop these rows "
                    "(on_bad_rows drop)"
                )
            chunks = [chunk.drop_null() for chunk in chunks]
        there = join_vectors([_read_lists(chunk, columns.names[0]) for chunk in chunks])
    return there if is_there.all() else _fill_missing(there, is_there)


def flag_bad_vectors(table: pa.Table | pa.RecordBatch, columns: VectorColumns) -> BoolArray:
    """Flag rows that have no vector, or one with a number that is missing, infinite or too large for float32.

    Parameters
    ----------
    table
        A part of a source, with the columns of vectors.
    columns
        Which columns these are.

    Returns
    -------
    bool (n,)
    """
    return flag_bad_rows(read_vectors(table, columns, np.arange(table.num_rows), fill=True))


def flag_bad_rows(vectors: RaggedRows) -> BoolArray:
    """Flag vectors with a number that is not finite; bool (n,)."""
    n_bad = np.concatenate([[0], np.cumsum(~np.isfinite(vectors.values))])
    ends = np.cumsum(vectors.lengths)
    is_bad: BoolArray = n_bad[ends] > n_bad[ends - vectors.lengths]
    return is_bad


def _flag_there(column: pa.ChunkedArray | pa.Array) -> BoolArray:
    if not column.null_count:
        return np.ones(len(column), dtype=np.bool_)
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _fill_missing(there: RaggedRows, is_there: BoolArray) -> RaggedRows:
    """Put vectors of NaN, as long as most others, where there are none."""
    usual = int(np.bincount(there.lengths).argmax()) if len(there.lengths) else 1
    lengths = np.full(len(is_there), usual, dtype=np.int64)
    lengths[is_there] = there.lengths
    values = np.full(int(lengths.sum()), np.nan, dtype=np.float32)
    values[np.repeat(is_there, lengths)] = there.values
    return RaggedRows(values, lengths)


def join_vectors(parts: Sequence[RaggedRows]) -> RaggedRows:
    """Join vectors of consecutive parts."""
    if len(parts) == 1:
        return parts[0]
    values = [np.empty(0, dtype=np.float32), *(part.values for part in parts)]
    lengths = [np.empty(0, dtype=np.int64), *(part.lengths for part in parts)]
    return RaggedRows(np.concatenate(values), np.concatenate(lengths), join_ranges([part.ranges for part in parts]))


def to_matrix(vectors: RaggedRows, rows: Int64Array, pin: VectorPin | None = None) -> Float32Array:
    """Make one matrix of the vectors of a window.

    Parameters
    ----------
    vectors
        Of its n rows.
    rows
        Numbers of these rows in the source, (n,).
    pin
        The columns that they are made of.

    Returns
    -------
    float32 (n, d)

    Raises
    ------
    SourceError
        When they differ in length, are empty or not finite; the rows are named.
    """
    lengths = vectors.lengths
    usual = int(np.bincount(lengths).argmax()) if len(lengths) else 0
    odd = np.flatnonzero(lengths != usual)
    if len(odd):
        raise SourceError(
            f"vectors differ in length within a window: {name_rows(rows[odd])} of the source, the first with "
            f"{lengths[odd[0]]} numbers where the window's others have {usual}; they must agree"
        )
    if usual == 0:
        raise SourceError(f"vectors of {name_rows(rows)} of the source are empty; at least one number was expected")
    if pin is not None and pin.dimension not in (None, usual):
        raise SourceError(
            f"column {pin.names[0]!r} has vectors of {usual:,} numbers, from row {rows[0]} on, and {pin.dimension:,} "
            "were expected, as in the run"
        )
    matrix = vectors.values.reshape(len(lengths), usual)
    refuse_not_finite(matrix, rows, pin)
    return matrix


def refuse_not_finite(matrix: Float32Array, rows: Int64Array, pin: VectorPin | None = None) -> None:
    """Refuse vectors that hold NaN or infinity.

    Raises
    ------
    SourceError
        Naming the rows of the source, and the columns where `pin` tells them.
    """
    is_bad = ~np.isfinite(matrix)
    bad = np.flatnonzero(is_bad.any(axis=1))
    if len(bad):
        raise SourceError(
            f"vectors hold NaN, infinity or values too large for float32 in {name_rows(rows[bad])} of the source"
            f"{_name_bad_columns(is_bad, pin)}; fill them, or drop these rows (on_bad_rows drop)"
        )


def _name_bad_columns(is_bad: np.ndarray[Any, Any], pin: VectorPin | None) -> str:
    """Name the columns with a bad number; of lists, the positions in them."""
    if pin is None:
        return ""
    columns = np.flatnonzero(is_bad.any(axis=0)).tolist()
    named = [f"{pin.names[0]}[{column}]" if pin.is_list else pin.names[column] for column in columns]
    return f", column{'' if len(named) == 1 else 's'} {name_some(list(map(repr, named)))}"


def _read_numbers(column: pa.ChunkedArray | pa.Array) -> np.ndarray[Any, Any]:
    # Missing numbers become NaN, which is refused with the row's number.
    numbers = column.cast(pa.float64(), safe=False)
    if isinstance(numbers, pa.ChunkedArray):
        return np.asarray(numbers.to_numpy())
    return _view_floats(numbers)


def _view_floats(array: pa.Array) -> np.ndarray[Any, Any]:
    # Not by to_numpy() where nothing is missing: it imports pandas where it is installed.
    return np.asarray(array.to_numpy(zero_copy_only=False)) if array.null_count else np.from_dlpack(array)


def _read_lists(array: pa.Array, name: str) -> RaggedRows:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if not _is_number_list(array.type):
        raise SourceError(
            f"vectors: column {name!r} holds {array.type} in a part of the source; lists of numbers were expected"
        )
    if pt.is_fixed_size_list(array.type):
        lengths = np.full(len(array), array.type.list_size, dtype=np.int64)
    else:
        lengths = np.array(np.from_dlpack(pc.list_value_length(array))).astype(np.int64)
    flat = array.flatten()
    if not pt.is_float32(flat.type) or flat.null_count:
        flat = flat.cast(pa.float64(), safe=False)
    return RaggedRows(_view_floats(flat).astype(np.float32), lengths)


def _is_number_list(kind: pa.DataType) -> bool:
    return str(kind_of(kind)).startswith("list of ")
