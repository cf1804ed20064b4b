"""CSV and JSON lines: where a record ends, and how some of them become a table."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.json as pj

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NEWLINE, _QUOTE = b"\n"[0], b'"'[0]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DELIMITERS = (",", "\t", ";", "|")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_COUNTED = "\0"
"""Column that no file has: rows are counted by it."""


class TextFormat(Protocol):
    """How the bytes of a file are read."""

    names: tuple[str, ...] | None
    """Columns, where the file's begin tells."""
    n_skipped: int
    """Bytes before the first record."""
    is_text: bool
    """Whether values say by themselves nothing of their type."""

    def find_cut(self, data: bytes, is_long: bool) -> int:  # noqa: FBT001 - called by position
        """Find where the last whole record ends; 0 where there is none. Of what is long, no quote spans all."""

    def parse(self, data: bytes, columns: Sequence[str] | None, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of whole records (None: all); those without a type as what they look like."""

    def count(self, data: bytes) -> int:
        """Count whole records."""


_BINARY_STARTS = {
    b"PAR1": "Parquet (.parquet)",
    b"ARROW1": "Arrow IPC (.arrow)",
    b"\x1f\x8b": "gzip (.csv.gz)",
    b"(\xb5/\xfd": "Zstandard (.csv.zst)",
}


class CsvFormat:
    """CSV with a line of names; fields are separated by what is most frequent in it.

    Parameters
    ----------
    head
        The first bytes of the file.
    path
        Of the file, for messages.
    """

    is_text = True

    def __init__(self, head: bytes, path: str) -> None:
        start = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
        end = _find_record_end(head[start:], first=True)
        line = head[start : start + end] if end else head[start:]
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise SourceError(f"{path} is not UTF-8 ({error}); {_advise_on_bytes(head)}") from error
        bare = re.sub(r'"[^"]*"', "", text)
        if "\r" in bare:
            raise SourceError(
                f"{path} has carriage returns alone as ends of lines, as old programs of the Macintosh write them; "
                "convert it, such as with tr '\\r' '\\n'"
            )
        self._delimiter = max(_DELIMITERS, key=bare.count)
        try:
            names = next(csv.reader(io.StringIO(text), delimiter=self._delimiter), [])
        except csv.Error as error:  # a name of 131,072 characters, for one
            raise SourceError(f"{path} has no line of names that can be read ({error}); add one") from error
        self.names: tuple[str, ...] | None = tuple(names)
        self.n_skipped = start + len(line)
        # Whole numbers may be names, such as pandas gives to columns that have none.
        if not self.names or (all(map(_NUMBER.fullmatch, self.names)) and not all(map(str.isdigit, self.names))):
            raise SourceError(f"{path} has no names of columns in its first line ({text[:80]!r}); add a line of names")

        twice = next((name for name in self.names if self.names.count(name) > 1), None)
        if twice is not None:
            raise SourceError(f"{path} has more than one column {twice!r}; rename one of them")

    def find_cut(self, data: bytes, is_long: bool) -> int:  # noqa: FBT001 - called by position
        """Find where the last whole record ends; see `TextFormat`."""
        return _find_record_end(data) or (data.rfind(b"\n") + 1 if is_long else 0)

    def parse(self, data: bytes, columns: Sequence[str] | None, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of whole records; see `TextFormat`."""
        convert = pc.ConvertOptions(
            include_columns=None if columns is None else list(columns),
            column_types={name: kind for name, kind in types.items() if columns is None or name in columns},
        )
        return self._read(data, convert)

    def count(self, data: bytes) -> int:
        """Count whole records; see `TextFormat`."""
        first = (self.names or ("",))[0]
        return int(self._read(data, pc.ConvertOptions(include_columns=[first], check_utf8=False)).num_rows)

    def _read(self, data: bytes, convert: pc.ConvertOptions) -> pa.Table:
        read = pc.ReadOptions(column_names=list(self.names or ()), use_threads=False, block_size=max(1, len(data)))
        parse = pc.ParseOptions(delimiter=self._delimiter, newlines_in_values=True)
        return pc.read_csv(pa.BufferReader(data), read, parse, convert)


def _advise_on_bytes(head: bytes) -> str:
    """Say what to do about a file whose first bytes are not UTF-8."""
    known = next((name for start, name in _BINARY_STARTS.items() if head.startswith(start)), None)
    if known is not None:
        return f"it holds {known}: name it so"
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin1"
    return f"convert it, such as with iconv -f {encoding} -t utf-8"


class JsonLinesFormat:
    """One JSON object in each line.

    Parameters
    ----------
    head
        The first bytes of the file.
    path
        Of the file, for messages.
    """

    is_text = False
    names: tuple[str, ...] | None = None

    def __init__(self, head: bytes, path: str) -> None:
        self.n_skipped = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0
        begin = head[self.n_skipped :].lstrip()[:1]
        if begin != b"{":
            hint = "; jq -c '.[]' makes lines of an array" if begin == b"[" else ""
            raise SourceError(f"{path} holds no JSON lines: one object in each line was expected{hint}")

    def find_cut(self, data: bytes, is_long: bool) -> int:  # noqa: ARG002, FBT001 - of the protocol
        """Find where the last line ends; see `TextFormat`."""
        return data.rfind(b"\n") + 1

    def parse(self, data: bytes, columns: Sequence[str] | None, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Read some columns of whole records; see `TextFormat`."""
        wanted = {name: kind for name, kind in types.items() if columns is None or name in columns}
        return self._read(data, wanted, "infer" if columns is None else "ignore")

    def count(self, data: bytes) -> int:
        """Count whole records; see `TextFormat`."""
        return int(self._read(data, {_COUNTED: pa.int8()}, "ignore").num_rows)

    def _read(self, data: bytes, types: Mapping[str, pa.DataType], others: str) -> pa.Table:
        parse = pj.ParseOptions(explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior=others)
        read = pj.ReadOptions(use_threads=False, block_size=max(1, len(data)))
        return pj.read_json(pa.BufferReader(data), read, parse)


FORMATS: dict[str, type[CsvFormat | JsonLinesFormat]] = {"csv": CsvFormat, "json": JsonLinesFormat}


def explain_column(message: str, names: Sequence[str], first_row: int) -> str:
    """Say what Arrow says of a column by its number, or of a row of a block, by name and by the number in the file."""
    found = re.search(r"In CSV column #(\d+): (?:Row #\d+: )?(.*)", message, re.DOTALL)
    if found is not None and int(found[1]) < len(names):
        message = f"column {names[int(found[1])]!r}: {found[2]}"
    found = re.search(r"Column\(/([^)/]*)[^)]*\) (.*)", message, re.DOTALL)
    if found is not None:
        message = f"column {found[1]!r} {found[2]}"
    return f"{message.removeprefix('CSV parse error: ')} (in row {first_row:,} of the file or after it)"


def _find_record_end(data: bytes, *, first: bool = False) -> int:
    """Find the end of the last record, or of the first: a newline that is not between quotes."""
    array = np.frombuffer(data, dtype=np.uint8)
    newlines = np.flatnonzero(array == _NEWLINE)
    quotes = np.flatnonzero(array == _QUOTE)
    if len(quotes):
        newlines = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return 0 if not len(newlines) else int(newlines[0 if first else -1]) + 1
