"""`driftmap prune`: bound what a store holds."""

from __future__ import annotations

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say
from driftmap.pipeline.cli.options import DURATION_HELP


@click.command(cls=DrawnHelp, short_help="Remove what a store does not need.")
@click.argument("store")
@click.option(
    "--keep",
    metavar="DURATION|N",
    help=f"Remove graphs of windows that ended longer ago than this, or of all but so many windows: {DURATION_HELP}.",
)
@click.option("--embeddings", is_flag=True, help="With --keep: remove their maps too.")
@click.option("--wait", metavar="DURATION", help="How long to wait for another writer on STORE, such as 10min.")
@click.option("--dry-run", is_flag=True, help="Remove nothing, and say what would be removed.")
def prune(store: str, keep: str | None, wait: str | None, *, embeddings: bool, dry_run: bool) -> None:
    """Remove older generations of STORE, superseded maps of provisional windows, and what kills left behind.

    Final windows keep their maps, and the windows that the next ones are related to keep everything. The source is not
    touched.
    """
    from driftmap.pipeline import prune as remove
    from driftmap.pipeline.ingestion.options import IngestOptions

    wait_seconds = IngestOptions(wait=wait).wait_seconds
    report = remove(store, keep=keep, embeddings=embeddings, wait_seconds=wait_seconds, dry_run=dry_run)
    say(str(report))
