"""The log of a store: numbered commit files that are created once and never changed.

What the log says is all that is true of a store. A file is created whole or not at all, so of two writers of one
number one fails, and a reader never meets half a commit.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDER = "commits"
_N_DIGITS = 8
_N_AHEAD = 32
"""Commits that are asked for at once where each takes a journey over the network."""


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
        self.n_read = 0
        """Length of the log, as far as it was read."""
        self.last_digest = ""
        """Of the file of the last commit that was read."""

    def skip_to(self, n_commits: int, last_digest: str) -> bool:
        """Take the first commits as read; False, and nothing done, where the last of them is not what was said."""
        text = self._root.read(_name_file(n_commits - 1))
        if text is None or _digest(text) != last_digest:
            return False
        self.n_read, self.last_digest = n_commits, last_digest
        return True

    def read_new(self) -> list[Commit]:
        """Read the commits that were added since the last call.

        Numbers are tried one after the other, so a call with nothing new costs one failed look-up, whatever the length.
        """
        new: list[Commit] = []
        n_ahead, last = 1, b""
        while True:
            begin = self.n_read + len(new)
            for text in self._read_texts(range(begin, begin + n_ahead)):
                if text is None:
                    if new:
                        self.n_read, self.last_digest = self.n_read + len(new), _digest(last)
                    return new
                new.append(self._parse(self.n_read + len(new), text))
                last = text
            n_ahead = 1 if self._root.is_local else min(2 * n_ahead, _N_AHEAD)

    def read_range(self, numbers: Iterable[int]) -> list[Commit]:
        """Read some commits anew, whatever was read before.

        Raises
        ------
        StoreError
            When one of them is missing or damaged.
        """
        numbers = list(numbers)
        found: list[Commit] = []
        for begin in range(0, len(numbers), _N_AHEAD):
            part = numbers[begin : begin + _N_AHEAD]
            for number, text in zip(part, self._read_texts(part), strict=True):
                if text is None:
                    raise StoreError(f"{self._root.name(_name_file(number))} is missing; restore the store from a copy")
                found.append(self._parse(number, text))
        return found

    def append(self, kind: str, payload: Mapping[str, Any]) -> Commit:
        """Write the next commit.

        Raises
        ------
        CommitConflictError
            When another process wrote that number meanwhile; nothing was changed, and `read_new` shows what it wrote.
        """
        number = self.n_read
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"kind": kind, "time": now, **payload}, indent=1, allow_nan=False, sort_keys=True).encode()
        if not self._root.create(_name_file(number), text):
            raise CommitConflictError(
                f"another process writes to {self._root}: commit {number} is not ours; let only one run use a store"
            )
        self.n_read, self.last_digest = number + 1, _digest(text)
        return Commit(number, kind, json.loads(text))

    def _read_texts(self, numbers: Iterable[int]) -> list[bytes | None]:
        names = [_name_file(number) for number in numbers]
        if self._root.is_local or len(names) == 1:
            return [self._root.read(name) for name in names]
        with ThreadPoolExecutor(len(names)) as pool:
            return list(pool.map(self._root.read, names))

    def _parse(self, number: int, text: bytes) -> Commit:
        try:
            payload = json.loads(text)
            return Commit(number, payload["kind"], payload)
        except (ValueError, KeyError, TypeError) as error:
            name = self._root.name(_name_file(number))
            raise StoreError(f"{name} is damaged ({error}); restore the store from a copy") from error


def has_commits(root: Location | Path) -> bool:
    """Whether a location is a store: whether its first commit is there."""
    return Location(root).has(_name_file(0))


def _name_file(number: int) -> str:
    return f"{FOLDER}/{number:0{_N_DIGITS}d}.json"


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]
