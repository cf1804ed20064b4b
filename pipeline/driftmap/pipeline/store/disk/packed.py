"""Small groups of arrays as one file: a zip of the files that the group would have, which Zarr opens as a store.

A window of a few thousand rows has a graph of some hundred kB in seven arrays, which take fifteen files, each a request
to object storage or a sync of the disk. Packed they take one. Members are not compressed again.
"""

from __future__ import annotations

import io
import struct
import zipfile
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from driftmap.pipeline.store.disk.location import Location

SUFFIX = ".zip"
"""How the name of a packed group ends."""

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same files make the same bytes."""

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
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name, _DATE), data)
    return content.getvalue()


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
