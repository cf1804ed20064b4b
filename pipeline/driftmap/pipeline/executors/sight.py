"""What workers must see as the caller does: the source, and the store that it holds. No Dask here."""

from __future__ import annotations

import functools
import hashlib
import json
import uuid
from typing import TYPE_CHECKING, NamedTuple

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.executors.worker_process import WorkerError, name_process
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.opening import MARKS
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.lock import StoreLock

_REMEDY = (
    "put it where this machine and all workers see it under the same path, such as a shared folder, or in object "
    "storage (s3://, gs://, az://); or leave these workers out (workers_on)"
)


class SeenSource(NamedTuple):
    """A source, and what this process sees of it."""

    spec: SourceSpec
    files: str
    """Digest of names and sizes; empty: whatever is there."""

    def __str__(self) -> str:
        """Name it."""
        return f"the source {self.spec.path}"

    def find_fault(self) -> str:
        """Say why this process does not see the same; empty where it does."""
        for path in filter(None, (self.spec.path, self.spec.vectors_file)):
            if SourcePlace(path).find_kind() is None:
                return "no such file or folder" if path == self.spec.path else f"no such file or folder: {path}"
        seen = digest_files(self.spec)  # which refuses a folder without any
        return "it has other files there" if self.files and seen != self.files else ""


class SeenStore(NamedTuple):
    """A store that the caller holds, and the file of its lock."""

    location: Location
    file: str
    token: str

    def __str__(self) -> str:
        """Name it."""
        return f"the store {self.location}"

    def find_fault(self) -> str:
        """Say why this process does not see the same, or cannot write it; empty where it does and can."""
        if not self.location.exists():
            return "no such folder"
        text = self.location.read(self.file)
        if text is None or _read_token(text) != self.token:
            return "another folder is there"
        probe = f"{self.file}.{uuid.uuid4().hex}"  # a name that no lock has
        self.location.create(probe, b"")
        self.location.delete([probe])
        return ""


Sight = tuple[SeenSource | SeenStore, ...]
"""All that the workers of a run must see."""


def see_source(spec: SourceSpec, *, may_grow: bool = False) -> Sight:
    """Look at a source; nothing where it is only in memory, or in the store.

    Parameters
    ----------
    spec
        Of the source.
    may_grow
        Files may come meanwhile: workers need not see just these.
    """
    if not spec.path or spec.format == "arrays":
        return ()
    return (SeenSource(spec, "" if may_grow else digest_files(spec)),)


def see_store(location: Location, lock: StoreLock) -> Sight:
    """Look at a store that this process holds."""
    return (SeenStore(location, *lock.sign),)


def find_faults(sight: Sight) -> list[str]:
    """Say what a worker, this process, does not see as the caller does: a text for each thing, empty where it does."""
    return [_find_fault(thing) for thing in sight]


def refuse_blind(sight: Sight, found: Mapping[str, object], names: Mapping[str, str]) -> None:
    """Refuse to begin where workers do not see what they need.

    Parameters
    ----------
    sight
        What they need.
    found
        What `find_faults` gave on each worker, by address; anything else where it failed: that is another trouble.
    names
        Of the workers, by address.

    Raises
    ------
    WorkerError
        Naming what they do not see, which workers, why, and what to do.
    """
    reports = {address: faults for address, faults in found.items() if isinstance(faults, list)}
    for number, thing in enumerate(sight):
        blind = [
            f"{names[address]} at {address} ({faults[number]})" for address, faults in reports.items() if faults[number]
        ]
        if blind:
            raise WorkerError(_explain(f"{len(blind)} of {len(found)} workers", thing, name_some(blind)))


@functools.lru_cache(maxsize=16)
def refuse_blind_here(sight: Sight) -> None:
    """Refuse, on a worker that joined later, to work without seeing what is needed.

    Raises
    ------
    WorkerError
        Naming this worker, what it does not see, why, and what to do.
    """
    for thing, fault in zip(sight, find_faults(sight), strict=True):
        if fault:
            raise WorkerError(_explain("a worker", thing, f"{name_process()} ({fault})"))


def digest_files(spec: SourceSpec) -> str:
    """Digest what is seen of a source's files, without reading them: which they are, and how long."""
    if spec.is_files:
        from driftmap.pipeline.sources.readers.tables.listing import list_files  # late: Arrow is slow to import

        stamps = list_files(SourcePlace(spec.path), spec.files, spec.format)[1]
        seen: Sequence[object] = [(stamp.path, stamp.size) for stamp in stamps]
    else:
        place = SourcePlace(spec.path)
        is_file = place.find_kind() == "file"
        seen = [stamp.size for stamp in place.stamp_all()] if is_file else [name for name in MARKS if place.has(name)]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def _find_fault(thing: SeenSource | SeenStore) -> str:
    try:
        return thing.find_fault()
    except (DriftmapError, OSError) as error:  # such as permissions, or a bucket without credentials
        return str(error)


def _explain(who: str, thing: SeenSource | SeenStore, where: str) -> str:
    return f"{who} cannot see {thing} as this process does: {where}; {_REMEDY}"


def _read_token(text: bytes) -> str | None:
    try:
        found: str | None = json.loads(text).get("token")
    except (ValueError, AttributeError):
        return None
    return found
