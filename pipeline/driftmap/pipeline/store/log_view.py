"""What the log of a store says: read when the store is opened, and again as it grows."""

from __future__ import annotations

import difflib
import warnings
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import StoreError, StoreWarning
from driftmap.pipeline.store.log import checkpoints
from driftmap.pipeline.store.log.commits import CommitLog
from driftmap.pipeline.store.log.lock import FOLDER, read_log_end
from driftmap.pipeline.store.log.state import PACKED_SINCE, read_first_commit, refuse_older

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.commits import Commit
    from driftmap.pipeline.store.log.growth import Growth
    from driftmap.pipeline.store.log.lock import StoreLock
    from driftmap.pipeline.store.log.windows import WindowState


class LogView:
    """The facts of a store: its settings, its windows and how far they have come. No array is read.

    Parameters
    ----------
    location
        Where the store lies.
    read_only
        Refuse to write.
    generation
        Show the windows of this generation; None: those of the newest.
    is_migrating
        Take a store of an older format for writing.
    """

    def __init__(
        self,
        location: Location,
        *,
        read_only: bool = True,
        generation: int | None = None,
        is_migrating: bool = False,
    ) -> None:
        self.location = location
        self.read_only = read_only
        self.lock: StoreLock | None = None
        """Set by who holds the store (`hold_lock`): commits are then refused once another took it over."""
        self.on_commit: Callable[[Commit], None] | None = None
        """Called with every commit that this process adds."""
        self._generation = generation
        self._is_back = False
        self._log = CommitLog(location)
        n_commits = read_log_end(location)  # before the log is read: it only grows
        saved = checkpoints.load_state(location, self._log)
        self._checkpoint_due = checkpoints.next_checkpoint(saved.n_commits if saved else 0)
        new = self._read_log(n_commits)
        self._state = saved or read_first_commit(new.pop(0), str(location))
        self._state.apply(new)
        if not (read_only or is_migrating):
            refuse_older(self._state.version, str(location))
        self._go_back()

    def __repr__(self) -> str:
        counts = dict.fromkeys(("final", "provisional", "graph", "planned"), 0)
        for window in self.state():
            counts[window.status] += 1
        shown = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"<Store {self.path}: {self.n_windows} windows ({shown})>"

    @property
    def path(self) -> Path | str:
        """Where the store lies: a path, or the text of a URL."""
        return self.location.path

    @property
    def config(self) -> dict[str, Any]:
        """Settings of the run, as the log has them."""
        return self._state.config

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Fingerprint of the source when the store was made."""
        return self._state.fingerprint

    @property
    def driftmap_version(self) -> str:
        """Version of driftmap that made the store."""
        return self._state.driftmap_version

    @property
    def may_pack(self) -> bool:
        """Whether graphs and clusters of small windows may be one file each."""
        return self.version >= PACKED_SINCE

    @property
    def version(self) -> int:
        """Version of the store's format."""
        return self._state.version

    @property
    def labels(self) -> list[str]:
        """Labels of all windows, in the order of the run."""
        return [window.label for window in self._state.windows]

    @property
    def left_out(self) -> list[str]:
        """Labels of the windows that the run left out, since they had too few rows; none that came to be since."""
        there = set(self.labels)
        return [label for label in self.config.get("left_out", ()) if label not in there]

    @property
    def n_windows(self) -> int:
        """Number of windows of the run."""
        return len(self._state.windows)

    @property
    def is_chained(self) -> bool:
        """Whether the log's commits are bound to each other by digests; driftmap 0.1 made stores that are not."""
        return self._log.link.is_chained

    @property
    def log_digest(self) -> str:
        """Digest of all commits that were read."""
        return self._log.link.chain

    @property
    def n_blocks_done(self) -> int:
        """Number of blocks that are laid out."""
        return self._state.n_blocks_done

    @property
    def n_commits(self) -> int:
        """Number of commits of the log that were read."""
        return self._state.n_commits

    @property
    def is_complete(self) -> bool:
        """Whether every window has a map."""
        return all(window.layout_attempt is not None for window in self._state.windows)

    def refuse_unfinished(self) -> None:
        """Refuse to go on with a store whose run is not done.

        Raises
        ------
        StoreError
            When a window has no map.
        """
        if not self.is_complete:
            raise StoreError(f"the run of {self.path} is not finished; finish it first, with the command that began it")

    @property
    def holds_nothing(self) -> bool:
        """Whether no window has a graph or a map, none was ingested, and the log lost no commit that said otherwise."""
        growth = self.growth
        return not (
            any(w.graph_attempt is not None or w.layout_attempt is not None for w in self._state.windows)
            or growth.n_ingests
            or growth.generation
            or self._log.torn is not None
            or self.explain_missing_end()
        )

    def explain_missing_end(self) -> str | None:
        """Say which newest commits the log has lost, and what to do; None where it lost none."""
        return explain_missing_end(self._log, self.location, read_log_end(self.location))

    @property
    def generation(self) -> int:
        """Number of the generation whose windows are shown; `ingest --reopen` begins new ones."""
        return self._state.growth.generation if self._generation is None else self._generation

    @property
    def growth(self) -> Growth:
        """What the log says of ingestion: parts of the source, rows kept out, generations."""
        return self._state.growth

    def state(self) -> list[WindowState]:
        """Tell what the log says of every window, in order."""
        return list(self._state.windows)

    def refresh(self) -> bool:
        """Read what was committed since; returns whether there was anything."""
        if self._is_back:  # what is committed later is about other windows
            return False
        new = self._log.read_new()
        self._state.apply(new)
        self._go_back()
        return bool(new)

    @property
    def id_type(self) -> str | None:
        """Type of ids that are kept in another form; None for whole numbers and text."""
        id_type: str | None = (self.config.get("source") or {}).get("id_type")
        return id_type

    def _read_log(self, n_commits: int) -> list[Commit]:
        """Read the log to its end, refuse one with a gap, and warn of one that lacks its newest commits."""
        new = self._log.read_new()
        self._log.refuse_gap()
        if flaw := self._log.describe_missing_end(n_commits):
            warnings.warn(
                f"{flaw}; everything before it stands. Restore it from a copy if there is one, before anything is "
                "written: the next run or ingest goes on without it",
                StoreWarning,
                stacklevel=4,
            )
        return new

    def _go_back(self) -> None:
        """Show the windows of the generation that was asked for."""
        growth, wanted = self._state.growth, self._generation
        if wanted is None or (wanted == growth.generation and not isinstance(wanted, bool)):
            return
        if isinstance(wanted, bool) or wanted not in growth.older:
            known = ", ".join(map(str, [*growth.older, growth.generation]))
            raise StoreError(f"{self.path} has no generation {wanted!r} that can be read; there are: {known}")
        self._is_back = True
        self._state.windows = growth.older[wanted]
        self._state.index_by_label = {window.label: window.index for window in self._state.windows}

    def list_asked(self, windows: Iterable[str | int]) -> list[str | int]:
        """List several windows that a caller names; one that is not in a list is refused."""
        if isinstance(windows, str | bytes) or not hasattr(windows, "__iter__"):
            some = ", ".join(map(repr, self.labels[:2]))
            raise StoreError(f"windows is {windows!r}; a list of labels or numbers was expected, such as [{some}]")
        return list(windows)

    def _find(self, window: str | int) -> WindowState:
        if not isinstance(window, str):
            if isinstance(window, bool) or not hasattr(window, "__index__"):
                raise StoreError(
                    f"the window is {window!r} of type {type(window).__name__}; a label or a number was expected, such "
                    f"as {', '.join(map(repr, self.labels[:1]))} or 0"
                )
            if not 0 <= window < self.n_windows:
                raise StoreError(f"window {window} is out of range: the store has windows 0 to {self.n_windows - 1}")
            return self._state.windows[int(window)]
        index = self._state.index_by_label.get(window)
        if index is None:
            close = difflib.get_close_matches(str(window), self.labels, n=3) or self.labels[:3]
            raise StoreError(f"no window {window!r} in {self.path}; there are {self.n_windows}, such as {close}")
        return self._state.windows[index]


def explain_missing_end(log: CommitLog, location: Location, n_commits: int) -> str | None:
    """Say that a log was longer than what was read of it, and what to do; None where it was not.

    Parameters
    ----------
    log
        Read to its end.
    location
        Of the store.
    n_commits
        Length that the log had.
    """
    missing = log.describe_missing_end(n_commits)
    if missing is None:
        return None
    folder = location.name(FOLDER)
    return f"{missing}; restore it from a copy, or, to go on without what it said, delete the folder {folder}"
