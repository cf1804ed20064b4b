"""The process that workers on this machine are forked from: libraries loaded, one takes .3 s to start instead of 1.4.

Python starts it beside this process, and it ends with this one. This process has threads, which no fork survives; the
server has none.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from driftmap.pipeline.executors.worker_process import THREAD_VARIABLES, hold_interrupts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOADED_AHEAD = [
    "driftmap.pipeline.executors.preloaded_imports",
    # Every worker runs the user's script up to its guard first, or the command's: what they import is there then. Not
    # the command itself, of which Python would warn under `python -m`.
    "driftmap.pipeline.orchestration.run",
    "driftmap.pipeline.cli.options",
]

_ENVIRONMENT = {
    # Dask's own settings for what it spawns: freed memory goes back at once, and hashes are the same in all workers.
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "PYTHONHASHSEED": "6640",
    # No thread may run where processes are forked. Workers do not use this allocator of Arrow's, see `tasks.warm_up`.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""Read as a process is started, where the user's environment says nothing else."""


def start_fork_server() -> str:
    """Start it, if it does not run yet, without waiting for what it loads.

    Returns
    -------
    How workers are to be started: "forkserver", or "spawn" where that is not to be had. macOS has it, but its libraries
    do not survive a fork.
    """
    if sys.platform != "linux" or "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    from multiprocessing import forkserver  # late: not on every system

    try:
        with hold_interrupts(), keep_environment((*_ENVIRONMENT, *THREAD_VARIABLES)):
            # The number of threads of each worker is set as it is prepared.
            os.environ.update({**_ENVIRONMENT, **os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")})
            forkserver.set_forkserver_preload(LOADED_AHEAD)
            forkserver.ensure_running()
    except OSError:  # no room for its socket in the folder for temporary files, or a path too long for one
        return "spawn"
    return "forkserver"


@contextmanager
def keep_environment(names: Iterable[str]) -> Iterator[None]:
    """Put environment variables back that are changed meanwhile."""
    kept = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
