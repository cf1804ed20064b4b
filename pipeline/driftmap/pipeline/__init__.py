"""Maps of data that changes over time, made on a Dask cluster and kept in a Zarr store.

`run` makes or resumes the maps of a source, `plan` shows what it would do, `ingest` adds the windows that came since,
`open_store` reads what is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.ingestion.ingest import ingest
    from driftmap.pipeline.ingestion.options import IngestReport
    from driftmap.pipeline.ingestion.placing import Placer, place
    from driftmap.pipeline.orchestration.explain import Explained, explain
    from driftmap.pipeline.orchestration.run import plan, run
    from driftmap.pipeline.orchestration.stages import Progress
    from driftmap.pipeline.planning.plan import Plan
    from driftmap.pipeline.sources import WindowArrays
    from driftmap.pipeline.store import Store, open_store
    from driftmap.pipeline.store.pruning import prune

__all__ = [
    "Explained",
    "IngestReport",
    "Placer",
    "Plan",
    "Progress",
    "Store",
    "WindowArrays",
    "explain",
    "ingest",
    "open_store",
    "place",
    "plan",
    "prune",
    "run",
]

_HOMES = {
    "Plan": "driftmap.pipeline.planning.plan",
    "Progress": "driftmap.pipeline.orchestration.stages",
    "plan": "driftmap.pipeline.orchestration.run",
    "run": "driftmap.pipeline.orchestration.run",
    "Explained": "driftmap.pipeline.orchestration.explain",
    "explain": "driftmap.pipeline.orchestration.explain",
    "IngestReport": "driftmap.pipeline.ingestion.options",
    "Placer": "driftmap.pipeline.ingestion.placing",
    "place": "driftmap.pipeline.ingestion.placing",
    "prune": "driftmap.pipeline.store.pruning",
    "ingest": "driftmap.pipeline.ingestion.ingest",
    "Store": "driftmap.pipeline.store",
    "WindowArrays": "driftmap.pipeline.sources",
    "open_store": "driftmap.pipeline.store",
}


class _Viewer:
    """Shows stores with the room that pictures are made in; it is loaded when something is to be shown."""

    def describe(self, store: Store) -> str:
        from driftmap.pipeline.look.notebook import describe_store

        return describe_store(store)

    def open_report(self, store: Store, path: str | Path | None, title: str | None) -> Path | str:
        from driftmap.pipeline.look.notebook import open_report

        return open_report(store, path, title)

    def make_widget(self, store: Store, title: str | None, height: int) -> Any:
        from driftmap.pipeline.look.widget import make_widget

        return make_widget(store, title, height)


def __getattr__(name: str) -> object:
    """Import what is asked for only now: the command line needs little of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    store = import_module("driftmap.pipeline.store.store").Store
    if store.viewer is None:
        store.viewer = _Viewer()
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
