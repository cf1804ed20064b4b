"""What a store's log amounts to, written down now and then, so that opening it does not mean reading every commit.

Commits remain the truth. A checkpoint is made of them, is created once like them, and counts for a reader only where
it is whole, was written by the same version of the code, and was made from the log that is there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.log.commits import Link
from driftmap.pipeline.store.log.growth import Growth, read_window
from driftmap.pipeline.store.log.state import StoreState
from driftmap.pipeline.store.log.windows import WindowState

if TYPE_CHECKING:
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.commits import CommitLog

FOLDER = "checkpoints"
MIN_COMMITS = 128
"""A log shorter than this is read as quickly as a checkpoint."""

GROWTH = 8
"""The next checkpoint is due when the log is longer by one part in this many: each costs as much as the store is
large, so all of them together cost a constant for each commit; and an opener reads at most one commit in nine."""

VERSION = 2
"""To be raised when what a commit means changes, but no field does; checkpoints of other versions are passed over."""

N_KEPT = 2
"""Checkpoints that are not deleted: where the newest is damaged, the one before serves."""
_FIELDS = tuple(field.name for field in dataclasses.fields(WindowState))
_PLAIN = ("config", "fingerprint", "driftmap_version", "version", "n_blocks_done", "n_commits")


def next_checkpoint(n_commits: int) -> int:
    """Length of the log at which the checkpoint after one of `n_commits` is due."""
    return max(MIN_COMMITS, n_commits + n_commits // GROWTH)


def load_state(location: Location, log: CommitLog) -> StoreState | None:
    """Read the newest checkpoint that can be used, and move the log to where it ends; None where there is none."""
    for name in sorted(_list_files(location), reverse=True):
        state = _read(location, name)
        if state is not None and log.skip_to(state[0].n_commits, state[1]):
            return state[0]
    return None


def save_state(location: Location, state: StoreState, link: Link) -> None:
    """Write a checkpoint, and delete those that it makes superfluous.

    Parameters
    ----------
    location
        Where the store lies.
    state
        After the last commit.
    link
        Of the last commit (`CommitLog.link`): it binds the checkpoint to its log.
    """
    body = json.dumps(_to_json(state), separators=(",", ":"), sort_keys=True)
    head = {"schema": _schema(), "last": list(link), "checksum": _digest(body)}
    try:
        location.create(_name_file(state.n_commits), f"{json.dumps(head)}\n{body}\n".encode())
        location.delete(sorted(_list_files(location))[:-N_KEPT])
    except StoreError:  # nothing depends on it: what ails the store shows at the next commit
        return


def _read(location: Location, name: str) -> tuple[StoreState, Link] | None:
    try:
        head_text, body, _ = (location.read(name) or b"").decode().split("\n")
        head = json.loads(head_text)
        if head["schema"] != _schema() or head["checksum"] != _digest(body):
            return None
        return _from_json(json.loads(body)), Link(*head["last"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _to_json(state: StoreState) -> dict[str, Any]:
    windows = [[getattr(window, name) for name in _FIELDS] for window in state.windows]
    return {**{name: getattr(state, name) for name in _PLAIN}, "windows": windows, "growth": state.growth.to_json()}


def _from_json(saved: dict[str, Any]) -> StoreState:
    windows = [read_window(dict(zip(_FIELDS, values, strict=True))) for values in saved["windows"]]
    return StoreState(
        **{name: saved[name] for name in _PLAIN},
        windows=windows,
        index_by_label={window.label: window.index for window in windows},
        growth=Growth.from_json(saved["growth"]),
    )


def _schema() -> str:
    names = (VERSION, _FIELDS, [field.name for field in dataclasses.fields(StoreState)], list(Growth().to_json()))
    return _digest(repr(names))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _list_files(location: Location) -> list[str]:
    return [name for name in location.list(FOLDER) if name.endswith(".json")]


def _name_file(n_commits: int) -> str:
    return f"{FOLDER}/{n_commits:08d}.json"
