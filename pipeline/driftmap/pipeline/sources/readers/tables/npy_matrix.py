"""Vectors in `.npy` files beside a table: one matrix for all of its rows, or one for each of its files."""

from __future__ import annotations

import io
import mmap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.value_ranges import choose_sample, find_ranges
from driftmap.pipeline.sources.locations import SourcePlace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from driftmap.engine.types import Float32Array, Int64Array
    from driftmap.pipeline.sources.protocol import ValueRanges
    from driftmap.pipeline.sources.stamps import FileStamp

    Matrix = np.ndarray[Any, Any]

_HEADER_BYTES = 4096

SUFFIX = ".npy"

MAPPED_BYTES = 8 * 2**20
"""What is mapped at most, passed-over rows included, before it is let go."""


class NpyVectors:
    """Vectors of a table's rows, in the table's order; read as they are asked for.

    Parameters
    ----------
    path
        A `.npy` file with a row for each row of the table; or a folder with one for each file of the table, of the same
        name but for its ending.
    names, counts
        Files of the table, from its folder, and their rows.
    table
        What the table is called in messages.

    Raises
    ------
    SourceError
        When files are missing, hold no matrix of numbers, or not as many rows as the table.
    """

    def __init__(self, path: str, names: Sequence[str], counts: Sequence[int], table: str) -> None:
        place = SourcePlace(path)
        kind = place.find_kind()
        if kind is None:
            raise SourceError(f"vectors_file: no such file or folder: {place}")
        if kind == "file":
            base, files, counts = place.above(), [place.file_name], [sum(counts)]
        else:
            base, files = place, [_swap_ending(name) for name in names]
        self.stamps: list[FileStamp] = base.stamp_files(files)
        parts = [_open(base, stamp) for stamp in self.stamps]
        for part, count in zip(parts, counts, strict=True):
            if part.shape[0] != count:
                raise SourceError(
                    f"vectors_file: {part.name} has {part.shape[0]:,} rows, and {table} {count:,}; one row for each "
                    "was expected, in the same order"
                )
        widths = sorted({part.shape[1] for part in parts})
        if len(widths) > 1:
            raise SourceError(f"vectors_file: the files of {place} have vectors of {widths[0]} and {widths[1]} numbers")
        self.name = place.file_name
        self.n_features = widths[0]
        self.item_bytes = max(part.dtype.itemsize for part in parts)
        self._parts = parts
        self._ends = np.cumsum([part.shape[0] for part in parts])

    def read(self, runs: Int64Array) -> Float32Array:
        """Read the vectors of row ranges, ascending and apart."""
        total = int((runs[:, 1] - runs[:, 0]).sum())
        matrix = np.empty((total, self.n_features), dtype=np.float32)
        place = let_go_at = 0
        most_rows = MAPPED_BYTES // (self.item_bytes * self.n_features)
        with np.errstate(over="ignore"):  # becomes inf, and is refused as such
            for start, stop in runs.tolist():
                for number, first, last in self._split(start, stop):
                    matrix[place : place + last - first] = self._parts[number].read(first, last)
                    place += last - first
                if stop - let_go_at >= most_rows:
                    self._let_go()
                    let_go_at = stop
        self._let_go()
        return matrix

    def sample_ranges(self) -> ValueRanges | None:
        """Find the ranges of some rows, of the numbers as they are stored."""
        runs = choose_sample(int(self._ends[-1]))
        if not runs[-1, 1]:
            return None
        pieces = [piece for start, stop in runs.tolist() for piece in self._split(start, stop)]
        return find_ranges(np.concatenate([self._parts[number].read(first, last) for number, first, last in pieces]))

    def _let_go(self) -> None:
        for part in self._parts:
            part.let_go()

    def _split(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Split a row range into those of the files: number of each, first and last of its own rows."""
        begin = 0
        for number, end in enumerate(self._ends.tolist()):
            first, last = max(start, begin), min(stop, end)
            if first < last:
                yield number, first - begin, last - begin
            begin = end


class _NpyFile:
    """A matrix in a file: mapped where it is on this machine, else read range by range."""

    def __init__(self, base: SourcePlace, stamp: FileStamp) -> None:
        self.name = base.name(stamp.path)
        self._base, self._path = base, stamp.path
        self._mapped: Matrix | None = None
        if base.is_local:
            self._mapped = np.lib.format.open_memmap(base.folder / stamp.path, mode="r")
            self.shape, self.dtype, is_fortran = self._mapped.shape, self._mapped.dtype, False
        else:
            header = io.BytesIO(base.read_head(stamp.path, min(_HEADER_BYTES, stamp.size)))
            version = np.lib.format.read_magic(header)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, is_fortran, self.dtype = read(header)
            self._begin = header.tell()
        if len(self.shape) != 2 or self.dtype.kind not in "iufb" or not self.shape[1] or is_fortran:
            order = ", column by column" if is_fortran else ""
            raise SourceError(
                f"vectors_file: {self.name} has shape {self.shape} and type {self.dtype}{order}; a matrix (n, d) of "
                "numbers was expected"
            )

    def read(self, start: int, stop: int) -> Matrix:
        if self._mapped is not None:
            return self._mapped[start:stop]
        width = self.shape[1] * self.dtype.itemsize
        data = self._base.read_range(self._path, self._begin + start * width, (stop - start) * width)
        return np.frombuffer(data, dtype=self.dtype).reshape(stop - start, self.shape[1])

    def let_go(self) -> None:
        """Have what was read count no longer as this process's memory: it stays in the system's cache."""
        mapped: Any = None if self._mapped is None else self._mapped.base
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _open(base: SourcePlace, stamp: FileStamp) -> _NpyFile:
    try:
        return _NpyFile(base, stamp)
    except (ValueError, OSError, EOFError) as error:
        name = base.name(stamp.path)
        raise SourceError(f"vectors_file: {name} is no .npy file that can be read ({error})") from error


def _swap_ending(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] + SUFFIX))
