"""Prepares a worker of a cluster as it starts, before any client: `dask worker --preload` takes this module's name.

Without it, the first run that connects has the workers prepared; with it they wait for that run with kernels loaded.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from driftmap.pipeline.executors.worker_process import claim_numba_cache, prepare_worker

if TYPE_CHECKING:
    from driftmap.pipeline.executors import Worker


def dask_setup(worker: Worker) -> None:  # noqa: ARG001 - Dask's signature
    """Give the worker its cache folder and one thread a task, and load the kernels meanwhile."""
    claim_numba_cache()  # before kernels are imported
    from driftmap.pipeline.graphs.build_graph import warm_up

    prepare_worker(1, pickle.dumps(warm_up))
