"""What is new and whole is taken in, window by window; what cannot be used is done with as was said of it."""

from __future__ import annotations

import warnings
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, Protocol

from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.graphs.orders import Refusal
from driftmap.pipeline.ingestion.bad_files import BadRowsError
from driftmap.pipeline.ingestion.plan_batch import BadWindow
from driftmap.pipeline.store.log.layouts import BuiltWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.ingestion.bad_files import Account, BadFiles
    from driftmap.pipeline.ingestion.new_graphs import Results
    from driftmap.pipeline.ingestion.plan_batch import Planner, WindowRows
    from driftmap.pipeline.store import Store


class Builders(NamedTuple):
    """What plans windows, and makes their graphs and maps."""

    plan: Callable[[], Planner]
    """Plans with the store and the source as they are."""
    build: Callable[[list[WindowRows]], Results]
    maps: MapMaker


class MapMaker(Protocol):
    """What makes the maps of windows whose graphs are built; see `NewMaps`."""

    def add(self, built: Sequence[BuiltWindow], id_bytes: int) -> dict[int, float]:
        """Make the maps of a step, and commit them."""


class Intake:
    """Takes in windows.

    Parameters
    ----------
    store
        What is taken in is committed to it.
    config
        Of the store.
    builders
        What plans windows and makes their maps.
    bad_files
        Sets files aside.
    account
        Where what was done is noted.
    """

    def __init__(
        self, store: Store, config: RunConfig, builders: Builders, bad_files: BadFiles, account: Account
    ) -> None:
        self._store = store
        self._config = config
        self._builders = builders
        self._bad_files = bad_files
        self._account = account

    def take_all(self) -> None:
        """Do all there is to do."""
        while self._take_in():
            pass

    def _take_in(self) -> bool:
        """Do the next thing there is to do; returns whether there was any."""
        planner = self._builders.plan()
        changed = planner.plan_rebuilds()
        if changed.bad is not None:
            self._keep_out(changed.bad)
            return True
        if changed.windows:
            self._rebuild(changed.windows)
            return True
        batch = planner.plan_new()
        bad = self._add(batch.windows) or batch.bad
        if bad is not None:
            self._skip(bad)
        elif batch.empty:
            self._pass_over(batch.empty)
        return bool(bad or batch.windows or batch.empty)

    def _rebuild(self, windows: list[WindowRows]) -> None:
        built = []
        with self._account.clock.at("graphs"), closing(self._builders.build(windows)) as results:
            for rows, result in results:
                if isinstance(result, Refusal):
                    self._keep_out(find_bad(rows, result))
                    return
                built.append(BuiltWindow(facts=rows.facts, receipt=result))
                if len(built) == len(windows):  # while workers are still there
                    self._advance(built, windows)
        self._account.report.rebuilt += [rows.label for rows in windows]
        for rows in windows:
            self._account.on_event("rebuilt", {"window": rows.label, "rows": len(rows.ids)})

    def _add(self, windows: list[WindowRows]) -> BadWindow | None:
        """Add windows in order, as their graphs come; returns the first that cannot be used."""
        if not windows:
            return None
        with self._account.clock.at("graphs"), closing(self._builders.build(windows)) as results:
            for rows, result in results:
                if isinstance(result, Refusal):
                    return find_bad(rows, result)
                self._advance([BuiltWindow(facts=rows.facts, receipt=result)], [rows])
                if len(rows.ids) < (k := self._config.graph.n_neighbors):
                    small = (
                        f"window {rows.label!r} has {len(rows.ids)} rows, fewer than n_neighbors ({k}): all are used"
                    )
                    warnings.warn(small, PlanWarning, stacklevel=2)
                self._account.report.new.append(rows.label)
                self._account.on_event("window", {"window": rows.label, "rows": len(rows.ids), "index": rows.index})
        return None

    def _advance(self, built: list[BuiltWindow], windows: Sequence[WindowRows]) -> None:
        with self._account.clock.at("layout", [window["facts"]["label"] for window in built]):
            moved = self._builders.maps.add(built, max(rows.ids.dtype.itemsize for rows in windows))
        states = self._store.state()
        self._account.report.moved |= {states[index].label: value for index, value in moved.items()}

    def _pass_over(self, empty: Sequence[BadWindow]) -> None:
        """Note empty windows, so that later ones go in; rows that still come for them are late."""
        skipped = {window.slot: [window.label, window.reason, window.n_rows] for window in empty}
        self._store.commit_growth("set_aside", {"skipped": skipped, "kept_out": {}})
        labels = [window.label for window in empty]
        self._account.report.empty += labels
        self._account.on_event("empty", {"windows": labels})

    def _skip(self, bad: BadWindow) -> None:
        """Do what was said of a new window that cannot be used."""
        if self._bad_files.try_quarantine(bad, self._store, self._builders.plan()):
            return
        if self._bad_files.must_stop:
            raise BadRowsError(
                f"window {bad.label!r} cannot be added: {bad.reason}. Mend the source and ingest again; or go on "
                "without this window (on_bad skip), or without the files to blame (quarantine)",
                *bad.blame(),
            )
        skipped = {bad.slot: [bad.label, bad.reason, bad.n_rows]}
        self._store.commit_growth("set_aside", {"skipped": skipped, "kept_out": {}})
        self._account.report.skipped.append(bad)
        self._account.on_event("skipped", {"window": bad.label, "reason": bad.reason})

    def _keep_out(self, bad: BadWindow) -> None:
        """Do what was said of late rows with which a window cannot be built again."""
        if self._bad_files.try_quarantine(bad, self._store, self._builders.plan()):
            return
        if self._bad_files.must_stop:
            raise BadRowsError(
                f"window {bad.label!r} cannot take in its late or changed rows: {bad.reason}. Mend the source and "
                "ingest again; or keep them out (on_bad skip), or set the files to blame aside (quarantine)",
                *bad.blame(),
            )
        self._store.commit_growth("set_aside", {"skipped": {}, "kept_out": {bad.slot: bad.n_rows}})
        self._account.report.kept_out.append(bad)
        self._account.on_event("kept_out", {"window": bad.label, "reason": bad.reason})


def find_bad(rows: WindowRows, refusal: Refusal) -> BadWindow:
    """Say of which window a graph was refused."""
    return BadWindow(rows.slot, rows.label, refusal.reason, len(rows.ids))
