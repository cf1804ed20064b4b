"""The command `driftmap migrate`: bring a store to the newest format."""

from __future__ import annotations

import click


@click.command(short_help="Bring a store to the newest format.")
@click.argument("store")
def migrate(store: str) -> None:
    """Bring STORE, made by an older driftmap, to the newest format; one that is there already is not touched."""
    from driftmap.pipeline.store.migrate import migrate_store
    from driftmap.pipeline.store.state import FORMAT_VERSION

    passed = migrate_store(store)
    done = f"brought to format {passed[-1]}" if passed else f"in format {FORMAT_VERSION}, the newest; nothing to do"
    click.echo(f"{store}: {done}")
