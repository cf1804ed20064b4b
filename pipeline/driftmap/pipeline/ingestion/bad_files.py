"""Files to blame for what cannot be used: moved to a quarantine, or left out, as was said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.ingestion.quarantine import Quarantine, find_bad_parts
from driftmap.pipeline.sources.rows.pieces import name_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.ingestion.options import IngestOptions, IngestReport
    from driftmap.pipeline.ingestion.parts.source_parts import PartRef
    from driftmap.pipeline.ingestion.plan_batch import BadWindow, Planner
    from driftmap.pipeline.ingestion.watch.outcome import StageClock
    from driftmap.pipeline.store import Store

    OnEvent = Callable[[str, dict[str, Any]], None]


class Account(NamedTuple):
    """Where an ingest notes what it did."""

    report: IngestReport
    on_event: OnEvent
    """Called with a name and facts whenever something happened."""
    clock: StageClock
    """Counts the time of stages."""


class BadRowsError(SourceError):
    """Rows of a new window cannot be used, and no option says to go on without them.

    Parameters
    ----------
    message
        What came, what was expected, and what to do.
    blocked
        Label of the window, or name of the part, that keeps later windows out.
    reason
        Why it cannot be used.
    """

    def __init__(self, message: str, blocked: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.blocked = blocked
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.blocked, self.reason)


class BadFiles:
    """Does with files that cannot be used as was said.

    Parameters
    ----------
    options
        Of the ingest.
    source
        Of the store.
    account
        Where what was done is noted.
    """

    def __init__(self, options: IngestOptions, source: SourceSpec, account: Account) -> None:
        self.must_stop = options.on_bad == "stop"
        """Whether later windows wait for what cannot be used."""
        self._quarantine = None if options.quarantine is None else Quarantine(options.quarantine, source)
        self._account = account

    def set_aside(self, ref: PartRef, reason: str) -> None:
        """Do what was said of a part that cannot be read at all.

        Raises
        ------
        BadRowsError
            When everything waits for it.
        """
        if self._quarantine is not None and self._quarantine.can_move(ref) and self._move(ref, reason):
            return
        if self.must_stop:
            raise BadRowsError(
                f"{ref.name} cannot be used: {reason}. Mend or remove it and ingest again; or go on without it "
                "(on_bad skip, or quarantine)",
                ref.name,
                reason,
            )
        self._account.report.left_out.append(ref.name)
        self._account.on_event("left_out", {"part": ref.name, "reason": reason})

    def try_quarantine(self, bad: BadWindow, store: Store, planner: Planner) -> bool:
        """Set the parts aside that are to blame for a window; returns whether there were any."""
        if self._quarantine is None or bad.is_mixed:
            return False
        try:
            blamed = bad.parts or find_bad_parts(planner.select(bad.slot), _find_label_kinds(store))
        except SourceError:
            return False
        can_move = self._quarantine.can_move
        parts = [ref for name in blamed if (ref := planner.parts.get(name)) is not None and can_move(ref)]
        moved = [ref.name for ref in parts if self._move(ref, bad.reason)]
        for name in moved:
            del planner.parts[name]
        if moved:
            store.commit_growth("source", {"parts": {}, "removed": moved})
        return bool(moved)

    def _move(self, ref: PartRef, reason: str) -> bool:
        """Set a part aside; where it cannot be moved, later windows go on without it if that was said (`on_bad`)."""
        if self._quarantine is None:
            return False
        try:
            self._quarantine.move(ref, reason)
        except ConfigError as error:
            if self.must_stop:
                raise
            self._account.on_event("not_moved", {"part": ref.name, "reason": str(error)})
            return False
        self._account.report.quarantined.append(ref.name)
        self._account.on_event("quarantined", {"part": ref.name, "reason": reason})
        return True


def _find_label_kinds(store: Store) -> dict[str, str]:
    last = store.n_windows - 1
    return {} if last < 0 else {name: name_kind(values) for name, values in store.window_labels(last).items()}
