"""A start that finds everything as the last one left it is answered from the log and the stamps of the source's files.

Whoever asks every hour finds something new once a day; loading what reads vectors takes longer than to say so. What the
last good start found is kept with its outcome (`watch.outcome`), under what it rests on: the log, the files of the
source, the version of driftmap and the options. Where one of them differs, or the answer may change with the clock, the
source is looked at as ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.errors import StoreWarning
from driftmap.pipeline.ingestion.watch.outcome import StageClock, read_memo, record_outcome
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.log.growth import INBOX_FOLDER
from driftmap.pipeline.store.log.lock import read_holder
from driftmap.pipeline.store.log_view import LogView
from driftmap.pipeline.tracing import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from driftmap.pipeline.ingestion.options import IngestReport
    from driftmap.pipeline.ingestion.watch.outcome import IngestOutcome

_VARIABLE = ("clock", "reopen", "reopen_from", "relations")
"""Options with which the same call may find something to do though nothing changed."""


class Unchanged(NamedTuple):
    """The answer to a start that found everything as the last one left it."""

    store: LogView
    report: dict[str, Any]
    """As `IngestReport.to_json` gives it."""
    said: str
    """As the report says it in one line."""
    facts: dict[str, Any]
    """As `describe_growth` gives them."""
    outcome: IngestOutcome


class Look(NamedTuple):
    """What one look at a source rests on."""

    call: str
    paths: list[str]
    files: str
    at: str
    """UTC time, as the log has times of rows."""

    def describe(self, report: IngestReport, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Make what is kept of it once all is done; None where the next start has to look again."""
        store = report.store
        newest = store.growth.newest
        is_ahead = newest is not None and newest > self.at  # what is whole is then a matter of the clock
        if report.waiting or report.left_out or is_ahead:
            return None
        rest = report.without_work()
        memo = {
            "driftmap": version("driftmap"),
            "call": self.call,
            "paths": self.paths,
            "files": self.files,
            "log": store.log_digest,
            "report": rest.to_json(),
            "said": rest.describe(),
            "facts": dict(facts),
        }
        return {**memo, "checksum": _digest(memo)}


def name_call(source: object, scheduler: object, options: Mapping[str, Any]) -> str | None:
    """Name a call of `ingest` by its options; None where nothing can be kept of it."""
    source = str(source) if isinstance(source, os.PathLike) else source
    if not isinstance(source, str | None):  # rows, or a function: some of them cannot be compared
        return None
    given = {"source": source, "scheduler": scheduler, **options}
    asked = {
        name: value
        for name, value in given.items()
        if value is not None and value is not False and not (isinstance(value, tuple) and not value)
    }
    if any(name in asked for name in _VARIABLE):
        return None
    if source is not None:
        asked["folder"] = str(Path.cwd())
    try:
        return json.dumps(asked, sort_keys=True, default=_name_path)
    except TypeError:  # rows, a function, a client
        return None


def begin_look(store: LogView, source: object, call: str | None) -> Look | None:
    """Note the files of a source before they are looked at; None where that is not enough to see a change."""
    from driftmap.pipeline.config.source_spec import FILE_FORMATS  # late: an unchanged start needs no models
    from driftmap.pipeline.sources.locations import SourcePlace

    spec = store.config["source"]
    if call is None or not store.location.is_local or spec["format"] not in FILE_FORMATS:
        return None
    named = [spec["path"] if source is None else source, spec.get("vectors_file")]
    places = [SourcePlace(name) for name in named if name is not None]
    if not all(place.is_local for place in places):
        return None
    paths = [*map(str, places), str(store.location.folder / INBOX_FOLDER)]
    files = _stamp_files(paths)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return None if files is None else Look(call, paths, files, now)


def find_unchanged(path: str | Path, call: str | None) -> Unchanged | None:
    """Answer a start that finds everything as the last one left it; None: the source is to be looked at.

    Parameters
    ----------
    path
        The store.
    call
        Of `name_call`.
    """
    if call is None:
        return None
    clock = StageClock()
    try:
        location = Location(path)
        memo = read_memo(location) if location.is_local else None
        if memo is None or not _is_current(memo, call) or not has_commits(location) or read_holder(location):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error", StoreWarning)  # whoever looks then says what is wrong
            view = LogView(location)
    except (DriftmapError, StoreWarning, OSError):
        return None
    if view.log_digest != memo["log"]:
        return None
    outcome = record_outcome(location, clock=clock, memo=memo)
    record("ingest", sum((outcome.seconds or {}).values()), run=clock.run, store=str(location))
    last = memo["facts"]["last_ingest"]
    age = None if last is None else round((datetime.now(UTC) - datetime.fromisoformat(last)).total_seconds(), 3)
    facts = {**memo["facts"], "seconds_since_ingest": age, "outcome": asdict(outcome)}
    return Unchanged(view, memo["report"], f"{view.path}: {memo['said']}", facts, outcome)


def _is_current(memo: Mapping[str, Any], call: str) -> bool:
    """Whether what is kept is whole, and still holds for the same call of the same driftmap on the same files."""
    try:
        rest = {name: value for name, value in memo.items() if name != "checksum"}
        named = (memo["checksum"], memo["call"], memo["driftmap"])
        return named == (_digest(rest), call, version("driftmap")) and bool(
            memo["files"] == _stamp_files(memo["paths"])
        )
    except (KeyError, TypeError, ValueError):
        return False


def _stamp_files(paths: Iterable[str]) -> str | None:
    """Digest names, sizes and times of files and of all below folders; None where a link leads to another folder."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"\1{path}\0{_stamp(path)}".encode(errors="surrogateescape"))
        for folder, folders, names in os.walk(path):
            if any((Path(folder) / name).is_symlink() for name in folders):
                return None
            folders.sort()
            for name in sorted(names):
                file = f"{folder}{os.sep}{name}"
                digest.update(f"{file}\0{_stamp(file)}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _stamp(path: str) -> str:
    try:
        stat = os.stat(path)  # noqa: PTH116 - a Path for each file costs as much again
    except OSError:
        return "gone"
    if os.path.isdir(path):  # noqa: PTH112 - as above; its own time changes with files that are no data
        return "folder"
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _digest(memo: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(memo, sort_keys=True).encode()).hexdigest()


def _name_path(value: object) -> str:
    if isinstance(value, os.PathLike):
        return str(value)
    raise TypeError
