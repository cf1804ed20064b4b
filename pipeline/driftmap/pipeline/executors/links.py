"""Tasks whose results go from worker to worker."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import Future, KilledWorker

from driftmap.pipeline.execution import LinkedTask, Task
from driftmap.pipeline.executors.deaths import explain_deaths
from driftmap.pipeline.processes import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.executors.dask_executor import DaskExecutor

N_LINKED = 1000
"""Linked tasks that are with the scheduler at a time; most of them wait for others."""


class Links:
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
            said = explain_deaths(self._executor.client, self._tasks[number].name, beside, error)
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
