"""Maps of data that changes over time, made on a Dask cluster and kept in a Zarr store.

`run` makes or resumes the maps of a source, `plan` shows what it would do, `ingest` adds the windows that came since,
`open_store` reads what is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmap.pipeline.coordinator import plan, run
    from driftmap.pipeline.ingestion.coordinator import ingest
    from driftmap.pipeline.ingestion.options import IngestReport
    from driftmap.pipeline.placing import Placer, place
    from driftmap.pipeline.pruning import prune
    from driftmap.pipeline.run_plan import Plan
    from driftmap.pipeline.store import Store, open_store
    from driftmap.pipeline.work import Progress

__all__ = [
    "IngestReport",
    "Placer",
    "Plan",
    "Progress",
    "Store",
    "ingest",
    "open_store",
    "place",
    "plan",
    "prune",
    "run",
]

_HOMES = {
    "Plan": "driftmap.pipeline.run_plan",
    "Progress": "driftmap.pipeline.work",
    "plan": "driftmap.pipeline.coordinator",
    "run": "driftmap.pipeline.coordinator",
    "IngestReport": "driftmap.pipeline.ingestion.options",
    "Placer": "driftmap.pipeline.placing",
    "place": "driftmap.pipeline.placing",
    "prune": "driftmap.pipeline.pruning",
    "ingest": "driftmap.pipeline.ingestion.coordinator",
    "Store": "driftmap.pipeline.store",
    "open_store": "driftmap.pipeline.store",
}


def __getattr__(name: str) -> object:
    """Import what is asked for only now: the command line needs little of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
