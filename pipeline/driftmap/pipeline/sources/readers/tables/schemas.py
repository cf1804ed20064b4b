"""Columns of a source's files, with those that the names of its folders make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.readers.tables import formats
from driftmap.pipeline.sources.readers.tables.listing import find_folder_columns, list_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec


def list_columns(spec: SourceSpec) -> list[str]:
    """List the columns of a source's first file, and those that the names of its folders make.

    Raises
    ------
    SourceError
        When there is none that can be read.
    """
    place = SourcePlace(spec.path)
    base, stamps = list_files(place, spec.files, spec.format)
    names = [stamps[0].path] if base is place else []
    (file,) = formats.open_files(base, stamps[:1], spec)
    return list(add_fields(file.schema, find_folder_columns(names).fields).names)


def add_fields(schema: pa.Schema, fields: Sequence[pa.Field]) -> pa.Schema:
    """Add columns that folders make to those of a file."""
    # A file keeps its own types: lists may be of one fixed length here and of another there.
    return pa.schema([*schema, *(field for field in fields if field.name not in schema.names)], schema.metadata)
