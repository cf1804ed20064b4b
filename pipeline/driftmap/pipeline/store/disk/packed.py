"""Small groups of arrays as one file: a zip of the files that the group would have, which Zarr opens as a store.

A window of a few thousand rows has a graph of some hundred kB in seven arrays, which take fifteen files, each a request
to object storage or a sync of the disk. Packed they take one. Members are not compressed again.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from driftmap.pipeline.store.disk.location import Location

SUFFIX = ".zip"
"""How the name of a packed group ends."""

_DATE = 0, 33
"""Time and date of every member, the start of 1980, so that the same files make the same bytes."""

_LOCAL = struct.Struct("<4s2B4H3L2H")
"""What stands before a member: mark, version, 0, flags, method, date, CRC-32, both sizes, length of its name and of
more."""

_CENTRAL = struct.Struct("<4s4B4H3L5H2L")
"""The same at the end of the file, for all members, with where each begins."""

_END = struct.Struct("<4s4H2LH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _UNIX, _PERMISSIONS = 20, 3, 0o600 << 16
_PLAIN_BYTES = 2**20
"""Of packs that are read the quick way, which holds them twice."""
_UTF_8 = 0x800
"""Flag of a name that is no ASCII."""

_DAMAGE = (zipfile.BadZipFile, struct.error, EOFError, OSError, ValueError, LookupError, RuntimeError)
"""What reading a zip raises where bytes of it were changed."""


def is_packed(group: str) -> bool:
    """Tell by its path whether a group is one file."""
    return group.endswith(SUFFIX)


def shorten(name: str) -> str:
    """Name a file of an array without the array."""
    return name.partition("/")[2] or name


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Make the zip of some files."""
    parts: list[bytes] = []
    central: list[bytes] = []
    start = 0
    for name, data in files.items():
        text = name.encode()
        flags = 0 if text.isascii() else _UTF_8
        facts = flags, zipfile.ZIP_STORED, *_DATE, zlib.crc32(data), len(data), len(data), len(text), 0
        parts += _LOCAL.pack(_LOCAL_MARK, _VERSION, 0, *facts), text, data
        made_by = _VERSION, _UNIX, _VERSION, 0
        central += _CENTRAL.pack(_CENTRAL_MARK, *made_by, *facts, 0, 0, 0, _PERMISSIONS, start), text
        start += _LOCAL.size + len(text) + len(data)
    n_bytes = sum(map(len, central))
    end = _END.pack(_END_MARK, 0, 0, len(files), len(files), n_bytes, start, 0)
    return b"".join([*parts, *central, end])


def keep_members(content: bytes, is_kept: Callable[[str], bool]) -> bytes | None:
    """Make a zip of some members of another; None where it has no others, or is damaged."""
    members, is_damaged = _unpack(content)
    kept = {name: data for name, data in members.items() if is_kept(name)}
    return None if is_damaged or len(kept) == len(members) else pack_files(kept)


class GroupFiles:
    """The files of a group, in its folder or packed; a packed one is read once.

    Parameters
    ----------
    location
        Where the store lies.
    group
        Path of the group below it.
    """

    def __init__(self, location: Location, group: str) -> None:
        self.location = location
        self.group = group

    def read(self, name: str) -> bytes | None:
        """Read a file of the group; None where there is none, or where its pack is damaged (`explain`)."""
        return self._members[0].get(name) if is_packed(self.group) else self.location.read(f"{self.group}/{name}")

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return name in self._members[0] if is_packed(self.group) else self.location.has(f"{self.group}/{name}")

    def explain(self, name: str) -> str:
        """Say why a file could not be read."""
        short = self.group.rpartition("/")[2]
        if not is_packed(self.group):
            return f"its file {shorten(name)} is missing"
        if self._content is None:
            return f"its file {short} is missing"
        return f"its file {short} is damaged" if self._members[1] else f"{short} lacks its file {name}"

    @cached_property
    def _content(self) -> bytes | None:
        return self.location.read(self.group)

    @cached_property
    def _members(self) -> tuple[dict[str, bytes], bool]:
        return ({}, False) if self._content is None else _unpack(self._content)


def _unpack(content: bytes) -> tuple[dict[str, bytes], bool]:
    """Read all members of a zip, and say whether any could not be read."""
    plain = _unpack_plain(content)
    return _unpack_any(content) if plain is None else (plain, False)


def _unpack_plain(content: bytes) -> dict[str, bytes] | None:
    """Read what `pack_files` made, in a tenth of the time of `zipfile`; None where a byte is not as that writes it."""
    if not _END.size <= len(content) <= _PLAIN_BYTES:
        return None
    members: dict[str, bytes] = {}
    *_, n_members, n_bytes, there, _ = _END.unpack_from(content, len(content) - _END.size)
    if there + n_bytes + _END.size != len(content):
        return None
    start = 0
    for _ in range(n_members):
        if there + _CENTRAL.size > len(content):
            return None
        *_, crc, size, _, n_name, _, _, _, _, _, begin = _CENTRAL.unpack_from(content, there)
        text = content[there + _CENTRAL.size : there + _CENTRAL.size + n_name]
        data = content[start + _LOCAL.size + n_name : start + _LOCAL.size + n_name + size]
        if begin != start or zlib.crc32(data) != crc:
            return None
        try:
            members[text.decode()] = data
        except UnicodeDecodeError:
            return None
        there += _CENTRAL.size + n_name
        start += _LOCAL.size + n_name + size
    return members if len(members) == n_members and pack_files(members) == content else None


def _unpack_any(content: bytes) -> tuple[dict[str, bytes], bool]:
    members: dict[str, bytes] = {}
    is_damaged = False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for info in packed.infolist():
                try:
                    is_plain = info.compress_type == zipfile.ZIP_STORED and info.file_size <= len(content)
                    members |= {info.filename: packed.read(info)} if is_plain else {}
                    is_damaged |= not is_plain
                except _DAMAGE:
                    is_damaged = True
    except _DAMAGE:
        is_damaged = True
    return members, is_damaged
