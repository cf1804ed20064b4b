"""A store is made: what its settings name is written first, then the commit that says which windows it will have."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.store import Store
from driftmap.pipeline.store.create import SOURCE_FOLDER
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.log.windows import count_left_out
from driftmap.pipeline.store.shared_rows import write_bad_rows, write_scaling

if TYPE_CHECKING:
    from driftmap.pipeline.orchestration.scaling import Fitted
    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.relation_book import RelationBook


def create_store(
    location: Location, source: Source, planned: Plan, book: RelationBook | None, scaling: Fitted | None
) -> None:
    """Write what a run's settings name, and then the commit that its store begins with; the caller holds the store.

    Parameters
    ----------
    location
        A prepared place, or a store that holds nothing yet: it begins again.
    source, planned
        Of the run.
    book
        Relations from outside, where there are some.
    scaling
        What columns are scaled by, where they are.
    """
    config = planned.config
    if book is not None:
        book.write(location)
    if planned.bad_rows is not None:
        write_bad_rows(location, planned.bad_rows)
    if scaling is not None:
        write_scaling(location, scaling.scaling)
        config = config.model_copy(update={"scaling": scaling.pin})
    # What is in memory only is kept beside the maps, so that workers, and a later run, can read it.
    spilled = spill_source(source, location)
    stored = config.model_copy(update={"source": spilled.spec}).to_json()
    windows, fingerprint = [list_facts(window) for window in planned.windows], source.fingerprint()
    if has_commits(location):
        Store.open(location, read_only=False).begin_again(stored, windows, fingerprint)
    else:
        Store.create(location, config=stored, windows=windows, fingerprint=fingerprint)


def spill_source(source: Source, location: Location) -> Source:
    """Write rows that are in memory only beside the maps, so that workers, and a later run, can read them."""
    return source.spill(location.folder / SOURCE_FOLDER) if location.is_local else source


def list_facts(window: WindowPlan) -> dict[str, Any]:
    """Give the facts of a planned window, as the first commit has them."""
    digest = hashlib.sha256(np.ascontiguousarray(window.runs, dtype="<i8").tobytes()).hexdigest()[:16]
    return {
        "label": window.label,
        "n_rows": int(window.n_rows),
        "start": window.start,
        "end": window.end,
        "digest": digest,
        **count_left_out(window.n_dropped, window.n_repeated),
    }


def list_stored_facts(store: Store) -> list[dict[str, Any]]:
    """Give the facts of the windows that a store has, in the same form."""
    names = ("label", "n_rows", "start", "end", "digest")
    return [
        {name: getattr(window, name) for name in names} | count_left_out(window.n_dropped, window.n_repeated)
        for window in store.state()
    ]
