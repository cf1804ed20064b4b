"""What the log of a store says: replayed, commit after commit, into facts about every window."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.log.growth import GROWTH_KINDS, Growth, apply_growth, replace_graph
from driftmap.pipeline.store.log.repairs import MIGRATED, REPAIR_KINDS, apply_repair
from driftmap.pipeline.store.log.windows import Status, WindowState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from driftmap.pipeline.store.log.commits import Commit

FORMAT = "driftmap store"
FORMAT_VERSION = 2
OLDEST_WRITTEN = 1
"""Older formats from this on are written as they are, so that the driftmap that made a store can go on reading it."""
PACKED_SINCE = 2
"""Graphs and clusters of small windows are one file each from this format on."""
PLANNED = "planned"
"""Kind of commits that change which rows windows without graphs have, and the settings that say so."""
BEGUN_AGAIN = "begun_again"
"""Kind of commits that have a store without a graph be that of another run: all that a first commit says."""
CONFIG = "config"
"""Kind of commits that change settings of the run: of the layout, before there is one."""
_TABLES = ("source", "windows", "graph", "target", "layout")
_LISTS: dict[str, type] = {"relations": str, "left_out": str, "schemas": dict}
"""Settings that are read without the whole configuration, and what is in them."""


@dataclass
class StoreState:
    """Everything that the log says, up to the commits read so far."""

    config: dict[str, Any]
    fingerprint: dict[str, Any]
    driftmap_version: str
    version: int
    """Of the store's format."""
    windows: list[WindowState]
    n_blocks_done: int = 0
    n_commits: int = 1
    index_by_label: dict[str, int] = field(default_factory=dict)
    growth: Growth = field(default_factory=Growth)

    def apply(self, commits: Iterable[Commit]) -> None:
        """Add what later commits say."""
        for commit in commits:
            with _refuse_damage(commit.number):
                self._apply_one(commit)
            self.n_commits = commit.number + 1

    def _apply_one(self, commit: Commit) -> None:
        if commit.kind == "graph":
            self._apply_graph(commit, commit.payload["receipt"])
        elif commit.kind == "graphs":
            for receipt in commit.payload["receipts"]:
                self._apply_graph(commit, receipt)
        elif commit.kind == "layout":
            self._apply_layout(commit)
        elif commit.kind in GROWTH_KINDS:
            self._apply_growth(commit)
        elif commit.kind in REPAIR_KINDS:
            apply_repair(self.windows, self.growth, commit)
        elif commit.kind in (CONFIG, PLANNED):
            self._apply_config(commit)
        elif commit.kind == BEGUN_AGAIN:
            vars(self).update(vars(_read_first(commit.payload, f"commit {commit.number} of the store")))
        elif commit.kind == MIGRATED:
            self.version = _check_version(commit.payload["version"], f"commit {commit.number} of the store")
        else:
            raise StoreError(
                f"commit {commit.number} of the store is of the unknown kind {commit.kind!r}; "
                "upgrade driftmap to read this store"
            )

    def _apply_graph(self, commit: Commit, receipt: Mapping[str, Any]) -> None:
        window = replace(self.windows[receipt["index"]], commit=commit.number)
        self.windows[window.index] = replace_graph(window, receipt)

    def _apply_config(self, commit: Commit) -> None:
        before, self.config = self.config, _check_settings(commit.payload["config"])
        if _list_row_rules(before) != _list_row_rules(self.config):
            slots = (*self.growth.skipped, *self.growth.kept_out)
            self.growth.changed |= dict.fromkeys(slots, commit.number)
        for index, facts in commit.payload.get("windows", {}).items():
            self.windows[int(index)] = replace(self.windows[int(index)], commit=commit.number, **facts)

    def _apply_layout(self, commit: Commit) -> None:
        payload = commit.payload
        statuses: tuple[tuple[Status, list[int]], ...] = (
            ("final", payload["final"]),
            ("provisional", payload["provisional"]),
        )
        for status, indices in statuses:
            for index in indices:
                window = self.windows[index]
                self.windows[index] = replace(
                    window,
                    status=status,
                    commit=commit.number,
                    since=window.since if window.status == status else payload.get("time"),
                    layout_attempt=payload["attempt"],
                    strength=payload.get("strengths", {}).get(str(index)),
                    clusters=payload.get("clusters", {}).get(str(index), window.clusters),
                )
        self.n_blocks_done = payload["block"] + 1

    def _apply_growth(self, commit: Commit) -> None:
        n_layouts = apply_growth(self.windows, self.growth, commit)
        if n_layouts is not None:
            self.n_blocks_done = n_layouts
        if commit.kind == "reopen":
            self.index_by_label = {window.label: window.index for window in self.windows}
        elif commit.kind == "ingest":  # one by one: made again for each, a log of 1,000 windows would take a second
            numbers = [built["receipt"]["index"] for built in commit.payload["windows"]]
            self.index_by_label |= {self.windows[index].label: index for index in numbers}


def _list_row_rules(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """List the settings that say which rows of a growing source can be used."""
    source = config.get("source") or {}
    return source.get("duplicates", "refuse"), source.get("on_bad_rows", "refuse"), config.get("schemas") or []


def make_first_commit(
    config: Mapping[str, Any], windows: Sequence[Mapping[str, Any]], fingerprint: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the payload of the commit that makes a store; see `Store.create`."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "driftmap": version("driftmap"),
        "config": dict(config),
        "windows": [dict(window) for window in windows],
        "fingerprint": dict(fingerprint),
    }


def read_first_commit(commit: Commit, where: str) -> StoreState:
    """Read the commit that made the store.

    Raises
    ------
    StoreError
        When it was made by a newer version, or is not ours.
    """
    with _refuse_damage(commit.number):
        return _read_first(commit.payload, where)


@contextmanager
def _refuse_damage(number: int) -> Iterator[None]:
    """Say of what a commit without a checksum makes impossible that it is damaged."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"commit {number} of the store is damaged ({type(error).__name__}: {error}); restore the store from a copy"
        ) from error


def _read_first(payload: dict[str, Any], where: str) -> StoreState:
    if payload.get("format") != FORMAT:
        raise StoreError(
            f"{where} is not a driftmap store: its first commit names the format {payload.get('format')!r}"
        )
    what = f"{where}, made by driftmap {payload['driftmap']},"
    format_version = _check_version(payload["version"], what)
    config = _check_settings(payload["config"])
    if not _is_fingerprint(payload["fingerprint"]):
        raise TypeError("its fingerprint of the source is no table")
    windows = [WindowState(index=index, **facts) for index, facts in enumerate(payload["windows"])]
    return StoreState(
        config=config,
        fingerprint=payload["fingerprint"],
        driftmap_version=payload["driftmap"],
        version=format_version,
        windows=windows,
        index_by_label={window.label: window.index for window in windows},
        growth=Growth(origin=windows[0].start if windows else None),
    )


def _check_settings(found: Any) -> dict[str, Any]:
    """Check that settings are a table, and what is read of them without the whole configuration is of its kind."""
    if not isinstance(found, dict) or not all(isinstance(found.get(name, {}), dict) for name in _TABLES):
        raise TypeError("its settings are no table")
    for name, kind in _LISTS.items():
        listed = found.get(name) or []
        if not isinstance(listed, list) or not all(isinstance(one, kind) for one in listed):
            raise TypeError(f"its {name} are no list")
    scaling, bad_rows = found.get("scaling"), found.get("bad_rows")
    if not isinstance(scaling["digest"] if scaling else "", str) or not isinstance(bad_rows or "", str):
        raise TypeError("its digests of scaling and bad_rows cannot be read")
    return found


def _is_fingerprint(found: Any) -> bool:
    """Whether it is a table, and what it says of files, where it does, is a size and a time for each."""
    if not isinstance(found, dict):
        return False
    stamps = found.get("stamps") or {}
    return isinstance(stamps, dict) and all(
        isinstance(stamp, list) and 2 <= len(stamp) <= 3 and all(type(number) is int for number in stamp[:2])
        for stamp in stamps.values()
    )


def refuse_older(number: int, where: str) -> None:
    """Refuse to write to a store of an older format.

    Raises
    ------
    StoreError
        Saying how to bring it to the newest.
    """
    if number < OLDEST_WRITTEN:
        raise StoreError(
            f"{where} is in store format {number}, and this driftmap writes format {FORMAT_VERSION}; bring it there: "
            f"driftmap migrate {where}"
        )


def _check_version(number: int, what: str) -> int:
    if number > FORMAT_VERSION:
        raise StoreError(
            f"{what} is in store format {number}; this driftmap reads formats up to {FORMAT_VERSION}: upgrade it "
            "(pip install --upgrade driftmap)"
        )
    return number
