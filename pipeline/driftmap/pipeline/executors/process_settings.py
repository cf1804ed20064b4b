"""Settings of a worker's process while tasks of a run are at work in it, put back at their end: it may be another's.

Nothing is written to the environment, which the process's children would inherit. What stays is what any import leaves:
loaded modules, and the lock on a folder of compiled kernels, which those modules go on using.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from driftmap.pipeline.executors.worker_process import claim_cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()
_tasks: list[int] = []
"""Threads that each task at work was given."""
_kept = ExitStack()
"""Puts back what was before the first of them."""


@contextmanager
def hold_settings(n_threads: int) -> Iterator[None]:
    """Give kernels a cache folder, BLAS its threads, and Arrow the C library's memory, while any task works.

    They are settings of the whole process: the first task that enters makes them, the last one that leaves puts them
    back.

    Parameters
    ----------
    n_threads
        What BLAS may use in one call.

    Yields
    ------
    None
        The settings hold inside the context.
    """
    with _lock:
        if not _tasks:
            _apply(n_threads)
        _tasks.append(n_threads)
    try:
        yield
    finally:
        with _lock:
            _tasks.pop()
            if not _tasks:
                _kept.close()


def _apply(n_threads: int) -> None:
    from driftmap.engine import cache_kernels_in, limit_blas  # late: a worker that only waits does not need it

    with ExitStack() as stack:
        if (folder := claim_cache_folder()) is not None:
            stack.enter_context(cache_kernels_in(folder))
        stack.enter_context(limit_blas(n_threads))
        stack.enter_context(_use_system_memory())
        _kept.push(stack.pop_all())


@contextmanager
def _use_system_memory() -> Iterator[None]:
    """Have Arrow take memory from the C library meanwhile, which gives it back to the system.

    Reading 100,000 rows of 64 features peaks at 64 MB instead of 100, and leaves 31 instead of 70.
    """
    import pyarrow as pa

    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)
