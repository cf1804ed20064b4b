"""Where tasks run on other processes: the one folder that imports Dask, and only when one of these names is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, Worker

    from driftmap.pipeline.executors.cluster.connect_or_start import compute_on, make_executor
    from driftmap.pipeline.executors.cluster.dask_client import find_worker_limit, refuse_blind_workers
    from driftmap.pipeline.executors.cluster.dask_executor import DaskExecutor

_CLUSTER = "driftmap.pipeline.executors.cluster"
_ROOMS = {
    "Client": "distributed",
    "Worker": "distributed",
    "compute_on": f"{_CLUSTER}.connect_or_start",
    "make_executor": f"{_CLUSTER}.connect_or_start",
    "find_worker_limit": f"{_CLUSTER}.dask_client",
    "refuse_blind_workers": f"{_CLUSTER}.dask_client",
    "DaskExecutor": f"{_CLUSTER}.dask_executor",
}

__all__ = [
    "Client",
    "DaskExecutor",
    "Worker",
    "compute_on",
    "find_worker_limit",
    "make_executor",
    "refuse_blind_workers",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
