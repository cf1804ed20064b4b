"""The place of a new store, before its first commit."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk.arrays import forget_marks
from driftmap.pipeline.store.disk.checks import METADATA
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log import commits, lock
from driftmap.pipeline.store.relation_book import FOLDER as RELATIONS_FOLDER
from driftmap.pipeline.store.shared_rows import BAD_ROWS, SCALING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE_FOLDER = "source"
"""Folder of a store that may hold the data themselves: arrays that were given from Python."""


_BEFORE_FIRST_COMMIT = {commits.FOLDER, lock.FOLDER, SOURCE_FOLDER, RELATIONS_FOLDER, BAD_ROWS, SCALING, METADATA}


def prepare_location(path: str | Path | Location) -> Location:
    """Make the place of a new store, or find one whose making was cut short; nothing of anyone else's is touched.

    Raises
    ------
    StoreError
        When something other than an unfinished store is there.
    """
    location = Location(path)
    forget_marks(location)
    if location.is_local and location.exists() and not location.folder.is_dir():
        raise StoreError(f"{location} is a file; the store is a folder: name another path")
    found = location.list_top()
    if commits.FOLDER in found and not commits.has_commits(location):
        commits.CommitLog(location).refuse_gap()
    if found and not is_unfinished(location):
        raise StoreError(
            f"{location} exists and is not a driftmap store; name a path that does not exist, or an empty folder"
        )
    if location.is_local:
        try:
            (location.folder / commits.FOLDER).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the store {location} cannot be made: {error}") from error
    return location


def is_unfinished(location: Location) -> bool:
    """Whether there is what a run leaves that ends before the first commit of its store, and nothing else."""
    found = location.list_top()
    # An object store has no empty folders, and a power failure may lose one: the lock, which was taken first, is then
    # all that is seen of a new store.
    is_locked = lock.FOLDER in found and lock.has_lock(location)
    begun = {commits.FOLDER, lock.FOLDER} if is_locked else {commits.FOLDER}
    return bool(begun & found) and found <= _BEFORE_FIRST_COMMIT


@contextmanager
def leave_no_empty_store(location: Location) -> Iterator[None]:
    """Where a store could not even be begun, take its empty folders away again; what holds anything stays."""
    was_there = location.exists()
    try:
        yield
    except Exception:
        if location.is_local and not was_there and location.exists() and lock.read_holder(location) is None:
            with suppress(OSError):
                folders = [location.folder / name for name in (commits.FOLDER, lock.FOLDER)]
                if location.list_top() == {folder.name for folder in folders} and not any(folders[0].iterdir()):
                    location.delete(location.list(lock.FOLDER))
                    for folder in (*folders, location.folder):
                        folder.rmdir()
        raise
