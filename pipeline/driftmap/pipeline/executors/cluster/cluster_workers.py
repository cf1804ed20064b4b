"""The workers of a cluster that a run uses: those that were asked for and that have driftmap."""

from __future__ import annotations

import math
import os
import time
import uuid
import warnings
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from dask.base import annotate, get_annotations

from driftmap.pipeline.executors.cluster.dask_worker import pack_function
from driftmap.pipeline.executors.cluster.kernel_loading import are_compiled, begin_loading
from driftmap.pipeline.executors.cluster.placement import ANY_WORKER, Placement
from driftmap.pipeline.executors.sight import find_faults, refuse_blind
from driftmap.pipeline.executors.versions import MISSING, describe_versions, refuse_other_versions
from driftmap.pipeline.executors.worker_process import WorkerError, name_process
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client, Future

FIRST_WORKER_SECONDS = 120
"""How long it may take to have a worker: those that start with the run, as under SLURM, take their time."""

LOST_SECONDS = 180
"""How long a run's own workers may all be away: one that died starts again in 2 to 20 seconds."""

POLL_SECONDS = 0.2

RECOUNT_SECONDS = 2.0
"""How often workers are counted: a cluster may grow and shrink."""

THREADS_PER_TASK = 1
"""What the numeric libraries may use in one task on the workers of a user's cluster."""

PRIORITY_UNIT = 2.0**-20
"""Of a task of the run, in Dask's count."""

OLD_PLUGIN = "driftmap"
"""Worker plugin that 0.1.0 left with schedulers; a worker without driftmap fails to start as long as it is there."""


class WorkersLeftOutWarning(UserWarning):
    """Workers of a cluster are not used, since driftmap is not installed there."""


class WorkersLostWarning(UserWarning):
    """All workers of a cluster are gone, and the run waits for others."""


class ClusterWorkers:
    """The workers that tasks of a run are sent to.

    Parameters
    ----------
    client
        A connected client.
    placement
        What is asked of workers, before what `dask.annotate` says around the call.
    is_own
        Whether the cluster was started for this run: all its workers are used, whatever annotations are in force.
    """

    def __init__(self, client: Client, placement: Placement | None = None, *, is_own: bool = False) -> None:
        self._client = client
        annotated = {} if is_own else {name: value for name, value in get_annotations().items() if value}
        given = placement or ANY_WORKER
        self.placement = Placement(
            given.names or Placement.of(annotated.pop("workers", None)).names,
            given.resources or Placement.of(None, annotated.pop("resources", None)).resources,
            given.sight,
        )
        self._priority = float(annotated.pop("priority", 0))
        self._others = annotated
        self._is_own = is_own
        self._lost_since: float | None = None
        self._looked_at = -RECOUNT_SECONDS
        self._without: set[str] = set()
        self._found: list[str] = []
        self._found_at = -RECOUNT_SECONDS

    def find(self) -> dict[str, Any]:
        """Ask the scheduler for the workers that may be used, and what each has; by address."""
        return {
            address: worker
            for address, worker in self._list().items()
            if address not in self._without and self.placement.accepts(address, worker)
        }

    def _list(self) -> dict[str, Any]:
        workers = self._client.scheduler_info(n_workers=-1).get("workers")
        if workers is None or self._client.status != "running":
            raise WorkerError("the Dask scheduler was lost; run again to go on")
        return dict(workers)

    def wait(self) -> None:
        """Wait until there is a worker. A task waits with it, for which an adaptive cluster starts one.

        Raises
        ------
        WorkerError
            When none comes, or there are workers and none is one that was asked for.
        """
        if self.find():
            return
        resources = dict(self.placement.resources) or None
        key = f"driftmap-first-worker-{uuid.uuid4().hex}"
        first = Context().run(self._client.submit, os.getpid, key=key, pure=False, resources=resources)
        deadline = time.monotonic() + FIRST_WORKER_SECONDS
        try:
            while not self.find():
                if not self.placement.is_any:
                    self._refuse_others()
                if time.monotonic() > deadline:
                    address = getattr(self._client.scheduler, "address", "?")
                    raise WorkerError(f"the scheduler at {address} has no workers; start some: dask worker {address}")
                time.sleep(POLL_SECONDS)
        finally:
            first.release()

    def look_for_life(self) -> None:
        """Look now and then whether a worker is left, while the caller waits for results.

        Raises
        ------
        WorkerError
            When all of a run's own have been away for `LOST_SECONDS`; those of a cluster may be waiting in its queue.

        Warns
        -----
        WorkersLostWarning
            Once, of a cluster.
        """
        now = time.monotonic()
        if now - self._looked_at < RECOUNT_SECONDS:
            return
        self._looked_at = now
        if self.find():
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        elif now - self._lost_since > LOST_SECONDS:
            if self._is_own:
                said = f"no worker process is left, and none came back in {LOST_SECONDS} s"
                raise WorkerError(f"{said}; run again to go on")
            self._lost_since = math.inf  # said once, and again after the next ones are lost
            said = f"no worker is left; the run waits for one at {getattr(self._client.scheduler, 'address', '?')}"
            warnings.warn(said, WorkersLostWarning, stacklevel=2)

    def _refuse_others(self) -> None:
        workers = self._list()
        if not workers:
            return
        there = [f"{worker['name']} at {address}{_name_resources(worker)}" for address, worker in workers.items()]
        raise WorkerError(f"no worker has {self.placement}; there are {name_some(there)}")

    def check(self, *, is_quiet: bool = False) -> dict[str, str]:
        """Compare versions with scheduler and workers; those without driftmap are left out where others suffice.

        Parameters
        ----------
        is_quiet
            Whether nothing is said of those, since it is said at another time.

        Returns
        -------
        What all of them run on.

        Raises
        ------
        WorkerError
            Naming everything that differs.

        Warns
        -----
        WorkersLeftOutWarning
            Naming the workers that are not used.
        """
        addresses = sorted(self.find())
        described = self._client.run(describe_versions, workers=addresses, on_error="return") if addresses else {}
        without = {address for address in addresses if not isinstance(described.get(address), dict)}
        if without and without < set(addresses):
            self._without |= without
            self._found_at = -RECOUNT_SECONDS
            described = {address: found for address, found in described.items() if address not in without}
            if not is_quiet:
                said = f"driftmap is {MISSING} at {name_some(sorted(without))}; the run uses the other workers"
                warnings.warn(said, WorkersLeftOutWarning, stacklevel=2)
        return refuse_other_versions(self._client, described)

    def count_compiling(self) -> int:
        """Count the workers that have no compiled kernels on disk, so that their first tasks wait for the compiler."""
        workers = sorted(self.find())
        found = self._client.run(are_compiled, workers=workers, on_error="return") if workers else {}
        return sum(is_compiled is False for is_compiled in found.values())

    def begin_loading(self, warm_up: Callable[[], object]) -> None:
        """Have the workers load kernels meanwhile; `warm_up` is what the executor is given, later."""
        workers = sorted(self.find())
        if workers:
            call = (name_process(), THREADS_PER_TASK, pack_function(warm_up))
            self._client.run(begin_loading, *call, workers=workers, on_error="return")

    def look(self) -> None:
        """Have the workers look at what they must see.

        Raises
        ------
        WorkerError
            Naming the workers that do not see it as this process does.
        """
        workers, sight = self.find(), self.placement.sight
        found = self._client.run(find_faults, sight, workers=sorted(workers), on_error="return") if workers else {}
        refuse_blind(sight, found, {address: str(worker["name"]) for address, worker in workers.items()})

    def submit(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        key: tuple[str, ...],
        priority: int,
        near: str = "",
    ) -> Future[Any]:
        """Send one task to a worker that may be used.

        Parameters
        ----------
        function, arguments, key
            As for `Client.submit`.
        priority
            Of the run's own tasks, the one with the higher number goes first. They stay close to the priority that the
            user gave, so that tasks of others neither wait for all of them nor go before all of them.
        near
            Address of the worker that is best for it, if any; another one takes it where that one is gone.
        """
        where: dict[str, Any] = {"priority": self._priority + priority * PRIORITY_UNIT}
        if self.placement.resources:
            where["resources"] = dict(self.placement.resources)
        if self.placement.names or self._without:
            where["workers"] = self._find_again() or list(self.placement.names)
        elif near:
            where |= {"workers": [near], "allow_other_workers": True}
        # In a context of its own: what `dask.annotate` says of workers is in `where` already, joined with the rest.
        return Context().run(self._submit, function, arguments, key=key, pure=False, **where)

    def _find_again(self) -> list[str]:
        now = time.monotonic()
        if now - self._found_at >= RECOUNT_SECONDS:
            self._found, self._found_at = sorted(self.find()), now
        return self._found

    def _submit(self, function: Callable[..., Any], arguments: tuple[Any, ...], **options: Any) -> Future[Any]:
        with annotate(**self._others):
            return self._client.submit(function, *arguments, **options)


def remove_old_plugin(client: Client) -> None:
    """Remove the plugin that an earlier driftmap left with a scheduler."""

    # In here, so that it is sent by value: the scheduler needs no driftmap.
    def list_plugins(dask_scheduler: Any) -> list[str]:
        return list(dask_scheduler.worker_plugins)

    with suppress(Exception):  # a scheduler that runs no functions; what else is wrong is met again, and named
        if OLD_PLUGIN in client.run_on_scheduler(list_plugins):
            client.unregister_worker_plugin(OLD_PLUGIN)


def _name_resources(worker: dict[str, Any]) -> str:
    own = worker.get("resources") or {}
    return f" ({', '.join(f'{name}={amount:g}' for name, amount in own.items())})" if own else ""
