"""Reopening: a store goes back to before a window, once all windows that it had from there on are known to be possible.

They are built on an imagined store first. What cannot be used is found before anything is committed, and the graphs
that were built serve the store itself.
"""

from __future__ import annotations

import warnings
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.errors import ConfigError, PlanWarning, SourceError
from driftmap.pipeline.graphs.orders import Refusal
from driftmap.pipeline.ingestion.bad_files import Account, BadFiles
from driftmap.pipeline.ingestion.intake import Builders, Intake, find_bad
from driftmap.pipeline.ingestion.options import IngestReport
from driftmap.pipeline.ingestion.parts.altered import list_altered
from driftmap.pipeline.ingestion.parts.late import find_place, list_again, list_late, list_taken
from driftmap.pipeline.planning.cuts import LEAST_ROWS
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.store.imagined_store import ImaginedStore
from driftmap.pipeline.store.log.growth import BEFORE
from driftmap.pipeline.store.log.layouts import StepCommit
from driftmap.pipeline.store.pruning import refuse_lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.ingestion.new_graphs import NewGraphs
    from driftmap.pipeline.ingestion.options import IngestOptions
    from driftmap.pipeline.ingestion.plan_batch import BadWindow, Planner
    from driftmap.pipeline.ingestion.slots import Slots
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import BuiltWindow
    from driftmap.pipeline.store.log_view import LogView

    MakePlanner = Callable[[Store, str | None], Planner]
    """Plans for a store, up to a slot (None: all)."""


class Target(NamedTuple):
    """What a store goes back to before."""

    first: int
    """Number of the first window that is laid out again."""
    label: str
    """Of the window that comes in: that one, or one that was skipped before it."""


class Reopening:
    """Takes a store back.

    Parameters
    ----------
    store, config, slots
        The store, and how its source becomes windows.
    graphs
        What builds graphs; it keeps those of windows that are tried.
    make_planner
        Plans with the source as it is.
    options
        Of the ingest.
    account
        Where what was done is noted.
    """

    def __init__(
        self,
        store: Store,
        config: RunConfig,
        slots: Slots,
        graphs: NewGraphs,
        make_planner: MakePlanner,
        options: IngestOptions,
        account: Account,
    ) -> None:
        self._store = store
        self._config = config
        self._slots = slots
        self._graphs = graphs
        self._make_planner = make_planner
        self._options = options
        self._account = account

    def run(self) -> None:
        """Go back to before a given window, or the first that misses late rows if that was asked for.

        Where files to blame were moved away, fewer rows may be late: where to go back to is found again then, as by
        the ingest after a kill.

        Raises
        ------
        DriftmapError
            When a window cannot be made again; the store is as it was then.
        """
        while (target := self._find_target()) is not None:
            refuse_lost(self._store, target.first)
            reopened = self._describe(target.first)
            n_moved = len(self._account.report.quarantined)
            imagined = self._rehearse(reopened)
            if len(self._account.report.quarantined) == n_moved:
                self._go_back(target, reopened, imagined)
                return
            self._graphs.drop_kept()

    def _go_back(self, target: Target, reopened: dict[str, Any], imagined: ImaginedStore) -> None:
        label = self._store.labels[target.first] if target.first < self._store.n_windows else target.label
        self._warn_of_open(imagined)
        self._store.commit_growth("reopen", reopened)
        self._account.report.reopened = label
        self._account.on_event("reopened", {"window": label, "generation": self._store.generation})

    def _find_target(self) -> Target | None:
        store, slots, label = self._store, self._slots, self._options.reopen_from
        found = [] if label is None else [find_target(store, slots, label)]
        if self._options.reopen:
            late = [one for one in list_late(store, slots) if one.slot not in (BEFORE, *store.growth.skipped)]
            found += [Target(one.index, one.label) for one in late]
            found += [Target(store.labels.index(label), label) for label in list_altered(store, slots)]
        earliest = min(found, default=None)
        return (self._find_skipped(earliest) if self._options.reopen else None) or earliest

    def _find_skipped(self, earliest: Target | None) -> Target | None:
        """Find the first skipped window whose rows can be used now; those from `earliest` on are made again anyway."""
        growth, counts = self._store.growth, self._store.growth.count_rows()
        again = list_again(self._store, self._slots)  # which need no reopening
        for slot in self._slots.sort(growth.skipped):
            target = Target(find_place(self._store, self._slots, slot), growth.skipped[slot].label)
            if earliest is not None and target.first >= earliest.first:
                return None
            if slot not in again and counts.get(slot, 0) >= LEAST_ROWS and self._is_usable(slot, target.first):
                return target
        return None

    def _is_usable(self, slot: str, index: int) -> bool:
        """Whether a skipped window can be made now; the reason why one that changed still cannot is noted."""
        imagined = self._imagine(self._describe(index))
        with _quiet():
            planned = self._make_planner(imagined, None).plan_one(slot)
        bad = planned.bad
        if bad is None:
            with closing(self._graphs.build(planned.windows, keep=True)) as results:
                bad = next((find_bad(rows, made) for rows, made in results if isinstance(made, Refusal)), None)
        if bad is not None and self._store.growth.has_changed(slot):
            self._note(bad)
        return bad is None

    def _note(self, bad: BadWindow) -> None:
        skipped = {bad.slot: [bad.label, bad.reason, bad.n_rows]}
        self._store.commit_growth("set_aside", {"skipped": skipped, "kept_out": {}})
        self._account.report.skipped.append(bad)
        self._account.on_event("skipped", {"window": bad.label, "reason": bad.reason})

    def _describe(self, first: int) -> dict[str, Any]:
        """Describe the reopening from a window on as the log has it."""
        growth = self._store.growth
        slots = {**growth.skipped, **growth.kept_out, **dict.fromkeys(growth.altered)}
        from_there = [slot for slot in slots if find_place(self._store, self._slots, slot) >= first]
        return {"first": first, "generation": growth.generation + 1, "slots": sorted(from_there)}

    def _imagine(self, reopened: dict[str, Any]) -> ImaginedStore:
        imagined = ImaginedStore(self._store.location)
        imagined.commit_growth("reopen", reopened)
        return imagined

    def _warn_of_open(self, imagined: ImaginedStore) -> None:
        """Name the windows that the store had and that wait: they were taken in as they were, and are not whole."""
        there = {*imagined.labels, *(skipped.label for skipped in imagined.growth.skipped.values())}
        if waiting := [repr(label) for label in self._store.labels if label not in there]:
            are = "is not whole and waits" if len(waiting) == 1 else "are not whole and wait"
            warnings.warn(
                f"{name_some(waiting)} of the windows that the store had {are} for later rows; complete takes in "
                "what is there of them",
                PlanWarning,
                stacklevel=3,
            )

    def _rehearse(self, reopened: dict[str, Any]) -> ImaginedStore:
        """Build the windows that the store had on an imagined one; files to blame are moved for good."""
        imagined = self._imagine(reopened)
        last = self._slots.sort(list_taken(self._store, self._slots))[-1]
        account = Account(IngestReport(imagined), self._tell, self._account.clock)
        builders = Builders(
            plan=partial(self._make_planner, imagined, last),
            build=partial(self._graphs.build, keep=True),
            maps=_ImaginedMaps(imagined),
        )
        bad_files = BadFiles(self._options, self._config.source, account)
        try:
            with _quiet():
                Intake(imagined, self._config, builders, bad_files, account).take_all()
            _refuse_nothing(imagined, account.report)
        except DriftmapError as error:
            self._graphs.drop_kept()
            error.args = (f"{error} (the store was not reopened)", *error.args[1:])
            raise
        finally:
            if moved := account.report.quarantined:
                self._store.commit_growth("source", {"parts": {}, "removed": moved})
                self._account.report.quarantined += moved
        return imagined

    def _tell(self, name: str, facts: dict[str, Any]) -> None:
        if name == "quarantined":
            self._account.on_event(name, facts)


def _refuse_nothing(imagined: ImaginedStore, report: IngestReport) -> None:
    """Refuse a reopening after which a store would have no window at all."""
    if imagined.n_windows:
        return
    if report.skipped:
        why = f"the first one, {report.skipped[0].label!r}, for one: {report.skipped[0].reason}"
    else:
        why = f"{len(report.empty):,} are empty" if report.empty else "none is whole (grace, complete)"
    raise SourceError(f"none of the windows of {imagined.path} can be made again; {why}. Mend the source first")


class _ImaginedMaps:
    """Has windows be in an imagined store, without maps."""

    def __init__(self, store: ImaginedStore) -> None:
        self._store = store

    def add(self, built: Sequence[BuiltWindow], id_bytes: int) -> dict[int, float]:  # noqa: ARG002 - of the protocol
        step = StepCommit(
            block=self._store.n_blocks_done,
            attempt="",
            final=[],
            provisional=[],
            strengths={},
            seconds=0.0,
            windows=list(built),
            moved={},
            quality={},
        )
        self._store.commit_growth("ingest", step)
        return {}


def find_target(store: LogView, slots: Slots, label: str) -> Target:
    """Find the window that a store is to go back to before, by its label; one that was skipped counts.

    Raises
    ------
    ConfigError
        When there is no such window.
    """
    if label in store.labels:
        return Target(store.labels.index(label), label)
    for slot, skipped in store.growth.skipped.items():
        if skipped.label == label:
            return Target(find_place(store, slots, slot), label)
    last = f"its last one is {store.labels[-1]!r}" if store.labels else "it has none"
    raise ConfigError(
        f"reopen_from is {label!r}, but {store.path} has no such window (any more); {last}. Give the label of one that "
        "it has; to go on after an ingest that was killed, leave it out"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of what is only imagined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlanWarning)
        yield
