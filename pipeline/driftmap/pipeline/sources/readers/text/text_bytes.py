"""The bytes of a file of text, compressed or not, in pieces that end where a record does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pyarrow import fs

BLOCK_BYTES = 4 * 2**20
"""Text that is read at a time."""

MAX_RECORD_BYTES = 4 * BLOCK_BYTES
"""A quote without its partner is taken to stand in text when no record has ended until there."""

_HEAD_BYTES = 2**20
_SKIPPED_BYTES = 2**20

_CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}

COMPRESSED = tuple(_CODECS)
"""Endings of compressed files' names."""


class TextBytes:
    """The text of one file.

    Parameters
    ----------
    files
        The folder as Arrow has it.
    path
        The file's name from there.
    """

    def __init__(self, files: fs.FileSystem, path: str) -> None:
        self._files = files
        self._path = path
        self._codec = next((codec for end, codec in _CODECS.items() if path.lower().endswith(end)), None)

    @property
    def is_compressed(self) -> bool:
        """Whether it can only be read from its start."""
        return self._codec is not None

    def read_head(self) -> bytes:
        """Read its first bytes."""
        with self._open_stream() as stream:
            return bytes(stream.read(_HEAD_BYTES))

    def iterate(self, start: int, find_cut: Callable[[bytes, bool], int]) -> Iterator[tuple[bytes, int]]:
        """Read everything once, in blocks of whole records.

        Parameters
        ----------
        start
            Bytes of text that are left out before.
        find_cut
            Finds where the last whole record of some text ends, 0 where none does; called with True when a record may
            not be as long as what there is.

        Yields
        ------
        The text of a block, and where it ends.
        """
        with self._open_stream() as stream:
            _skip(stream, start)
            kept, end = b"", start
            while piece := stream.read(BLOCK_BYTES):
                kept += piece
                cut = find_cut(kept, len(kept) >= MAX_RECORD_BYTES)
                if cut:
                    end += cut
                    yield kept[:cut], end
                    kept = kept[cut:]
            if kept.strip():
                yield kept, end + len(kept)

    def read_ranges(self, ranges: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """Read some ranges of bytes, ascending and apart."""
        if self._codec is None:
            with self._files.open_input_file(self._path) as file:
                for begin, end in ranges:
                    yield bytes(file.read_at(end - begin, begin))
            return
        with self._open_stream() as stream:
            position = 0
            for begin, end in ranges:
                _skip(stream, begin - position)
                yield bytes(stream.read(end - begin))
                position = end

    @contextmanager
    def _open_stream(self) -> Iterator[pa.NativeFile]:
        with self._files.open_input_stream(self._path, compression=None) as stream:
            if self._codec is None:
                yield stream
            else:
                with pa.CompressedInputStream(stream, self._codec) as text:
                    yield text


def _skip(stream: pa.NativeFile, n_bytes: int) -> None:
    while n_bytes > 0:
        skipped = len(stream.read(min(n_bytes, _SKIPPED_BYTES)))
        if not skipped:
            return
        n_bytes -= skipped
