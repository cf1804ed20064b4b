"""How many threads the kernels use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numba
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator

RowShare = Callable[[Callable[[slice], int], int], int]
"""Calls a function for parts of so many rows, on several threads, and returns the sum of what it returns."""

MIN_SHARED_ROWS = 64
"""Fewest rows of a part: handing it to a thread costs some 50 us."""


@contextmanager
def limit_threads(n_threads: int) -> Iterator[None]:
    """Let kernels that the calling thread runs use no more threads than these, one at least; the bytes stay the same.

    Within another limit the lower of the two holds.

    Parameters
    ----------
    n_threads
        Threads at most; below 1 counts as 1.

    Yields
    ------
    None
        The limits hold inside the context.
    """
    allowed = numba.get_num_threads()
    numba.set_num_threads(min(max(n_threads, 1), allowed))
    try:
        yield
    finally:
        numba.set_num_threads(allowed)


@contextmanager
def share_rows() -> Iterator[RowShare]:
    """Give what shares rows out among as many threads as kernels may use; for work that keeps to the rows given.

    BLAS has one thread meanwhile: its own would go on spinning after a product, for longer than the next step takes.
    """
    n_threads = numba.get_num_threads()
    with _blas.hold(), ExitStack() as stack:
        if n_threads == 1:
            yield lambda function, n_rows: function(slice(0, n_rows))
            return
        pool = stack.enter_context(ThreadPoolExecutor(n_threads - 1, "driftmap-rows"))

        def share(function: Callable[[slice], int], n_rows: int) -> int:
            n_parts = max(1, min(n_threads, n_rows // MIN_SHARED_ROWS))
            own, *others = (slice(*cuts) for cuts in pairwise(n_rows * part // n_parts for part in range(n_parts + 1)))
            waiting = [pool.submit(function, part) for part in others]
            return function(own) + sum(future.result() for future in waiting)

        yield share


class _OneThread:
    """BLAS on one thread as long as anything in this process holds it so; the last to let go puts it back.

    Each by itself would put back what it found, which is one thread where another held it then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_holding = 0
        self._limit = ExitStack()

    @contextmanager
    def hold(self) -> Iterator[None]:
        with self._lock:
            if not self._n_holding:
                self._limit.enter_context(_find_blas().limit(limits=1, user_api="blas"))
            self._n_holding += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_holding -= 1
                if not self._n_holding:
                    self._limit.close()


_blas = _OneThread()


@cache
def _find_blas() -> ThreadpoolController:
    """Find BLAS as numpy loaded it, once: looking costs more than the neighbours of a small window."""
    return ThreadpoolController()
