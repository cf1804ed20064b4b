"""Worker-process setup: numba's cache, thread limits, the `__main__` guard.

numba's cache is not safe when two processes write the same folder, so a worker process holds a lock on its own for as
long as it lives; the next run's workers find the same folders, and compile nothing.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import shutil
import signal
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import IO, TYPE_CHECKING

from driftmap.pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator

GUARD = """put the call under a guard, since every worker process imports your script first:

    if __name__ == "__main__":
        run(...)
"""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Read by the numeric libraries when they are loaded."""

N_FOLDERS = 512
"""More worker processes than any machine runs."""

CACHE_VARIABLE, HOME_VARIABLE = "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"
KERNELS_VARIABLE = "DRIFTMAP_KERNELS"
"""Names a folder of compiled kernels that new cache folders start with."""

_locks: list[IO[bytes]] = []
"""Open for as long as the process lives: closing a file gives its lock back."""


class WorkerError(PipelineError):
    """A worker, or the way to it, failed: not what was asked of it."""


def refuse_unguarded_call() -> None:
    """Say what is wrong when a worker process runs the user's script, which would start workers of its own.

    Raises
    ------
    WorkerError
        When the caller is a script that a worker process imports as it starts.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "__mp_main__" and frame.f_code.co_name == "<module>":
            raise WorkerError(f"this script starts worker processes when it is imported; {GUARD}")
        frame = frame.f_back


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C while processes are started: it counts at the end, and never reaches what was started.

    A terminal sends it to the whole process group; the process that the user started stops the others. Threads that
    are started meanwhile, and processes started by them at any time, keep it blocked.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its own start, in whatever thread, would let interrupts through again
    held: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if held:
        raise KeyboardInterrupt


def find_cache_folder() -> Path:
    """Find where compiled kernels go: NUMBA_CACHE_DIR where it is set, else below the user's cache folder."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    if given := os.environ.get(HOME_VARIABLE):
        home = Path(given)
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        home = Path.home() / ".cache"
    return home / "driftmap" / "numba"


def name_process() -> str:
    """Name this process, of all of a cluster."""
    return f"{socket.gethostname()}:{os.getpid()}"


@functools.cache
def prepare_worker(n_threads: int, warm_up: bytes) -> threading.Thread:
    """Set up a worker process that works for runs only, once and until it ends, and load kernels in a thread.

    Parameters
    ----------
    n_threads
        What the numeric libraries may use in one task.
    warm_up
        A pickled function that loads kernels; or None, pickled.

    Returns
    -------
    The thread that loads; a task waits for its end.
    """
    claim_numba_cache()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(n_threads)))
    reload_numba_settings()
    thread = threading.Thread(target=_load_kernels, args=(n_threads, warm_up), name="driftmap-load", daemon=True)
    thread.start()
    return thread


def reload_numba_settings() -> None:
    """Have numba read the variables again where it is loaded: with other threads running it would compile no more."""
    if "numba" not in sys.modules:
        return
    config = sys.modules["numba"].config
    try:
        config.reload_config()
    except RuntimeError:  # its threads run already; every task is limited by itself too
        os.environ["NUMBA_NUM_THREADS"] = str(config.NUMBA_NUM_THREADS)


def _load_kernels(n_threads: int, warm_up: bytes) -> None:
    with suppress(Exception):  # the first task meets the same error, and names its window
        import pyarrow as pa
        from threadpoolctl import threadpool_limits

        threadpool_limits(n_threads)  # of libraries that were loaded before
        pa.set_memory_pool(pa.system_memory_pool())  # as `process_settings` has it while tasks are at work
    load_kernels(warm_up)


def load_kernels(warm_up: bytes) -> None:
    """Call a pickled function that loads kernels, where it is one; a task would meet the same error."""
    with suppress(Exception):
        function = pickle.loads(warm_up)  # noqa: S301 - from the client, as the tasks are
        if function is not None:
            function()


def claim_numba_cache() -> Path | None:
    """Give this process, and those that it starts, a cache folder of its own; to be called before kernels are imported.

    Returns
    -------
    The folder; None where none can be locked or written, and numba does what it does by itself.
    """
    folder = claim_cache_folder()
    if folder is None:
        return None
    os.environ[CACHE_VARIABLE] = str(folder)
    if "numba" in sys.modules:  # it read the variable already, when a user's script imported it
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


@functools.cache
def claim_cache_folder() -> Path | None:
    """Lock a folder of compiled kernels for this process, once, until it ends.

    Returns
    -------
    The folder, filled from the seed where there is one; None where none can be locked or written.
    """
    # The host's name is part of the path: nodes of a cluster may share one home.
    base = find_cache_folder() / socket.gethostname()
    try:
        folder = next((base / f"worker-{n}" for n in range(N_FOLDERS) if _lock(base / f"worker-{n}")), None)
    except (OSError, ImportError):  # a home that cannot be written; a system without flock
        return None
    if folder is not None:
        seed_kernels(folder)
    return folder


def seed_kernels(folder: Path) -> None:
    """Fill a cache folder that has no kernels yet with those in DRIFTMAP_KERNELS, which a container's image may hold.

    They are used where the processor is of the kind that they were compiled on, and else compiled again.
    """
    seed = os.environ.get(KERNELS_VARIABLE)
    if not seed or not Path(seed).is_dir() or (folder.is_dir() and any(path.is_dir() for path in folder.iterdir())):
        return
    with suppress(OSError):  # a full disk: numba says so, or compiles without it
        shutil.copytree(seed, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("lock"))


def _lock(folder: Path) -> bool:
    import fcntl  # late: not on every system

    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _locks.append(lock)
    return True
