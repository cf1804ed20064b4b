"""Where tasks run on other processes: the one folder that imports Dask."""

from distributed import Client, Worker

from driftmap.pipeline.executors.cluster.connect_or_start import compute_on, make_executor
from driftmap.pipeline.executors.cluster.dask_client import find_worker_limit, refuse_blind_workers
from driftmap.pipeline.executors.cluster.dask_executor import DaskExecutor

__all__ = [
    "Client",
    "DaskExecutor",
    "Worker",
    "compute_on",
    "find_worker_limit",
    "make_executor",
    "refuse_blind_workers",
]
