"""The log of a store: numbered commit files that are created once and never changed.

What the log says is all that is true of a store. A file is put with mode "create", so of two writers of one number
one fails, and a reader never meets half a commit.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "commits"
_N_DIGITS = 8


class Commit(NamedTuple):
    """One entry of the log."""

    number: int
    kind: str
    payload: dict[str, Any]


class CommitConflictError(StoreError):
    """Another process wrote the commit of this number first."""


class CommitLog:
    """Read and extend the log of one store.

    Parameters
    ----------
    root
        Where the store lies.
    """

    def __init__(self, root: Location | Path) -> None:
        self._root = Location(root)
        self._known: list[Commit] = []

    @property
    def commits(self) -> list[Commit]:
        """Every commit read so far, in order."""
        return self._known

    def read_new(self) -> list[Commit]:
        """Read the commits that were added since the last call, and remember them.

        Numbers are tried one after the other, so a call with nothing new costs one failed look-up, whatever the length.
        """
        new: list[Commit] = []
        while (commit := self._read(len(self._known))) is not None:
            self._known.append(commit)
            new.append(commit)
        return new

    def append(self, kind: str, payload: Mapping[str, Any]) -> Commit:
        """Write the next commit.

        Raises
        ------
        CommitConflictError
            When another process wrote that number meanwhile; nothing was changed, and `read_new` shows what it wrote.
        """
        number = len(self._known)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"kind": kind, "time": now, **payload}, indent=1, allow_nan=False, sort_keys=True)
        if not self._root.create(_name_file(number), text.encode()):
            raise CommitConflictError(
                f"another process writes to {self._root}: commit {number} is not ours; let only one run use a store"
            )
        commit = Commit(number, kind, json.loads(text))
        self._known.append(commit)
        return commit

    def _read(self, number: int) -> Commit | None:
        name = _name_file(number)
        text = self._root.read(name)
        if text is None:
            return None
        try:
            payload = json.loads(text)
            return Commit(number, payload["kind"], payload)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._root.name(name)} is damaged ({error}); restore the store from a copy") from error


def has_commits(root: Location | Path) -> bool:
    """Whether a location is a store: whether its first commit is there."""
    return Location(root).has(_name_file(0))


def _name_file(number: int) -> str:
    return f"{FOLDER}/{number:0{_N_DIGITS}d}.json"
