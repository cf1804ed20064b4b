"""The files of a source: which there are, of which format, and the columns that their folders' names make."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.sources.locations import SourcePlace
    from driftmap.pipeline.sources.stamps import FileStamp

_PACKED = ("", ".gz", ".zst", ".bz2")

SUFFIXES = {
    "parquet": (".parquet", ".pq", ".parq"),
    "csv": tuple(f".{end}{packed}" for packed in _PACKED for end in ("csv", "tsv")),
    "json": tuple(f".{end}{packed}" for packed in _PACKED for end in ("jsonl", "ndjson", "json")),
    "arrow": (".arrow", ".feather", ".ipc", ".arrows"),
}
"""Endings of the names of files, by format."""

FORMAT_NAMES = {"parquet": "Parquet", "csv": "CSV", "json": "JSON lines", "arrow": "Arrow IPC"}
"""What each format is called."""

SAVED_STATE, SAVED_SPLITS = "state.json", "dataset_dict.json"
"""Files in a folder that `datasets.save_to_disk` wrote: of one data set, and of several, one in each folder."""

_MAGIC = {b"PAR1": "parquet", b"ARRO": "arrow"}
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
    if kind == "arrow" and place.has(SAVED_STATE):
        return place, place.stamp_files(_list_saved(place))
    files = [stamp for stamp in place.list_stamps() if _is_data(stamp.path, SUFFIXES[kind])]
    if not files:
        ends = ", ".join(SUFFIXES[kind])
        raise SourceError(f"the folder {place} has no {FORMAT_NAMES[kind]} files (names that end in {ends})")
    return place, files


def find_format(place: SourcePlace) -> str:
    """Find the format of a file, or of the files below a folder: by the endings of names.

    Raises
    ------
    SourceError
        When it is none that is read, or a folder has files of several.
    """
    if place.find_kind() == "file":
        found = next((kind for kind, ends in SUFFIXES.items() if place.file_name.lower().endswith(ends)), None)
        return found or _look_at_magic(place)
    if place.has(SAVED_STATE):
        return "arrow"
    if place.has(SAVED_SPLITS):
        names = place.list_folders()
        raise SourceError(f"{place} holds several data sets ({', '.join(names)}); name one, such as {place}/{names[0]}")
    files = [stamp.path for stamp in place.list_stamps()]
    counts = {kind: sum(_is_data(name, ends) for name in files) for kind, ends in SUFFIXES.items()}
    there = [kind for kind, count in counts.items() if count]
    if "json" in there and len(there) > 1 and not any(_is_data(name, (".jsonl", ".ndjson")) for name in files):
        there.remove("json")  # what others write beside data
    if len(there) > 1:
        shown = " and ".join(f"{counts[kind]:,} of {FORMAT_NAMES[kind]}" for kind in there)
        raise SourceError(
            f"the folder {place} has files of several formats ({shown}); name a folder, or a file, of one"
        )
    if not there:
        known = ", ".join(FORMAT_NAMES.values())
        ends = ", ".join(ends[0] for ends in SUFFIXES.values())
        raise SourceError(
            f"the folder {place} has no files that are read ({known}: names that end in {ends}), nor Zarr"
        )
    return there[0]


def _look_at_magic(place: SourcePlace) -> str:
    above = place.above()
    stamp = above.stamp_files([place.file_name])[0]
    begin = bytes(above.read_head(place.file_name, min(4, stamp.size)))
    if begin in _MAGIC:
        return _MAGIC[begin]
    ends = ", ".join(ends[0] for ends in SUFFIXES.values())
    raise SourceError(
        f"{place} is of no format that is read; a name that ends in {ends}, a folder of such files, or a Zarr array or "
        "group was expected"
    )


def _list_saved(place: SourcePlace) -> list[str]:
    """List the files of a folder that `datasets.save_to_disk` wrote, in the order of its rows."""
    try:
        state = json.loads(place.read(SAVED_STATE) or b"")
        names = [entry["filename"] for entry in state["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{place}/{SAVED_STATE} is not what datasets.save_to_disk writes ({error})") from error
    if not names:
        raise SourceError(f"the data set {place} has no files")
    return names


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
