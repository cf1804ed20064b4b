"""A source that changed after its store was made: found, explained, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.sources.stamps import explain_change, has_only_grown

if TYPE_CHECKING:
    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.store import Store


def refuse_changed_source(store: Store, source: Source, config: RunConfig) -> None:
    """Refuse to go on with a source that is not what the store was made of.

    Raises
    ------
    StoreError
        If its fingerprint is another.
    """
    changed = explain_change(store.fingerprint, source.fingerprint())
    if changed:
        raise StoreError(explain_changed_source(store, source, config, changed))


def explain_changed_source(store: Store, source: Source, config: RunConfig, changed: str) -> str:
    """Say what changed in the source of a store, and what to do."""
    return (
        f"the source {config.source.path or 'given'} changed since the store {store.path} was made ({changed}); "
        f"{_advise_on_change(store, config, source)}"
    )


def _advise_on_change(store: Store, config: RunConfig, source: Source) -> str:
    """Say what to do about a source that is not what the store was made of."""
    other = "name another store for maps of everything"
    if config.windows.rows is not None or (config.source.id is None and config.source.format != "zarr"):
        return f"{other} (`driftmap ingest` needs an id column, and windows by time or by a column)"
    if not store.is_complete:
        return (
            f"put it back as it was to finish this run, and `driftmap ingest {store.path}` then adds what came; "
            f"or {other}"
        )
    adds = "adds what came" if has_only_grown(store.fingerprint, source.fingerprint()) else "takes in what is new"
    return f"`driftmap ingest {store.path}` {adds}; or {other}"
