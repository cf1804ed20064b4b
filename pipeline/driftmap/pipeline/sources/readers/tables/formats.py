"""Formats of files of rows: who opens a file of each, and what is said of one that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.readers.tables.listing import FORMAT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyarrow import fs

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.locations import SourcePlace
    from driftmap.pipeline.sources.protocol import ReadCost
    from driftmap.pipeline.sources.readers.table_file import TableFile
    from driftmap.pipeline.sources.readers.text.text_file import TextFile
    from driftmap.pipeline.sources.stamps import FileStamp

TEXT_FORMATS = ("csv", "json")


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
    files = base.open_filesystem(stamps)
    open_one = _choose_opener(base, files, spec)
    opened = []
    for stamp in stamps:
        try:
            opened.append(open_one(stamp.path))
        except (pa.ArrowException, OSError) as error:
            name, kind = base.name(stamp.path), FORMAT_NAMES[spec.format]
            raise SourceError(f"{name} is no {kind} that can be read ({error}); write it as {kind} first") from error
    return opened


def settle_text_types(files: Sequence[TableFile], spec: SourceSpec) -> SourceSpec:
    """Have all files of text read columns with a role as one type, and keep it; others know their types."""
    if spec.format not in TEXT_FORMATS:
        return spec
    texts = [file for file in list_text_files(files, spec) if len(file.lengths)]
    settled = {}
    for name in spec.named_columns:
        kinds = {file.text_types[name] for file in texts if name in file.text_types}
        if kinds:
            settled[name] = kinds.pop() if len(kinds) == 1 else "float" if kinds == {"integer", "float"} else "text"
    for file in texts:
        file.read_as({name: kind for name, kind in settled.items() if name in file.text_types})
    return spec.model_copy(update={"text_types": tuple(settled.items())})


def list_text_files(files: Sequence[TableFile], spec: SourceSpec) -> list[TextFile]:
    """List the files where they are text."""
    return list(files) if spec.format in TEXT_FORMATS else []  # type: ignore[arg-type]


def add_text_passes(cost: ReadCost, files: Sequence[TableFile], spec: SourceSpec) -> ReadCost:
    """Add what is passed over of files of text to learn their types, rows and keys; others tell these themselves."""
    texts = list_text_files(files, spec)
    sizes = [int(file.measure_blocks([]).sum()) for file in texts]
    # Keys that are not kept are read for the plan of a new store, and again for the one that goes on with it.
    unkept = sum(size for file, size in zip(texts, sizes, strict=True) if not file.has_keys)
    # Elsewhere than on this machine's disks a pass that sorts opens it too, and nothing is saved.
    opening = 0 if "://" in spec.path else sum(sizes)
    return cost._replace(opening_bytes=opening, planning_bytes=sum(sizes) + 2 * unkept)


def _choose_opener(base: SourcePlace, files: fs.FileSystem, spec: SourceSpec) -> Callable[[str], TableFile]:
    # Late: Arrow's readers are slow to import, and a source needs one of them.
    if spec.format in TEXT_FORMATS:
        from driftmap.pipeline.sources.readers.text.kept_keys import KeyBudget
        from driftmap.pipeline.sources.readers.text.text_file import TextFile

        budget = KeyBudget()
        return lambda path: TextFile(base, path, files, spec, budget)
    if spec.format == "arrow":
        from driftmap.pipeline.sources.readers.tables.arrow_file import ArrowFile

        return lambda path: ArrowFile(base, path, files)
    from driftmap.pipeline.sources.readers.tables.parquet_file import ParquetFile

    return lambda path: ParquetFile(base, path, files)
