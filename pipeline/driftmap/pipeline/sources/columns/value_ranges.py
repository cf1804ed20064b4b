"""Least and largest values of vectors' columns, of the types whose numbers float32 rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from driftmap.engine import float32_holds
from driftmap.pipeline.sources.protocol import ValueRanges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine.types import Int64Array


_SAMPLE_ROWS = 64
"""Rows at the beginning, in the middle and at the end that are looked at of a source that tells no ranges."""

_MOST_FEATURES = 10_000_000
"""Features of sparse rows whose ranges are looked for: each takes 24 bytes meanwhile."""


def choose_sample(n_rows: int) -> Int64Array:
    """Choose row ranges at the beginning, in the middle and at the end of so many rows, int64 (r, 2)."""
    if n_rows <= 3 * _SAMPLE_ROWS:
        return np.array([[0, n_rows]], dtype=np.int64)
    starts = np.array([0, (n_rows - _SAMPLE_ROWS) // 2, n_rows - _SAMPLE_ROWS], dtype=np.int64)
    return np.stack([starts, starts + _SAMPLE_ROWS], axis=1)


def find_ranges(matrix: np.ndarray[Any, Any]) -> ValueRanges | None:
    """Find the ranges of a matrix's columns; None where float32 holds its numbers. NaN counts for nothing."""
    if float32_holds(matrix.dtype) or not matrix.size:
        return None
    return ValueRanges(
        tuple(np.fmin.reduce(matrix, axis=0).tolist()),
        tuple(np.fmax.reduce(matrix, axis=0).tolist()),
    )


def find_sparse_ranges(matrices: Sequence[Any]) -> ValueRanges | None:
    """Find the ranges of sparse matrices' features, whose numbers are 0 where none is stored; None as `find_ranges`."""
    rows = [matrix.tocsr() for matrix in matrices]
    width = max((part.shape[1] for part in rows), default=0)
    if all(float32_holds(part.dtype) for part in rows) or width > _MOST_FEATURES:
        return None
    kind = np.result_type(*(part.dtype for part in rows))
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    lows, highs = np.full(width, limits.max, dtype=kind), np.full(width, limits.min, dtype=kind)
    n_stored = np.zeros(width, dtype=np.int64)
    for part in rows:
        np.fmin.at(lows, part.indices, part.data)
        np.fmax.at(highs, part.indices, part.data)
        n_stored += np.bincount(part.indices, minlength=width)
    has_zeros = n_stored < sum(part.shape[0] for part in rows)
    lows[has_zeros], highs[has_zeros] = np.minimum(lows, 0)[has_zeros], np.maximum(highs, 0)[has_zeros]
    return ValueRanges(tuple(lows.tolist()), tuple(highs.tolist()))


def find_table_ranges(table: pa.Table, names: Sequence[str], *, is_list: bool) -> ValueRanges | None:
    """Find the ranges of a table's columns of vectors; None where float32 holds the numbers of all of them."""
    columns = [table.column(name) for name in names]
    if is_list:
        chunks = [_view_numbers(chunk) for chunk in columns[0].chunks]
        columns = [pa.chunked_array(chunks)] if chunks else []
    if not any(is_rounded(column.type) for column in columns):
        return None
    found = [pc.min_max(column).as_py() for column in columns]
    if any(one["min"] is None for one in found):
        return None
    return ValueRanges(tuple(as_number(one["min"]) for one in found), tuple(as_number(one["max"]) for one in found))


def join_ranges(parts: Sequence[ValueRanges | None]) -> ValueRanges | None:
    """Join the ranges of parts; None where one of them has none, or another number of columns."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts) or len({len(part.lows) for part in known}) > 1:
        return None
    lows, highs = zip(*(part.lows for part in known), strict=True), zip(*(part.highs for part in known), strict=True)
    return ValueRanges(tuple(map(min, lows)), tuple(map(max, highs)))


def merge_ranges(files: Sequence[Mapping[str, tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    """Give the least and the largest value over all files, of the columns of which each file tells them."""
    names = [name for name in files[0] if all(name in file for file in files)] if files else []
    return {name: (min(file[name][0] for file in files), max(file[name][1] for file in files)) for name in names}


def pick_ranges(
    found: Mapping[str, tuple[float, float]], names: Sequence[str], schema: pa.Schema
) -> ValueRanges | None:
    """Give the ranges of the columns of vectors, where those of all are known and float32 rounds some."""
    if not names or not all(name in found for name in names):
        return None
    if not any(is_rounded(_find_number_type(schema.field(name).type)) for name in names):
        return None
    return ValueRanges(tuple(found[name][0] for name in names), tuple(found[name][1] for name in names))


def is_rounded(kind: pa.DataType) -> bool:
    """Tell whether a type of Arrow has numbers that float32 rounds."""
    return bool(pt.is_float64(kind) or pt.is_decimal(kind) or (pt.is_integer(kind) and kind.bit_width >= 32))


def as_number(value: Any) -> float:
    """Give a number of Arrow as Python's: a whole one as it is, of any size; bytes are a half float of Parquet's."""
    if isinstance(value, bytes):
        return float(np.frombuffer(value, dtype="<f2")[0])
    return value if isinstance(value, int) else float(value)


def _find_number_type(kind: pa.DataType) -> pa.DataType:
    kind = kind.storage_type if isinstance(kind, pa.ExtensionType) else kind
    return kind.value_type if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind) else kind


def _view_numbers(chunk: pa.Array) -> pa.Array:
    return chunk.storage.flatten() if isinstance(chunk, pa.ExtensionArray) else chunk.flatten()
