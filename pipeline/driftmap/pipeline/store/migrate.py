"""Bring a store of an older format to the newest one.

A step from one version to the next writes what the next one needs beside what is there, and is recorded in the log by a
commit `migrated`, from which on older versions of driftmap refuse the store. A store that is not brought on is written
in the format that it has. Format 2 packs graphs and clusters of small windows into one file each; nothing that is there
already changes.

So it is with the checksums of the log. They are two more fields of a commit: driftmap 0.1 passes them over and reads a
chained store correctly, which a higher version would forbid, and a store without them is read here as it is. Only a
commit that 0.1 adds to a chained log is refused, by its number. `migrate` adds one commit, which binds a log without
checksums as any other commit would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.log import state
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.log.repairs import MIGRATED
from driftmap.pipeline.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from driftmap.pipeline.store.disk.location import Location


def _pack_from_now_on(store: Store) -> None:
    """Do nothing: what is there stays as it is, and new groups are packed once the log names format 2."""


STEPS: Mapping[int, Callable[[Store], None]] = {1: _pack_from_now_on}
"""By version, what brings a store from it to the next. A step may have been killed half-way and is then done again."""


def migrate_store(
    path: str | Path | Location, steps: Mapping[int, Callable[[Store], None]] = STEPS, *, wait_seconds: float = 0.0
) -> list[int]:
    """Bring a store to the newest format; one that is there already is not touched.

    Parameters
    ----------
    path
        The store.
    steps
        By version, what brings a store to the next.
    wait_seconds
        How long to wait for another process that writes to the store.

    Returns
    -------
    The versions that it was brought to, one after the other.

    Raises
    ------
    StoreError
        When the store cannot be opened, is in use, or is of a version from which no step leads on.
    """
    found = Store.open(path)
    if found.version == state.FORMAT_VERSION:
        return []
    passed = []
    with hold_lock(found.location, wait_seconds=wait_seconds) as lock:
        store = Store(found.location, read_only=False, is_migrating=True)
        store.lock = lock
        while store.version < state.FORMAT_VERSION:
            step = steps.get(store.version)
            if step is None:
                raise StoreError(
                    f"no step leads on from format {store.version}, which {store.path} has; make the store again"
                )
            step(store)
            store.commit_repair(MIGRATED, {"version": store.version + 1})
            passed.append(store.version)
    return passed


def chain_log(path: str | Path | Location, *, wait_seconds: float = 0.0) -> bool:
    """Bind the log of a store of driftmap 0.1 by one more commit, so that damage to it is found from now on.

    Parameters
    ----------
    path
        The store, of the newest format.
    wait_seconds
        How long to wait for another process that writes to the store.

    Returns
    -------
    Whether there was anything to do.

    Raises
    ------
    StoreError
        When the store cannot be opened, or is in use.
    """
    found = Store.open(path)
    if found.is_chained:
        return False
    with hold_lock(found.location, wait_seconds=wait_seconds) as lock:
        store = Store(found.location, read_only=False)
        store.lock = lock
        if not store.is_chained:
            store.commit_repair(MIGRATED, {"version": store.version})
    return True
