"""Worker processes on this machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import distributed.utils
from distributed import Client, LocalCluster

from driftmap.pipeline.executors.base import share_memory
from driftmap.pipeline.executors.cluster.dask_client import FEW_MESSAGES
from driftmap.pipeline.executors.cluster.dask_executor import DaskExecutor
from driftmap.pipeline.executors.fork_server import keep_environment, start_fork_server
from driftmap.pipeline.executors.machine import count_cores
from driftmap.pipeline.executors.worker_process import (
    CACHE_VARIABLE,
    GUARD,
    HOME_VARIABLE,
    KERNELS_VARIABLE,
    THREAD_VARIABLES,
    WorkerError,
    hold_interrupts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def start_workers(
    stack: ExitStack,
    workers: int | None,
    n_tasks: int | None,
    warm_up: Callable[[], object] | None,
    worker_bytes: int | None,
    *,
    is_watched: bool = False,
) -> DaskExecutor:
    """Start worker processes and give what runs tasks on them; see `make_executor`. They end with `stack`.

    Only where somebody asked for it Dask's dashboard is there: bokeh takes 1 s of a core to load.

    Raises
    ------
    WorkerError
        When none can be started, or this process is daemonic or joblib's, which can start none.
    """
    if multiprocessing.current_process().daemon:
        raise WorkerError(
            "this process is daemonic (a task of multiprocessing.Pool, Celery or Dask, for one), and Python lets such "
            'a process start no others; give scheduler="serial" to work in it alone, or the address of a Dask scheduler'
        )
    method = multiprocessing.get_start_method(allow_none=True)
    if method not in (None, *multiprocessing.get_all_start_methods()):
        raise WorkerError(
            f"this process was started by a library with a start method of its own ({method}, as joblib's "
            'processes are), which the processes that it starts do not know; give scheduler="serial" to work in it '
            "alone, or the address of a Dask scheduler"
        )
    stack.enter_context(_hide_piped_script())
    n_cores = count_cores()
    n_bytes = worker_bytes or share_memory(workers or n_cores)
    n_workers = max(1, min(workers or n_cores, n_tasks or n_cores))
    # Cores are shared out: with fewer workers than cores, the numeric libraries of each may use several.
    n_threads = max(1, n_cores // n_workers)
    cluster = stack.enter_context(_start_cluster(n_workers, n_threads, n_bytes, is_watched=is_watched))
    with dask.config.set(FEW_MESSAGES):
        client = stack.enter_context(Client(cluster, set_as_default=False))
    return DaskExecutor(client, n_threads, warm_up)


@contextmanager
def _hide_piped_script() -> Iterator[None]:
    """Have no worker run a script that was piped into Python: its name, <stdin>, is of no file."""
    main: Any = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or getattr(main, "__spec__", None) is not None or Path(file).exists():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


def _start_cluster(n_workers: int, n_threads: int, worker_bytes: int, *, is_watched: bool) -> LocalCluster:
    with suppress(RuntimeError):  # one worker that is killed as it starts takes the cluster with it, and may be chance
        return _launch_cluster(n_workers, n_threads, worker_bytes, is_watched=is_watched)
    try:
        return _launch_cluster(n_workers, n_threads, worker_bytes, is_watched=is_watched)
    except RuntimeError as error:
        raise WorkerError(f"no worker process could be started ({error}). From a script, {GUARD}") from error


def _launch_cluster(n_workers: int, n_threads: int, worker_bytes: int, *, is_watched: bool) -> LocalCluster:
    threads = dict.fromkeys(THREAD_VARIABLES, str(n_threads))
    before_spawn = {**dask.config.get("distributed.nanny.pre-spawn-environ"), **threads}
    settings = {
        "distributed.worker.multiprocessing-method": start_fork_server(),
        **FEW_MESSAGES,
        # Dask's own setting stays: it has freed memory go back at once.
        "distributed.nanny.pre-spawn-environ": before_spawn,
    }
    # The server has what it needs; else Dask would import pandas in this process, to have the server load it too.
    distributed.utils._forkserver_preload_set = True  # noqa: SLF001 - no setting says so
    # Else it would be the one that the fork server was started with, also where a variable is no longer set.
    environment = {**dict.fromkeys((CACHE_VARIABLE, HOME_VARIABLE, KERNELS_VARIABLE), ""), **os.environ, **threads}
    # Dask sets the workers' variables in this process too, where the layout may use every core.
    with keep_environment((*before_spawn, "PYTHONHASHSEED")), dask.config.set(settings), hold_interrupts():
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=worker_bytes,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port, seen from this machine only
            scheduler_kwargs={"dashboard": is_watched},
            silence_logs=logging.CRITICAL,
            env=environment,
        )
    # A worker that dies is started again while the run goes on: this process would keep the worker's variables.
    for nanny in cluster.workers.values():
        nanny.pre_spawn_env.clear()
    return cluster
