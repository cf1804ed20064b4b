"""What the footer of a Parquet file says of its columns' sizes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from driftmap.pipeline.sources.columns.value_ranges import as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow.parquet as pq

    from driftmap.engine.types import Int64Array

_LEVEL_BYTES = 4
"""Beside each value of a list while it is decoded: its repetition and definition level."""

_VALUE_BYTES = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}

PAGE_BYTES = 2 * 2**20
"""A column's dictionary and the page that is being decoded, 1 MiB each as files are usually written."""


class GroupSizes(NamedTuple):
    """Sizes of some columns of a file, in its row group where they are largest."""

    n_leaves: int
    """Columns as the file stores them."""
    row_bytes: int
    """Of a row, decoded."""
    row_values: int
    """Numbers in a row."""
    page_bytes: int
    """Of what is read of all columns at once, besides what is decoded."""
    stored_bytes: int
    """Of all columns as they lie in the file."""

    @classmethod
    def largest(cls, several: Iterable[Self]) -> Self:
        """Take the largest of each size."""
        return cls(*map(max, zip(*several, strict=True)))


def measure_columns(metadata: pq.FileMetaData, names: Sequence[str]) -> GroupSizes:
    """Measure columns by a file's footer; those it does not have count for nothing."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return GroupSizes.largest([GroupSizes(0, 0, 0, 0, 0), *(_measure_group(group, names) for group in groups)])


def measure_groups(metadata: pq.FileMetaData, names: Sequence[str]) -> Int64Array:
    """Measure columns of each row group as they lie in the file, in bytes (g,)."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    sizes = [sum(group.column(leaf).total_compressed_size for leaf in _find_leaves(group, names)) for group in groups]
    return np.array(sizes, dtype=np.int64)


def measure_length(metadata: pq.FileMetaData, name: str) -> int | None:
    """Tell the length of a column's lists, as far as the footer shows that all may have it; None otherwise."""
    lengths: set[int | None] = set()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for leaf in _find_leaves(group, [name]) if group.num_rows else []:
            length, rest = divmod(group.column(leaf).num_values, group.num_rows)
            lengths.add(None if rest else length)
    return lengths.pop() if len(lengths) == 1 else None


def count_nulls(metadata: pq.FileMetaData, names: Sequence[str]) -> dict[str, int]:
    """Count the missing values of columns, where the footer tells; columns without any are left out."""
    counts: dict[str, int] = {}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for leaf in _find_leaves(group, names):
            chunk = group.column(leaf)
            statistics = chunk.statistics
            if statistics is not None and statistics.has_null_count and statistics.null_count:
                path = chunk.path_in_schema
                name = path if path in names else path.partition(".")[0]
                counts[name] = counts.get(name, 0) + statistics.null_count
    return counts


def find_ranges(metadata: pq.FileMetaData, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Find the least and the largest value of each column, or of its lists, where all row groups tell."""
    ranges: dict[str, tuple[float, float]] = {}
    unknown: set[str] = set()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for leaf in _find_leaves(group, names):
            path, statistics = group.column(leaf).path_in_schema, group.column(leaf).statistics
            name = path if path in names else path.partition(".")[0]
            if statistics is None or not statistics.has_min_max:
                unknown.add(name)
                continue
            low, high = ranges.get(name, (math.inf, -math.inf))
            ranges[name] = min(low, as_number(statistics.min)), max(high, as_number(statistics.max))
    return {name: found for name, found in ranges.items() if name not in unknown}


def _measure_group(group: pq.RowGroupMetaData, names: Sequence[str]) -> GroupSizes:
    found = [_measure_chunk(group.column(leaf), group.num_rows) for leaf in _find_leaves(group, names)]
    sums = (math.ceil(sum(chunk[i] for chunk in found)) for i in range(4))
    return GroupSizes(len(found), *sums)


def _find_leaves(group: pq.RowGroupMetaData, names: Sequence[str]) -> list[int]:
    paths = [group.column(leaf).path_in_schema for leaf in range(group.num_columns)]
    wanted = set(names)
    return [leaf for leaf, path in enumerate(paths) if path in wanted or path.partition(".")[0] in wanted]


def _measure_chunk(chunk: pq.ColumnChunkMetaData, n_rows: int) -> tuple[float, float, float, int]:
    n_values = chunk.num_values / max(1, n_rows)
    width = _VALUE_BYTES.get(chunk.physical_type)
    # Text: no longer on average than it is stored, unless a dictionary holds it once for many rows.
    row_bytes = chunk.total_uncompressed_size / max(1, n_rows) + 8 if width is None else n_values * width
    is_list = "." in chunk.path_in_schema
    levels = n_values * _LEVEL_BYTES if is_list else 0
    # A page as it is stored, and as it is decoded.
    page_bytes = min(2 * chunk.total_uncompressed_size, PAGE_BYTES)
    return row_bytes + levels, n_values, page_bytes, chunk.total_compressed_size
