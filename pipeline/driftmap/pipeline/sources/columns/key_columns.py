"""Columns of keys and labels: Arrow arrays to numpy arrays, without objects."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from driftmap.pipeline.config.times.time_spans import MICROSECONDS
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.moments import read_moments, to_numbers
from driftmap.pipeline.sources.columns.periods import refuse_period_type
from driftmap.pipeline.sources.columns.texts import to_objects
from driftmap.pipeline.sources.row_ranges import name_rows
from driftmap.pipeline.store.id_types import (
    UINT64,
    UUID,
    as_arrow_type,
    encode_bytes,
    find_width,
    is_bytes,
    name_id_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec

    Column = np.ndarray[Any, Any]

_ARROW_UNITS = [(unit, 1) for unit in ("D", "s", "ms", "us", "ns")]

MAX_ID_BYTES = 1024
ID_KINDS = "whole numbers, text, bytes, UUIDs, dates or decimals"

MAX_LABEL_BYTES = 4096
"""Longest ids and labels: texts are stored as bytes of one width, that of the longest."""

MAX_PROSE = 1024
"""Characters that are read of texts, and of what is shown: four bytes each at most."""


def read_key(column: pa.ChunkedArray, name: str, spec: SourceSpec) -> Column:
    """Read a column that windows are planned by, as what the source's specification says it is.

    Raises
    ------
    SourceError
        When values are missing, or the column's type cannot be used.
    """
    if name == spec.id and spec.id != spec.time:
        reader: Callable[[pa.Array, str], Column] = partial(_read_ids, spec=spec)
    else:
        reader = partial(read_moments if name == spec.time else _read_values, clock=spec.clock)
    refuse_period_type(column.type, name)
    column = as_plain(column)
    if name == spec.id and spec.id != spec.time and spec.on_bad_rows == "drop":
        column = _fill_missing(column)
    _refuse_missing(column, name)
    return _read_chunks(column, name, reader)


def flag_missing(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Flag rows that have no value; bool (n,)."""
    missing = as_plain(column).combine_chunks()
    return np.asarray(missing.is_null(nan_is_null=pt.is_floating(column.type)).to_numpy(zero_copy_only=False))


def read_label(column: pa.ChunkedArray, name: str, spec: SourceSpec) -> Column:
    """Read a column to colour by, to show or to read words of; a missing text is empty, a number NaN, a date NaT.

    Of what is shown, and of texts, no more than MAX_PROSE characters are read, and they come as bytes objects; longer
    labels are refused.
    """
    refuse_period_type(column.type, name)
    column = as_plain(column)
    if spec.is_prose(name) and _is_text(column.type):
        column = _cut(column)
    is_label = name in spec.label or not spec.is_prose(name)
    return _read_chunks(column, name, _read_labels if is_label else partial(_read_labels, as_objects=True))


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

    What a masked array of numpy hides is missing.

    Raises
    ------
    SourceError
        When it is not one-dimensional, or of mixed types.
    """
    if isinstance(values, pa.ChunkedArray):
        return values
    mask = np.zeros(0, dtype=np.bool_)
    if isinstance(values, np.ma.MaskedArray):
        values, mask = values.data, np.ma.getmaskarray(values)
    if not isinstance(values, pa.Array):
        # What pandas has types of its own for, Arrow reads as it is: categories in their order, missing whole numbers.
        is_extension = type(values).__module__.startswith("pandas") and not isinstance(
            getattr(values, "dtype", None), np.dtype
        )
        values = values if is_extension else _as_arrow_input(values, name)
    try:
        made = values if isinstance(values, pa.Array) else pa.array(values)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SourceError(f"column {name!r} cannot be read as one type of value ({error})") from error
    if mask.any():
        made = pc.if_else(pa.array(mask), pa.scalar(None, made.type), made)
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
    if not array.dtype.isnative:  # as HDF5, FITS and netCDF may give them
        values = array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "M":
        if np.datetime_data(array.dtype)[0] in ("Y", "M", "W"):
            return array.astype("datetime64[D]")  # dates still: no time of day comes up
        return array if np.datetime_data(array.dtype) in _ARROW_UNITS else array.astype(MICROSECONDS)
    if array.dtype.kind == "S":
        return _as_arrow_bytes(array)
    # numpy turns lists of mixed types into text, and new text types into what Arrow does not know.
    return array if array.dtype.kind in "iufb" and isinstance(values, np.ndarray) else list(values)


def _as_arrow_bytes(array: Column) -> pa.Array:
    """Give numpy's bytes to Arrow, which takes them only up to their first zero; zeros at their end are padding."""
    width = max(1, array.dtype.itemsize)
    matrix = np.ascontiguousarray(array.astype(f"S{width}")).view(np.uint8).reshape(len(array), width)
    lengths = width - np.argmax(matrix[:, ::-1] != 0, axis=1)
    lengths[~matrix.any(axis=1)] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = matrix[np.arange(width) < lengths[:, None]]
    return pa.Array.from_buffers(pa.large_binary(), len(array), [None, pa.py_buffer(offsets), pa.py_buffer(values)])


def _read_chunks(column: pa.ChunkedArray, name: str, reader: Callable[[pa.Array, str], Column]) -> Column:
    try:
        return join_parts([reader(chunk, name) for chunk in column.chunks], name)
    except pa.ArrowException as error:
        raise SourceError(
            f"column {name!r} ({column.type}) cannot be read: {error}; convert it, such as to text"
        ) from error


def as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take off what only changes how values are kept: extension types, dictionaries, views."""
    chunks = [_as_plain_chunk(chunk) for chunk in column.chunks or [pa.array([], column.type)]]
    return pa.chunked_array(chunks)


def _as_plain_chunk(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        values = _as_plain_chunk(array.dictionary)  # of views, as polars gives them, Arrow decodes none
        array = pa.DictionaryArray.from_arrays(array.indices, values).dictionary_decode()
    if pt.is_string_view(array.type):
        return array.cast(pa.large_string())
    return array.cast(pa.large_binary()) if pt.is_binary_view(array.type) else array


def _fill_missing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put the first id that there is where there is none; these rows are dropped (`find_bad_rows`)."""
    is_missing = flag_missing(column)
    if not is_missing.any() or is_missing.all():
        return column
    places = np.where(is_missing, np.argmin(is_missing), np.arange(len(column)))
    return column.take(pa.array(places))


def _refuse_missing(column: pa.ChunkedArray, name: str) -> None:
    missing = column.is_null(nan_is_null=pt.is_floating(column.type))
    if pc.any(missing).as_py():
        rows = np.flatnonzero(missing.to_numpy())
        raise SourceError(
            f"column {name!r} has no value in {name_rows(rows)} of the source; every row needs one: "
            "fill it, or drop these rows (of ids: on_bad_rows drop)"
        )


def _read_ids(array: pa.Array, name: str, *, spec: SourceSpec) -> Column:
    """Read ids as they are kept; those of another kind than the run's are refused."""
    if spec.id_type is not None:
        return _read_typed_ids(array, name, spec.id_type)
    if pt.is_integer(array.type) or pt.is_floating(array.type):
        if pt.is_uint64(array.type) and (pc.max(array).as_py() or 0) >= 2**63:
            raise SourceError(
                f"id column {name!r} holds whole numbers of 2**63 and more, and the run's ids are int64; give them as "
                "text, or make a new store"
            )
        return _read_whole(array, name)
    is_text = pt.is_string(array.type) or pt.is_large_string(array.type)
    if is_text or (spec.pin is None and _is_text(array.type)):  # bytes: a store of before 0.2
        _refuse_trailing_zeros(array, name)
        return to_fixed_bytes(array, name, MAX_ID_BYTES)
    is_known = spec.pin is not None and name_id_type(array.type) is not None
    expected = "whole numbers or text were expected, as in the run" if is_known else f"{ID_KINDS} were expected"
    raise SourceError(f"id column {name!r} holds {array.type}; {expected}")


def _read_whole(array: pa.Array, name: str) -> Column:
    try:
        return to_numbers(array.cast(pa.int64()))
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"column {name!r} ({array.type}) cannot be read as ids: some are no whole numbers of 64 bits ({error}); "
            "name another column, or convert it to whole numbers or text"
        ) from error


def _read_typed_ids(array: pa.Array, name: str, id_type: str) -> Column:
    """Read ids of a type whose values are kept in another form; see `id_types`."""
    kind, expected = array.type, as_arrow_type(id_type)
    is_fitting = _name_family(name_id_type(kind)) == _name_family(id_type)
    is_fitting |= bool(pt.is_date(kind) and pt.is_timestamp(expected))  # numpy's months, in stores of before 0.2
    if not (pt.is_integer(kind) if id_type == UINT64 else is_fitting):
        raise SourceError(f"id column {name!r} holds {kind}, and {id_type} was expected, as in the run; convert it")
    if id_type == UINT64:
        return to_numbers(array.cast(pa.uint64()))
    if is_bytes(id_type):
        return _read_bytes(array, name, id_type)
    kept = array.cast(expected)
    if pt.is_decimal(expected):
        return to_fixed_bytes(kept.cast(pa.string()), name, MAX_ID_BYTES)
    width = {32: pa.int32(), 64: pa.int64()}[expected.bit_width]
    return to_numbers(kept.cast(width).cast(pa.int64()))


def _read_bytes(array: pa.Array, name: str, id_type: str) -> Column:
    lengths = pc.min_max(pc.binary_length(array)).as_py()
    shortest, longest = lengths["min"] or 0, lengths["max"] or 0
    _refuse_long(longest, name, MAX_ID_BYTES)
    width = find_width(id_type)
    if width is not None and len(array) and not shortest == longest == width:
        raise SourceError(
            f"id column {name!r} has values of {shortest} to {longest} bytes, and {width} were expected ({id_type}), "
            "as in the run"
        )
    return to_fixed_bytes(encode_bytes(array, is_uuid=id_type == UUID), name, 2 * MAX_ID_BYTES)


def _name_family(id_type: str | None) -> str:
    """Name what types have in common that hold the same values: bytes, decimals, moments."""
    return "bytes" if is_bytes(id_type) else re.split(r"[\d\[(]", id_type or "")[0]


def _read_values(array: pa.Array, name: str, clock: str | None = None) -> Column:
    if pt.is_uint64(array.type):
        return to_numbers(array)
    if pt.is_integer(array.type):
        return to_numbers(array.cast(pa.int64()))
    if pt.is_floating(array.type) or pt.is_decimal(array.type):
        return to_numbers(array.cast(pa.float64()))
    if pt.is_boolean(array.type):
        return np.array(array.to_numpy(zero_copy_only=False), dtype=np.bool_)
    if pt.is_timestamp(array.type) or pt.is_date(array.type):
        return read_moments(array, name, clock)
    if _is_text(array.type):
        return to_fixed_bytes(_as_readable(array), name, MAX_ID_BYTES)
    raise SourceError(f"column {name!r} holds {array.type}; numbers, text or dates were expected")


def _read_labels(array: pa.Array, name: str, *, as_objects: bool = False) -> Column:
    if pt.is_integer(array.type) and array.null_count:
        array = array.cast(pa.float64())
    if pt.is_decimal(array.type):
        array = array.cast(pa.float64())
    if pt.is_integer(array.type) or pt.is_floating(array.type):
        return np.array(array.to_numpy(zero_copy_only=False)) if array.null_count else to_numbers(array)
    if pt.is_timestamp(array.type) or pt.is_date(array.type):
        return np.array(array.to_numpy(zero_copy_only=False)).astype(MICROSECONDS)
    if pt.is_boolean(array.type) and not array.null_count:
        return np.array(array.to_numpy(zero_copy_only=False), dtype=np.bool_)
    if not _is_text(array.type):
        if pt.is_nested(array.type):
            raise SourceError(f"label column {name!r} holds {array.type}; numbers, text or dates were expected")
        array = array.cast(pa.string())
    texts = _as_readable(array.cast(pa.large_binary()).fill_null(_make_scalar(b"")))
    return to_objects(texts) if as_objects else to_fixed_bytes(texts, name, MAX_LABEL_BYTES)


def _cut(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pt.is_string(column.type) or pt.is_large_string(column.type):
        return pc.utf8_slice_codeunits(column, 0, MAX_PROSE)
    return pc.binary_slice(column.cast(pa.large_binary()), 0, MAX_PROSE)


def to_fixed_bytes(array: pa.Array, name: str, limit: int) -> Column:
    """Turn texts or bytes, none missing, into numpy's bytes of one width: that of the longest; text as UTF-8.

    Raises
    ------
    SourceError
        When one is longer than `limit`.
    """
    width = pc.max(pc.binary_length(array)).as_py() or 0
    _refuse_long(width, name, limit)
    if width == 0:
        return np.zeros(len(array), dtype="S1")
    as_bytes = array.cast(pa.large_binary())
    zeros, nothing = _make_scalar(b"\0" * width), _make_scalar(b"")
    padded = pc.binary_slice(pc.binary_join_element_wise(as_bytes, zeros, nothing), 0, width)
    _, offsets, data = padded.buffers()
    first = int(np.frombuffer(offsets, dtype=np.int64)[padded.offset])
    flat = np.frombuffer(data, dtype=np.uint8)[first : first + len(array) * width]
    return flat.view(f"S{width}").copy()


def _make_texts(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    # Of buffers: pa.array() and pa.scalar() import pandas where it is installed.
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int64)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))])


def _make_scalar(value: bytes) -> pa.Scalar:
    return _make_texts([value], pa.large_binary())[0]


def _refuse_long(width: int, name: str, limit: int) -> None:
    if width > limit:
        raise SourceError(f"column {name!r} has values of up to {width:,} bytes; at most {limit:,} were expected")


def _refuse_trailing_zeros(array: pa.Array, name: str) -> None:
    if pt.is_fixed_size_binary(array.type):
        return  # of one width: numpy's bytes keep them apart
    ends = pc.ends_with(array.cast(pa.large_binary()), b"\0")
    if pc.any(ends).as_py():
        raise SourceError(
            f"id column {name!r} has values that end in a zero byte, which bytes of one width cannot keep; "
            "give them as text (hexadecimal, for one) or as whole numbers"
        )


def _as_readable(array: pa.Array) -> pa.Array:
    """Write values that are not text without zero bytes in hexadecimal: bytes of one width would end at a zero."""
    if pt.is_string(array.type) or pt.is_large_string(array.type):
        return array
    encoded = array.cast(pa.large_binary()).dictionary_encode()
    texts = [_read_text(value).encode() for value in encoded.dictionary.to_pylist()]
    return _make_texts(texts, pa.large_string()).take(encoded.indices)


def _read_text(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()
    return value.hex() if "\0" in text else text


def _is_text(kind: pa.DataType) -> bool:
    is_binary = pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind)
    return bool(is_binary or pt.is_string(kind) or pt.is_large_string(kind))
