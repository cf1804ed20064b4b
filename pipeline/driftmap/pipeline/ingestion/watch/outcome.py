"""How the last ingest ended: kept beside the log of a store, on success and on failure, for those who watch it."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.errors import StoreError, hide_credentials
from driftmap.pipeline.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from driftmap.pipeline.store.disk.location import Location

OUTCOME_FILE = "last-ingest.json"
"""Not part of the log: nothing is decided by it, and a store without it is whole."""

_MEMO = "memo"
"""Its entry that the next start may answer from."""

EXIT_OTHER_ERROR = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class IngestOutcome:
    """How an ingest ended."""

    attempted: str
    """UTC time of its end."""
    exit_code: int
    """0; 2 when something must be mended; 3 when a threshold was passed; 130 when it was interrupted; 1 for any other
    error."""
    succeeded: str | None = None
    """UTC time at which the last good one ended."""
    blocked: str | None = None
    """Label of the window, or name of the part of the source, that keeps later windows out."""
    reason: str | None = None
    """Why it failed, or why what is blocked cannot be used."""
    run: str | None = None
    """Name of the attempt, as in its log lines."""
    seconds: Mapping[str, float] | None = None
    """What it took, by stage."""


class StageClock:
    """Name of one ingest, the stage that it is in, and the seconds that each stage took so far."""

    def __init__(self) -> None:
        self.run = uuid.uuid4().hex[:12]
        self.stage = "start"
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    @contextmanager
    def at(self, stage: str, windows: Sequence[str] = ()) -> Iterator[None]:
        """Count the time inside the context to a stage, and what is inside of another one to that."""
        before = self.stage
        self._enter(stage)
        try:
            with trace(stage, run=self.run, stage=stage, windows=list(windows) or None):
                yield
        finally:
            self._enter(before)

    def read(self) -> dict[str, float]:
        """Give the seconds of all stages up to now."""
        self._enter(self.stage)
        return {stage: round(seconds, 3) for stage, seconds in self._seconds.items()}

    def _enter(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[self.stage] = self._seconds.get(self.stage, 0.0) + now - self._since
        self.stage, self._since = stage, now


def record_outcome(
    location: Location,
    error: BaseException | None = None,
    clock: StageClock | None = None,
    memo: Mapping[str, Any] | None = None,
) -> IngestOutcome:
    """Keep how an ingest ended; a store that cannot be written to keeps what it had.

    Parameters
    ----------
    location
        Of the store.
    error
        What ended it; None: it did all there was to do.
    clock
        Of the ingest.
    memo
        What the next start may answer from (`unchanged`).

    Returns
    -------
    IngestOutcome
        What is known now, written or not.
    """
    outcome = describe_outcome(error, read_outcome(location))
    if clock is not None:
        outcome = replace(outcome, run=clock.run, seconds=clock.read())
    with suppress(StoreError, OSError):  # a full disk, for one: what ended the ingest is what is to be raised
        kept = asdict(outcome) if memo is None else {**asdict(outcome), _MEMO: memo}
        location.replace(OUTCOME_FILE, json.dumps(kept, indent=1).encode())
    return outcome


def describe_outcome(error: BaseException | None, before: IngestOutcome | None = None) -> IngestOutcome:
    """Describe how an ingest ended; the time of the last good one is taken from the outcome before."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    if error is None:
        return IngestOutcome(now, 0, now)
    last = None if before is None else before.succeeded
    blocked = getattr(error, "blocked", "") or None
    reason = getattr(error, "reason", "") or str(error) or type(error).__name__
    return IngestOutcome(now, find_exit_code(error), last, blocked, hide_credentials(reason))


def find_exit_code(error: BaseException) -> int:
    """Find the exit code of the command that an error ends."""
    if isinstance(error, DriftmapError):
        return EXIT_USER_ERROR
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return EXIT_OTHER_ERROR


def read_outcome(location: Location) -> IngestOutcome | None:
    """Read how the last ingest of a store ended; None where none was kept, or what was kept cannot be read."""
    kept = _read_kept(location)
    try:
        return None if kept is None else IngestOutcome(**{name: kept[name] for name in kept if name != _MEMO})
    except TypeError:
        return None


def read_memo(location: Location) -> dict[str, Any] | None:
    """Read what the last good ingest left for the next start to answer from; None where there is nothing."""
    memo = (_read_kept(location) or {}).get(_MEMO)
    return memo if isinstance(memo, dict) else None


def _read_kept(location: Location) -> dict[str, Any] | None:
    try:
        kept = json.loads(location.read(OUTCOME_FILE) or b"null")
    except (StoreError, OSError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None
