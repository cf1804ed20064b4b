"""Whether everything that the log names is there, as it was written; and what is there that the log does not name."""

from __future__ import annotations

import errno
import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from driftmap.pipeline.errors import StoreError, StoreWarning
from driftmap.pipeline.store.attempts import (
    ATTEMPTS,
    GRAPH_ARRAYS,
    MAP_ARRAYS,
    STAGED,
    Attempt,
    list_cluster_arrays,
    list_graph_arrays,
    name_group,
    name_ids,
)
from driftmap.pipeline.store.disk.checks import Flaw, check_group, drop_remedy
from driftmap.pipeline.store.disk.packed import SUFFIX
from driftmap.pipeline.store.log import checkpoints, commits, lock
from driftmap.pipeline.store.log_view import explain_missing_end
from driftmap.pipeline.store.relation_book import read_book
from driftmap.pipeline.store.row_traits import list_trait_arrays
from driftmap.pipeline.store.shared_rows import read_bad_rows, read_scaling
from driftmap.pipeline.store.superseded import is_named, read_log_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.windows import WindowState
    from driftmap.pipeline.store.store import Store

_N_THREADS = 16
_ATTEMPT = re.compile(rf"{ATTEMPTS}/(\d+)/(?:([^/]+{re.escape(SUFFIX)})$|([^/]+)/)")
_OF_A_FILE = {errno.EIO, errno.ELOOP}
"""Errors that are of one file, such as one on a bad sector, and say nothing of the others."""
_UNFINISHED = re.compile(r"#\d+$")
"""How obstore names a file that it is still writing."""


class Damage(NamedTuple):
    """One array that is not what was written."""

    number: int
    """Of the window."""
    window: str
    """Its label."""
    part: Literal["graph", "map", "clusters"]
    array: str
    attempt: str
    reason: str
    is_current: bool
    """Whether it belongs to the newest generation."""

    def __str__(self) -> str:
        return f"window {self.window!r}: {self.part}, array {self.array!r}: {self.reason}"


class _Named(NamedTuple):
    """One group of arrays that the log names."""

    window: WindowState
    part: Literal["graph", "map", "clusters"]
    attempt: str
    arrays: tuple[str, ...]
    is_current: bool


def find_damage(store: Store, *, with_older: bool = True) -> list[Damage]:
    """Read every array that the log names, and find those that are missing or not what was written.

    Parameters
    ----------
    store
        An opened store.
    with_older
        Look at earlier generations too.
    """
    named = list(_list_named(store, with_older=with_older))
    with ThreadPoolExecutor(_N_THREADS if not store.location.is_local else 2) as pool:
        found = [damage for damages in pool.map(lambda one: _check(store.location, one), named) for damage in damages]
    log = read_log_again(store.location) if found else None
    if log is None or log.n_commits == store.n_commits:
        return found
    # Another process may have laid these windows out again meanwhile, and removed what was there.
    return [one for one in found if is_named(log, one.number, one.attempt, is_graph=one.array in GRAPH_ARRAYS)]


def count_arrays(store: Store) -> int:
    """Count the arrays that `find_damage` reads."""
    return sum(len(one.arrays) for one in _list_named(store, with_older=True))


def check_shared(store: Store) -> list[str]:
    """Read what the settings name, for all windows together; returns what is wrong."""
    bad_rows, scaling = store.config.get("bad_rows"), store.config.get("scaling")
    reads: list[tuple[Callable[[Location, str], object], str]]
    reads = [(read_book, digest) for digest in store.config.get("relations") or ()]
    reads += [(read_bad_rows, bad_rows)] if bad_rows else []
    reads += [(read_scaling, scaling["digest"])] if scaling else []
    flaws = []
    for read, digest in reads:
        try:
            read(store.location, digest)
        except StoreError as error:
            flaws.append(drop_remedy(str(error), store.location))
    return flaws


def check_log(store: Store) -> list[str]:
    """Read every commit of the log, which opening a store with a checkpoint does not; returns what is wrong."""
    flaws = []
    for number in range(store.n_commits):
        try:
            commits.CommitLog(store.location).read_range([number])
        except StoreError as error:
            flaws.append(str(error))
    return flaws or _check_chain(store)


def _check_chain(store: Store) -> list[str]:
    n_commits = lock.read_log_end(store.location)  # before the log is read: it only grows
    log = commits.CommitLog(store.location)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            log.read_new()
        log.refuse_gap()
    except StoreError as error:
        return [str(error)]
    if log.torn is not None:
        return [f"commit {log.torn}, the newest one, was cut short: it is left out, and everything before it stands"]
    missing = explain_missing_end(log, store.location, n_commits)
    return [] if missing is None else [missing]


def find_orphans(store: Store) -> dict[str, int]:
    """Find files that no commit names, with their sizes; only such as a store makes, so that nobody else's is found.

    Raises
    ------
    StoreError
        When the log cannot be read whole: what it names is then not known.
    """
    if flaws := check_log(store):
        raise StoreError(f"{flaws[0]}. While the log is not whole, nothing is removed")
    named, given_up = _read_names(store)
    states = {window.index: window for window in store.state()}
    found = _list_files(store.location)
    newest = {folder: sorted(name for name in found if name.startswith(f"{folder}/"))[-n:] for folder, n in _KEPT}
    orphans = {}
    for name, size in found.items():
        folder = name.partition("/")[0]
        # Rows that are sorted for graphs are an orphan too, once nobody holds the store to build these.
        if folder == STAGED or (_UNFINISHED.search(name) and folder in {ATTEMPTS, commits.FOLDER, *newest}):
            orphans[name] = size
        elif folder in newest:
            if name not in newest[folder]:
                orphans[name] = size
        elif (match := _ATTEMPT.match(name)) is not None:
            index, attempt = int(match[1]), match[2] or match[3]
            is_named = attempt in named and (index, attempt) not in given_up
            if not is_named or _is_pruned(states.get(index), attempt, name[match.end() :]):
                orphans[name] = size
    return orphans


def remove_orphans(store: Store) -> dict[str, int]:
    """Delete what `find_orphans` finds; the caller holds the store, so that nobody is writing what looks like one.

    Returns
    -------
    What was deleted.
    """
    if store.lock is None:
        raise StoreError(f"the store {store.path} is not held by this process; hold it to clean it")
    orphans = find_orphans(store)
    if any(name.startswith(f"{ATTEMPTS}/") for name in orphans):
        store.commit_repair("clean", {"files": len(orphans), "bytes": sum(orphans.values())})
    _delete(store.location, orphans)
    return orphans


_KEPT = ((checkpoints.FOLDER, checkpoints.N_KEPT), (lock.FOLDER, 1))
"""Folders whose last few files count."""


def _list_named(store: Store, *, with_older: bool) -> Iterator[_Named]:
    older = store.growth.older.values() if with_older else ()
    for is_current, windows in ((True, store.state()), *((False, windows) for windows in older)):
        for window in windows:
            ids = (*name_ids(len(window.label_columns)), *list_trait_arrays(window.traits))
            if window.graph_attempt is not None and window.pruned != "map":
                graph = list_graph_arrays(has_mid_near=window.has_mid_near)
                arrays = ids if window.pruned == "graph" else (*ids, *graph)
                yield _Named(window, "graph", window.graph_attempt, arrays, is_current)
            if window.layout_attempt is not None and window.pruned != "map":
                yield _Named(window, "map", window.layout_attempt, MAP_ARRAYS, is_current)
            if window.clusters is not None and window.pruned != "map":
                yield _Named(
                    window, "clusters", window.clusters["attempt"], list_cluster_arrays(window.clusters), is_current
                )


def _check(location: Location, named: _Named) -> list[Damage]:
    window = named.window
    try:
        flaws = check_group(location, name_group(window.index, named.attempt), named.arrays)
        if flaws is None:
            flaws = list(_read_all(Attempt(location, window.index, named.attempt, window.label), named.arrays))
    except StoreError as error:
        if getattr(error.__cause__, "errno", None) not in _OF_A_FILE:
            raise
        flaws = [Flaw(array, str(error)) for array in named.arrays]
    return [
        Damage(window.index, window.label, named.part, flaw.array, named.attempt, flaw.reason, named.is_current)
        for flaw in flaws
    ]


def _read_all(attempt: Attempt, arrays: Iterable[str]) -> Iterator[Flaw]:
    # Written before groups described their files: the checksums of the chunks are all there is.
    for array in arrays:
        try:
            attempt.read(array)
        except StoreError as error:
            yield Flaw(array, drop_remedy(str(error).partition(": ")[2], attempt.root))


def _read_names(store: Store) -> tuple[set[str], set[tuple[int, str]]]:
    """Read every attempt that any commit names, and those that a repair gave up."""
    named: set[str] = set()
    given_up: set[tuple[int, str]] = set()
    for commit in commits.CommitLog(store.location).read_range(range(store.n_commits)):
        named.update(_find_values(commit.payload, "attempt"))
        given_up.update((int(index), attempt) for index, attempt in commit.payload.get("replaces", {}).items())
    return named, given_up


def _find_values(payload: Any, key: str) -> Iterator[str]:
    if isinstance(payload, dict):
        if isinstance(payload.get(key), str):
            yield payload[key]
        for value in payload.values():
            yield from _find_values(value, key)
    elif isinstance(payload, list):
        for value in payload:
            yield from _find_values(value, key)


def _is_pruned(window: WindowState | None, attempt: str, rest: str) -> bool:
    if window is None or not window.pruned:
        return False
    if window.pruned == "map":
        return attempt in {window.graph_attempt, window.layout_attempt, (window.clusters or {}).get("attempt")}
    return attempt == window.graph_attempt and rest.partition("/")[0] in GRAPH_ARRAYS


def _list_files(location: Location) -> dict[str, int]:
    if not location.is_local:
        return location.list()
    # obstore does not list what it is still writing, or what a killed process was writing.
    found = {}
    for folder, _, names in os.walk(location.folder):
        for path in (Path(folder) / name for name in names):
            with suppress(OSError):  # a run may be at work; a link may lead nowhere
                found[path.relative_to(location.folder).as_posix()] = path.stat().st_size
    return found


def _delete(location: Location, files: Iterable[str]) -> None:
    if not location.is_local:
        location.delete(files)
        return
    for name in files:
        path = location.folder / name
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == location.folder or any(folder.iterdir()):
                break
            folder.rmdir()
