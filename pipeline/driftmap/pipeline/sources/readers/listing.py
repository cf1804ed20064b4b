"""The files of a source: which there are, of which format, and the columns that their folders' names make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.sources.locations import SourcePlace
    from driftmap.pipeline.sources.stamps import FileStamp

SUFFIXES = {
    "parquet": (".parquet", ".pq", ".parq"),
}
"""Endings of the names of files, by format."""

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class FolderColumns(NamedTuple):
    """The columns that folders such as `year=2020` make."""

    fields: tuple[pa.Field, ...]
    """Of all files together."""
    values: tuple[dict[str, Any], ...]
    """Of each file."""


def list_files(
    place: SourcePlace, only: Sequence[str] = (), kind: str = "parquet"
) -> tuple[SourcePlace, list[FileStamp]]:
    """List the files of a source. Names that begin with `.` or `_` are passed over.

    Parameters
    ----------
    place
        A file, or a folder.
    only
        Names of the files to list, from the folder; empty: all.
    kind
        Their format.

    Returns
    -------
    The folder that they lie below, `place` itself where it is one; and the files, by their names from there.

    Raises
    ------
    SourceError
        When there are none, or one that was named is gone.
    """
    if only:
        return place, place.stamp_files(only)
    found = place.find_kind()
    if found is None:
        raise SourceError(f"no such file or folder: {place}")
    if found == "file":
        above = place.above()
        return above, above.stamp_files([place.file_name])
    files = [stamp for stamp in place.list_stamps() if _is_data(stamp.path, SUFFIXES[kind])]
    if not files:
        raise SourceError(f"the folder {place} has no Parquet files (names that end in {', '.join(SUFFIXES[kind])})")
    return place, files


def find_folder_columns(names: Sequence[str]) -> FolderColumns:
    """Read the columns in the names of folders: whole numbers where all values are, text otherwise."""
    values = [_read_folders(name) for name in names]
    fields = []
    for column in dict.fromkeys(column for each in values for column in each):
        there = [each for each in values if column in each]
        kind = _find_type([each[column] for each in there if each[column] is not None])
        if kind != pa.string():
            for each in there:
                each[column] = None if each[column] is None else int(each[column])
        fields.append(pa.field(column, kind))
    return FolderColumns(tuple(fields), tuple(values))


def _read_folders(name: str) -> dict[str, Any]:
    parts = [part.partition("=") for part in name.split("/")[:-1]]
    return {unquote(key): None if text == _NO_VALUE else unquote(text) for key, sign, text in parts if sign and key}


def _find_type(texts: Sequence[str]) -> pa.DataType:
    # As Arrow's data sets have it, but for numbers beyond 32 bits.
    for kind in (pa.int32(), pa.int64()):
        try:
            pa.array(texts, pa.string()).cast(kind)
        except pa.ArrowInvalid:
            continue
        return kind if texts else pa.string()
    return pa.string()


def _is_data(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.lower().endswith(suffixes) and not any(part.startswith((".", "_")) for part in name.split("/"))
