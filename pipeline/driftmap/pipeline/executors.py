"""Where tasks run on other processes: the one file that imports Dask."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import uuid
import warnings
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import dask
import distributed
import psutil
from distributed import Client, KilledWorker, LocalCluster, Security, WorkerPlugin, as_completed
from distributed.protocol.pickle import dumps, loads
from distributed.versions import VersionMismatchWarning

from driftmap.pipeline.execution import (
    KEPT_SHARE,
    Executor,
    LinkedTask,
    Result,
    Results,
    SerialExecutor,
    Task,
    WorkerLimit,
    share_memory,
)
from driftmap.pipeline.machine import count_cores, count_memory_bytes, format_size
from driftmap.pipeline.processes import (
    GUARD,
    THREAD_VARIABLES,
    WorkerError,
    hold_interrupts,
    name_process,
    prepare_worker,
)
from driftmap.pipeline.runs import name_some
from driftmap.pipeline.security import SecureAddress, try_handshake
from driftmap.pipeline.versions import refuse_other_versions, refuse_to_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from distributed import Future, Worker

N_WAITING_PER_THREAD = 2
"""Tasks sent ahead of each worker thread: enough that none idles, few enough that a cluster holds no long queue."""

N_LINKED = 1000
"""Linked tasks that are with the scheduler at a time; most of them wait for others."""

N_UNTAKEN = 1024
"""Results that wait to be taken before no new task is sent."""

RECOUNT_SECONDS = 2.0
"""How often the workers' threads are counted: a cluster may grow and shrink."""

CLOSE_SECONDS = 5
"""How long cancelled tasks may take to be given back."""

_INSTALL_BOKEH = "pip install 'driftmap[dashboard]', on the scheduler's host too"

CONNECT_SECONDS = 30
"""How long a scheduler at an address may take to answer."""

FIRST_WORKER_SECONDS = 120
"""How long it may take to have a worker: those that start with the run, as under SLURM, take their time."""


class DaskExecutor(Executor):
    """Run tasks on the workers of a Dask client.

    Parameters
    ----------
    client
        A connected client; it stays open.
    threads_per_task
        What the numeric libraries may use in one task.
    warm_up
        Called once in every worker process, before its first task and as early as can be: to load kernels.
    versions
        What this process runs on, where workers may run on something else, and then refuse to work.
    """

    def __init__(
        self,
        client: Client,
        threads_per_task: int = 1,
        warm_up: Callable[[], object] | None = None,
        versions: dict[str, str] | None = None,
    ) -> None:
        self.client = client
        self._setup = _Setup(name_process(), threads_per_task, dumps(warm_up), tuple((versions or {}).items()))
        client.register_plugin(_Preparation(self._setup))

    @property
    def n_free_threads(self) -> int:
        """Threads of this machine that workers on it leave to the caller, one at least."""
        here = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
        workers: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        n_slots: int = sum(worker["nthreads"] for worker in workers.values() if worker["host"] in here)
        return max(1, count_cores() - n_slots * self._setup.n_threads)

    def start(self, function: Callable[..., Result], tasks: Iterable[Task], stage: str) -> Results[Result]:
        """Call `function` on the workers; few tasks wait at a time, and results leave the cluster as they come."""
        return _DaskResults(self, function, tasks, stage)

    def submit(self, function: Callable[..., Any], task: Task, stage: str, **where: Any) -> Future[Any]:
        """Send one task.

        Parameters
        ----------
        function, task, stage
            As for `start`. Arguments may be futures of other tasks.
        **where
            Passed to `Client.submit`: `workers`, for one.
        """
        return self.send(dumps(function), task, stage, **where)

    def send(self, pickled: bytes, task: Task, stage: str, **where: Any) -> Future[Any]:
        """Send one task; its function comes pickled."""
        # The first part of the key is what the dashboard counts by; the name is seen where a task is pointed at.
        key = (stage, task.name, uuid.uuid4().hex)
        arguments = self._setup, pickled, *task.arguments
        return self.client.submit(_call_on_worker, *arguments, key=key, priority=task.priority, pure=False, **where)

    @property
    def kept_bytes(self) -> int:
        """A part of the memory of the smallest worker; one without a limit is taken to have what this machine has."""
        workers: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        limits = [worker["memory_limit"] or count_memory_bytes() for worker in workers.values()]
        return int(KEPT_SHARE * min(limits, default=0))

    def run_linked(self, function: Callable[..., Any], tasks: Sequence[LinkedTask], stage: str) -> Iterator[Any]:
        """Call `function` on the workers; results move from worker to worker, and only the last ones come back."""
        links = _Links(self, dumps(function), tasks, stage)
        running = as_completed(links.send(N_LINKED), loop=self.client.loop)
        try:
            for future in running:
                result = links.receive(future)
                running.update(links.send(1))
                yield result
        finally:
            links.close()


class _Links:
    """Linked tasks that are with the scheduler: a future is held until all tasks that need it are sent."""

    def __init__(self, executor: DaskExecutor, pickled: bytes, tasks: Sequence[LinkedTask], stage: str) -> None:
        self._executor = executor
        self._pickled = pickled
        self._tasks = tasks
        self._stage = stage
        self._waiting = iter(enumerate(tasks))
        self._addresses = sorted(executor.client.nthreads())
        self._n_unsent = Counter(number for task in tasks for number in task.needs)
        self._is_needed = frozenset(self._n_unsent)
        self._futures: dict[int, Future[Any]] = {}
        self._running: dict[Future[Any], int] = {}

    def send(self, n_tasks: int) -> list[Future[Any]]:
        """Send the next tasks."""
        return [self._send(number, task) for number, task in itertools.islice(self._waiting, n_tasks)]

    def receive(self, future: Future[Any]) -> Any:
        """Take note that a task is done; returns its result, None where other tasks need it."""
        number = self._running.pop(future)
        try:
            is_kept = number in self._is_needed and future.status == "finished"
            return None if is_kept else future.result()
        except KilledWorker as error:
            beside = [self._tasks[other].name for other in self._running.values()]
            said = _explain_deaths(self._executor.client, self._tasks[number].name, beside, error)
            raise WorkerError(said) from error
        except CancelledError as error:
            raise WorkerError(f"the Dask scheduler gave the tasks up ({error}); run again to go on") from error
        finally:
            self._release(number)

    def close(self) -> None:
        """Give up what is not done."""
        with suppress(Exception):  # the scheduler may be gone
            self._executor.client.cancel(list(self._futures.values()), force=True)

    def _send(self, number: int, task: LinkedTask) -> Future[Any]:
        call = Task(task.name, (*task.arguments, *(self._futures[needed] for needed in task.needs)))
        where = self._addresses[task.place % len(self._addresses)]
        # Another worker takes it only where this one is gone.
        future = self._executor.send(self._pickled, call, self._stage, workers=[where], allow_other_workers=True)
        self._futures[number] = future
        self._running[future] = number
        self._n_unsent.subtract(task.needs)
        for needed in task.needs:
            self._release(needed)
        return future

    def _release(self, number: int) -> None:
        """Let go of a future that is done and that no task to be sent needs: those that were sent hold it."""
        future = self._futures[number]
        if not self._n_unsent[number] and future not in self._running:
            del self._futures[number]


class _Setup(NamedTuple):
    """What a worker process needs before its first task."""

    home: str
    """The client's process: a cluster of threads shares it."""
    n_threads: int
    warm_up: bytes
    versions: tuple[tuple[str, str], ...]
    """The client's; workers that come later are compared with them at their first task."""

    def prepare(self) -> threading.Thread | None:
        """Prepare this process, once; the thread that is returned loads kernels."""
        return None if name_process() == self.home else prepare_worker(self.n_threads, self.warm_up)


class _Preparation(WorkerPlugin):
    """Prepares workers as they start, and those that are there, so that kernels are loaded when a task comes."""

    name = "driftmap"

    def __init__(self, setup: _Setup) -> None:
        self._setup = setup

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        """Prepare one worker."""
        self._setup.prepare()


class _DaskResults(Generic[Result]):
    """Results that a thread collects, and sends new tasks for, while the caller's thread does something else."""

    def __init__(
        self, executor: DaskExecutor, function: Callable[..., Result], tasks: Iterable[Task], stage: str
    ) -> None:
        self._executor = executor
        self._client = executor.client
        self._stage = stage
        self._pickled = dumps(function)
        self._waiting = iter(tasks)
        self._sent: dict[Future[Any], Task] = {}
        self._came: Queue[Result | _End] = Queue(N_UNTAKEN)
        self._end: _End | None = None
        self._is_closed = False
        self._n_threads, self._counted = 0, -RECOUNT_SECONDS
        self._thread = threading.Thread(target=self._collect, name=f"driftmap-{stage}", daemon=True)
        self._thread.start()

    def take(self, *, wait: bool) -> list[Result]:
        results: list[Result] = []
        while self._end is None:
            try:
                came = self._came.get(block=wait and not results)
            except Empty:
                return results
            if isinstance(came, _End):
                self._end = came
            else:
                results.append(came)
        if self._end.error is not None and not results:
            raise self._end.error
        return results

    def close(self) -> None:
        self._is_closed = True
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:  # the thread may be sending one more
            self._cancel()
            self._thread.join(0.1)
        self._cancel()
        self._sent.clear()

    def _cancel(self) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(self._sent), force=True)

    def _collect(self) -> None:
        error: Exception | None = None
        try:
            # With results: where one is lost with its worker, the others are not kept waiting for it.
            running = as_completed(self._send(), loop=self._client.loop, with_results=True, raise_errors=False)
            for future, result in running:
                if self._is_closed:
                    break
                self._receive(future, result)
                running.update(self._send())
        except CancelledError as cancelled:
            error = WorkerError(f"the Dask scheduler gave the tasks up ({cancelled}); run again to go on")
        except Exception as raised:
            error = raised
        finally:
            self._put(_End(error))

    def _receive(self, future: Future[Result], result: Any) -> None:
        task, status = self._sent.pop(future), future.status
        future.release()
        if status == "error":
            _, error, trace = result
            if isinstance(error, KilledWorker):
                # Dask blames every task that was sent to a worker for its death, not only the one at work.
                beside = [other.name for other in self._sent.values()]
                raise WorkerError(_explain_deaths(self._client, task.name, beside, error)) from error
            raise error.with_traceback(trace)
        if isinstance(result, CancelledError):
            raise result
        self._put(result)

    def _put(self, came: Result | _End) -> None:
        while not self._is_closed:
            with suppress(Full):
                self._came.put(came, timeout=0.1)
                return

    def _send(self) -> list[Future[Any]]:
        """Send what may be sent now."""
        n_free = N_WAITING_PER_THREAD * self._count_threads() - len(self._sent)
        return [self._submit(task) for task in itertools.islice(self._waiting, max(0, n_free))]

    def _submit(self, task: Task) -> Future[Any]:
        future = self._executor.send(self._pickled, task, self._stage)
        self._sent[future] = task
        return future

    def _count_threads(self) -> int:
        now = time.monotonic()
        if now - self._counted >= RECOUNT_SECONDS:
            self._n_threads, self._counted = max(1, sum(self._client.nthreads().values())), now
        return self._n_threads


class _End(NamedTuple):
    """Nothing more comes."""

    error: Exception | None


@contextmanager
def make_executor(
    scheduler: str | Client | SecureAddress | None = None,
    workers: int | None = None,
    n_tasks: int | None = None,
    warm_up: Callable[[], object] | None = None,
    *,
    worker_bytes: int | None = None,
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
    performance_report
        File for Dask's account of what is run.
    on_dashboard
        Called with the address of Dask's dashboard.
    """
    if scheduler == "serial":
        yield SerialExecutor()
        return
    with ExitStack() as stack:
        if scheduler is None:
            executor = _start_workers(stack, workers, n_tasks, warm_up, worker_bytes)
        else:
            client = stack.enter_context(_reach(scheduler))
            executor = DaskExecutor(client, warm_up=warm_up, versions=refuse_other_versions(client))
        if on_dashboard is not None:
            on_dashboard(_find_dashboard(executor.client))
        if performance_report is not None:
            stack.enter_context(_report_performance(executor.client, performance_report))
        yield executor


def _start_workers(
    stack: ExitStack,
    workers: int | None,
    n_tasks: int | None,
    warm_up: Callable[[], object] | None,
    worker_bytes: int | None,
) -> DaskExecutor:
    n_cores = count_cores()
    n_bytes = worker_bytes or share_memory(workers or n_cores)
    n_workers = max(1, min(workers or n_cores, n_tasks or n_cores))
    # Cores are shared out: with fewer workers than cores, the numeric libraries of each may use several.
    n_threads = max(1, n_cores // n_workers)
    cluster = stack.enter_context(_start_cluster(n_workers, n_threads, n_bytes))
    return DaskExecutor(stack.enter_context(Client(cluster, set_as_default=False)), n_threads, warm_up)


def _find_dashboard(client: Client) -> str:
    if not _has_bokeh():
        raise WorkerError(f"Dask's dashboard needs bokeh: {_INSTALL_BOKEH}")
    return str(client.dashboard_link)


@contextmanager
def _report_performance(client: Client, file: str | Path) -> Iterator[None]:
    """Have Dask write its account of what runs meanwhile."""
    if not _has_bokeh():
        raise WorkerError(f"Dask's performance report needs bokeh: {_INSTALL_BOKEH}")
    place = Path(file).expanduser().absolute()
    if not place.parent.is_dir():
        raise WorkerError(f"performance_report is {str(file)!r}, but there is no folder {place.parent}; make it first")
    with client.as_current(), distributed.performance_report(filename=str(place)):
        yield


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None


def find_worker_limit(scheduler: Client | SecureAddress | str) -> WorkerLimit | None:
    """Ask the workers of a cluster what they have; None where they do not say.

    Parameters
    ----------
    scheduler
        A client, or an address, with its certificates where it has some.
    """
    with _reach(scheduler) as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"].values())
    # Every worker's share of memory for one task, and the worker that has the least.
    limited = [worker for worker in workers if worker["memory_limit"]]
    if not limited:
        return None
    least = min(limited, key=lambda worker: worker["memory_limit"] / worker["nthreads"])
    cure = "give workers more (dask worker --memory-limit) or fewer threads (--nthreads)"
    return WorkerLimit(len(workers), int(least["nthreads"]), int(least["memory_limit"]), cure)


def _start_cluster(n_workers: int, n_threads: int, worker_bytes: int) -> LocalCluster:
    with suppress(RuntimeError):  # one worker that is killed as it starts takes the cluster with it, and may be chance
        return _launch_cluster(n_workers, n_threads, worker_bytes)
    try:
        return _launch_cluster(n_workers, n_threads, worker_bytes)
    except RuntimeError as error:
        raise WorkerError(f"no worker process could be started ({error}). From a script, {GUARD}") from error


def _launch_cluster(n_workers: int, n_threads: int, worker_bytes: int) -> LocalCluster:
    threads = dict.fromkeys(THREAD_VARIABLES, str(n_threads))
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",  # zarr runs threads, which a fork does not survive
        # Dask's own setting stays: it has freed memory go back at once.
        "distributed.nanny.pre-spawn-environ": {**dask.config.get("distributed.nanny.pre-spawn-environ"), **threads},
    }
    kept = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    try:
        with dask.config.set(settings), hold_interrupts():
            return LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                memory_limit=worker_bytes,
                processes=True,
                dashboard_address="127.0.0.1:0",  # any free port, seen from this machine only
                silence_logs=logging.CRITICAL,
            )
    finally:
        _restore_environment(kept)


def _restore_environment(kept: dict[str, str | None]) -> None:
    # Dask sets the workers' variables in this process too, where the layout may use every core.
    for name, value in kept.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _reach(scheduler: str | Client | SecureAddress) -> Iterator[Client]:
    """Give the client of a scheduler; one that is made here is closed, and is heard of only by our own errors."""
    if isinstance(scheduler, Client):
        yield scheduler
        return
    handlers = logging.getLogger("distributed").handlers
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL)
    with _connect(scheduler) as client:
        try:
            yield client
        except OSError as error:
            if client.status == "running":
                raise
            raise WorkerError(f"the Dask scheduler was lost ({error}); run again to go on") from error
    # Not after an error: where the scheduler is lost, the client's loops go on for a while, and print tracebacks.
    for handler, level in zip(handlers, levels, strict=True):
        handler.setLevel(level)


def _connect(scheduler: str | SecureAddress) -> Client:
    address, security = (scheduler, None) if isinstance(scheduler, str) else (scheduler.url, _as_security(scheduler))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # what matters is refused, with all places named
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(f"no Dask scheduler answers at {address} ({error}); start one, or leave it out") from error
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
    except OSError as error:
        client.close()
        said = f"has no workers; start some: dask worker {address}"
        if not isinstance(error, TimeoutError):
            said = f"was lost ({error}); run again to go on"
        raise WorkerError(f"the scheduler at {address} {said}") from error
    return client


def _as_security(address: SecureAddress) -> Security:
    try_handshake(address)
    ca, certificate, key = map(str, address.files)
    return Security(require_encryption=True, tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key)


def _explain_deaths(client: Client, name: str, beside: list[str], error: KilledWorker) -> str:
    """Say why the workers died that tried a task, as far as Dask knows; `beside` are tasks that were sent with it."""
    worker = error.last_worker
    events = client.get_events("worker-restart-memory") or ()
    over = [event["rss"] for _, event in events if event["worker"] == worker.address]
    others = f" (or one of those sent with it: {name_some(beside)})" if beside else ""
    cure = "give workers more memory, use fewer of them, or make windows smaller"
    if not over:
        return f"{name}: each worker that tried it died, most likely out of memory{others}; {cure}"
    taken = f"{format_size(over[-1])} of {format_size(worker.memory_limit)}"
    return f"{name}: each worker that tried it was stopped for taking more memory than it may, {taken}{others}; {cure}"


def _call_on_worker(setup: _Setup, pickled: bytes, *arguments: object) -> object:
    refuse_to_work(setup.versions)
    # The function comes pickled, so that kernels are imported only once the process has its cache folder.
    if (loading := setup.prepare()) is not None:
        loading.join()
    from driftmap.engine.threads import limit_threads

    with limit_threads(setup.n_threads):
        return loads(pickled)(*arguments)
