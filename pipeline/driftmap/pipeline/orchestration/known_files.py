"""Files of a source that a store was made of, or that ingests took in: others in its folder are of no window."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources import open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.readers.tables.listing import find_format, list_files
from driftmap.pipeline.sources.readers.tables.schemas import list_columns
from driftmap.pipeline.sources.stamps import STAMPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.store import Store


def list_known_files(store: Store, spec: SourceSpec, given: object) -> dict[int, list[str]] | None:
    """List the files of a folder that a store knows and that are there, by the schema that they have.

    Parameters
    ----------
    store, spec
        The store, and the source of its run.
    given
        Where the source is now.

    Returns
    -------
    Names from the folder, none for a source that is a single file; None where it is no file or folder of the same
    format, or has none of them.
    """
    if not isinstance(given, str | os.PathLike) or not spec.is_files or spec.vectors_file or spec.pin is None:
        return None
    place = SourcePlace(given)
    try:
        base, stamps = list_files(place, kind=spec.format)
        if base is not place:
            return {0: []} if find_format(place) == spec.format else None
    except SourceError:  # whoever opens it says what is wrong
        return None
    parts = {name: part.schema for name, part in store.growth.parts.items()}
    schemas = parts or dict.fromkeys(store.fingerprint.get(STAMPS) or (), 0)
    found: dict[int, list[str]] = {}
    for stamp in stamps:
        if stamp.path in schemas:
            found.setdefault(schemas[stamp.path], []).append(stamp.path)
    return found or None


def group_files(spec: SourceSpec, files: Sequence[str]) -> list[SourceSpec]:
    """Give files of the same columns as one source each: all of them where they can be read together."""
    if not files:
        return [spec]
    whole = spec.model_copy(update={"files": tuple(files)})
    try:
        open_source(whole)
    except SourceError:
        groups: dict[tuple[str, ...], list[str]] = {}
        for name in files:
            groups.setdefault(_name_columns(spec, name), []).append(name)
        return [spec.model_copy(update={"files": tuple(names)}) for names in groups.values()]
    return [whole]


def _name_columns(spec: SourceSpec, name: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(list_columns(spec.model_copy(update={"files": (name,)}))))
    except SourceError:  # a group of its own, which says why when it is opened
        return (name,)
