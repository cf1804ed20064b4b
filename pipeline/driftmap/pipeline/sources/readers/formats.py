"""Formats of files of rows: who opens a file of each, and what is said of one that cannot be read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from driftmap.pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.locations import SourcePlace
    from driftmap.pipeline.sources.readers.table_file import TableFile
    from driftmap.pipeline.sources.stamps import FileStamp

NAMES = {"parquet": "Parquet"}
"""What each format is called."""


def open_files(base: SourcePlace, stamps: Sequence[FileStamp], spec: SourceSpec) -> list[TableFile]:
    """Open files of rows.

    Parameters
    ----------
    base
        The folder that they lie below.
    stamps
        The files.
    spec
        With their format.

    Raises
    ------
    SourceError
        When one is not of that format; it is named.
    """
    from driftmap.pipeline.sources.readers.parquet_file import ParquetFile  # late: Arrow's data sets are slow to import

    files = base.open_filesystem(stamps)
    opened: list[TableFile] = []
    for stamp in stamps:
        try:
            opened.append(ParquetFile(base, stamp.path, files))
        except (pa.ArrowException, OSError) as error:
            name, kind = base.name(stamp.path), NAMES[spec.format]
            raise SourceError(f"{name} is no {kind} that can be read ({error}); write it as {kind} first") from error
    return opened


@contextmanager
def explain_read(name: str) -> Iterator[None]:
    """Raise what Arrow raises while a file is read as an error that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name} cannot be read: {error}") from error
