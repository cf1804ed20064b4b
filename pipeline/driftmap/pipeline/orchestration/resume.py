"""A run that goes on with a store: what may have changed since it was begun, and what else is refused."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from driftmap.pipeline.config.run_config import RunConfig, differences
from driftmap.pipeline.config.run_settings import LAYOUT_ONLY
from driftmap.pipeline.config.source_spec import ROW_OPTIONS
from driftmap.pipeline.errors import ConfigError, PlanWarning, StoreError
from driftmap.pipeline.graphs.bad_rows import find_dropped
from driftmap.pipeline.orchestration.changed_source import explain_changed_source, refuse_changed_source
from driftmap.pipeline.orchestration.creation import list_facts, list_stored_facts, spill_source
from driftmap.pipeline.orchestration.other_settings import explain_growth, explain_other_settings
from driftmap.pipeline.orchestration.outside_relations import refuse_other_relations
from driftmap.pipeline.planning.plan import Plan, make_plan
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.shared_rows import read_bad_rows, write_bad_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.pipeline.executors.base import WorkerLimit
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.store.disk.location import Location


def is_begun(location: Location) -> bool:
    """Whether there is a store with a graph or a map: one without begins again, as if it were not there."""
    return has_commits(location) and not Store.open(location).holds_nothing


def open_begun(location: Location, reopen: Callable[[], tuple[Store, Plan]]) -> tuple[Store, Plan] | None:
    """Open a store as `reopen` does; None where there is none, or one that holds nothing yet and is refused."""
    if not has_commits(location):
        return None
    try:
        return reopen()
    except (ConfigError, StoreError):
        if is_begun(location):
            raise
        return None


def explain_new_beginning(location: Location, config: RunConfig) -> str:
    """Say that the run of a store that holds nothing yet begins again, and with what."""
    changes = differences(RunConfig.from_json(Store.open(location).config), config)
    named = "; ".join(changes.values()) or "another source or other relations"
    return f"the store {location} held no graph yet; its run begins again ({named})"


def open_again(
    location: Location,
    source: Source,
    config: RunConfig,
    memory_limit: int | str | None,
    place: Workplace,
    relations: object = None,
) -> tuple[Store, Plan]:
    """Open a store that was begun, and plan the rest of its run.

    Raises
    ------
    DriftmapError
        When it was made of another source, or with settings or relations that its graphs or maps depend on.
    """
    store = Store.open(location, read_only=False)
    stored = RunConfig.from_json(store.config)
    changes = differences(stored, config)
    if store.growth.n_ingests or store.growth.generation:
        raise StoreError(explain_growth(store, changes))
    if changes and not _may_change(store, stored, changes):
        raise ConfigError(explain_other_settings(store, changes))
    if not changes:
        planned = _plan_again(store, source, stored, place)
    elif changes.keys().isdisjoint(ROW_OPTIONS):
        changed = stored.take_layout(config)
        planned = _plan_again(store, source, changed, place, memory_limit, place.find_limit())
    else:
        planned = _plan_other_rows(store, source, stored.take_layout(config), place, changes)
    refuse_other_relations(store, planned, source, relations)
    return store, planned


def _may_change(store: Store, stored: RunConfig, changes: dict[str, str]) -> bool:
    """Whether no graph depends on what changed, and nothing is laid out yet by it.

    A rule for rows may take the place of their refusal: windows that were built had none of these rows. Of a run that
    is done nothing is left to which it would apply.
    """
    if store.is_complete or any(getattr(stored.source, name) != "refuse" for name in changes.keys() & ROW_OPTIONS):
        return False
    others = changes.keys() - ROW_OPTIONS
    is_laid_out = store.n_blocks_done or any(window.layout_attempt is not None for window in store.state())
    return not others or (not is_laid_out and others <= LAYOUT_ONLY)


def commit_changes(store: Store, planned: Plan) -> None:
    """Have the store go on with settings that changed before anything was made that depends on them."""
    changes = differences(RunConfig.from_json(store.config), planned.config)
    if not changes:
        return
    if changes.keys().isdisjoint(ROW_OPTIONS):
        store.commit_config(planned.config.to_json())
    else:
        if planned.bad_rows is not None:
            write_bad_rows(store.location, planned.bad_rows)
        changed = zip(planned.windows, list_stored_facts(store), strict=True)
        facts = {window.index: now for window, old in changed if (now := list_facts(window)) != old}
        store.commit_plan(planned.config.to_json(), facts)
    about = "of the layout " if changes.keys() <= LAYOUT_ONLY else ""
    named = "; ".join(changes.values())
    message = f"the store {store.path} goes on with other settings {about}({named}); its graphs are kept"
    warnings.warn(message, PlanWarning, stacklevel=3)


def _plan_other_rows(
    store: Store, source: Source, config: RunConfig, place: Workplace, changes: dict[str, str]
) -> Plan:
    """Plan again by other rules for rows: windows that have a graph must have the same rows as before."""
    refuse_changed_source(store, source, config)
    spilled = spill_source(source, store.location)
    config = config.model_copy(update={"source": spilled.spec})
    dropped = find_dropped(spilled, lambda: place)
    planned = make_plan(spilled, config, None, None, dropped, is_cluster=place.is_cluster)
    now, before = [list_facts(window) for window in planned.windows], list_stored_facts(store)
    if [facts["label"] for facts in now] != [facts["label"] for facts in before]:
        raise ConfigError(explain_other_settings(store, changes, ", by which it has other windows"))
    for window, new, old in zip(store.state(), now, before, strict=True):
        if window.graph_attempt is not None and new != old:
            why = f", by which window {window.label!r}, whose graph is built, has other rows"
            raise ConfigError(explain_other_settings(store, changes, why))
    return planned


def _plan_again(
    store: Store,
    source: Source,
    config: RunConfig,
    place: Workplace,
    memory_limit: int | str | None = None,
    limit: WorkerLimit | None = None,
) -> Plan:
    refuse_changed_source(store, source, config)
    spilled = spill_source(source, store.location)
    dropped = None if config.bad_rows is None else read_bad_rows(store.location, config.bad_rows)
    config = config.model_copy(update={"source": spilled.spec})
    planned = make_plan(spilled, config, memory_limit, limit, dropped, is_cluster=place.is_cluster)
    if [list_facts(window) for window in planned.windows] != list_stored_facts(store):
        raise StoreError(explain_changed_source(store, source, config, "its rows fall into other windows"))
    return planned
