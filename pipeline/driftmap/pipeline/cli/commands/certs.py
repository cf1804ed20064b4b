"""`driftmap certs`: certificates for a cluster."""

from __future__ import annotations

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say


@click.command(cls=DrawnHelp, short_help="Make certificates for a cluster.")
@click.argument("folder", metavar="DIR")
@click.option("--days", type=int, default=30, show_default=True, help="How long the certificates hold.")
@click.option("--authority-days", type=int, default=365, show_default=True, help="How long a new authority holds.")
def certs(folder: str, days: int, authority_days: int) -> None:
    """Make a private authority in DIR, and certificates for scheduler, workers and clients.

    Where DIR has an authority, new certificates come from it. They are read when a process starts, so start
    scheduler and workers again before the old ones expire.
    """
    from driftmap.pipeline.executors.certificates import make_certificates

    for made in make_certificates(folder, days, authority_days):
        say(f"{made.role:<9}  until {made.expires:%Y-%m-%d %H:%M} UTC  {made.folder}")
    say(
        "Copy scheduler, worker and client to the hosts that need them, and nothing else: whoever has the authority's "
        "key can join the cluster. Then: driftmap run ... --scheduler tls://HOST:8786 --tls DIR"
    )
