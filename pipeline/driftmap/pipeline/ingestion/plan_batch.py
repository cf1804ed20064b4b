"""What an ingest has to do: which windows are new and whole, which changed, which rows come too late.

Everything here follows from the store's log and the source; only key columns are read, of the parts that can hold rows
of the windows in question.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.errors import PlanError, PlanWarning, SourceError
from driftmap.pipeline.graphs.orders import GraphOrder
from driftmap.pipeline.ingestion.parts.late import list_open, list_taken, windows_by_slot
from driftmap.pipeline.ingestion.parts.source_parts import PartError
from driftmap.pipeline.planning.cuts import LEAST_ROWS, MAX_SKIPPED_WINDOWS, encode_keys, show_values
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.sources.rows.pieces import digest_pieces, digest_prose, name_kind, read_pieces
from driftmap.pipeline.store.log.windows import count_left_out

if TYPE_CHECKING:
    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.graphs.scale import Scale
    from driftmap.pipeline.ingestion.parts.source_parts import Feed, PartRef, Selection
    from driftmap.pipeline.ingestion.slots import Slots
    from driftmap.pipeline.sources.rows.pieces import Piece
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.windows import WindowState

MAX_NEW_WINDOWS = 32
"""Windows that are planned at a time: what is known of them is held until they are laid out."""


@dataclass(frozen=True, eq=False)
class WindowRows:
    """A window that is to be built, and where its rows are."""

    index: int
    slot: str
    facts: dict[str, Any]
    pieces: list[Piece]
    ids: np.ndarray[Any, Any]

    @property
    def label(self) -> str:
        """Label of the window."""
        return str(self.facts["label"])

    def order(self, scale: Scale) -> GraphOrder:
        """Make the order for its graph; its rows come from any number of parts, in any order."""
        return GraphOrder(self.index, self.label, tuple(self.pieces), len(self.ids), by_id=True, scale=scale)


class BadWindow(NamedTuple):
    """A window whose rows cannot be used."""

    slot: str
    label: str
    reason: str
    n_rows: int
    parts: tuple[str, ...] = ()
    """Parts that are to blame, where that is known."""
    is_mixed: bool = False
    """Whether its rows are of several schemas, so that no part is to blame."""

    def blame(self) -> tuple[str, str]:
        """Return what keeps later windows out, and why."""
        return self.label, self.reason


class Batch(NamedTuple):
    """Windows to build, and after them the first that cannot be, or empty ones."""

    windows: list[WindowRows]
    bad: BadWindow | None = None
    empty: tuple[BadWindow, ...] = ()
    """Windows of fewer than `LEAST_ROWS` rows that are passed over."""


class PlanRules(NamedTuple):
    """Rules of one ingest about what is planned."""

    until: np.datetime64 | None
    """The moment up to which every row is taken to have come; None: nothing more comes of what is there."""
    must_relate: bool = True
    """Refuse a window that shares no id with those before it."""
    skip_empty: bool = True
    """Pass over windows of fewer than `LEAST_ROWS` rows."""
    last: str | None = None
    """The last slot that is planned; None: there is none."""


class Planner:
    """Tells what is to be done with a source as it is.

    Parameters
    ----------
    store
        Its log is read again whenever something is asked.
    config
        Of the run.
    feed, parts
        The source, and what is there of it.
    slots
        How its rows become windows.
    rules
        Of this ingest.
    """

    def __init__(
        self,
        store: Store,
        config: RunConfig,
        feed: Feed,
        parts: dict[str, PartRef],
        slots: Slots,
        rules: PlanRules,
    ) -> None:
        self._store = store
        self._config = config
        self._feed = feed
        self.parts = parts
        """What is there of the source, by name."""
        self._slots = slots
        self._until = rules.until
        self._last = rules.last
        self._skip_empty = rules.skip_empty
        self._must_relate = rules.must_relate and not config.windows.allow_unrelated
        self._reach = max(1, config.layout.alignment_window_size)

    def plan_rebuilds(self) -> Batch:
        """Find provisional windows that are whole, and have more rows now, or other vectors, labels or texts."""
        growth, counts = self._store.growth, self._store.growth.count_rows()
        found = []
        windows = self._store.state()
        for slot, index in windows_by_slot(self._store, self._slots).items():
            window, n_rows = windows[index], counts.get(slot, 0)
            is_kept_out = n_rows <= growth.kept_out.get(slot, 0) and not growth.has_changed(slot)
            if window.status == "final" or is_kept_out:
                continue
            may_differ = n_rows == window.n_source_rows and growth.changed.get(slot, 0) > window.rows_commit
            if not (n_rows > window.n_source_rows or may_differ) or not self._slots.is_whole(slot, counts, self._until):
                continue
            try:
                planned = self._plan_window(slot, index, n_rows)
                if not may_differ or _has_changed(planned, window):
                    found.append(planned)
            except _UnfitError as error:
                return Batch([], _describe_bad(slot, window.label, n_rows, error))
        return Batch(sorted(found, key=lambda rows: rows.index))

    def plan_new(self) -> Batch:
        """Find the next windows that are whole and not in the store, up to the first that is unfit or empty."""
        counts = self._store.growth.count_rows()
        windows: list[WindowRows] = []
        empty: list[BadWindow] = []
        near = self._read_near_ids()
        open_slots = self._list_open()
        self._refuse_gap(open_slots, counts)
        for slot in open_slots[:MAX_NEW_WINDOWS]:
            label, n_rows = self._slots.describe(slot).label, counts.get(slot, 0)
            if empty and n_rows >= LEAST_ROWS:
                break  # noted first: slots before one that was taken are never looked at again
            try:
                planned = self._plan_window(slot, self._store.n_windows + len(windows), n_rows)
                self._refuse_apart(planned, near)
            except _EmptyError as error:
                bad = BadWindow(slot, label, str(error), n_rows)
                if not self._skip_empty:
                    return Batch(windows, bad)
                empty.append(bad)
                continue
            except _UnfitError as error:
                return Batch(windows, _describe_bad(slot, label, n_rows, error))
            windows.append(planned)
            near = [*near, planned.ids][-self._reach :]
        return Batch(windows, empty=tuple(empty))

    def plan_one(self, slot: str) -> Batch:
        """Plan the window of one slot after all that are there, whatever the slots before it are."""
        label, n_rows = self._slots.describe(slot).label, self._store.growth.count_rows().get(slot, 0)
        try:
            planned = self._plan_window(slot, self._store.n_windows, n_rows)
            self._refuse_apart(planned, self._read_near_ids())
        except _UnfitError as error:
            return Batch([], _describe_bad(slot, label, n_rows, error))
        return Batch([planned])

    def select(self, slot: str) -> Selection:
        """Find the rows of a slot in the parts that are there.

        Raises
        ------
        SourceError
            When a part that has some is gone.
        """
        known = self._store.growth.parts
        wanted = {name for name, part in known.items() if part.counts.get(slot)}
        gone = sorted(wanted - set(self.parts))
        if gone:
            raise SourceError(f"{name_some(gone)} of {self._feed.spec.path or 'the source'} is gone")
        return self._feed.select([ref for name, ref in self.parts.items() if name in wanted], slot, self._id_kind)

    @cached_property
    def _id_kind(self) -> str | None:
        near = self._read_near_ids()
        return name_kind(near[-1]) if near and len(near[-1]) else None

    def _list_open(self) -> list[str]:
        found, last = list_open(self._store, self._slots, self._until), self._last
        if last is None:
            return found
        ordered = self._slots.sort({*found, last})
        passed = set(ordered[ordered.index(last) + 1 :])
        return [slot for slot in found if slot not in passed]

    def _plan_window(self, slot: str, index: int, n_rows: int) -> WindowRows:
        if n_rows < LEAST_ROWS:
            raise _EmptyError(_explain_empty(n_rows))
        try:
            selected = self.select(slot)
        except SourceError as error:
            raise _UnfitError(str(error), (error.part,) if isinstance(error, PartError) else ()) from error
        ids = selected.ids
        if self._config.source.duplicates == "refuse":
            _refuse_repeated(selected)
        elif self._config.source.duplicates == "mean" and selected.n_repeated:
            ids = np.unique(ids)
        if len(ids) < LEAST_ROWS:
            raise _EmptyError(_explain_empty(len(ids), n_rows))
        described = self._slots.describe(slot)
        digest = hashlib.sha256(np.sort(ids).tobytes()).hexdigest()[:16]
        facts = {
            "label": described.label,
            "n_rows": len(ids),
            "start": described.start,
            "end": described.end,
            "digest": f"ids {digest}",
            **count_left_out(selected.n_dropped, selected.n_repeated),
            **({"schema": schema} if (schema := self._find_schema(selected)) else {}),
        }
        return WindowRows(index, slot, facts, selected.pieces, ids)

    def _find_schema(self, selected: Selection) -> int:
        """Find the schema of a window's rows: one, or the newest of several whose vectors are of the same columns."""
        first, *others = (self.parts[piece.part] for piece in selected.pieces)
        for other in others:
            pins = first.spec.pin, other.spec.pin
            if other.schema != first.schema and not (pins[0] and pins[1] and pins[0].is_like(pins[1])):
                raise _MixedError(
                    f"it has rows of two schemas, {first.name} ({pins[0]}) and {other.name} ({pins[1]}), and distances "
                    "between them mean nothing"
                )
        return max(part.schema for part in (first, *others))

    def _refuse_gap(self, slots: list[str], counts: dict[str, int]) -> None:
        """Refuse a long gap before anything is done, since the windows before it may not be whole at all."""
        filled = [-1, *(place for place, slot in enumerate(slots) if counts.get(slot)), len(slots)]
        for before, after in pairwise(filled):
            if after - before > MAX_SKIPPED_WINDOWS:
                first, last = (self._slots.describe(slots[place]).label for place in (before + 1, after - 1))
                raise PlanError(
                    f"{after - before - 1:,} windows in a row would have no rows, {first!r} to {last!r}; the newest "
                    f"time stamp is {self._store.growth.newest}: look for a wrong one, or make a new store for what "
                    "comes after the gap"
                )

    def _refuse_apart(self, planned: WindowRows, near: list[np.ndarray[Any, Any]]) -> None:
        """Refuse a window that shares no id with those before it: nothing would relate its map to theirs."""
        near = [ids for ids in near if len(ids)]
        if not near:
            return
        outside = self._store.read_relations()
        is_given = any(book.names(planned.label) for book in outside.books)
        is_shared = outside.with_ids and any(np.isin(planned.ids, ids).any() for ids in near)
        if is_given or is_shared or not self._must_relate:
            return
        what = "it shares no id with" if outside.with_ids else "no relation is given (relations_only) with"
        apart = f"{what} the {len(near)} windows before it, so nothing would relate its map to theirs"
        if not self._follows_gap(planned.slot):
            raise _UnfitError(f"{apart} (a table of related rows can: relations)")
        # Nothing is to be mended there, and to wait would keep out every later window too.
        warnings.warn(
            f"window {planned.label!r} follows windows that were left out: {apart}", PlanWarning, stacklevel=2
        )

    def _follows_gap(self, slot: str) -> bool:
        """Whether one of the slots within reach before this one was left out."""
        skipped = self._store.growth.skipped
        ordered = self._slots.sort({*list_taken(self._store, self._slots), slot})
        place = ordered.index(slot)
        return any(before in skipped for before in ordered[max(0, place - self._reach) : place])

    def _read_near_ids(self) -> list[np.ndarray[Any, Any]]:
        n_windows = self._store.n_windows
        near = [self._store.window_keys(index) for index in range(max(0, n_windows - self._reach), n_windows)]
        # Ids of a source are bytes, those of a store text where they are UTF-8.
        return [np.char.encode(ids, "utf-8") if ids.dtype.kind == "U" else ids for ids in near]


class _UnfitError(SourceError):
    def __init__(self, reason: str, parts: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.parts = parts


class _MixedError(_UnfitError):
    """Rows of several schemas."""


class _EmptyError(_UnfitError):
    """Too few rows for a map."""


def _describe_bad(slot: str, label: str, n_rows: int, error: _UnfitError) -> BadWindow:
    return BadWindow(slot, label, str(error), n_rows, error.parts, isinstance(error, _MixedError))


def _explain_empty(n_rows: int, n_read: int = 0) -> str:
    count = "no rows" if n_rows == 0 else "1 row"
    left = f" left of {n_read:,} (on_bad_rows, duplicates)" if n_read else ""
    return f"it has {count}{left}, and a map needs {LEAST_ROWS}"


def _has_changed(planned: WindowRows, window: WindowState) -> bool:
    """Whether rows are others than the window was built of, under the same ids and times."""
    if window.rows_digest is None:  # of a version that did not take it
        return False
    try:
        rows = read_pieces(planned.pieces)
    except SourceError as error:
        raise _UnfitError(str(error)) from error
    spec, prose = planned.pieces[0].spec, (window.traits or {}).get("prose_digest")
    if digest_pieces(rows, spec) != window.rows_digest:
        return True
    now = digest_prose(rows, spec)  # texts alone change no map, but words and details
    return None not in (prose, now) and now != prose  # None: filled in from Python, and not asked of later rows


def _refuse_repeated(selected: Selection) -> None:
    uniques, codes = encode_keys(selected.ids)
    if len(uniques) == len(codes):
        return
    is_first = np.zeros(len(codes), dtype=np.bool_)
    is_first[np.unique(codes, return_index=True)[1]] = True
    repeated = np.unique(selected.ids[~is_first])
    shown = show_values(repeated)
    parts = tuple(selected.pieces[number].part for number in np.unique(selected.owners[~is_first]).tolist())
    what = "an id" if len(repeated) == 1 else f"{len(repeated):,} ids"
    where = f"{name_some(shown)}, again in {name_some(list(parts))}"
    raise _UnfitError(f"it has {what} more than once: {where} (duplicates first, last or mean take them)", parts)
