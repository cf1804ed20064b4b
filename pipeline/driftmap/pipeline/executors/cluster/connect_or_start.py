"""Start, or reach, what runs the tasks; Dask's dashboard and its account of a run."""

from __future__ import annotations

import inspect
import shlex
import sys
import traceback
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import distributed
from dask.base import compute
from dask.delayed import delayed
from distributed import Client

from driftmap.pipeline.executors.base import Executor, SerialExecutor
from driftmap.pipeline.executors.cluster.cluster_workers import THREADS_PER_TASK, ClusterWorkers, remove_old_plugin
from driftmap.pipeline.executors.cluster.dask_client import reach
from driftmap.pipeline.executors.cluster.dask_executor import DaskExecutor
from driftmap.pipeline.executors.cluster.local_cluster import start_workers
from driftmap.pipeline.executors.worker_process import WorkerError
from driftmap.pipeline.sources.calls import Call
from driftmap.pipeline.store.disk.output_files import check_page, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from driftmap.pipeline.executors.cluster.placement import Placement
    from driftmap.pipeline.executors.tls import SecureAddress
    from driftmap.pipeline.sources.calls import Compute

COMMAND = "driftmap.pipeline.cli.app"
"""Module whose frame is there where the run was started by the command."""

_INSTALL_BOKEH = "pip install 'driftmap[dashboard]', on the scheduler's host too"


@contextmanager
def make_executor(
    scheduler: str | Client | SecureAddress | None = None,
    workers: int | None = None,
    n_tasks: int | None = None,
    warm_up: Callable[[], object] | None = None,
    *,
    worker_bytes: int | None = None,
    placement: Placement | None = None,
    performance_report: str | Path | None = None,
    on_dashboard: Callable[[str], None] | None = None,
) -> Iterator[Executor]:
    """Start, or reach, what runs the tasks, and leave no process behind.

    Parameters
    ----------
    scheduler
        None: worker processes on this machine. "serial": this process. An address such as `tcp://host:8786`, one with
        its certificates (`settle_scheduler`), or a `distributed.Client`: the workers there.
    workers
        Worker processes on this machine; one per core when left out.
    n_tasks
        How many tasks there are; no more workers than that are started.
    warm_up
        Called in every worker process before its first task.
    worker_bytes
        Memory that each worker on this machine may take; its share when left out.
    placement
        What is asked of a cluster's workers.
    performance_report
        File for Dask's account of what is run.
    on_dashboard
        Called with the address of Dask's dashboard.
    """
    if scheduler == "serial":
        yield SerialExecutor()
        return
    with ExitStack() as stack:
        stack.enter_context(_leave_slot())
        if scheduler is None:
            is_watched = on_dashboard is not None or performance_report is not None
            executor = start_workers(stack, workers, n_tasks, warm_up, worker_bytes, is_watched=is_watched)
        else:
            client = stack.enter_context(reach(scheduler))
            executor = _use_cluster(client, warm_up, placement)
        if on_dashboard is not None:
            on_dashboard(_find_dashboard(executor.client))
        if performance_report is not None:
            stack.enter_context(_report_performance(executor.client, performance_report))
        yield executor


@contextmanager
def compute_on(
    scheduler: str | Client | SecureAddress | None, workers: int | None, worker_bytes: int | None
) -> Iterator[Compute]:
    """Have Dask's own collections computed where tasks are done, meanwhile.

    Parameters
    ----------
    scheduler, workers, worker_bytes
        As for `make_executor`. Where none is named, a client that the caller has is used: what was persisted is there.

    Yields
    ------
    What makes calls there, and gives what they return.
    """
    if scheduler == "serial":
        with dask.config.set(scheduler="synchronous"):
            yield _compute
        return
    if scheduler is None and _has_client():
        yield _compute
        return
    with make_executor(scheduler, workers, worker_bytes=worker_bytes) as executor:
        if isinstance(executor, DaskExecutor):
            with executor.client.as_current():
                yield _compute


def _compute(calls: Sequence[Call]) -> list[Any]:
    return list(compute(*map(_delay, calls)))


def _delay(call: Call) -> Any:
    arguments = (_delay(one) if isinstance(one, Call) else one for one in call.arguments)
    return delayed(call.function)(*arguments)


def _has_client() -> bool:
    try:
        distributed.get_client()
    except ValueError:
        return False
    return True


@contextmanager
def _leave_slot() -> Iterator[None]:
    """Inside a Dask task, leave its slot to other tasks meanwhile: ours may have to run there."""
    try:
        distributed.secede()
    except (
        AttributeError,
        KeyError,
        ValueError,
    ):  # in no task, or in one that left its slot before
        yield
        return
    try:
        yield
    finally:
        distributed.rejoin()


def _use_cluster(client: Client, warm_up: Callable[[], object] | None, placement: Placement | None) -> DaskExecutor:
    remove_old_plugin(client)
    workers = ClusterWorkers(client, placement)
    workers.wait()
    return DaskExecutor(client, THREADS_PER_TASK, warm_up, workers.check(), workers)


def _find_dashboard(client: Client) -> str:
    if not _has_bokeh():
        raise WorkerError(f"Dask's dashboard needs bokeh: {_INSTALL_BOKEH}")
    return str(client.dashboard_link)


@contextmanager
def _report_performance(client: Client, file: str | Path) -> Iterator[None]:
    """Have Dask write its account of what runs meanwhile."""
    if not _has_bokeh():
        raise WorkerError(f"Dask's performance report needs bokeh: {_INSTALL_BOKEH}")
    place = check_page(file)
    if isinstance(place, Path):
        place = place.expanduser().absolute()
    if isinstance(place, Path) and not place.parent.is_dir():
        raise WorkerError(f"performance_report is {str(file)!r}, but there is no folder {place.parent}; make it first")
    with whole_file(place) as unfinished, client.as_current():
        # Inline, with the library that draws it: else the page is empty where the browser reaches no other host.
        report = distributed.performance_report(filename=str(unfinished), mode="inline")
        client.sync(report.__aenter__)
        try:
            yield
        finally:
            client.sync(report.__aexit__, None, None, None, code=_describe_call())


def _describe_call() -> str:
    """Describe what started the run: the command, or the caller's source; Dask would show a function of ours."""
    for frame, _ in traceback.walk_stack(None):
        name = str(frame.f_globals.get("__name__"))
        if name == COMMAND:
            return shlex.join(["driftmap", *sys.argv[1:]])
        if name.partition(".")[0] not in ("driftmap", "contextlib", "threading"):
            break
    else:
        return ""
    try:
        return inspect.getsource(frame)
    except (OSError, TypeError):  # a shell's or a notebook's, for one
        return f"{frame.f_code.co_name} in {frame.f_code.co_filename}"


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None
