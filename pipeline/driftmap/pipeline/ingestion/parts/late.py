"""Which rows wait, and which come too late: as the log says, without a look at the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftmap.pipeline.planning.cuts import LEAST_ROWS
from driftmap.pipeline.store.log.growth import BEFORE

if TYPE_CHECKING:
    import numpy as np

    from driftmap.pipeline.ingestion.slots import Slots
    from driftmap.pipeline.store.log_view import LogView


@dataclass(frozen=True)
class Late:
    """Rows that came too late for a final window, or for one that was skipped: of that all, where no more came."""

    slot: str
    label: str
    n_rows: int
    index: int
    """Of the first window that would have to be laid out again to take them in."""


def list_late(store: LogView, slots: Slots) -> list[Late]:
    """List slots with rows that come too late for them, in order of time."""
    counts = store.growth.count_rows()
    windows = store.state()
    late = []
    for slot, index in windows_by_slot(store, slots).items():
        window = windows[index]
        n_late = counts.get(slot, 0) - window.n_source_rows
        if window.status == "final" and n_late > 0:
            late.append(Late(slot, window.label, n_late, index))
    again = list_again(store, slots)
    for slot, skipped in store.growth.skipped.items():
        n_rows = counts.get(slot, 0)
        n_late = n_rows - skipped.n_rows
        if n_late <= 0 and store.growth.has_changed(slot) and n_rows >= LEAST_ROWS:
            n_late = n_rows
        if n_late > 0 and slot not in again:
            late.append(Late(slot, skipped.label, n_late, find_place(store, slots, slot)))
    late += [
        Late(slot, slots.describe(slot).label, counts[slot], find_place(store, slots, slot))
        for slot in slots.list_passed(list_taken(store, slots), counts)
        if slot == BEFORE or counts[slot] >= LEAST_ROWS  # one row is no window: a run left it out
    ]
    return sorted(late, key=lambda found: found.index)


def count_pending(store: LogView, slots: Slots) -> int:
    """Count rows that are there and wait for their windows to be whole; a row counts in every window it waits for."""
    counts, taken = store.growth.count_rows(), set(list_taken(store, slots))
    passed = set(slots.list_passed(taken, counts))
    taken.difference_update(list_again(store, slots))
    return sum(count for slot, count in counts.items() if slot not in taken and slot not in passed)


def windows_by_slot(store: LogView, slots: Slots) -> dict[str, int]:
    """Give the number of the window that a slot became."""
    return {slots.find(window.label, window.start): window.index for window in store.state()}


def list_taken(store: LogView, slots: Slots) -> list[str]:
    """List the slots that became windows, and those that were skipped."""
    return [*windows_by_slot(store, slots), *store.growth.skipped]


def list_again(store: LogView, slots: Slots) -> list[str]:
    """List skipped slots that can still become windows, none being after them, and whose rows are others now."""
    growth = store.growth
    changed = [slot for slot in growth.skipped if growth.has_changed(slot)]
    return [slot for slot in changed if find_place(store, slots, slot) == store.n_windows]


def list_open(store: LogView, slots: Slots, until: np.datetime64 | None) -> list[str]:
    """List the slots that can become windows and are whole, in order; see `Slots.list_open`."""
    growth, counts, again = store.growth, store.growth.count_rows(), slots.sort(list_again(store, slots))
    if not again:
        return slots.list_open(list_taken(store, slots), counts, until)
    skipped = slots.sort(growth.skipped)
    taken = [*windows_by_slot(store, slots), *skipped[: skipped.index(again[0])]]
    return [slot for slot in slots.list_open(taken, counts, until) if slot in again or slot not in growth.skipped]


def find_place(store: LogView, slots: Slots, slot: str) -> int:
    """Find the number of the first window after a slot."""
    return slots.sort([slot, *windows_by_slot(store, slots)]).index(slot)
