"""The command `driftmap migrate`: bring a store to the newest format."""

from __future__ import annotations

import click

from driftmap.pipeline.cli.groups import DrawnHelp
from driftmap.pipeline.cli.lines import say


@click.command(cls=DrawnHelp, short_help="Bring a store to the newest format.")
@click.argument("store")
def migrate(store: str) -> None:
    """Bring STORE, made by an older driftmap, to the newest format, and chain its log by checksums.

    A store that is there already is not touched.
    """
    from driftmap.pipeline.store.log.state import FORMAT_VERSION
    from driftmap.pipeline.store.migrate import chain_log, migrate_store
    from driftmap.pipeline.store.store import open_store

    was_chained = open_store(store).is_chained
    passed = migrate_store(store)
    is_chained_now = chain_log(store) or not was_chained
    done = f"brought to format {passed[-1]}" if passed else f"in format {FORMAT_VERSION}, the newest"
    more = "its log is chained by checksums from now on" if is_chained_now else "" if passed else "nothing to do"
    say(f"{store}: {done}{'; ' if more else ''}{more}")
