"""Settings other than those that a store was made with: what they are, and what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.config.source_spec import ROW_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from driftmap.pipeline.store.log_view import LogView

_OTHERWISE = (
    ({"text", "show"}, "`driftmap explain {path}` fills in other columns of texts, and of what is shown (text, show)"),
    ({"vectors", "exclude"}, "`driftmap ingest {path} --accept-schema` takes files that come with other columns"),
    ({"source"}, "`driftmap ingest {path} --source PATH` goes on where the data are now"),
    ({"relations"}, "`driftmap ingest {path} --relations FILE` takes those of windows that come"),
    (ROW_OPTIONS, "`driftmap ingest {path}` takes a rule for rows in place of their refusal (duplicates, on_bad_rows)"),
    ({"on_empty"}, "`driftmap ingest {path} --on-empty` says what becomes of empty windows that come"),
)
"""What may be had of a store whose run is done, by names of settings."""


def explain_other_settings(store: LogView, changes: Mapping[str, str], why: str = "") -> str:
    """Say that a store was made with other settings, and what to do.

    Parameters
    ----------
    store
        The store.
    changes
        What is other, by the names of settings.
    why
        Why that cannot be.
    """
    made = f"the store {store.path} was made with other settings ({'; '.join(changes.values())}){why}"
    return f"{made}; {advise_on_settings(store, changes)}"


def explain_growth(store: LogView, changes: Mapping[str, str]) -> str:
    """Say that a store has grown, so that no run goes on with it, and what to do."""
    grown = f"the store {store.path} has grown since its run, by {store.growth.n_ingests} windows or more"
    if changes:
        return f"{grown}, and {explain_other_settings(store, changes).removeprefix(f'the store {store.path} ')}"
    return f"{grown}; `driftmap ingest {store.path}` goes on with it, or name another store for a new run (store)"


def advise_on_settings(store: LogView, names: Collection[str]) -> str:
    """Say what to do where settings, by their names, are other than those of a store."""
    if not store.is_complete:
        return "give the same ones to finish its run, or name another store for these (store)"
    instead = [advice.format(path=store.path) for those, advice in _OTHERWISE if set(those) & set(names)]
    return "; ".join(["its run is done: name another store for maps by these (store)", *instead])
