"""`driftmap explain`: fill in words, numbers and what is shown of rows."""

from __future__ import annotations

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say


@click.command(cls=DrawnHelp, short_help="Fill in, or refresh, what says why clusters changed.")
@click.argument("store")
@click.argument("source", required=False)
@click.option("--text", metavar="COLUMN", help="Column of texts, whose words are kept.")
@click.option(
    "--show", metavar="COLUMN", multiple=True, help="Column that says what a row is; several times for several."
)
@click.option("--scheduler", metavar="ADDRESS", help="As for `run`.")
def explain(store: str, source: str | None, text: str | None, show: tuple[str, ...], scheduler: str | None) -> None:
    """Read SOURCE again, and keep words of texts, numbers of named columns and what is shown of rows in STORE.

    For stores that were made without them, or whose texts changed since: those are replaced, as are columns that are no
    longer asked for. No map changes; later ingests go on with the same columns. Rows that came after a window was final
    are left out; a window whose rows are others in SOURCE now stays as it is, and is named. Of rows that `ingest` was
    given from Python the store has only the columns that were named then.
    """
    from driftmap.pipeline import explain as fill

    say(str(fill(store, source, text=text, show=show or None, scheduler=scheduler)))
