"""Selects the executor of a run or an ingest: in-process, local workers, or a Dask cluster."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors.address_space import check_for_computing
from driftmap.pipeline.executors.base import SerialExecutor, WorkerLimit, share_memory
from driftmap.pipeline.executors.cluster.placement import ANY_WORKER, Placement
from driftmap.pipeline.executors.connection import keep_connection
from driftmap.pipeline.executors.fork_server import start_fork_server
from driftmap.pipeline.executors.machine import count_cores, read_size
from driftmap.pipeline.executors.sight import see_source, see_store
from driftmap.pipeline.executors.tls import settle_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from distributed import Client

    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.executors.sight import Sight
    from driftmap.pipeline.executors.tls import SecureAddress
    from driftmap.pipeline.sources.calls import Compute
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.lock import StoreLock


class WorkerKeywords(TypedDict, total=False):
    """Options of `run` and `ingest` about workers, besides the scheduler."""

    tls: str | Path | Literal[True] | None
    workers: int | None
    worker_memory: int | str | None
    workers_on: str | Sequence[str] | None
    resource: str | Sequence[str] | Mapping[str, float] | None


class WorkplaceKeywords(WorkerKeywords, total=False):
    """The same, and those of `run` alone."""

    performance_report: str | Path | None
    on_dashboard: Callable[[str], None] | None


WORKER_OPTIONS = tuple(sorted(WorkerKeywords.__optional_keys__))
"""Options about workers that `ingest` takes."""

WORKPLACE_OPTIONS = tuple(sorted(WorkplaceKeywords.__optional_keys__))
"""What `Workplace.of` takes besides the scheduler."""


@dataclass(frozen=True)
class Workplace:
    """Where tasks are done."""

    scheduler: str | Client | SecureAddress | None
    """None: worker processes on this machine; "serial": this process."""
    workers: int | None = None
    """Worker processes on this machine; one per core when left out."""
    worker_memory: int | str | None = None
    """What each of these may take; its share when left out."""
    placement: Placement = ANY_WORKER
    """What is asked of a cluster's workers."""
    performance_report: str | Path | None = None
    """File for Dask's account of the run."""
    on_dashboard: Callable[[str], None] | None = None
    """Called with the address of Dask's dashboard once it is there."""

    @classmethod
    def of(
        cls,
        scheduler: str | Client | None = None,
        **options: Unpack[WorkplaceKeywords],
    ) -> Self:
        """Make it of what a user gives.

        Raises
        ------
        ConfigError
            When the scheduler cannot be reached so, or options do not fit it.
        """
        tls = options.pop("tls", None)
        placement = Placement.of(options.pop("workers_on", None), options.pop("resource", None))
        settled = settle_scheduler(scheduler, tls)
        place = cls(settled, placement=placement, **options)  # type: ignore[misc]  # the others are its fields
        _refuse_odd_workers(place.workers)
        if settled in (None, "serial") and not placement.is_any:
            raise ConfigError(f"{placement} is for the workers of a cluster; give its scheduler too, or leave it out")
        for name in ("workers", "worker_memory"):
            if place.scheduler is not None and getattr(place, name) is not None:
                raise ConfigError(
                    f"{name} is for workers on this machine, which a scheduler takes the place of: leave {name} or the "
                    "scheduler out"
                )
        if place.scheduler == "serial" and (place.performance_report or place.on_dashboard):
            raise ConfigError("scheduler is 'serial': without workers there is no dashboard and no performance report")
        return place

    @property
    def is_cluster(self) -> bool:
        """Whether tasks run on a cluster of the user's."""
        return self.scheduler not in (None, "serial")

    def keep_connection(self) -> AbstractContextManager[None]:
        """Reach a cluster by one connection meanwhile."""
        return keep_connection(self.scheduler) if self.is_cluster else nullcontext()

    @property
    def worker_bytes(self) -> int:
        """Memory of a worker on this machine."""
        if self.worker_memory is not None:
            return read_size(self.worker_memory, "worker_memory")
        return share_memory(self.workers or count_cores())

    def find_limit(self) -> WorkerLimit | None:
        """Find what workers have; None where tasks run in this process, or workers do not say."""
        if self.scheduler == "serial":
            return None
        if self.scheduler is None:
            n_workers = self.workers or count_cores()
            remedy = "raise worker_memory" + (", start fewer workers" if n_workers > 1 else "")
            return WorkerLimit(n_workers, 1, self.worker_bytes, remedy)
        from driftmap.pipeline.executors import find_worker_limit  # late: loads Dask

        return find_worker_limit(self.scheduler, self.placement)

    def show_source(
        self, spec: SourceSpec, warm_up: Callable[[], object] | None = None, *, may_grow: bool = False
    ) -> Self:
        """Have a cluster's workers look at a source, and those that join later.

        Parameters
        ----------
        spec
            Of the source.
        warm_up
            Loads the kernels of tasks that come unless the plan is refused: workers that see the source begin with it.
        may_grow
            Files may come meanwhile: workers need not see just these.

        Returns
        -------
        This place, whose tasks need the source.

        Raises
        ------
        WorkerError
            Naming the workers that do not see it, and what to do.
        """
        return self._show(lambda: see_source(spec, may_grow=may_grow), warm_up)

    def show_store(self, location: Location, lock: StoreLock, warm_up: Callable[[], object] | None = None) -> Self:
        """Have a cluster's workers look at a store that this process holds; as `show_source`.

        With the `warm_up` of tasks that are sure to come, they begin to load kernels meanwhile.
        """
        return self._show(lambda: see_store(location, lock), warm_up)

    def _show(self, look: Callable[[], Sight], warm_up: Callable[[], object] | None = None) -> Self:
        if self.scheduler in (None, "serial"):  # processes of this machine
            return self
        from driftmap.pipeline.executors import refuse_blind_workers  # late: loads Dask

        seen = look()
        if seen:
            refuse_blind_workers(self.scheduler, self.placement._replace(sight=seen), warm_up)
        return replace(self, placement=self.placement._replace(sight=(*self.placement.sight, *seen)))

    def prepare(self) -> None:
        """Begin what takes long to start, and go on meanwhile; for when tasks are sure to come.

        Raises
        ------
        AddressSpaceError
            When the system gives this process too few addresses for them.
        """
        if not self.is_cluster:
            check_for_computing()
        if self.scheduler is None:
            start_fork_server()

    def compute_collections(self) -> AbstractContextManager[Compute]:
        """Have Dask's own collections computed where tasks are done, meanwhile."""
        from driftmap.pipeline.executors import compute_on  # late: loads Dask

        return compute_on(self.scheduler, self.workers, self.worker_bytes)

    def start_for_few(self, n_tasks: int, warm_up: Callable[[], object]) -> AbstractContextManager[Executor]:
        """Start, or reach, what runs tasks; a single one runs in this process, unless workers were asked for.

        Starting a worker takes longer than most tasks do. The task's memory limit is that of a worker all the same.
        """
        is_default = self.scheduler is None and self.workers is None and self.worker_memory is None
        place = replace(self, scheduler="serial") if is_default and n_tasks == 1 else self
        return place.start(n_tasks, warm_up)

    def start_aside(self, n_tasks: int) -> AbstractContextManager[Executor]:
        """Start, or reach, what reads rows before the work that Dask's account and dashboard are about."""
        return replace(self, performance_report=None, on_dashboard=None).start(n_tasks, _do_nothing)

    def start(self, n_tasks: int, warm_up: Callable[[], object]) -> AbstractContextManager[Executor]:
        """Start, or reach, what runs tasks.

        Parameters
        ----------
        n_tasks
            How many tasks there are; no more workers than that are started.
        warm_up
            Called in every worker process before its first task.
        """
        if not self.is_cluster:
            check_for_computing()
        if self.scheduler == "serial":
            return nullcontext(SerialExecutor())
        from driftmap.pipeline.executors import make_executor  # late: loads Dask

        return make_executor(
            self.scheduler,
            self.workers,
            n_tasks,
            warm_up,
            worker_bytes=self.worker_bytes,
            placement=self.placement,
            performance_report=self.performance_report,
            on_dashboard=self.on_dashboard,
        )


def _refuse_odd_workers(workers: Any) -> None:
    """Refuse a number of workers that none can be started by."""
    is_whole = hasattr(workers, "__index__") and not isinstance(workers, bool)
    if workers is None or (is_whole and workers >= 1):
        return
    raise ConfigError(f"workers is {workers!r}; a whole number from 1 on was expected, or none for one per core")


def _do_nothing() -> None:
    pass
