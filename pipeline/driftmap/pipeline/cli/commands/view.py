"""The command `driftmap view`: look at a store without leaving a file."""

from __future__ import annotations

import contextlib

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say


@click.command(cls=DrawnHelp, short_help="Show the maps in the browser until Ctrl-C.")
@click.argument("store")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of this machine; any free one when left out."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address of this machine to serve at; 0.0.0.0: every one."
)
@click.option("--title", help="Heading of the page; the store's name when left out.")
@click.option(
    "--open/--no-open",
    "is_opened",
    default=True,
    envvar="DRIFTMAP_VIEW_OPEN",
    help="Open it in the browser, where there is a screen.",
)
def view(store: str, port: int, host: str, title: str | None, *, is_opened: bool) -> None:
    """Show the page of STORE at an address of this machine, until Ctrl-C.

    The address holds a random token and is reached from this machine only, unless --host says otherwise: then everyone
    who knows the address reads the page, over a connection that is not encrypted.

    Up to 1,000,000 rows it is the page of `driftmap report`; above, windows are read as they are looked at. Windows of
    an ingest appear in the open page.
    """
    from driftmap.pipeline import open_store
    from driftmap.pipeline.look.notebook import open_url
    from driftmap.pipeline.look.view import PageServer

    opened = open_store(store)
    try:
        server = PageServer(opened, title, port, host)
    except OSError as error:
        raise click.ClickException(
            f"{host}, port {port}, cannot be served at ({error}); give another --port, or a --host of this machine"
        ) from error
    with server:
        say(f"Page: {server.url} (Ctrl-C ends it)")
        if is_opened:
            open_url(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
