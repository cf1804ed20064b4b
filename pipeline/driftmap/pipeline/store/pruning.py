"""Prune a store: old graphs, optionally maps, old generations, orphaned files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.config.arguments import refuse_other_flags, refuse_other_seconds
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.times.durations import read_duration, write_keep
from driftmap.pipeline.config.times.time_spans import step_back
from driftmap.pipeline.errors import ConfigError, StoreError
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import GRAPH_ARRAYS, name_group, pack_without_graph
from driftmap.pipeline.store.disk.packed import is_packed
from driftmap.pipeline.store.log.lock import hold_lock

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta
    from pathlib import Path

    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.windows import WindowState


@dataclass(frozen=True)
class PruneReport:
    """What was removed."""

    graphs: tuple[str, ...]
    """Windows whose graphs were removed, by label."""
    maps: tuple[str, ...]
    """Windows of which all but the facts in the log was removed."""
    generations: tuple[int, ...]
    n_files: int
    """Files that were deleted, and graphs that were cut out of the file that they shared with their ids."""
    n_bytes: int
    is_dry: bool = False
    """Whether nothing was removed, and this is what would be."""

    def __str__(self) -> str:
        parts = [f"graphs of {len(self.graphs):,} windows"] if self.graphs else []
        parts += [f"maps of {len(self.maps):,} windows"] if self.maps else []
        if self.generations:
            parts.append(f"generation {', '.join(map(str, self.generations))}")
        what = f"{', '.join(parts)}; " if parts else ""
        verb = "would be removed" if self.is_dry else "removed"
        return f"{verb}: {what}{self.n_files:,} files, {self.n_bytes / 1e6:.1f} MB"


def prune(
    store: str | Path,
    *,
    keep: str | int | timedelta | None = None,
    embeddings: bool = False,
    wait_seconds: float = 0.0,
    dry_run: bool = False,
) -> PruneReport:
    """Remove what a store does not need: older generations, superseded maps, and what kills left behind.

    Final windows keep their maps, and the windows that the next ones are related to keep everything.

    Parameters
    ----------
    store
        The store.
    keep
        Remove the graphs of windows that ended longer ago than this, such as `2y` or a `timedelta`, by the newest
        window; or, as a whole number, of all but so many of the newest windows.
    embeddings
        Remove their maps, ids and labels too; the log goes on naming the windows.
    wait_seconds
        How long to wait for another process that writes to the store.
    dry_run
        Remove nothing, and say what would be removed; no other process is waited for.

    Returns
    -------
    PruneReport
        What was removed, or would be.

    Raises
    ------
    DriftmapError
        When the store cannot be opened or is in use, or `keep` cannot be read.
    """
    refuse_other_flags(embeddings=embeddings, dry_run=dry_run)
    refuse_other_seconds(wait_seconds=wait_seconds)
    keep = None if keep is None else write_keep(keep)
    if embeddings and keep is None:
        raise ConfigError("embeddings is given without keep, which says whose; give keep too, such as 2y")
    found = Store.open(store)
    _refuse_cut_log(found)
    if dry_run:
        graphs, maps = _choose_windows(found, keep, embeddings=embeddings)
        doomed, _ = _list_doomed(
            found, graphs={window.index for window in graphs}, maps={window.index for window in maps}
        )
        return replace(_report(graphs, maps, tuple(found.growth.older), doomed), is_dry=True)
    with hold_lock(found.location, wait_seconds=wait_seconds) as lock:
        opened = Store.open(found.location, read_only=False)
        opened.lock = lock
        _refuse_cut_log(opened)
        graphs, maps = _choose_windows(opened, keep, embeddings=embeddings)
        generations = tuple(opened.growth.older)
        if graphs or maps or generations:
            commit_pruned(opened, graphs, maps, generations)
        doomed, packs = _list_doomed(opened)
        opened.location.delete(doomed.keys() - packs.keys())
        for file, content in packs.items():
            opened.location.replace(file, content)
    return _report(graphs, maps, generations, doomed)


def _refuse_cut_log(store: Store) -> None:
    """Refuse to remove anything while the log lacks its newest commits: what they name would go with it."""
    if flaw := store.explain_missing_end():
        raise StoreError(f"{flaw}. While the log is not whole, nothing is removed")


def _choose_windows(store: Store, keep: str | None, *, embeddings: bool) -> tuple[list[WindowState], list[WindowState]]:
    """Choose the windows that lose their graphs, and those that lose their maps too."""
    old = [] if keep is None else list_old_windows(store, keep)
    graphs = [window for window in old if not window.pruned and not embeddings]
    return graphs, [window for window in old if window.pruned != "map" and embeddings]


def _report(
    graphs: list[WindowState], maps: list[WindowState], generations: tuple[int, ...], doomed: dict[str, int]
) -> PruneReport:
    of_graphs, of_maps = (tuple(window.label for window in windows) for windows in (graphs, maps))
    return PruneReport(of_graphs, of_maps, generations, len(doomed), sum(doomed.values()))


def prune_graphs(store: Store, keep: str) -> int:
    """Remove the graphs of windows that an ingest finds older than `keep`; returns how many.

    Only these windows are looked at, however many there are.
    """
    old = [window for window in list_old_windows(store, keep) if not window.pruned]
    if old:
        commit_pruned(store, old, [], ())
    for window in old:
        _delete_graph(store.location, window)
    return len(old)


def list_old_windows(store: Store, keep: str) -> list[WindowState]:
    """List final windows that are older than `keep`, and are read by no later one.

    Raises
    ------
    ConfigError
        When `keep` cannot be read, or is a length of time and the windows are not made by time.
    """
    windows = store.state()
    n_needed = RunConfig.from_json(store.config).layout.alignment_window_size
    first_free = next((window.index for window in windows if window.status != "final"), len(windows))
    can_go = windows[: max(0, first_free - n_needed)]
    if keep.strip().isdecimal():
        n_kept = int(keep)
        return [window for window in can_go if window.index < len(windows) - n_kept]
    length = read_duration(keep, "keep")
    if not windows:
        return []
    if windows[-1].end is None:
        raise ConfigError(f"keep is {keep!r}, but the windows are not made by time; give a number of windows to keep")
    limit = step_back(np.datetime64(str(windows[-1].end), "us"), length)
    return [window for window in can_go if np.datetime64(str(window.end), "us") <= limit]


def commit_pruned(
    store: Store, graphs: list[WindowState], maps: list[WindowState], generations: tuple[int, ...]
) -> None:
    """Say in the log what is gone, before it goes: a kill between the two leaves files that nothing names."""
    store.commit_growth(
        "pruned",
        {
            "graphs": [window.index for window in graphs],
            "maps": [window.index for window in maps],
            "generations": list(generations),
        },
    )


def _list_doomed(
    store: Store, *, graphs: Collection[int] = (), maps: Collection[int] = ()
) -> tuple[dict[str, int], dict[str, bytes]]:
    """List the files of windows that the log does not name, or names as gone.

    `graphs` and `maps` are windows that are still to lose theirs.

    Returns
    -------
    The files with the bytes that go, and what stays of those that hold something else too.
    """
    named: dict[str, WindowState] = {}
    for window in store.state():
        if window.pruned == "map" or window.index in maps:
            continue
        for attempt in (window.graph_attempt, window.layout_attempt, (window.clusters or {}).get("attempt")):
            if attempt is not None:
                named[name_group(window.index, attempt)] = window
    doomed: dict[str, int] = {}
    packs: dict[str, bytes] = {}
    for file, size in store.location.list("windows").items():
        parts = file.split("/")  # windows/<number>/<attempt>/<array>/...
        owner = named.get("/".join(parts[:3]))
        has_graph = owner is not None and owner.pruned != "graph" and owner.index not in graphs
        is_in_group = len(parts) > 3 or is_packed(file)
        if is_in_group and (owner is None or (not has_graph and parts[3:] and parts[3] in GRAPH_ARRAYS)):
            doomed[file] = size
        elif is_packed(file) and not has_graph and (found := pack_without_graph(store.location, file)) is not None:
            packs[file], doomed[file] = found
    return doomed, packs


def _delete_graph(location: Location, window: WindowState) -> None:
    if window.graph_attempt is None:
        return
    group = name_group(window.index, window.graph_attempt)
    if is_packed(group):
        found = pack_without_graph(location, group)
        if found is not None:
            location.replace(group, found[0])
        return
    for array in GRAPH_ARRAYS:
        location.delete(location.list(f"{group}/{array}"))


def refuse_lost(store: Store, first: int) -> None:
    """Refuse to lay out windows from one on when those that they are tied to have lost their graphs, or are damaged.

    Raises
    ------
    StoreError
        Naming the window that lacks its graph, and one from which on windows can be laid out; or what is damaged.
    """
    lost = _list_pruned_before(store, first)
    if lost:
        raise StoreError(
            f"the store cannot go back to {_name_place(store, first)}: the graph of {lost[0].label!r}, to which it is "
            "tied, was removed (keep); go back to before an earlier one (reopen_from "
            f"{store.labels[find_return(store, first)]!r}), or make a new store"
        )
    for window in _list_before(store, first):
        store.read_layout_input(window.index)
        store.positions(window.index)


def _name_place(store: Store, first: int) -> str:
    return f"before window {store.labels[first]!r}" if first < store.n_windows else "its end"


def find_return(store: Store, first: int) -> int:
    """Find the last window up to `first` from which on windows can be laid out again: those before it have graphs."""
    while _list_pruned_before(store, first):
        first -= 1
    return first


def _list_pruned_before(store: Store, first: int) -> list[WindowState]:
    return [window for window in _list_before(store, first) if window.pruned]


def _list_before(store: Store, first: int) -> list[WindowState]:
    """List the windows before one to which it is tied."""
    n_needed = RunConfig.from_json(store.config).layout.alignment_window_size
    return store.state()[max(0, first - n_needed) : first]
