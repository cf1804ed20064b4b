"""Arrays of a user's Zarr data (format 2 or 3): the one file that imports zarr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import zarr
from zarr.storage import ObjectStore

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.store.disk.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np


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


def open_group(place: Location | Path) -> Any:
    """Open a user's Zarr group for reading.

    Raises
    ------
    SourceError
        When there is none at `place`.
    """
    opened = _open_foreign(Location.of(place))
    if not isinstance(opened, zarr.Group):
        raise SourceError(f"{place} is a Zarr array, a group was expected")
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


def list_dimensions(array: Any) -> tuple[str | None, ...]:
    """Name the dimensions of an array, as Zarr (format 3) or xarray (format 2) keeps them; None for those without."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    return tuple(names or [None] * len(array.shape))


def is_array(place: Location | Path) -> bool:
    """Whether `place` is the folder of one Zarr array (format 2 or 3); False for a group and for anything else."""
    try:
        return isinstance(_open_foreign(Location.of(place)), zarr.Array)
    except SourceError:
        return False


def _open_foreign(location: Location) -> zarr.Array[Any] | zarr.Group:
    if location.is_local and not location.folder.exists():
        raise SourceError(f"no such file or folder: {location}")
    if location.is_local and not location.folder.is_dir():
        raise SourceError(f"{location} is a file; a Zarr array or group is a folder")
    try:
        return zarr.open(ObjectStore(location.files, read_only=True), mode="r")
    except MemoryError:
        raise
    except Exception as error:  # metadata of any content have zarr raise errors of any kind
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
        kind = json.loads(location.read("zarr.json") or b"null")["node_type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return kind if isinstance(kind, str) else None


def _shown(location: Location) -> str:
    return ", ".join(entry.name for entry in _iterate_arrays(location)) or "(it has none)"
