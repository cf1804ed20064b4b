"""Options of an ingest, and its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from driftmap.pipeline.config.arguments import refuse_other_flags
from driftmap.pipeline.config.times.durations import measure_seconds, parse_duration, read_duration, write_keep
from driftmap.pipeline.config.times.time_spans import step_back
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors.choice import WorkerKeywords
from driftmap.pipeline.ingestion.parts.schemas import AskedSchema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from driftmap.pipeline.ingestion.parts.late import Late
    from driftmap.pipeline.ingestion.plan_batch import BadWindow
    from driftmap.pipeline.store import Store


class IngestKeywords(WorkerKeywords, total=False):
    """Options of `ingest`, besides its source and scheduler; `IngestOptions` describes them."""

    grace: str | timedelta | None
    clock: bool
    complete: bool
    reopen: bool
    reopen_from: str | None
    keep: str | int | timedelta | None
    on_bad: Literal["stop", "skip"]
    on_empty: Literal["skip", "refuse"] | None
    duplicates: Literal["refuse", "first", "last", "mean"] | None
    on_bad_rows: Literal["refuse", "drop"] | None
    quarantine: str | Path | None
    wait: str | timedelta | None
    accept_schema: bool
    vectors: str | Sequence[str] | None
    exclude: str | Sequence[str] | None


@dataclass(frozen=True)
class IngestOptions:
    """Options of an ingest, checked."""

    grace: str | None = None
    """How long after a window's end its rows may still come, such as `2h`; None: not at all."""
    clock: bool = False
    """Whether time passes by the clock; else by the newest time stamp of the rows."""
    complete: bool = False
    """Whether nothing more comes of what is there, so that the last window is taken as it is."""
    reopen: bool = False
    """Whether rows that come too late for a final window, or were changed, send the store back to before it; a window
    that was skipped and can be used now does too. What cannot be made again is found before the store is reopened."""
    reopen_from: str | None = None
    """Label of a window that the store goes back to before: one that is damaged or was skipped, or whose rows were
    changed."""
    keep: str | None = None
    """How long graphs are kept, such as `2y`, or of how many windows; None: for good."""
    on_bad: Literal["stop", "skip"] = "stop"
    """Whether later windows wait for one that cannot be used, or go on without it. Once its rows are others it goes in
    where no window is after it; else it is reported as late."""
    on_empty: Literal["skip", "refuse"] | None = None
    """Whether windows of fewer than two rows are left out and reported, or done with as `on_bad` says; None: as the
    run."""
    duplicates: Literal["refuse", "first", "last", "mean"] | None = None
    """What stands for an id that comes more than once in a window; None: as the run. A rule may take the place of their
    refusal, and holds from then on."""
    on_bad_rows: Literal["refuse", "drop"] | None = None
    """What becomes of rows without an id, or with missing or infinite numbers; as `duplicates`."""
    quarantine: str | Path | None = None
    """Folder, or URL in a bucket, to which files with rows that cannot be used are moved; None: they stay. Where one
    cannot be moved, `on_bad` says what becomes of later windows."""
    wait: str | None = None
    """How long to wait for another run or ingest on the same store, such as `10m`; None: not at all."""
    accept_schema: bool = False
    """Whether a file with other columns of vectors, or other types of them, is taken in as a new schema of the source;
    else it is refused. A window has rows of one schema, unless their vectors are made of the same columns."""
    vectors: str | tuple[str, ...] | None = None
    """With `accept_schema`: the columns of vectors from then on, as for `run`; None: as the run chooses them."""
    exclude: str | tuple[str, ...] | None = None
    """With `accept_schema`: columns that stay out of the vectors, as for `run`, beside those that already do."""

    def __post_init__(self) -> None:
        flags = ("clock", "complete", "reopen", "accept_schema")
        refuse_other_flags(**{name: getattr(self, name) for name in flags})
        if self.on_bad not in ("stop", "skip"):
            raise ConfigError(f"on_bad is {self.on_bad!r}; 'stop' or 'skip' was expected")
        if self.on_empty not in (None, "skip", "refuse"):
            raise ConfigError(f"on_empty is {self.on_empty!r}; 'skip' or 'refuse' was expected")
        for name, choices in (("duplicates", ("refuse", "first", "last", "mean")), ("on_bad_rows", ("refuse", "drop"))):
            if getattr(self, name) not in (None, *choices):
                known = f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"
                raise ConfigError(f"{name} is {getattr(self, name)!r}; {known} was expected")
        for name in ("vectors", "exclude"):
            value = getattr(self, name)
            if value and not self.accept_schema:
                raise ConfigError(
                    f"{name} is {value!r}, but a store keeps the columns of its run; give accept_schema too, to take "
                    "in files with other columns, or make a new store for maps of these (run)"
                )
            names = (value,) if isinstance(value, str) else tuple(value or ())
            object.__setattr__(self, name, names or None)
        for name in ("grace", "wait"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, str(read_duration(value, name)))
        if self.keep is not None:
            object.__setattr__(self, "keep", write_keep(self.keep))

    @property
    def wait_seconds(self) -> float:
        """How long to wait for the store, in seconds."""
        if self.wait is None:
            return 0.0
        return measure_seconds(parse_duration(self.wait))

    @property
    def asked_schema(self) -> AskedSchema:
        """What is said of files with other columns."""
        return AskedSchema(self.accept_schema, self.vectors, self.exclude)

    def find_until(self, newest: str | None, now: np.datetime64) -> np.datetime64 | None:
        """Find the moment up to which every row is taken to have come; None: nothing more comes at all."""
        if self.complete:
            return None
        if self.clock:
            moment = now
        elif newest is None:
            return np.datetime64(0, "us")  # values of a column: a later one must be there
        else:
            moment = min(np.datetime64(newest, "us"), now)  # a time stamp ahead of the clock is a wrong one
        return moment if self.grace is None else step_back(moment, parse_duration(self.grace))


@dataclass
class IngestReport:
    """What an ingest did."""

    store: Store
    new: list[str] = field(default_factory=list)
    """Labels of the windows that were added."""
    rebuilt: list[str] = field(default_factory=list)
    """Labels of provisional windows that were built again: of late rows, or of rows that changed."""
    moved: dict[str, float] = field(default_factory=dict)
    """How far each provisional window moved, over the spread of its map."""
    empty: list[str] = field(default_factory=list)
    """Labels of windows of fewer than two rows that were left out."""
    skipped: list[BadWindow] = field(default_factory=list)
    """New windows that cannot be used, and why: later ones go on without them."""
    kept_out: list[BadWindow] = field(default_factory=list)
    """Provisional windows that cannot be built again with late or changed rows, and why; they stay as they were."""
    late: list[Late] = field(default_factory=list)
    """Rows that were kept out since they came too late, now or earlier."""
    altered: list[str] = field(default_factory=list)
    """Labels of final windows whose rows are others in the source now; their maps stay as they are."""
    waiting: list[str] = field(default_factory=list)
    """Files that are still being written."""
    quarantined: list[str] = field(default_factory=list)
    """Parts that were set aside."""
    reopened: str | None = None
    """Label of the window that the store went back to."""
    left_out: list[str] = field(default_factory=list)
    """Parts that cannot be read, and stay where they are: the next start tries them again."""
    schemas: list[str] = field(default_factory=list)
    """Of each schema that was taken in: the first part that has it, and what its vectors are made of."""
    n_pending: int = 0
    """Rows that wait for their windows to be whole."""
    n_pruned: int = 0
    """Windows whose graphs were removed."""

    @property
    def did_nothing(self) -> bool:
        """Whether there was nothing new."""
        changed = self.new or self.rebuilt or self.empty or self.skipped or self.kept_out or self.quarantined
        return not (changed or self.schemas or self.n_pruned or self.reopened)

    def without_work(self) -> IngestReport:
        """Give what a start that finds everything like this reports."""
        return IngestReport(self.store, late=self.late, altered=self.altered, n_pending=self.n_pending)

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON holds it."""
        return {
            "new": self.new,
            "rebuilt": self.rebuilt,
            "moved": self.moved,
            "empty": self.empty,
            "skipped": {bad.label: bad.reason for bad in self.skipped},
            "kept_out": {bad.label: bad.reason for bad in self.kept_out},
            "late": {late.label: late.n_rows for late in self.late},
            "altered": self.altered,
            "waiting": self.waiting,
            "quarantined": self.quarantined,
            "left_out": self.left_out,
            "reopened": self.reopened,
            "schemas": self.schemas,
            "rows_pending": self.n_pending,
            "graphs_removed": self.n_pruned,
        }

    def __str__(self) -> str:
        return f"{self.store.path}: {self.describe()}"

    def describe(self) -> str:
        """Say in a few words what was done, and what was left out or waits."""
        parts = [
            _count(self.new, "new window"),
            _count(self.rebuilt, "window rebuilt", "windows rebuilt"),
            _count(self.empty, "empty window left out", "empty windows left out"),
            _count(self.skipped, "window skipped", "windows skipped"),
            _count(self.quarantined, "file set aside", "files set aside"),
            _count(self.schemas, "schema accepted", "schemas accepted"),
        ]
        shown = [part for part in parts if part]
        if self.reopened is not None:
            shown.append(f"reopened from {self.reopened!r} as generation {self.store.generation}")
        if self.n_pruned:
            shown.append(f"graphs of {self.n_pruned} windows removed")
        if not shown and not self.kept_out:
            shown = ["nothing new"]
        if self.kept_out:
            shown.append(f"late or changed rows of {_count(self.kept_out, 'window')} kept out")
        if self.left_out:
            shown.append(f"{_count(self.left_out, 'file')} left out")
        n_late = sum(late.n_rows for late in self.late)
        if n_late:
            shown.append(f"{n_late:,} rows too late")
        if self.altered:
            shown.append(f"rows of {_count(self.altered, 'final window')} are others now")
        if self.n_pending:
            shown.append(f"{self.n_pending:,} rows wait for their windows to be whole")
        if self.waiting:
            shown.append(f"{_count(self.waiting, 'file')} still being written")
        return ", ".join(shown)


def _count(things: list[Any], one: str, many: str | None = None) -> str:
    if not things:
        return ""
    return f"{len(things):,} {one if len(things) == 1 else many or one + 's'}"
