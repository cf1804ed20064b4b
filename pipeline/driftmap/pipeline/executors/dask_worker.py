"""What runs in a worker's process: it is prepared once, then calls what came pickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from distributed import Worker, WorkerPlugin
from distributed.protocol.pickle import loads

from driftmap.pipeline.executors.versions import refuse_to_work
from driftmap.pipeline.executors.worker_process import name_process, prepare_worker

if TYPE_CHECKING:
    import threading


class Setup(NamedTuple):
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


class Preparation(WorkerPlugin):
    """Prepares workers as they start, and those that are there, so that kernels are loaded when a task comes."""

    name = "driftmap"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        """Prepare one worker."""
        self._setup.prepare()


def call_on_worker(setup: Setup, pickled: bytes, *arguments: object) -> object:
    """Call a pickled function in this process, prepared as `setup` says."""
    refuse_to_work(setup.versions)
    # The function comes pickled, so that kernels are imported only once the process has its cache folder.
    if (loading := setup.prepare()) is not None:
        loading.join()
    from driftmap.engine import limit_threads

    with limit_threads(setup.n_threads):
        return loads(pickled)(*arguments)
