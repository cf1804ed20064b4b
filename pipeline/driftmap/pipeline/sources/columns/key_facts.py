"""What key columns tell of their values: by whose clock times are, and the order of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as pt

from driftmap.pipeline.config.times.time_zones import UTC_NAMES
from driftmap.pipeline.sources.columns.key_columns import as_plain, read_key
from driftmap.pipeline.sources.columns.moments import describe_moments, find_days, find_offsets, tells_by_values
from driftmap.pipeline.sources.protocol import KeyFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from driftmap.pipeline.config.source_spec import SourceSpec


def describe_column(column: pa.ChunkedArray, name: str, spec: SourceSpec) -> KeyFacts:
    """Say what the type of a column tells of its values."""
    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    zone = kind.tz if pt.is_timestamp(kind) else None
    note: str | None = None
    offsets: tuple[str, ...] = ()
    has_days = bool(pt.is_date(kind))
    if name == spec.time:
        plain = as_plain(column)
        offsets, has_days = find_offsets(plain), find_days(plain)
        note = describe_moments(kind, name, offsets, has_days=has_days)
        zone = offsets[0] if len(offsets) == 1 and offsets[0] not in UTC_NAMES else zone
    facts = KeyFacts(zone=zone, note=note, offsets=offsets, has_days=has_days)
    if name != spec.by or not (pt.is_dictionary(column.type) and column.type.ordered) or not column.num_chunks:
        return facts
    # Parts may have dictionaries of their own; values that only a later one has follow.
    values = pa.chunked_array([chunk.dictionary.drop_null() for chunk in column.chunks])
    return facts._replace(categories=read_key(values, name, spec))


def describe_files(
    kinds: Mapping[str, pa.DataType], read: Callable[[int], pa.ChunkedArray], name: str, spec: SourceSpec
) -> KeyFacts:
    """Say what a column tells of its values that lies in several files.

    Parameters
    ----------
    kinds
        Type of the column by file.
    read
        Reads the column of a file by its number; called only where values tell more than the type.
    name, spec
        Of the column and the source.
    """
    numbers: dict[pa.DataType, list[int]] = {}
    for number, kind in enumerate(kinds.values()):
        numbers.setdefault(kind, []).append(number)
    found = []
    for kind, of_kind in numbers.items():
        is_read = tells_by_values(kind, is_time=name == spec.time)
        chunks = [chunk for number in of_kind for chunk in read(number).chunks] if is_read else []
        is_one_type = len({chunk.type for chunk in chunks}) == 1
        column = pa.chunked_array(chunks) if is_one_type else pa.chunked_array([], kind)
        found.append(describe_column(column, name, spec) if is_one_type or not chunks else KeyFacts())
    names = list(kinds)
    clocks = list_clocks((names[of_kind[0]], facts) for of_kind, facts in zip(numbers.values(), found, strict=True))
    if not found or len(found) == 1:
        return found[0] if found else KeyFacts()
    joined = KeyFacts(
        found[0].zone,
        offsets=next((facts.offsets for facts in found if len(facts.offsets) > 1), ()),
        clocks=clocks,
        has_days=any(facts.has_days for facts in found),
    )
    notes = [facts.note for facts in found if facts.note is not None]
    if clocks:
        notes.insert(0, f"time column {name!r}: files have different zones ({joined.show_clocks()})")
    return joined._replace(note=notes[0] if notes else None)


def list_clocks(found: Iterable[tuple[str, KeyFacts]]) -> tuple[tuple[str, str | None], ...]:
    """List the first file of each zone, and that zone, None where it names none; nothing where all are of one."""
    firsts: dict[str | None, tuple[str, str | None]] = {}
    for name, facts in found:
        firsts.setdefault(None if facts.zone in UTC_NAMES else facts.zone, (name, facts.zone))
    return tuple(firsts.values()) if len(firsts) > 1 else ()
