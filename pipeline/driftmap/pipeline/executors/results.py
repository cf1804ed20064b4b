"""Results that come while the caller does something else, and the tasks that are sent for them."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from distributed import Future, KilledWorker, as_completed
from distributed.protocol.pickle import dumps

from driftmap.pipeline.execution import Result, Task
from driftmap.pipeline.executors.deaths import explain_deaths
from driftmap.pipeline.processes import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from driftmap.pipeline.executors.dask_executor import DaskExecutor

N_WAITING_PER_THREAD = 2
"""Tasks sent ahead of each worker thread: enough that none idles, few enough that a cluster holds no long queue."""

N_UNTAKEN = 1024
"""Results that wait to be taken before no new task is sent."""

RECOUNT_SECONDS = 2.0
"""How often the workers' threads are counted: a cluster may grow and shrink."""

CLOSE_SECONDS = 5
"""How long cancelled tasks may take to be given back."""


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
                raise WorkerError(explain_deaths(self._client, task.name, beside, error)) from error
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
