"""Columns of keys and labels: Arrow arrays to numpy arrays, without objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from driftmap.pipeline.config.time_spans import MICROSECONDS
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.protocol import KeyFacts
from driftmap.pipeline.sources.row_ranges import name_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.pipeline.config.run_config import SourceSpec

    Column = np.ndarray[Any, Any]

MAX_ID_BYTES = 1024
MAX_LABEL_BYTES = 4096
"""Longest ids and labels: texts are stored as bytes of one width, that of the longest."""


def read_key(column: pa.ChunkedArray, name: str, spec: SourceSpec) -> Column:
    """Read a column that windows are planned by, as what the source's specification says it is.

    Raises
    ------
    SourceError
        When values are missing, or the column's type cannot be used.
    """
    column = _as_plain(column)
    _refuse_missing(column, name)
    reader = _read_times if name == spec.time else _read_ids if name == spec.id else _read_values
    return _read_chunks(column, name, reader)


def read_label(column: pa.ChunkedArray, name: str) -> Column:
    """Read a column to colour by; a missing text is empty, a missing number NaN, a missing date NaT."""
    return _read_chunks(_as_plain(column), name, _read_labels)


def describe_column(column: pa.ChunkedArray) -> KeyFacts:
    """Say what the type of a column tells of its values."""
    if pt.is_timestamp(column.type):
        return KeyFacts(zone=column.type.tz)
    if not (pt.is_dictionary(column.type) and column.type.ordered):
        return KeyFacts()
    # Parts may have dictionaries of their own; values that only a later one has follow.
    values = dict.fromkeys(value for chunk in column.chunks for value in chunk.dictionary.to_pylist())
    return KeyFacts(categories=tuple(str(value) for value in values if value is not None))


def join_parts(parts: Sequence[Column], name: str) -> Column:
    """Join a column's parts, as they come from several files.

    Raises
    ------
    SourceError
        When some hold text and others numbers.
    """
    kinds = {"number" if part.dtype.kind in "iufb" else part.dtype.kind for part in parts}
    if len(kinds) > 1:
        shown = ", ".join(sorted({str(part.dtype) for part in parts}))
        raise SourceError(f"column {name!r} is not of one type in all parts of the source ({shown}); convert it to one")
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def as_column(values: object, name: str) -> pa.ChunkedArray:
    """Make an Arrow column of anything one-dimensional: numpy, Arrow, a list, a pandas series.

    Raises
    ------
    SourceError
        When it is not one-dimensional, or of mixed types.
    """
    if isinstance(values, pa.ChunkedArray):
        return values
    if not isinstance(values, pa.Array):
        # Categories of pandas keep their order as an Arrow dictionary.
        is_categorical = hasattr(getattr(values, "dtype", None), "categories")
        values = values if is_categorical else _as_arrow_input(values, name)
    try:
        made = pa.array(values)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SourceError(f"column {name!r} cannot be read as one type of value ({error})") from error
    return made if isinstance(made, pa.ChunkedArray) else pa.chunked_array([made])


def _as_arrow_input(values: Any, name: str) -> Any:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise SourceError(
            f"column {name!r} is of no one length ({error}); one value for each row was expected"
        ) from error
    if array.ndim != 1:
        raise SourceError(f"column {name!r} has shape {array.shape}; one value for each row was expected")
    if array.dtype.kind == "M":
        return array.astype(MICROSECONDS)
    # numpy turns lists of mixed types into text, and new text types into what Arrow does not know.
    return array if array.dtype.kind in "iufbSU" and isinstance(values, np.ndarray) else list(values)


def _read_chunks(column: pa.ChunkedArray, name: str, reader: Callable[[pa.Array, str], Column]) -> Column:
    try:
        return join_parts([reader(chunk, name) for chunk in column.chunks], name)
    except pa.ArrowException as error:
        raise SourceError(f"column {name!r} ({column.type}) cannot be read: {error}") from error


def _as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take off what only changes how values are kept: extension types, dictionaries, views."""
    chunks = [_as_plain_chunk(chunk) for chunk in column.chunks or [pa.array([], column.type)]]
    return pa.chunked_array(chunks)


def _as_plain_chunk(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if pt.is_string_view(array.type):
        return array.cast(pa.large_string())
    return array.cast(pa.large_binary()) if pt.is_binary_view(array.type) else array


def _refuse_missing(column: pa.ChunkedArray, name: str) -> None:
    missing = column.is_null(nan_is_null=pt.is_floating(column.type))
    if pc.any(missing).as_py():
        rows = np.flatnonzero(missing.to_numpy())
        raise SourceError(
            f"column {name!r} has no value in {name_rows(rows)} of the source; every row needs one: "
            "fill it, or drop these rows"
        )


def _read_times(array: pa.Array, name: str) -> Column:
    if pt.is_timestamp(array.type) or pt.is_date(array.type):
        return np.array(array.to_numpy(zero_copy_only=False)).astype(MICROSECONDS)
    remedy = "pandas.to_datetime(column, unit='s')" if pt.is_integer(array.type) else "pandas.to_datetime(column)"
    raise SourceError(
        f"time column {name!r} holds {array.type}, not times; dates or timestamps were expected: convert it, such as "
        f"with {remedy}, or make windows by its values (by) or by rows (rows)"
    )


def _read_ids(array: pa.Array, name: str) -> Column:
    if pt.is_integer(array.type) or pt.is_floating(array.type):
        return np.array(array.cast(pa.int64()).to_numpy())
    if _is_text(array.type):
        _refuse_trailing_zeros(array, name)
        return to_fixed_bytes(array, name, MAX_ID_BYTES)
    raise SourceError(f"id column {name!r} holds {array.type}; whole numbers, text or bytes were expected")


def _read_values(array: pa.Array, name: str) -> Column:
    if pt.is_integer(array.type):
        return np.array(array.cast(pa.int64()).to_numpy())
    if pt.is_floating(array.type) or pt.is_decimal(array.type):
        return np.array(array.cast(pa.float64()).to_numpy())
    if pt.is_boolean(array.type):
        return np.array(array.to_numpy(zero_copy_only=False), dtype=np.bool_)
    if pt.is_timestamp(array.type) or pt.is_date(array.type):
        return np.array(array.to_numpy(zero_copy_only=False)).astype(MICROSECONDS)
    if _is_text(array.type):
        return to_fixed_bytes(array, name, MAX_ID_BYTES)
    raise SourceError(f"column {name!r} holds {array.type}; numbers, text or dates were expected")


def _read_labels(array: pa.Array, name: str) -> Column:
    if pt.is_integer(array.type) and array.null_count:
        array = array.cast(pa.float64())
    if pt.is_decimal(array.type):
        array = array.cast(pa.float64())
    if pt.is_integer(array.type) or pt.is_floating(array.type):
        return np.array(array.to_numpy(zero_copy_only=False))
    if pt.is_timestamp(array.type) or pt.is_date(array.type):
        return np.array(array.to_numpy(zero_copy_only=False)).astype(MICROSECONDS)
    if pt.is_boolean(array.type) and not array.null_count:
        return np.array(array.to_numpy(zero_copy_only=False), dtype=np.bool_)
    if not _is_text(array.type):
        if pt.is_nested(array.type):
            raise SourceError(f"label column {name!r} holds {array.type}; numbers, text or dates were expected")
        array = array.cast(pa.string())
    return to_fixed_bytes(array.cast(pa.large_binary()).fill_null(b""), name, MAX_LABEL_BYTES)


def to_fixed_bytes(array: pa.Array, name: str, limit: int) -> Column:
    """Turn texts or bytes, none missing, into numpy's bytes of one width: that of the longest; text as UTF-8.

    Raises
    ------
    SourceError
        When one is longer than `limit`.
    """
    width = pc.max(pc.binary_length(array)).as_py() or 0
    if width > limit:
        raise SourceError(f"column {name!r} has values of up to {width:,} bytes; at most {limit:,} were expected")
    if width == 0:
        return np.zeros(len(array), dtype="S1")
    as_bytes = array.cast(pa.large_binary())
    zeros, nothing = pa.scalar(b"\0" * width, pa.large_binary()), pa.scalar(b"", pa.large_binary())
    padded = pc.binary_slice(pc.binary_join_element_wise(as_bytes, zeros, nothing), 0, width)
    _, offsets, data = padded.buffers()
    first = int(np.frombuffer(offsets, dtype=np.int64)[padded.offset])
    flat = np.frombuffer(data, dtype=np.uint8)[first : first + len(array) * width]
    return flat.view(f"S{width}").copy()


def _refuse_trailing_zeros(array: pa.Array, name: str) -> None:
    if pt.is_fixed_size_binary(array.type):
        return  # of one width: numpy's bytes keep them apart
    ends = pc.ends_with(array.cast(pa.large_binary()), b"\0")
    if pc.any(ends).as_py():
        raise SourceError(
            f"id column {name!r} has values that end in a zero byte, which bytes of one width cannot keep; "
            "give them as text (hexadecimal, for one) or as whole numbers"
        )


def _is_text(kind: pa.DataType) -> bool:
    is_binary = pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind)
    return bool(is_binary or pt.is_string(kind) or pt.is_large_string(kind))
