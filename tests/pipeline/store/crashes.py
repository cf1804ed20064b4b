"""Power failures: the writes of a process are recorded with its syncs, and replayed up to any moment.

What was not on the disk by then (`fsync` of the file for its content, of its folder for its name) is there, lost or
torn, each on its own: file systems write in any order. A name that was given twice may be either file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import obstore

from driftmap.pipeline.store.disk import location as locations

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import pytest

PAGE = 512
"""Bytes that a disk writes at once, or not at all."""


class Event(NamedTuple):
    """One thing that a process did to its files."""

    kind: str
    """put, delete or sync."""
    name: str
    """Of a file or folder, below the store; empty: the store itself."""
    content: bytes = b""


def record(monkeypatch: pytest.MonkeyPatch, root: Path, work: Callable[[], object]) -> list[Event]:
    """Do some work on a store, and record what it does to the files below `root`."""
    events: list[Event] = []
    put, delete, sync = obstore.put, obstore.delete, locations._sync_path

    def put_too(files, file, content, **options):
        put(files, file, content, **options)
        events.append(Event("put", file, bytes(content)))

    def delete_too(files, file):
        delete(files, file)
        events.append(Event("delete", file))

    def sync_too(path):
        sync(path)
        name = path.relative_to(root).as_posix()
        events.append(Event("sync", "" if name == "." else name))

    with monkeypatch.context() as patch:
        patch.setattr(obstore, "put", put_too)
        patch.setattr(obstore, "delete", delete_too)
        patch.setattr(locations, "_sync_path", sync_too)
        work()
    return events


@dataclass
class Disk:
    """What is on a disk for sure, and what may be."""

    contents: list[bytes] = field(default_factory=list)
    """Of every file that was ever written."""
    is_synced: list[bool] = field(default_factory=list)
    names: dict[str, list[int | None]] = field(default_factory=dict)
    """By name: the file that is there for sure (None: no file), then those that may be there instead."""
    folders: dict[str, bool] = field(default_factory=dict)
    """Whether the name of a folder is there for sure."""

    @classmethod
    def after(cls, events: list[Event]) -> Disk:
        """Give the disk as it is after these events."""
        disk = cls()
        for event in events:
            getattr(disk, f"_{event.kind}")(event)
        return disk

    def _put(self, event: Event) -> None:
        self.contents.append(event.content)
        self.is_synced.append(False)
        self.names.setdefault(event.name, [None]).append(len(self.contents) - 1)
        for parent in _list_parents(event.name):
            self.folders.setdefault(parent, False)

    def _delete(self, event: Event) -> None:
        self.names[event.name].append(None)

    def _sync(self, event: Event) -> None:
        if event.name in self.names:
            self.is_synced[self.names[event.name][-1]] = True
            return
        for name, files in self.names.items():
            if _name_parent(name) == event.name:
                self.names[name] = files[-1:]
        for name in self.folders:
            if _name_parent(name) == event.name:
                self.folders[name] = True

    def count_certain(self, folder: str) -> int:
        """Count the files of a folder that are whole for sure."""
        return sum(
            _name_parent(name) == folder and len(files) == 1 and files[0] is not None and self.is_synced[files[0]]
            for name, files in self.names.items()
        ) * all(self.folders.get(parent, False) for parent in (folder, *_list_parents(folder)))

    def write(self, root: Path, chance: random.Random) -> None:
        """Write one of the states in which a power failure may leave the disk."""
        mood = chance.choice(["all lost", "all there", "any", "any", "any", "torn"])
        lost = {name for name, is_certain in self.folders.items() if not is_certain and _is_lost(mood, chance)}
        root.mkdir(parents=True)
        for name, files in self.names.items():
            if lost.intersection(_list_parents(name)):
                continue
            file = files[0] if len(files) == 1 or mood == "all lost" else chance.choice(files)
            file = files[-1] if mood == "all there" else file
            if file is None:
                continue
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = _free(name, self.contents[file])
            path.write_bytes(content if self.is_synced[file] else _tear(content, mood, chance))
            if (
                not self.is_synced[file] and chance.random() < 0.2
            ):  # what the file was written to before it got its name
                path.with_name(f"{path.name}#1").write_bytes(_tear(content, "any", chance))
        for name in set(self.folders) - lost:
            if not lost.intersection(_list_parents(name)):
                (root / name).mkdir(parents=True, exist_ok=True)


def _is_lost(mood: str, chance: random.Random) -> bool:
    return {"all lost": True, "all there": False}.get(mood, chance.random() < 0.3)


def _tear(content: bytes, mood: str, chance: random.Random) -> bytes:
    """Give what is left of a file that was not synced."""
    kinds = ["none", "start", "zeros", "pages"]
    kind = {"all lost": "none", "all there": "whole", "torn": chance.choice(kinds)}.get(mood) or chance.choice(
        [*kinds, "whole", "whole"]
    )
    if kind == "start":
        return content[: chance.randrange(len(content) + 1)]
    if kind == "zeros":
        return bytes(len(content))
    if kind == "pages":
        pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
        return b"".join(page if chance.random() < 0.5 else bytes(len(page)) for page in pages)
    return content if kind == "whole" else b""


def _free(name: str, content: bytes) -> bytes:
    """Give a lock's file with a process that is gone: the one that wrote it is this one, and lives."""
    if not name.startswith("lock/"):
        return content
    return json.dumps({**json.loads(content), "pid": 2**31 - 1}, indent=1).encode()


def _name_parent(name: str) -> str:
    parent = PurePosixPath(name).parent.as_posix()
    return "" if parent == "." else parent


def _list_parents(name: str) -> list[str]:
    return [parent.as_posix() for parent in PurePosixPath(name).parents if parent.as_posix() != "."]
