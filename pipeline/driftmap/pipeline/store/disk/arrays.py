"""Arrays of a store.

Every array is plain Zarr v3: one chunk until it is large, blosc-lz4 with shuffle, a crc32c last. Small groups
are one file, see `packed.py`. Text and bytes are stored as rows of bytes, dates as integers, each with an attribute
that says what it was, so nothing needs pickle.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk.byte_rows import ByteRows
from driftmap.pipeline.store.disk.checks import (
    METADATA,
    VALUES,
    describe_file,
    describe_files,
    digest_bytes,
    digest_parts,
    name_remedy,
    read_digests,
)
from driftmap.pipeline.store.disk.encoding import (
    DamagedArrayError,
    Form,
    encode_chunks,
    encode_group_metadata,
    encode_metadata,
)
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.disk.packed import GroupFiles, is_packed, pack_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_CHUNK_BYTES = 64 * 2**20
"""Raw size above which an array is cut into several chunks, along its rows."""

_KIND = "driftmap_kind"
"""Attribute that says what rows of bytes, or integers, stand for."""

_ARRAY = "driftmap_array"
"""Attribute that says the array's path below the store; beside it stands the digest of its values (`VALUES`)."""

_MARKED: set[tuple[str, str]] = set()
"""Metadata of groups above others that this process wrote to buckets."""


def write_arrays(
    root: Location | Path, group: str, arrays: Mapping[str, np.ndarray[Any, Any]], unsynced: list[str] | None = None
) -> int:
    """Write a new group of arrays below a store's root.

    Parameters
    ----------
    root
        Where the store lies.
    group
        Path of the group below it; it must be new, since chunks of two writers would mix. Where it ends with ".zip",
        the group is packed into one file of this name.
    arrays
        The arrays by name: numbers, booleans, bytes, text or dates, of any length.
    unsynced
        Takes the names of the files, as `Location.create_all` says: several groups are synced in one go.

    Returns
    -------
    Bytes that the group takes in the store.

    Raises
    ------
    StoreError
        When the group is there already, an array cannot be stored, or the store cannot be written.
    """
    for values in arrays.values():
        _refuse_kind(values)  # before anything is written
    location, n_bytes = Location.of(root), 0
    files = _encode_group(group, arrays)
    if is_packed(group):  # a store of its own to Zarr, not a part of the groups above it
        packed = pack_files({name.removeprefix(f"{group}/"): content for name, content in files})
        marks, files = {}, iter([(group, packed)])
    else:
        marks = _find_missing_marks(location, _name_parents(group))

    def count() -> Iterator[tuple[str, bytes]]:
        nonlocal n_bytes
        for name, content in files:
            n_bytes += len(content)
            yield name, content

    # The group's own file, which tells of all others, is the last.
    if not location.create_all(count(), marks=marks, unsynced=unsynced):
        raise StoreError(f"the group {group} of {root} is there already; an attempt is written once")
    if not location.is_local:
        _MARKED.update((str(location), name) for name in marks)
    return n_bytes


def write_shared_arrays(root: Location, group: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write a group that is named by its content: what is there of it, after a kill or by another process, is the same.

    Parameters
    ----------
    root, group, arrays
        As for `write_arrays`.
    """
    parents = _name_parents(group)
    marks = {name: content for name, content in parents.items() if not _is_whole(root.read(name))}
    for name, content in chain(marks.items(), _encode_group(group, arrays)):
        if root.read(name) != content:  # none, or one that a power failure has torn
            root.replace(name, content)


def forget_marks(location: Location) -> None:
    """Look for the metadata of all groups above others again; the store there may be another now."""
    _MARKED.difference_update([mark for mark in _MARKED if mark[0] == str(location)])


def _find_missing_marks(location: Location, marks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Choose what is to be written; in a bucket, where nothing is torn, that is all that this process did not write."""
    if location.is_local:
        return {name: content for name, content in marks.items() if not _is_whole(location.read(name))}
    return {name: content for name, content in marks.items() if (str(location), name) not in _MARKED}


def _is_whole(mark: bytes | None) -> bool:
    """Whether the metadata of a group without attributes of ours is there, and was not torn by a power failure."""
    return mark is not None and mark.rstrip().endswith(b"}") and b"\0" not in mark


def read_checked(
    root: Location | Path, group: str, array: str, where: str, n_rows: int | None = None
) -> np.ndarray[Any, Any]:
    """Read one whole array of a group that `write_arrays` wrote, and compare it with the digest that it was given.

    An array's metadata holds the digest of its values and the array's own path, so that reading takes no file more.
    Of older groups the metadata of the group holds the digests; those of driftmap's first stores hold none: there the
    checksums of the chunks are all there is.

    Parameters
    ----------
    root, group, array
        Where the store lies; path of the group below it; name of the array.
    where
        What the array belongs to, for the error: `window 'congress 104'`.
    n_rows
        What the log says; compared before memory is taken.

    Raises
    ------
    StoreError
        When the array is missing, damaged, or is not the one that was written there.
    """
    return read_of_group(GroupFiles(Location(root), group), array, where, n_rows)


def read_of_group(there: GroupFiles, array: str, where: str, n_rows: int | None = None) -> np.ndarray[Any, Any]:
    """Read one whole array as `read_checked` does, of a group whose files are at hand."""
    what = f"{where}: array {array!r} of {there.group} in {there.location}"
    form = _read_form(there, array, what)
    expected = form.attributes.get(VALUES)
    if expected is None:
        expected = _find_older_digest(there, array, form, what)
    elif form.attributes.get(_ARRAY) != f"{there.group}/{array}":
        raise _damaged(there, f"{what} is of another place: files were exchanged")
    values, kind = _read_values(there, array, form, what, n_rows)
    if expected is not None and _digest_encoded(values, kind) != expected:
        raise _damaged(there, f"{what} holds other values than were written there")
    return _decode(values, kind)


def read_array(root: Location | Path, name: str, where: str, n_rows: int | None = None) -> np.ndarray[Any, Any]:
    """Read one whole array of a store; damage to a chunk is found by its checksum.

    Parameters
    ----------
    root, name
        Where the store lies; path of the array below it.
    where
        What the array belongs to, for the error: `window 'congress 104'`.
    n_rows
        What the log says; compared before memory is taken.

    Raises
    ------
    StoreError
        When the array or one of its chunks is missing, or its checksum does not agree.
    """
    location, (group, _, array) = Location(root), name.rpartition("/")
    what = f"{where}: array {name!r} in {location}"
    there = GroupFiles(location, group)
    form = _read_form(there, array, what)
    return _decode(*_read_values(there, array, form, what, n_rows))


class RowChunk(NamedTuple):
    """Some rows of an array, as they are stored."""

    start: int
    """Of the chunk's first row in the array."""
    values: np.ndarray[Any, Any]
    """Numbers; of texts and bytes uint8 (n, width), with zeros behind shorter ones."""
    kind: str | None
    """What the values stand for; see `decode`."""

    def decode(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Give the values of some rows, by their numbers in the chunk."""
        return _decode(self.values[rows], self.kind)


def list_chunks(
    there: GroupFiles, array: str, where: str, n_rows: int, rows: np.ndarray[Any, Any] | None = None
) -> Iterator[RowChunk]:
    """Read an array chunk by chunk, so that memory is that of one; damage to a chunk is found by its checksum.

    Parameters
    ----------
    there, array, where, n_rows
        As for `read_of_group`.
    rows
        Numbers of rows, ascending; only chunks that hold any of them are read. None: all.

    Raises
    ------
    StoreError
        When the array is missing, is of another place, or a chunk is damaged.
    """
    what = f"{where}: array {array!r} of {there.group} in {there.location}"
    form = _read_form(there, array, what)
    if form.attributes.get(_ARRAY, f"{there.group}/{array}") != f"{there.group}/{array}":
        raise _damaged(there, f"{what} is of another place: files were exchanged")
    if form.shape[0] != n_rows:
        raise _damaged(there, f"{what} is damaged (it has {form.shape[0]:,} rows, the log says {n_rows:,})")
    kind = form.attributes.get(_KIND)
    for number, key in enumerate(form.list_keys()):
        start, end = number * form.chunk_shape[0], min(n_rows, (number + 1) * form.chunk_shape[0])
        if rows is not None and np.searchsorted(rows, start) == np.searchsorted(rows, end):
            continue
        alone = form._replace(shape=(end - start, *form.shape[1:]))
        try:
            values = alone.decode([_read_chunk(there, array, key, what)])
        except DamagedArrayError as error:
            raise _damaged(there, f"{what} is damaged ({error})") from error
        yield RowChunk(start, values, kind if isinstance(kind, str) else None)
        del values  # before the next chunk is read


def _read_form(there: GroupFiles, array: str, what: str) -> Form:
    metadata = there.read(f"{array}/{METADATA}")
    if metadata is None:
        missing = f" ({there.explain(METADATA)})" if is_packed(there.group) else ""
        raise _damaged(there, f"{what} is missing{missing}")
    try:
        return Form.of(metadata)
    except DamagedArrayError as error:
        raise _damaged(there, f"{what}: its {METADATA} is damaged ({error})") from error


def _find_older_digest(there: GroupFiles, array: str, form: Form, what: str) -> str | None:
    """Find the digest of an array whose own metadata has none in that of its group; None where it has none either."""
    known = read_digests(there)
    if isinstance(known, str):
        raise _damaged(there, f"{what} cannot be checked: {known}")
    if known is None:
        return None
    found = known.get(array)
    if found is None:
        raise _damaged(there, f"{what} was never written")
    if digest_bytes(form.metadata) != found.metadata:
        raise _damaged(there, f"{what}: its {METADATA} is damaged")
    return found.values


def _read_values(
    there: GroupFiles, array: str, form: Form, what: str, n_rows: int | None
) -> tuple[np.ndarray[Any, Any], str | None]:
    """Read an array as it is stored, and the kind of what its values stand for."""
    try:
        if n_rows is not None and form.shape[0] != n_rows:
            raise DamagedArrayError(f"its metadata say {form.shape[0]:,} rows, the log says {n_rows:,}")
        if form.n_chunks > 1 and not there.has(last := f"{array}/{form.name_chunk(form.n_chunks - 1)}"):
            raise DamagedArrayError(f"its metadata say {form.n_chunks:,} chunks, and {last} is missing")
        values = form.decode(_read_chunk(there, array, key, what) for key in form.list_keys())
    except DamagedArrayError as error:
        raise _damaged(there, f"{what} is damaged ({error})") from error
    kind = form.attributes.get(_KIND)
    return values, kind if isinstance(kind, str) else None


def _read_chunk(there: GroupFiles, array: str, key: str, what: str) -> bytes:
    chunk = there.read(f"{array}/{key}")
    if chunk is None:
        raise _damaged(there, f"{what} lacks its chunk {key}")
    return chunk


def _damaged(there: GroupFiles, said: str) -> StoreError:
    """Make the error of an array that is not what was written."""
    return StoreError(f"{said}; {name_remedy(there.location)}")


def digest_values(values: np.ndarray[Any, Any]) -> str:
    """Tell arrays apart: the same for the same values, however they are stored."""
    encoded, kind = _encode(np.ascontiguousarray(values))
    return _digest_encoded(encoded, kind)


def _digest_encoded(encoded: np.ndarray[Any, Any] | ByteRows, kind: str | None) -> str:
    parts = encoded.list_parts() if isinstance(encoded, ByteRows) else (encoded,)
    return digest_parts(chain((f"{encoded.dtype.str} {encoded.shape} {kind}".encode(),), parts))


def _name_parents(group: str) -> dict[str, bytes]:
    """Make the files of the groups above a group."""
    folders = group.split("/")
    above = ["/".join([*folders[:depth], METADATA]) for depth in range(len(folders))]
    return dict.fromkeys(above, encode_group_metadata({}))


def _encode_group(group: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Iterator[tuple[str, bytes]]:
    """Make the files of a group one after the other, so that no two chunks are held; its own metadata come last."""
    described: dict[str, list[Any]] = {}
    digests: dict[str, str] = {}
    for name, values in arrays.items():
        encoded, kind = _encode(np.ascontiguousarray(values))
        digests[name] = _digest_encoded(encoded, kind)
        attributes = {VALUES: digests[name], _ARRAY: f"{group}/{name}"} | ({} if kind is None else {_KIND: kind})
        shape = _choose_chunks(encoded)
        own = (METADATA, encode_metadata(encoded, shape, attributes))
        for key, content in chain([own], encode_chunks(encoded, shape)):
            described[f"{name}/{key}"] = describe_file(content)
            yield f"{group}/{name}/{key}", content
    yield f"{group}/{METADATA}", encode_group_metadata(describe_files(group, dict(sorted(described.items())), digests))


def _choose_chunks(values: np.ndarray[Any, Any] | ByteRows) -> tuple[int, ...]:
    row_bytes = max(1, values.dtype.itemsize * int(np.prod(values.shape[1:])))
    n_rows = max(1, min(len(values), MAX_CHUNK_BYTES // row_bytes))
    return (n_rows, *(max(1, length) for length in values.shape[1:]))


def _encode(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any] | ByteRows, str | None]:
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    kind = values.dtype.kind
    if kind == "M":
        return values.view(np.int64), values.dtype.name
    if kind in "UO":
        is_bytes = kind == "O" and len(values) > 0 and all(isinstance(value, bytes) for value in values.tolist())
        return ByteRows.of(values), "bytes" if is_bytes else "text"
    if kind == "S":
        return _as_byte_rows(values), "bytes"
    _refuse_kind(values)
    return values, None


def _refuse_kind(values: np.ndarray[Any, Any]) -> None:
    if values.dtype.kind not in "MUOSbiuf":
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
