"""The log of a store: numbered commit files that are created once and never changed, each chained to those before.

What the log says is all that is true of a store. A file is created whole or not at all, so of two writers of one
number one fails, and a reader never meets half a commit.

Every commit carries a checksum of itself (`checksum`, over all its other bytes) and the digest of all commits before it
(`previous`), so that a flipped bit, a missing commit or one of another store is found. Logs of driftmap 0.1 have
neither; they are read as they are, and the first commit that is added binds them all. Only the newest commit may be
torn, by a power failure: it is left out with a warning, and the next writer removes it.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.errors import StoreError, StoreWarning
from driftmap.pipeline.store.disk.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDER = "commits"
_N_DIGITS = 8
_CHECKSUM = re.compile(rb'\{\n "checksum": "([0-9a-f]{64})",')
"""How the text of a chained commit begins; the checksum is that of the text without this line."""
_N_AHEAD = 32
"""Commits that are asked for at once where each takes a journey over the network."""


class Commit(NamedTuple):
    """One entry of the log."""

    number: int
    kind: str
    payload: dict[str, Any]


class Link(NamedTuple):
    """What a commit is chained to."""

    file: str = ""
    """Digest of the last commit's file."""
    chain: str = ""
    """Digest of all commits so far."""
    is_chained: bool = False
    """Whether the last commit was chained: all that follow must be."""

    def follow(self, text: bytes, *, is_chained: bool) -> Link:
        """Give what the commit after the one of this text is chained to."""
        return Link(_digest(text), _digest(self.chain.encode() + text), is_chained)


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
        self.link = Link()
        """What the next commit is chained to."""
        self.torn: int | None = None
        """Number of the newest commit, where its file was cut short."""

    def skip_to(self, n_commits: int, link: Link) -> bool:
        """Take the first commits as read; False, and nothing done, where the last of them is not what was said."""
        text = self._root.read(_name_file(n_commits - 1))
        if text is None or _digest(text) != link.file:
            return False
        self.n_read, self.link = n_commits, link
        return True

    def read_new(self) -> list[Commit]:
        """Read the commits that were added since the last call.

        Numbers are tried one after the other, so a call with nothing new costs one failed look-up, whatever the length.

        Raises
        ------
        StoreError
            When a commit is damaged, or is not the one that followed those before it.
        """
        new: list[Commit] = []
        n_ahead = 1
        while True:
            for text in self._read_texts(range(self.n_read, self.n_read + n_ahead)):
                if text is None or self._is_torn(text):
                    return new
                new.append(self._take(text))
            n_ahead = 1 if self._root.is_local else min(2 * n_ahead, _N_AHEAD)

    def refuse_gap(self) -> None:
        """Refuse a log of which a number is missing, below what was read or before what follows.

        Raises
        ------
        StoreError
            Naming the missing commit, and what can still be read.
        """
        there = set(self.list_numbers())
        last = max(there, default=-1)
        missing = next((number for number in range(last) if number not in there), None)
        if missing is None or self._root.has(_name_file(missing)):  # another process may be writing
            return
        readable = f"commits 0 to {missing - 1} can be read" if missing else "nothing can be read"
        raise StoreError(
            f"{self._name(missing)} is missing, and commits up to {last} follow it: the log has a gap ({readable}). "
            "Restore the file from a copy; until then nothing may be removed from the store"
        )

    def describe_missing_end(self, n_commits: int) -> str | None:
        """Say that the log was longer than what can be read of it; None where it was not.

        Parameters
        ----------
        n_commits
            Length that the log had. A newest commit that was cut short is not missing: its warning was given.
        """
        if self.n_read >= n_commits or self.torn == self.n_read == n_commits - 1:
            return None
        return (
            f"{self._name(self.n_read)} is missing: the log had {n_commits} commits when it was last written to, and "
            f"ends before commit {self.n_read} now"
        )

    def read_range(self, numbers: Iterable[int]) -> list[Commit]:
        """Read some commits again, whatever was read before; how they are chained is not looked at.

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
                found.append(self._parse(number, text)[0])
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
        body = {"kind": kind, "time": now, **payload, "previous": self.link.chain}
        text = _seal(json.dumps(body, indent=1, allow_nan=False, sort_keys=True).encode())
        if self.torn == number:
            self._root.delete([_name_file(number)])
            self.torn = None
        if not self._root.create(_name_file(number), text):
            raise CommitConflictError(
                f"another process writes to {self._root}: commit {number} is not ours; let only one run use a store"
            )
        return self._take(text)

    def list_numbers(self) -> list[int]:
        """List the numbers of the commits that there are, whole or not."""
        found = self._root.list(FOLDER)
        stems = (name.rpartition("/")[2].removesuffix(".json") for name in found)
        return [number for number in (int(stem) for stem in stems if stem.isdecimal()) if _name_file(number) in found]

    def _take(self, text: bytes) -> Commit:
        """Take the next commit into what was read, if it follows."""
        commit, is_chained = self._parse(self.n_read, text)
        if is_chained or self.link.is_chained:
            previous = commit.payload.get("previous")
            if not is_chained:
                raise StoreError(
                    f"{self._name(self.n_read)} is not chained to the commits before it: an older driftmap wrote to "
                    "the store, or the file is of another one; restore the log from a copy, and upgrade all writers"
                )
            if previous != self.link.chain:
                raise StoreError(
                    f"{self._name(self.n_read)} does not follow the commits before it: one of them was exchanged or "
                    "changed, or the file is of another store; restore the log from a copy"
                )
        self.link = self.link.follow(text, is_chained=is_chained)
        self.n_read += 1
        return commit

    def _is_torn(self, text: bytes) -> bool:
        """Whether the next commit's file was cut short, as by a power failure; only the newest one may be."""
        if not _is_cut_short(text):
            return False
        if any(number > self.n_read for number in self.list_numbers()):
            return False  # then it is damaged, and says so when it is parsed
        if self.torn != self.n_read:
            warnings.warn(
                f"{self._name(self.n_read)}, the newest commit, was cut short and is left out; everything before it "
                "stands, and the next run or ingest goes on from there",
                StoreWarning,
                stacklevel=2,
            )
        self.torn = self.n_read
        return True

    def _name(self, number: int) -> str:
        return self._root.name(_name_file(number))

    def _read_texts(self, numbers: Iterable[int]) -> list[bytes | None]:
        names = [_name_file(number) for number in numbers]
        if self._root.is_local or len(names) == 1:
            return [self._root.read(name) for name in names]
        with ThreadPoolExecutor(len(names)) as pool:
            return list(pool.map(self._root.read, names))

    def _parse(self, number: int, text: bytes) -> tuple[Commit, bool]:
        """Read a commit, and whether it is chained; its checksum must be right then."""
        try:
            body, is_chained = _unseal(text)
            payload = json.loads(body)
            if not is_chained and "previous" in payload:
                raise ValueError("its checksum is missing")
            if not isinstance(payload["kind"], str):
                raise TypeError("its kind is no text")
            return Commit(number, payload["kind"], payload), is_chained
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise StoreError(f"{self._name(number)} is damaged ({said}); restore the store from a copy") from error


def _is_cut_short(text: bytes) -> bool:
    """Whether a file was not written whole: its end is missing, or pages of it are zeros."""
    if text.endswith(b"\n}") and b"\0" not in text:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def _seal(body: bytes) -> bytes:
    """Give the text of a commit with its checksum."""
    return b'{\n "checksum": "' + hashlib.sha256(body).hexdigest().encode() + b'",' + body[1:]


def _unseal(text: bytes) -> tuple[bytes, bool]:
    """Give the text without its checksum, and whether it had one.

    Raises
    ------
    ValueError
        When the checksum is wrong.
    """
    found = _CHECKSUM.match(text)
    if found is None:
        return text, False
    body = b"{" + text[found.end() :]
    if hashlib.sha256(body).hexdigest().encode() != found[1]:
        raise ValueError("its checksum is wrong")
    return body, True


def has_commits(root: Location | Path) -> bool:
    """Whether a location is a store: whether its first commit is there, and was written whole."""
    location = Location(root)
    if not location.has(_name_file(0)):
        return False
    text = location.read(_name_file(0))
    if text is None or not _is_cut_short(text):
        return text is not None
    return max(CommitLog(location).list_numbers(), default=0) > 0  # then it is damaged: more was written after it


def _name_file(number: int) -> str:
    return f"{FOLDER}/{number:0{_N_DIGITS}d}.json"


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]
