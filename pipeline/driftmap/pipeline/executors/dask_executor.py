"""Tasks on the workers of a Dask client."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psutil
from distributed import Client, Future, as_completed
from distributed.protocol.pickle import dumps

from driftmap.pipeline.execution import KEPT_SHARE, Executor, LinkedTask, Result, Results, Task
from driftmap.pipeline.executors.links import N_LINKED, Links
from driftmap.pipeline.executors.results import DaskResults
from driftmap.pipeline.executors.worker import Preparation, Setup, call_on_worker
from driftmap.pipeline.machine import count_cores, count_memory_bytes
from driftmap.pipeline.processes import name_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


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
        self._setup = Setup(name_process(), threads_per_task, dumps(warm_up), tuple((versions or {}).items()))
        client.register_plugin(Preparation(self._setup))

    @property
    def n_free_threads(self) -> int:
        """Threads of this machine that workers on it leave to the caller, one at least."""
        here = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
        workers: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        n_slots: int = sum(worker["nthreads"] for worker in workers.values() if worker["host"] in here)
        return max(1, count_cores() - n_slots * self._setup.n_threads)

    def start(self, function: Callable[..., Result], tasks: Iterable[Task], stage: str) -> Results[Result]:
        """Call `function` on the workers; few tasks wait at a time, and results leave the cluster as they come."""
        return DaskResults(self, function, tasks, stage)

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
        return self.client.submit(call_on_worker, *arguments, key=key, priority=task.priority, pure=False, **where)

    @property
    def kept_bytes(self) -> int:
        """A part of the memory of the smallest worker; one without a limit is taken to have what this machine has."""
        workers: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        limits = [worker["memory_limit"] or count_memory_bytes() for worker in workers.values()]
        return int(KEPT_SHARE * min(limits, default=0))

    def run_linked(self, function: Callable[..., Any], tasks: Sequence[LinkedTask], stage: str) -> Iterator[Any]:
        """Call `function` on the workers; results move from worker to worker, and only the last ones come back."""
        links = Links(self, dumps(function), tasks, stage)
        running = as_completed(links.send(N_LINKED), loop=self.client.loop)
        try:
            for future in running:
                result = links.receive(future)
                running.update(links.send(1))
                yield result
        finally:
            links.close()
