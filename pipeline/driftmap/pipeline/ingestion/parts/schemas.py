"""A part of a source with other columns of vectors than those that are known: what it would be as a new schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from driftmap.pipeline.config.source_spec import SchemaChange, SourceSpec
from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.ingestion.parts.source_parts import Feed, PartRef


class AskedSchema(NamedTuple):
    """What an ingest says of files with other columns."""

    is_accepted: bool
    vectors: str | tuple[str, ...] | None
    exclude: str | tuple[str, ...] | None


def find_change(feed: Feed, ref: PartRef, config: RunConfig, asked: AskedSchema) -> SchemaChange | None:
    """Find the schema of a part that has none of the known ones.

    Parameters
    ----------
    feed
        With the schemas that are known.
    ref
        The part.
    config
        Of the run.
    asked
        Whether new ones are taken in, and which columns are to be in the vectors.

    Returns
    -------
    The new schema; None where that is not what the part cannot be used for, and nothing of the kind was asked for.

    Raises
    ------
    SourceError
        When it cannot be one, though it was asked for.
    """
    base = feed.refer(ref, len(feed.schemas)).spec
    if not base.is_files or base.vectors_file is not None or base.pin is None:
        if asked.is_accepted:
            raise SourceError(
                "accept_schema takes in files whose vectors are in columns that the store has pinned, and the source "
                f"{base.path or 'given'} is of another kind; make a new store"
            )
        return None
    try:
        change = _choose(ref, base, asked)
    except SourceError:
        if asked.is_accepted:
            raise
        return None
    if _is_same(config.source, change) or any(_is_same(known, change) for known in feed.schemas):
        return None  # something else is wrong with it
    if config.scaling is not None and not (config.source.pin is not None and change.pin.is_like(config.source.pin)):
        if not asked.is_accepted:
            return None
        raise SourceError(
            f"vectors would be made of other columns ({change.pin}), and those of the run are scaled "
            f"({config.scale!r}) by what it found in its own columns; make a new store"
        )
    return change


def _choose(ref: PartRef, base: SourceSpec, asked: AskedSchema) -> SchemaChange:
    """Choose the columns of vectors as a new run over this part would, by the options of run and ingest."""
    from driftmap.pipeline.sources.readers.tables.schemas import list_columns  # late: loads Arrow
    from driftmap.pipeline.sources.readers.tables.table_source import TableSource

    there = set(list_columns(ref.spec))
    kept = [text for text in base.exclude if text in there]  # what was left out need not be there any more
    exclude = tuple(dict.fromkeys([*kept, *(asked.exclude or ())]))
    named = {"vectors": asked.vectors or base.vectors, "exclude": exclude, "pin": None}
    chosen = SourceSpec.model_validate({**dict(ref.spec), **named})
    opened = TableSource(chosen, must_pin=True).spec
    if opened.pin is None:
        raise SourceError(f"{ref.name} has no columns of vectors")
    return SchemaChange(part=ref.name, vectors=chosen.vectors, exclude=exclude, pin=opened.pin)


def _is_same(known: SourceSpec | SchemaChange, change: SchemaChange) -> bool:
    pin, new = known.pin, change.pin
    is_same = pin is not None and (pin.names, pin.types, pin.dimension) == (new.names, new.types, new.dimension)
    return is_same and set(known.exclude) >= set(change.exclude)
