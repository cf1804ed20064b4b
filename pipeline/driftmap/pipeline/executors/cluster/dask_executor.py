"""Tasks on the workers of a Dask client: results that come to the caller, or that go from worker to worker."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import psutil
from distributed import Client, Future, KilledWorker, as_completed
from distributed.protocol.pickle import dumps

from driftmap.pipeline.executors.base import KEPT_SHARE, Executor, LinkedTask, Result, Results, Task
from driftmap.pipeline.executors.cluster.cluster_workers import RECOUNT_SECONDS, ClusterWorkers
from driftmap.pipeline.executors.cluster.dask_worker import Setup, call_on_worker, make_carrier, pack_function
from driftmap.pipeline.executors.cluster.deaths import explain_cancelled, explain_deaths
from driftmap.pipeline.executors.machine import count_cores, count_memory_bytes
from driftmap.pipeline.executors.versions import is_driftmap_missing
from driftmap.pipeline.executors.worker_process import WorkerError, name_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


N_LINKED = 1000
"""Linked tasks that are with the scheduler at a time; most of them wait for others."""

N_WAITING_PER_THREAD = 2
"""Tasks sent ahead of each worker thread: enough that none idles, few enough that a cluster holds no long queue."""

N_UNTAKEN = 1024
"""Results that wait to be taken before no new task is sent."""

LOOK_SECONDS = 2
"""How often whoever waits for results looks whether a worker is left."""

CLOSE_SECONDS = 5
"""How long cancelled tasks may take to be given back."""


_CARRY = make_carrier()


class DaskExecutor(Executor):
    """Run tasks on the workers of a Dask client.

    Parameters
    ----------
    client
        A connected client; it stays open.
    threads_per_task
        What the numeric libraries may use in one task.
    warm_up
        Called once in every worker process, before its first task, to load kernels.
    versions
        What this process runs on, where workers may run on something else, and then refuse to work.
    workers
        Those of the user's that tasks are sent to; their settings are put back after every task. None: the client's
        workers were started for this run.
    """

    def __init__(
        self,
        client: Client,
        threads_per_task: int = 1,
        warm_up: Callable[[], object] | None = None,
        versions: dict[str, str] | None = None,
        workers: ClusterWorkers | None = None,
    ) -> None:
        self.client = client
        self.workers = workers or ClusterWorkers(client, is_own=True)
        pairs = tuple((versions or {}).items())
        sight = self.workers.placement.sight
        self._setup = Setup(name_process(), threads_per_task, pack_function(warm_up), pairs, workers is not None, sight)

    @property
    def n_free_threads(self) -> int:
        """Threads of this machine that workers on it leave to the caller, one at least."""
        here = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
        n_slots: int = sum(worker["nthreads"] for worker in self.workers.find().values() if worker["host"] in here)
        return max(1, count_cores() - n_slots * self._setup.n_threads)

    @property
    def n_slots(self) -> int:
        """Threads of the workers that tasks are sent to, one at least."""
        n_slots: int = sum(worker["nthreads"] for worker in self.workers.find().values())
        return max(1, n_slots)

    @property
    def n_workers(self) -> int:
        """Workers that tasks are sent to, one at least."""
        return max(1, len(self.workers.find()))

    @property
    def n_compiling(self) -> int | None:
        """Workers of the user's cluster that have to compile kernels first; None where they were started here."""
        return self.workers.count_compiling() if self._setup.is_guest else None

    def start(self, function: Callable[..., Result], tasks: Iterable[Task], stage: str) -> Results[Result]:
        """Call `function` on the workers; few tasks wait at a time, and results leave the cluster as they come."""
        return DaskResults(self, function, tasks, stage)

    def submit(self, function: Callable[..., Any], task: Task, stage: str, near: str = "") -> Future[Any]:
        """Send one task.

        Parameters
        ----------
        function, task, stage
            As for `start`. Arguments may be futures of other tasks.
        near
            Address of the worker that is best for it; another one takes it where that one is gone.
        """
        return self.send(dumps(function), task, stage, near)

    def send(self, pickled: bytes, task: Task, stage: str, near: str = "") -> Future[Any]:
        """Send one task; its function comes pickled."""
        # The first part of the key is what the dashboard counts by; the name is seen where a task is pointed at.
        key = (stage, task.name, uuid.uuid4().hex)
        # Futures stay Dask's to see; they are the last arguments.
        own = [argument for argument in task.arguments if not isinstance(argument, Future)]
        setup = self._setup._replace(is_wide=task.is_wide)
        call = dumps((call_on_worker, (setup, pickled, *own)))
        return self.workers.submit(_CARRY, (call, *task.arguments[len(own) :]), key, task.priority, near)

    @property
    def kept_bytes(self) -> int:
        """A part of the memory of the smallest worker; one without a limit is taken to have what this machine has."""
        limits = [worker["memory_limit"] or count_memory_bytes() for worker in self.workers.find().values()]
        return int(KEPT_SHARE * min(limits, default=0))

    def run_linked(self, function: Callable[..., Any], tasks: Sequence[LinkedTask], stage: str) -> Iterator[Any]:
        """Call `function` on the workers; results move from worker to worker, and only the last ones come back."""
        links = Links(self, dumps(function), tasks, stage)
        running = as_completed(links.send(N_LINKED), loop=self.client.loop)
        try:
            while not running.is_empty():
                if not running.has_ready():
                    self._wait_for(running)
                    continue
                result = links.receive(next(running))
                running.update(links.send(1))
                yield result
        finally:
            links.close()

    def _wait_for(self, running: as_completed) -> None:
        """Wait a while for the next task to be done; where nothing comes, look whether a worker is left."""
        with running.thread_condition:
            is_ready = running.thread_condition.wait_for(running.has_ready, timeout=LOOK_SECONDS)
        if not is_ready:
            self.workers.look_for_life()


class DaskResults(Generic[Result]):
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
        """Give the results that have come; see `Results`."""
        results: list[Result] = []
        while self._end is None:
            is_waiting = wait and not results
            try:
                came = self._came.get(block=is_waiting, timeout=LOOK_SECONDS)
            except Empty:
                self._executor.workers.look_for_life()
                if not is_waiting:
                    return results
                continue
            if isinstance(came, _End):
                self._end = came
            else:
                results.append(came)
        if self._end.error is not None and not results:
            raise self._end.error
        return results

    def close(self) -> None:
        """Give up what is not done."""
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
                running.update([*self._receive(future, result), *self._send()])
        except CancelledError as cancelled:
            error = WorkerError(explain_cancelled(cancelled))
        except Exception as raised:
            error = raised
        finally:
            self._put(_End(error))

    def _receive(self, future: Future[Result], result: Any) -> list[Future[Any]]:
        """Pass a result on; returns the task once more where it met a worker that cannot do it."""
        task, status = self._sent.pop(future), future.status
        future.release()
        if status == "error":
            _, error, trace = result
            if isinstance(error, KilledWorker):
                # Dask blames every task that was sent to a worker for its death, not only the one at work.
                beside = [other.name for other in self._sent.values()]
                raise WorkerError(explain_deaths(self._client, task.name, beside, error)) from error
            if is_driftmap_missing(error):
                self._executor.workers.check()  # leaves out workers that joined without it
                return [self._submit(task)]
            raise error.with_traceback(trace)
        if isinstance(result, CancelledError):
            raise result
        self._put(result)
        return []

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
            self._n_threads, self._counted = self._executor.n_slots, now
        return self._n_threads


class _End(NamedTuple):
    """Nothing more comes."""

    error: Exception | None


class Links:
    """Linked tasks that are with the scheduler: a future is held until all tasks that need it are sent."""

    def __init__(self, executor: DaskExecutor, pickled: bytes, tasks: Sequence[LinkedTask], stage: str) -> None:
        self._executor = executor
        self._pickled = pickled
        self._tasks = tasks
        self._stage = stage
        self._waiting = iter(enumerate(tasks))
        self._addresses = sorted(executor.workers.find())
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
            said = explain_deaths(self._executor.client, self._tasks[number].name, beside, error)
            raise WorkerError(said) from error
        except CancelledError as error:
            raise WorkerError(explain_cancelled(error)) from error
        except ModuleNotFoundError as error:
            if is_driftmap_missing(error):
                raise WorkerError("driftmap is not installed on a worker that joined; run again to go on") from error
            raise
        finally:
            self._release(number)

    def close(self) -> None:
        """Give up what is not done."""
        with suppress(Exception):  # the scheduler may be gone
            self._executor.client.cancel(list(self._futures.values()), force=True)

    def _send(self, number: int, task: LinkedTask) -> Future[Any]:
        # Dask gives tasks that are sent one by one, within .1 s, the same priority, and then does the last one first.
        call = Task(task.name, (*task.arguments, *(self._futures[needed] for needed in task.needs)), priority=-number)
        near = self._addresses[task.place % len(self._addresses)] if self._addresses else ""
        future = self._executor.send(self._pickled, call, self._stage, near)
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
