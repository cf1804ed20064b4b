"""Kernels in the worker processes of a user's cluster: loaded once, and begun before the first task is sent."""

from __future__ import annotations

import functools
import threading
from contextlib import suppress

from driftmap.pipeline.executors.process_settings import hold_settings
from driftmap.pipeline.executors.worker_process import load_kernels, name_process, reload_numba_settings

_loading, _looking = threading.Lock(), threading.Lock()
_found: list[bool] = []
"""Whether the kernels were compiled when this process last began to load them."""


def begin_loading(home: str, n_threads: int, warm_up: bytes) -> None:
    """Begin to load kernels in this process, in a thread: the first task of the run waits for its end.

    Parameters
    ----------
    home
        The client's process; where it is this one, nothing is loaded.
    n_threads
        What BLAS may use in one task.
    warm_up
        A pickled function that loads kernels, the one that the tasks are sent with.
    """
    if name_process() == home:
        return
    is_begun = threading.Event()
    arguments = (n_threads, warm_up, is_begun)
    threading.Thread(target=_load, args=arguments, name="driftmap-load", daemon=True).start()
    is_begun.wait()


def load_once(n_threads: int, warm_up: bytes) -> None:
    """Load kernels where this process has not loaded them yet; to be called inside `hold_settings`."""
    with _loading:
        _load_kernels(n_threads, warm_up)


def are_compiled() -> bool:
    """Say whether compiled kernels were on disk when this process last began to load them, or now if it did not."""
    with _looking:
        return _found[-1] if _found else _look()


def _load(n_threads: int, warm_up: bytes, is_begun: threading.Event) -> None:
    with suppress(Exception):  # the first task meets the same error
        with _looking:
            is_begun.set()
            _found[:] = [_look()]
        with hold_settings(n_threads):
            load_once(n_threads, warm_up)


def _look() -> bool:
    from driftmap.engine import has_compiled_kernels  # late: numba

    return has_compiled_kernels()


@functools.lru_cache(maxsize=4)
def _load_kernels(n_threads: int, warm_up: bytes) -> None:
    from driftmap.engine import limit_threads

    reload_numba_settings()
    with limit_threads(n_threads):
        load_kernels(warm_up)
