"""Prepares a worker of a cluster as it starts, before any client: `dask worker --preload driftmap.pipeline.preload`.

Without it, the first run that connects has the workers prepared; with it they wait for that run with kernels loaded.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from driftmap.pipeline.processes import claim_numba_cache, prepare_worker

if TYPE_CHECKING:
    from distributed import Worker


def dask_setup(worker: Worker) -> None:  # noqa: ARG001 - Dask's signature
    """Give the worker its cache folder and one thread a task, and load the kernels meanwhile."""
    claim_numba_cache()  # before kernels are imported
    from driftmap.pipeline.tasks import warm_up

    prepare_worker(1, pickle.dumps(warm_up))
