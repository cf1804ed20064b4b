"""Arrays of a store: the one file that imports zarr.

Every array is plain Zarr v3: one chunk until it is large, blosc-lz4 with shuffle, a crc32c last. Text and bytes are
stored as rows of bytes, dates as integers, each with an attribute that says what it was, so nothing needs pickle.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import zarr
from zarr.storage import ObjectStore

from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.store.checks import METADATA, describe_files, digest_bytes
from driftmap.pipeline.store.encoding import encode_array, encode_group_metadata
from driftmap.pipeline.store.location import Location, shorten_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_CHUNK_BYTES = 64 * 2**20
"""Raw size above which an array is cut into several chunks, along its rows."""

_KIND = "driftmap_kind"
"""Attribute that says what rows of bytes, or integers, stand for."""


class ArrayLike(Protocol):
    """An array that is read by slicing; it may lie on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """What one element is."""

    def __getitem__(self, selection: Any, /) -> Any:
        """Read a part of the array as a numpy array."""


class ArrayEntry(NamedTuple):
    """One array of a Zarr group, as `list_arrays` finds it."""

    name: str
    """Path below the group, `/` between its parts."""
    shape: tuple[int, ...]
    dtype: Any


def open_array(place: Location | Path) -> ArrayLike:
    """Open one array of a user's Zarr data (format 2 or 3) for reading.

    Parameters
    ----------
    place
        Folder of the array itself; inside a group, `<group>/<name>`.

    Raises
    ------
    SourceError
        When there is no Zarr array at `place`.
    """
    location = Location.of(place)
    opened = _open_foreign(location)
    if not isinstance(opened, zarr.Array):
        raise SourceError(f"{place} is a Zarr group, an array was expected; name one of: {_shown(location)}")
    return opened


def list_arrays(place: Location | Path) -> list[ArrayEntry]:
    """List the arrays of a user's Zarr group, sorted by name; empty where `place` is itself an array.

    Raises
    ------
    SourceError
        When there is no Zarr data at `place`.
    """
    location = Location.of(place)
    return list(_iterate_arrays(location)) if isinstance(_open_foreign(location), zarr.Group) else []


def is_array(place: Location | Path) -> bool:
    """Whether `place` is the folder of one Zarr array (format 2 or 3); False for a group and for anything else."""
    try:
        return isinstance(_open_foreign(Location.of(place)), zarr.Array)
    except SourceError:
        return False


def write_arrays(root: Location | Path, group: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> int:
    """Write a new group of arrays below a store's root.

    Parameters
    ----------
    root
        Where the store lies.
    group
        Path of the group below it; it must be new, since chunks of two writers would mix.
    arrays
        The arrays by name: numbers, booleans, bytes, text or dates, of any length.

    Returns
    -------
    Bytes that the group takes in the store.

    Raises
    ------
    StoreError
        When the group is there already, an array cannot be stored, or the store cannot be written.
    """
    location = Location(root)
    parents, files = _encode_group(group, arrays)
    location.create_all({name: content for name, content in parents.items() if not location.has(name)})
    own = files.pop(f"{group}/{METADATA}")
    # Its own file, which tells of all others, comes last.
    if not (location.create_all(files) and location.create(f"{group}/{METADATA}", own)):
        raise StoreError(f"the group {group} of {root} is there already; an attempt is written once")
    return len(own) + sum(map(len, files.values()))


def read_array(root: Location | Path, name: str, where: str) -> np.ndarray[Any, Any]:
    """Read one whole array of a store, sure that every byte is what was written.

    Parameters
    ----------
    root, name
        Where the store lies; path of the array below it.
    where
        What the array belongs to, for the error: `window 'congress 104'`.

    Raises
    ------
    StoreError
        When the array or one of its chunks is missing, or its checksum does not agree.
    """
    location = Location(root)
    what = f"{where}: array {name!r} in {location}"
    try:
        store = ObjectStore(location.files, read_only=True)
        array = zarr.open_array(store, path=name, mode="r", zarr_format=3)
        _refuse_missing_chunks(location, array, name, what)
        values = np.asarray(array[...])
        kind = array.attrs.get(_KIND)
    except StoreError:
        raise
    except FileNotFoundError as error:
        raise StoreError(f"{what} is missing; the store was damaged after it was written") from error
    except Exception as error:  # zarr and its codecs raise ValueError, RuntimeError, KeyError, ... for damaged data
        raise StoreError(
            f"{what} is damaged ({shorten_error(error)}); restore the store from a copy, or run it again"
        ) from error
    return _decode(values, kind if isinstance(kind, str) else None)


def digest_values(values: np.ndarray[Any, Any]) -> str:
    """Tell arrays apart: the same for the same values, however they are stored."""
    encoded, kind = _encode(np.ascontiguousarray(values))
    return _digest_encoded(encoded, kind)


def _digest_encoded(encoded: np.ndarray[Any, Any], kind: str | None) -> str:
    return digest_bytes(f"{encoded.dtype.str} {encoded.shape} {kind}".encode(), encoded)


def _encode_group(group: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Make the files of the groups above a group, and of the group itself."""
    folders = group.split("/")
    above = ["/".join([*folders[:depth], METADATA]) for depth in range(len(folders))]
    parts: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for name, values in arrays.items():
        encoded, kind = _encode(np.ascontiguousarray(values))
        metadata, chunks = encode_array(encoded, _choose_chunks(encoded), {} if kind is None else {_KIND: kind})
        parts |= {f"{name}/{METADATA}": metadata, **{f"{name}/{key}": chunk for key, chunk in chunks.items()}}
        digests[name] = _digest_encoded(encoded, kind)
    own = encode_group_metadata(describe_files(dict(sorted(parts.items())), digests))
    files = {f"{group}/{name}": content for name, content in parts.items()}
    return dict.fromkeys(above, encode_group_metadata({})), {**files, f"{group}/{METADATA}": own}


def _open_foreign(location: Location) -> zarr.Array[Any] | zarr.Group:
    if location.is_local and not location.folder.exists():
        raise SourceError(f"no such file or folder: {location}")
    if location.is_local and not location.folder.is_dir():
        raise SourceError(f"{location} is a file; a Zarr array or group is a folder")
    try:
        return zarr.open(ObjectStore(location.files, read_only=True), mode="r")
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{location} holds no Zarr array or group that can be read ({error})") from error


def _iterate_arrays(location: Location, prefix: str = "") -> Iterator[ArrayEntry]:
    # Walked folder by folder: consolidated metadata hides what was added later, and zarr warns of other folders.
    for name in location.list_folders():
        child = location.below(name)
        node_type = _read_node_type(child)
        if node_type == "array":
            array = open_array(child)
            yield ArrayEntry(prefix + name, tuple(array.shape), array.dtype)
        elif node_type == "group":
            yield from _iterate_arrays(child, f"{prefix}{name}/")


def _read_node_type(location: Location) -> str | None:
    for name, node_type in ((".zarray", "array"), (".zgroup", "group")):
        if location.has(name):
            return node_type
    try:
        told = json.loads(location.read("zarr.json") or b"null")["node_type"]
    except (ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, str) else None


def _shown(location: Location) -> str:
    return ", ".join(entry.name for entry in _iterate_arrays(location)) or "(it has none)"


def _choose_chunks(values: np.ndarray[Any, Any]) -> tuple[int, ...]:
    row_bytes = max(1, values.itemsize * int(np.prod(values.shape[1:])))
    n_rows = max(1, min(len(values), MAX_CHUNK_BYTES // row_bytes))
    return (n_rows, *(max(1, length) for length in values.shape[1:]))


def _refuse_missing_chunks(location: Location, array: zarr.Array[Any], name: str, what: str) -> None:
    if array.size == 0:
        return
    for row in range(-(-array.shape[0] // array.chunks[0])):
        key = array.metadata.encode_chunk_key((row,) + (0,) * (array.ndim - 1))
        if not location.has(f"{name}/{key}"):
            raise StoreError(f"{what} lacks its chunk {key}; the store was damaged after it was written")


def _encode(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], str | None]:
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    kind = values.dtype.kind
    if kind == "M":
        return values.view(np.int64), values.dtype.name
    if kind in "UO":
        texts = ["" if value is None else str(value) for value in values.tolist()]
        return _as_byte_rows(np.array([text.encode() for text in texts], dtype=np.bytes_)), "text"
    if kind == "S":
        return _as_byte_rows(values), "bytes"
    if kind in "biuf":
        return values, None
    raise StoreError(f"arrays of dtype {values.dtype} cannot be stored; give numbers, text, bytes or dates")


def _as_byte_rows(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    width = max(1, values.dtype.itemsize)
    return np.ascontiguousarray(values.astype(f"S{width}")).view(np.uint8).reshape(len(values), width)


def _decode(values: np.ndarray[Any, Any], kind: str | None) -> np.ndarray[Any, Any]:
    if kind is None:
        return values
    if kind == "text" and values.size and values.max() < 128:  # 100,000 texts in 1 ms; one by one they take 110
        return values.astype(np.uint32).view(f"U{values.shape[1]}").reshape(len(values))
    if kind in ("text", "bytes"):
        rows = np.ascontiguousarray(values).view(f"S{values.shape[1]}").reshape(len(values))
        return np.char.decode(rows, "utf-8") if kind == "text" else rows
    return values.view(kind)
