"""Final windows whose rows are others in the source now; found by an ingest when parts of it were written again.

A part that was not touched, as far as its size and time show, is not read again. Neither are Zarr arrays, of which only
rows that are new are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.ingestion.parts.late import windows_by_slot
from driftmap.pipeline.sources.rows.pieces import digest_pieces, read_pieces
from driftmap.pipeline.sources.stamps import STAMPS, FileStamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from driftmap.pipeline.ingestion.parts.source_parts import Feed, PartRef
    from driftmap.pipeline.ingestion.slots import Slots
    from driftmap.pipeline.sources.rows.pieces import Piece
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.growth import SourcePart
    from driftmap.pipeline.store.log.windows import WindowState
    from driftmap.pipeline.store.log_view import LogView


class Altered(NamedTuple):
    """What a look at rows of final windows has found."""

    slots: list[str]
    """Whose rows are others than their maps were made of."""
    restored: list[str]
    """Whose rows were others, and are the former ones again."""


def find_altered(
    store: Store, slots: Slots, feed: Feed, parts: Mapping[str, PartRef], found: Mapping[str, SourcePart]
) -> Altered:
    """Compare rows of final windows with those that they were built of, where a part that holds some was written again.

    Parameters
    ----------
    store
        Before the log tells of the parts that were found.
    slots, feed, parts
        The source, and all that is there of it.
    found
        Parts that are new or changed.
    """
    touched = {slot for name in _list_rewritten(store, found) for slot in _list_slots(store, name, found)}
    now = {name: found.get(name) or store.growth.parts.get(name) for name in parts}
    slots_altered, restored = [], []
    windows = store.state()
    for slot, index in windows_by_slot(store, slots).items():
        window = windows[index]
        if slot not in touched or window.status != "final" or window.rows_digest is None:
            continue
        wanted = [name for name, part in now.items() if part is not None and part.counts.get(slot)]
        n_rows = sum(part.counts.get(slot, 0) for part in now.values() if part is not None)
        if n_rows > window.n_source_rows:
            continue  # rows that came late are reported as such
        if n_rows < window.n_source_rows or _is_altered(feed, [parts[name] for name in wanted], slot, window):
            slots_altered.append(slot)
        elif slot in store.growth.altered:
            restored.append(slot)
    return Altered(sorted(slots_altered), sorted(restored))


def list_altered(store: LogView, slots: Slots) -> list[str]:
    """List the labels of windows whose rows are others now, in order."""
    numbers = windows_by_slot(store, slots)
    labels = store.labels
    return [labels[index] for index in sorted(numbers[slot] for slot in store.growth.altered if slot in numbers)]


def _list_rewritten(store: Store, found: Mapping[str, SourcePart]) -> Iterator[str]:
    """List parts that were written since they were last read; before the first ingest the run has read them."""
    stamps = store.fingerprint.get(STAMPS) or {}
    for name, part in found.items():
        if store.growth.parts or (name in stamps and FileStamp(name, *stamps[name]).numbers != part.stamp):
            yield name


def _list_slots(store: Store, name: str, found: Mapping[str, SourcePart]) -> set[str]:
    before = store.growth.parts.get(name)
    return {*found[name].counts, *(before.counts if before is not None else ())}


def _is_altered(feed: Feed, refs: list[PartRef], slot: str, window: WindowState) -> bool:
    try:
        pieces: list[Piece] = feed.select(refs, slot).pieces
        return not pieces or digest_pieces(read_pieces(pieces), pieces[0].spec) != window.rows_digest
    except SourceError:  # no rows that the map could be made of
        return True
