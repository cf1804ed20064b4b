"""What could be a window: spans of time, or values of a column; which rows they have, and when they are whole (pure).

Slots are named by text: the number of a span of time, counted from the start of the run's first window; or the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from driftmap.pipeline.config.times.durations import CALENDAR_UNITS, FIXED_UNITS, Duration, parse_duration
from driftmap.pipeline.config.times.time_spans import MICROSECONDS, MONTHS, shift_times
from driftmap.pipeline.config.times.time_zones import LONGEST_SHIFT, UTC_NAMES, to_local, to_utc
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.cuts import MAX_WINDOWS, encode_keys, label_times, show_times, show_values
from driftmap.pipeline.planning.value_order import TEXT, sort_texts
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.store.log.growth import BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from driftmap.pipeline.config.run_config import RunConfig

    Keys = np.ndarray[Any, Any]


class SlotFacts(NamedTuple):
    """What a window made of a slot is called, and where it lies in time."""

    label: str
    start: str | None
    end: str | None


class Slots(Protocol):
    """The slots of a run."""

    column: str
    """The key column that tells which slots a row is in."""

    def count(self, keys: Keys) -> dict[str, int]:
        """Count rows by slot; rows that no slot has are left out."""

    def contains(self, keys: Keys, slot: str) -> npt.NDArray[np.bool_]:
        """Tell for each row whether a slot has it."""

    def describe(self, slot: str) -> SlotFacts:
        """Name a slot's window."""

    def find(self, label: str, start: str | None) -> str:
        """Find the slot of a window."""

    def list_open(self, taken: Iterable[str], counts: dict[str, int], until: np.datetime64 | None) -> list[str]:
        """List the slots after those that are taken and that are whole, in order.

        Parameters
        ----------
        taken
            Slots of windows, and slots that were skipped.
        counts
            Rows by slot.
        until
            For spans of time: the moment up to which everything has come. None: nothing more comes of what is there.
        """

    def is_whole(self, slot: str, counts: dict[str, int], until: np.datetime64 | None) -> bool:
        """Whether nothing more is waited for of a slot."""

    def sort(self, slots: Iterable[str]) -> list[str]:
        """Put slots in order of time."""

    def list_passed(self, taken: Iterable[str], counts: dict[str, int]) -> list[str]:
        """List slots with rows that are no window and can become none: those after them are taken."""


class TimeSlots:
    """Spans of time.

    Parameters
    ----------
    column
        Column of the rows' times.
    origin
        Start of the first window, in local time.
    window, stride
        Length of a span, and from one start to the next.
    zone
        Time zone whose clock says when spans begin; None: UTC.
    """

    def __init__(
        self, column: str, origin: np.datetime64, window: Duration, stride: Duration, zone: str | None = None
    ) -> None:
        self.column = column
        self._zone = zone
        self._origin = origin.astype(MICROSECONDS)
        self._window = window
        self._stride = stride

    def count(self, keys: Keys) -> dict[str, int]:
        """Count rows by slot; those before the first window under `BEFORE`."""
        if len(keys) == 0:
            return {}
        ordered = np.sort(keys)
        n_before = int(np.searchsorted(ordered, self._starts(np.arange(1))[0]))
        first, last = self._find_span(ordered[min(n_before, len(ordered) - 1)], ordered[-1])
        counts = {BEFORE: n_before} if n_before else {}
        if last < first:
            return counts
        numbers = np.arange(first, last + 1)
        sizes = np.searchsorted(ordered, self._ends(numbers)) - np.searchsorted(ordered, self._starts(numbers))
        return counts | {str(first + k): int(sizes[k]) for k in np.flatnonzero(sizes)}

    def contains(self, keys: Keys, slot: str) -> npt.NDArray[np.bool_]:
        """Tell for each row whether its time lies in a span."""
        start, end = self.span(slot)
        within: npt.NDArray[np.bool_] = (keys >= start) & (keys < end)
        return within

    def describe(self, slot: str) -> SlotFacts:
        """Name a span's window as `plan_windows` does."""
        if slot == BEFORE:
            return SlotFacts(f"before {show_times(self._local_starts(np.arange(1)))[0]}", None, None)
        start = self._local_starts(np.array([int(slot)]))
        return SlotFacts(
            label_times(start, self._stride)[0], show_times(start)[0], show_times(shift_times(start, self._window))[0]
        )

    def find(self, label: str, start: str | None) -> str:  # noqa: ARG002 - of the protocol
        """Find the slot of a window by its start."""
        return str(self._count_local_steps(np.datetime64(str(start), "us")))

    def list_open(self, taken: Iterable[str], counts: dict[str, int], until: np.datetime64 | None) -> list[str]:
        """List the spans after those that are taken, up to the last whole one; empty ones between are listed too."""
        first = 1 + max((int(slot) for slot in taken), default=-1)
        last = max((int(slot) for slot in counts if slot != BEFORE), default=-1)
        if until is not None:
            last = min(last, self._last_whole(until))
        if last - first > MAX_WINDOWS:
            raise PlanError(f"{last - first:,} windows would follow at once; look at the time stamps of the new rows")
        return [str(number) for number in range(first, last + 1)]

    def is_whole(self, slot: str, counts: dict[str, int], until: np.datetime64 | None) -> bool:  # noqa: ARG002 - of the protocol
        """Whether a span's end has passed."""
        return until is None or bool(self.span(slot)[1] <= until)

    def list_passed(self, taken: Iterable[str], counts: dict[str, int]) -> list[str]:
        """List `BEFORE`, where rows are that old, and spans with rows that a run left out as empty."""
        passed = set(taken)
        newest_taken = max((int(slot) for slot in passed), default=-1)
        left_out = [slot for slot in counts if slot != BEFORE and slot not in passed and int(slot) < newest_taken]
        return ([BEFORE] if counts.get(BEFORE) else []) + left_out

    def sort(self, slots: Iterable[str]) -> list[str]:
        """Put spans in order; `BEFORE` first."""
        return sorted(slots, key=lambda slot: -1 if slot == BEFORE else int(slot))

    def span(self, slot: str) -> tuple[np.datetime64, np.datetime64]:
        """Start and end of a span, in UTC; the end does not belong to it."""
        number = np.array([int(slot)])
        return self._starts(number)[0], self._ends(number)[0]

    def _starts(self, numbers: npt.NDArray[np.int64]) -> Keys:
        return to_utc(self._local_starts(numbers), self._zone)

    def _ends(self, numbers: npt.NDArray[np.int64]) -> Keys:
        return to_utc(shift_times(self._local_starts(numbers), self._window), self._zone)

    def _local_starts(self, numbers: npt.NDArray[np.int64]) -> Keys:
        return shift_times(np.full(len(numbers), self._origin), self._stride, numbers)

    def _find_span(self, oldest: np.datetime64, newest: np.datetime64) -> tuple[int, int]:
        """Find the first slot that may have the oldest of some rows, and the last that has the newest."""
        last = self._count_steps(newest)
        first = max(0, self._count_steps(oldest) - self._n_overlapping())
        if last - first > MAX_WINDOWS:
            raise PlanError(
                f"time stamps from {oldest} to {newest} would give {last - first:,} windows; look for wrong ones"
            )
        return first, last

    def _last_whole(self, until: np.datetime64) -> int:
        number = self._count_steps(until)
        low = max(-1, number - self._n_overlapping() - 1)
        numbers = np.arange(low, number + 1)
        is_whole = self._ends(numbers) <= until
        return int(numbers[is_whole][-1]) if is_whole.any() else -1

    def _n_overlapping(self) -> int:
        """Count the slots that can have one row, or one more."""
        if self._window.is_calendar:
            return 1 + _months(self._window) // _months(self._stride)
        shortest = _months(self._stride) * 28 * FIXED_UNITS["D"] if self._stride.is_calendar else _micros(self._stride)
        return 1 + _micros(self._window) // shortest

    def _count_steps(self, moment: np.datetime64) -> int:
        """Count the whole strides from the origin to a moment in UTC; below 0 where it is earlier."""
        number = self._count_local_steps(to_local(np.array([moment], MICROSECONDS), self._zone)[0])
        if self._zone in UTC_NAMES:
            return number
        # Where the clock is put back, a later moment may have an earlier local time.
        slack = (
            1
            if self._stride.is_calendar
            else 1 + int(LONGEST_SHIFT.astype("m8[us]").astype(int)) // _micros(self._stride)
        )
        numbers = np.arange(number - slack, number + slack + 1)
        return int(numbers[np.searchsorted(self._starts(numbers), moment, side="right") - 1])

    def _count_local_steps(self, moment: np.datetime64) -> int:
        if self._stride.is_calendar:
            months = int((moment.astype(MONTHS) - self._origin.astype(MONTHS)).astype(np.int64))
            return months // _months(self._stride)
        return int((moment.astype(MICROSECONDS) - self._origin).astype(np.int64)) // _micros(self._stride)


class ValueSlots:
    """Values of a column, in the order of the run's rule; values that it does not name follow.

    Parameters
    ----------
    column
        The column.
    order
        As `sort_texts` takes it; None in stores that were made before there was a choice.
    zone
        Time zone in which times are shown.
    """

    def __init__(self, column: str, order: str | tuple[str, ...] | None = None, zone: str | None = None) -> None:
        self.column = column
        self._order = order
        self._zone = zone

    def count(self, keys: Keys) -> dict[str, int]:
        """Count rows by value."""
        if len(keys) == 0:
            return {}
        uniques, codes = encode_keys(keys)
        sizes = np.bincount(codes, minlength=len(uniques)).tolist()
        return dict(zip(self._show_each(uniques), sizes, strict=True))

    def contains(self, keys: Keys, slot: str) -> npt.NDArray[np.bool_]:
        """Tell for each row whether it has a value."""
        uniques, codes = encode_keys(keys)
        is_it = np.array([label == slot for label in self._show_each(uniques)], dtype=np.bool_)
        return is_it[codes]

    def describe(self, slot: str) -> SlotFacts:
        """Name a value's window: by the value."""
        return SlotFacts(slot, None, None)

    def find(self, label: str, start: str | None) -> str:  # noqa: ARG002 - of the protocol
        """Find the slot of a window: its label."""
        return label

    def list_open(self, taken: Iterable[str], counts: dict[str, int], until: np.datetime64 | None) -> list[str]:
        """List the values after the last that is taken; the newest of all is whole only when nothing more comes."""
        passed = set(taken)
        ordered = self.sort({*passed, *counts})
        newest_taken = max((place for place, label in enumerate(ordered) if label in passed), default=-1)
        open_values = ordered[newest_taken + 1 :]
        return open_values if until is None else open_values[:-1]

    def is_whole(self, slot: str, counts: dict[str, int], until: np.datetime64 | None) -> bool:
        """Whether a later value is there."""
        return until is None or self.sort({*counts, slot})[-1] != slot

    def list_passed(self, taken: Iterable[str], counts: dict[str, int]) -> list[str]:
        """List values that came after a later one was taken."""
        passed = set(taken)
        ordered = self.sort({*passed, *counts})
        newest_taken = max((place for place, label in enumerate(ordered) if label in passed), default=-1)
        return [label for label in ordered[: newest_taken + 1] if label not in passed]

    def sort(self, slots: Iterable[str]) -> list[str]:
        """Put values in order."""
        there = list(slots)
        if self._order is not None and self._order != TEXT:
            return [there[number] for number in sort_texts(there, self._order)]
        try:
            return sorted(there, key=lambda label: (float(label), label))
        except ValueError:
            return sorted(there)

    def _show_each(self, uniques: Keys) -> list[str]:
        # One by one: dates are shown with the time of day as soon as one of several has one.
        values = to_local(uniques, self._zone) if uniques.dtype.kind == "M" else uniques
        return [show_values(values[place : place + 1])[0] for place in range(len(values))]


def make_slots(config: RunConfig, origin: str | None) -> Slots:
    """Make the slots of a run.

    Raises
    ------
    PlanError
        When its windows are made by numbers of rows: which rows come next is then a matter of the order of arrival.
    """
    rule = config.windows
    if rule.window is not None and config.source.time is not None and origin is not None:
        window = parse_duration(rule.window)
        stride = window if rule.stride is None else parse_duration(rule.stride)
        return TimeSlots(config.source.time, np.datetime64(origin, "us"), window, stride, rule.timezone)
    if rule.by is not None:
        return ValueSlots(rule.by, rule.order, rule.timezone)
    raise PlanError(
        f"the store's windows have {rule.rows} rows each (rows); only windows by time (window) or by a column's values "
        "(by) can be ingested, since which rows come next would depend on the order in which files arrive"
    )


def name_slots(slots: Slots, names: Sequence[str]) -> str:
    """Name the windows of a few slots."""
    return name_some([repr(slots.describe(name).label) for name in names])


def _months(step: Duration) -> int:
    return step.count * CALENDAR_UNITS[step.unit]


def _micros(step: Duration) -> int:
    return step.count * FIXED_UNITS[step.unit]
