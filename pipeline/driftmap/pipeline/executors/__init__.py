"""Where tasks run on other processes: the one folder that imports Dask."""

from driftmap.pipeline.executors.connecting import find_worker_limit
from driftmap.pipeline.executors.dask_executor import DaskExecutor
from driftmap.pipeline.executors.making import make_executor

__all__ = ["DaskExecutor", "find_worker_limit", "make_executor"]
