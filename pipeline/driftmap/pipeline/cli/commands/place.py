"""`driftmap place`: put new rows into the newest map."""

from __future__ import annotations

from typing import Any

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say


@click.command(cls=DrawnHelp, short_help="Place new rows into the newest map.")
@click.argument("store")
@click.argument("rows")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write: .parquet, .csv, .arrow or .feather."
)
@click.option("--source", metavar="PATH", help="Where the data of STORE are now, when they were moved.")
@click.option("--window", metavar="LABEL", help="Place them into this window's map, not the newest.")
@click.option("--vectors-file", metavar="FILE.npy", help="The vectors of ROWS, where they are not in the table.")
@click.option(
    "--duplicates",
    type=click.Choice(["refuse", "first", "last", "mean"]),
    help="What stands for an id that comes again in ROWS; refuse: each row by itself.  [default: as in the run]",
)
@click.option(
    "--on-bad-rows",
    type=click.Choice(["refuse", "drop"]),
    help="What becomes of rows without an id, or with missing or infinite numbers.  [default: as in the run]",
)
def place(store: str, rows: str, output: str, source: str | None, window: str | None, **options: Any) -> None:
    """Place ROWS, a file with the columns of the run, into the newest map of STORE; nothing there moves.

    The rows of that window are read from the source again, since the store keeps no vectors.
    """
    from driftmap.pipeline.ingestion.placing import Placer
    from driftmap.pipeline.store.disk.output_files import refuse_overwriting
    from driftmap.pipeline.store.tables.table_files import find_table_writer, write_table

    find_table_writer(output)
    refuse_overwriting(output, (rows, source, store, options.get("vectors_file")))
    placer = Placer(store, source=source, window=window)
    table = placer.place(rows, **options)
    try:
        write_table(table, output)
    except OSError as error:
        raise click.FileError(output, str(error)) from error
    if placer.n_left_out:
        say(f"{placer.n_left_out:,} rows left out (on_bad_rows, duplicates)")
    say(f"{table.num_rows:,} rows placed into the map of window {placer.label!r}, in {output}")
