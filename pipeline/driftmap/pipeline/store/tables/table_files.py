"""Tables as files: the ending of the name says which kind."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.store.disk.output_files import check_output, whole_file
from driftmap.pipeline.store.id_types import UUID_EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    Write = Callable[[pa.Table, BinaryIO], None]


def find_table_writer(path: str | PurePath) -> Write:
    """Find how a table is written to a file of this name; called before any work, so that a wrong name costs none.

    Returns
    -------
    A function of the table and a file that is open for writing bytes.

    Raises
    ------
    ConfigError
        When the name's ending is none of `TABLE_ENDINGS`.
    """
    check_output(path)
    ending = PurePath(path).suffix.lower()
    if ending not in _WRITERS:
        known = f"{', '.join(TABLE_ENDINGS[:-1])} or {TABLE_ENDINGS[-1]}"
        what = f"ends in {ending!r}" if ending else "has no ending"
        raise ConfigError(f"the name of the file to write, {path}, {what}; one that ends in {known} was expected")
    return _WRITERS[ending]


def write_table(table: pa.Table, path: str | PurePath) -> None:
    """Write a table to a file: Parquet, CSV or Arrow's IPC format (Feather), by the ending of its name.

    Raises
    ------
    ConfigError
        When the ending is not known.
    OSError
        When the file cannot be written.
    """
    write = find_table_writer(path)
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        write(table, file)


def _write_parquet(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, file)


def _write_csv(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc

    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        if getattr(kind, "extension_name", "") == UUID_EXTENSION:
            texts = [None if value is None else str(value) for value in table.column(name).to_pylist()]
            table = table.set_column(table.schema.get_field_index(name), name, pa.array(texts, pa.string()))
        if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind):
            texts = [None if value is None else value.hex() for value in table.column(name).to_pylist()]
            table = table.set_column(table.schema.get_field_index(name), name, pa.array(texts, pa.string()))
    pc.write_csv(table, file)


def _write_arrow(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.feather as pf

    pf.write_feather(table, file, compression="uncompressed")


_WRITERS: dict[str, Write] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
}

TABLE_ENDINGS = tuple(_WRITERS)
"""Endings of the names of files that a table can be written to."""
