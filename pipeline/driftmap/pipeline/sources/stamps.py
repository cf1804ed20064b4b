"""What tells that the files of a source changed: sizes and times, in sum and, where they are not too many, of each."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.config.source_spec import FILE_FORMATS
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_STAMPS = 5_000
"""Of more files only the sum is kept: a store's first commit holds about 80 bytes for each."""

STAMPS = "stamps"
"""Entry of a fingerprint that only explains the others."""


class FileStamp(NamedTuple):
    """What tells that a file has changed."""

    path: str
    """Below the source."""
    size: int
    mtime_ns: int
    tag: str = ""
    """Of an object's content, where its store tells one: times there are whole seconds."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """What tells that it has changed, as numbers."""
        if not self.tag:
            return self.size, self.mtime_ns
        return self.size, self.mtime_ns, int(hashlib.sha256(self.tag.encode()).hexdigest()[:12], 16)


def find_change(path: str, stamp: FileStamp) -> str:
    """Say whether a file was changed or taken away since its stamp; empty where it was not, or is not of this machine.

    Parameters
    ----------
    path
        The whole path; a URL says nothing.
    stamp
        Of the file, when it was opened.
    """
    if "://" in path:
        return ""
    try:
        now = Path(path).stat()
    except OSError:
        return "was taken away"
    return "" if (now.st_size, now.st_mtime_ns) == (stamp.size, stamp.mtime_ns) else "was changed"


def describe_stamps(stamps: Iterable[FileStamp]) -> dict[str, Any]:
    """Make the part of a fingerprint that is about files; their paths are those below the source."""
    stamps = list(stamps)
    digest = hashlib.sha256()
    for stamp in stamps:
        digest.update(f"{stamp.path}\0{stamp.size}\0{stamp.mtime_ns}\0{stamp.tag}".encode())
    facts = {
        "files": len(stamps),
        "bytes": sum(stamp.size for stamp in stamps),
        "digest": digest.hexdigest()[:32],
    }
    if len(stamps) <= MAX_STAMPS:
        facts[STAMPS] = {stamp.path: [*stamp[1:3], *filter(None, stamp[3:])] for stamp in stamps}
    return facts


def summarise(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Give what tells that a source changed, without what tells where."""
    return {name: value for name, value in fingerprint.items() if name != STAMPS}


def explain_change(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say how a source changed: which files, where that is known; empty where it did not."""
    names = [name for name in summarise(stored) if stored[name] != now.get(name)]
    if not names:
        return ""
    if STAMPS in stored and STAMPS in now:
        changes = _compare_files(stored[STAMPS], now[STAMPS])
        if changes:
            rows = f"; rows: {stored['rows']:,}, now {now['rows']:,}" if "rows" in names else ""
            return name_some(changes) + rows
    return ", ".join(f"{name}: {stored[name]}, now {now.get(name)}" for name in names)


def has_only_grown(stored: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a source has what it had, as far as its fingerprints show, and more."""
    if stored.get("format") != now.get("format") or now.get("rows", 0) < stored.get("rows", 0):
        return False
    if STAMPS in stored and STAMPS in now and stored.get("format") in FILE_FORMATS:
        return all(now[STAMPS].get(name) == stamp for name, stamp in stored[STAMPS].items())
    return bool(now.get("rows", 0) > stored.get("rows", 0))


def _compare_files(stored: Mapping[str, list[Any]], now: Mapping[str, list[Any]]) -> list[str]:
    gone = [f"{name} is gone" for name in stored if name not in now]
    both = [name for name in stored if name in now and stored[name] != now[name]]
    changed = [_compare_file(name, stored[name], now[name]) for name in both]
    new = [f"{name} is new" for name in now if name not in stored]
    return [*gone, *changed, *new]


def _compare_file(name: str, stored: list[Any], now: list[Any]) -> str:
    (old_size, old_time, *_), (size, time, *_) = stored, now
    if old_size != size:
        return f"{name} has {size:,} bytes, had {old_size:,}"
    if old_time == time:
        return f"{name} has another content"
    return f"{name} was written at {_show_time(time)}, was at {_show_time(old_time)}"


def _show_time(mtime_ns: int) -> str:
    return datetime.fromtimestamp(mtime_ns / 1e9, UTC).isoformat(sep=" ", timespec="milliseconds")
