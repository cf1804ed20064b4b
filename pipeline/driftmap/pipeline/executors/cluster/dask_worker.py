"""What runs in a worker's process: it is prepared once, then calls what came pickled.

Nothing is registered with the scheduler: each task carries what it needs, so that a cluster is as it was once the last
task is done, also where the caller was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from distributed import get_worker
from distributed.protocol.pickle import dumps, loads

from driftmap.pipeline.executors.cluster.kernel_loading import load_once
from driftmap.pipeline.executors.process_settings import hold_settings
from driftmap.pipeline.executors.sight import Sight, refuse_blind_here
from driftmap.pipeline.executors.versions import refuse_to_work
from driftmap.pipeline.executors.worker_process import name_process, prepare_worker

if TYPE_CHECKING:
    from collections.abc import Callable


class Setup(NamedTuple):
    """What a worker process needs for a task."""

    home: str
    """The client's process: a cluster of threads shares it."""
    n_threads: int
    warm_up: bytes
    versions: tuple[tuple[str, str], ...]
    """The client's; workers that come later are compared with them at their first task."""
    is_guest: bool
    """Whether workers are the user's, and are left as they were."""
    sight: Sight = ()
    """What the user's workers must see; those that come later look at their first task."""
    is_wide: bool = False
    """Whether the task may use the threads of all slots of its worker."""


def pack_function(function: Callable[..., object] | None) -> bytes:
    """Pickle a function that `call_on_worker` takes, or what loads its kernels; the same bytes for the same one."""
    packed: bytes = dumps(function)
    return packed


def make_carrier() -> Callable[..., object]:
    """Make what tasks are sent as: a function that is pickled by value, since it is no module's, and that takes bytes.

    A worker without driftmap would lose its connection, and end, over a task that names anything of ours.
    """

    def carry(pickled: bytes, *needed: object) -> object:
        import pickle

        function, arguments = pickle.loads(pickled)  # noqa: S301 - from the client, as the task is
        return function(*arguments, *needed)

    return carry


def call_on_worker(setup: Setup, pickled: bytes, *arguments: object) -> object:
    """Call a pickled function in this process, prepared as `setup` says."""
    refuse_to_work(setup.versions)
    refuse_blind_here(setup.sight)
    if name_process() == setup.home:
        return _call(setup, pickled, *arguments)
    if not setup.is_guest:
        prepare_worker(setup.n_threads, setup.warm_up).join()
        return _call(setup, pickled, *arguments)
    with hold_settings(setup.n_threads):
        load_once(setup.n_threads, setup.warm_up)
        return _call(setup, pickled, *arguments)


def _call(setup: Setup, pickled: bytes, *arguments: object) -> object:
    # The function comes pickled, so that kernels are imported only once the process has its cache folder.
    from driftmap.engine import limit_threads

    n_slots = get_worker().state.nthreads if setup.is_wide else 1
    with limit_threads(n_slots * setup.n_threads):
        return loads(pickled)(*arguments)
