"""Where tasks run: the one file that imports Dask. Every executor gives the same results, in any order."""

from __future__ import annotations

import itertools
import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Client, KilledWorker, LocalCluster, as_completed
from distributed.protocol.pickle import dumps, loads
from distributed.system import MEMORY_LIMIT

from driftmap.pipeline.processes import GUARD, WorkerError, claim_numba_cache, hold_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Future

Result = TypeVar("Result")

N_WAITING_PER_THREAD = 2
"""Tasks sent ahead of each worker thread: enough that none idles, few enough that a cluster holds no long queue."""

CONNECT_SECONDS = 30
"""How long a scheduler at an address may take to answer, and to have a worker."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class Task(NamedTuple):
    """One call: a name to show in errors, and the arguments."""

    name: str
    arguments: tuple[Any, ...]


class Executor(Protocol):
    """What runs tasks."""

    def map_unordered(self, function: Callable[..., Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call `function` for every task, yielding results as they come; the first error ends it."""


class SerialExecutor:
    """Run every task in this process, one after the other: for tests and debugging."""

    def map_unordered(self, function: Callable[..., Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call `function` for every task, in order."""
        for task in tasks:
            yield function(*task.arguments)


class DaskExecutor:
    """Run tasks on the workers of a Dask client.

    Parameters
    ----------
    client
        A connected client; it stays open.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def map_unordered(self, function: Callable[..., Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call `function` on the workers; few tasks wait at a time, and results leave the cluster as they come."""
        pickled = dumps(function)
        waiting = iter(tasks)
        sent: dict[Future[Any], str] = {}

        def send(n_tasks: int) -> list[Future[Any]]:
            futures: list[Future[Any]] = []
            for task in itertools.islice(waiting, n_tasks):
                future = self._client.submit(_call_on_worker, _name_process(), pickled, *task.arguments, pure=False)
                sent[future] = task.name
                futures.append(future)
            return futures

        n_threads = sum(self._client.nthreads().values())
        running = as_completed(send(N_WAITING_PER_THREAD * max(1, n_threads)), loop=self._client.loop)
        try:
            for future in running:
                result: Result = _collect(future, sent.pop(future))
                running.update(send(1))
                yield result
        finally:
            self._client.cancel(list(sent), force=True)


@contextmanager
def make_executor(
    scheduler: str | Client | None = None, workers: int | None = None, n_tasks: int | None = None
) -> Iterator[Executor]:
    """Start, or reach, what runs the tasks, and leave no process behind.

    Parameters
    ----------
    scheduler
        None: worker processes on this machine. "serial": this process. An address such as `tcp://host:8786`, or a
        `distributed.Client`: the workers there.
    workers
        Worker processes on this machine; one per core when left out.
    n_tasks
        How many tasks there are; no more workers than that are started.
    """
    if scheduler == "serial":
        yield SerialExecutor()
    elif isinstance(scheduler, Client):
        yield DaskExecutor(scheduler)
    elif scheduler is None:
        n_workers = max(1, min(workers or CPU_COUNT, n_tasks or CPU_COUNT))
        with _start_cluster(n_workers) as cluster, Client(cluster, set_as_default=False) as client:
            yield DaskExecutor(client)
    else:
        with _connect(scheduler) as client:
            yield DaskExecutor(client)


def system_memory_bytes() -> int:
    """Memory of this machine, or of the container that it is."""
    return int(MEMORY_LIMIT)


def read_bytes(text: int | str) -> int:
    """Read a size such as `"2GB"`; ValueError when it is none."""
    return int(parse_bytes(text))


def _start_cluster(n_workers: int) -> LocalCluster:
    # Cores are shared out: with fewer workers than cores, the numeric libraries of each may use several.
    n_threads = max(1, CPU_COUNT // n_workers)
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",  # zarr runs threads, which a fork does not survive
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREAD_VARIABLES, str(n_threads)),
    }
    kept = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    try:
        with dask.config.set(settings), hold_interrupts():
            return LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",  # any free port, seen from this machine only
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:
        raise WorkerError(f"no worker process could be started ({error}). From a script, {GUARD}") from error
    finally:
        _restore_environment(kept)


def _restore_environment(kept: dict[str, str | None]) -> None:
    # Dask sets the workers' variables in this process too, where the layout may use every core.
    for name, value in kept.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _connect(address: str) -> Client:
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(f"no Dask scheduler answers at {address} ({error}); start one, or leave it out") from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        client.close()
        raise WorkerError(f"the scheduler at {address} has no workers; start some: dask worker {address}") from error
    return client


def _collect(future: Future[Result], name: str) -> Result:
    try:
        return future.result()
    except KilledWorker as error:
        raise WorkerError(
            f"{name}: each worker that tried it died, most likely out of memory; "
            "use fewer workers, or make windows smaller"
        ) from error
    finally:
        future.release()


def _call_on_worker(home: str, pickled: bytes, *arguments: object) -> object:
    # The function comes pickled, so that kernels are imported only once the process has its cache folder.
    if _name_process() != home:
        claim_numba_cache()
    return loads(pickled)(*arguments)


def _name_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
