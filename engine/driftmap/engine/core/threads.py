"""How many threads the kernels use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numba
from threadpoolctl import ThreadpoolController

from driftmap.engine.core.sizes import SMALL_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    allowed = count_threads()
    numba.set_num_threads(min(max(n_threads, 1), allowed))
    try:
        yield
    finally:
        numba.set_num_threads(allowed)


def count_threads() -> int:
    """Count the threads that kernels may use which the calling thread runs.

    Returns
    -------
    int
        As many as numba has, or fewer within `limit_threads`.
    """
    return numba.get_num_threads()


@contextmanager
def share_rows() -> Iterator[RowShare]:
    """Give what shares rows out among as many threads as kernels may use; for work that keeps to the rows given.

    BLAS has one thread meanwhile: its own would go on spinning after a product, for longer than the next step takes.
    """
    n_threads = count_threads()
    with limit_blas(1), ExitStack() as stack:
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


class _BlasLimits:
    """The limits that hold in this process, and the thread that sets them.

    Each by itself would put back what it found, which is another's limit where that one began earlier. threadpoolctl
    heeds one thread at a time only, and the first to enter is seldom the last to leave.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[int] = []
        self._kept = ExitStack()
        """Puts back what was before the first of them."""
        self._keeper: ThreadPoolExecutor
        self._libraries: ThreadpoolController

    @contextmanager
    def hold(self, n_threads: int) -> Iterator[None]:
        with self._lock:
            before = min(self._held, default=0)
            self._held.append(n_threads)
            if not before:
                self._begin()
            elif n_threads < before:
                self._apply()
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(n_threads)
                if not self._held:
                    self._kept.close()
                elif min(self._held) > n_threads:
                    self._apply()

    def _begin(self) -> None:
        self._libraries = _find_libraries(len(sys.modules))
        with ExitStack() as stack:
            self._keeper = stack.enter_context(ThreadPoolExecutor(1, "driftmap-blas"))
            limited = self._keeper.submit(self._enter).result()
            stack.callback(lambda: self._keeper.submit(limited.close).result())
            self._kept.push(stack.pop_all())

    def _enter(self) -> ExitStack:
        with ExitStack() as stack:
            stack.enter_context(self._libraries.limit(limits=min(self._held), user_api="blas"))
            return stack.pop_all()

    def _apply(self) -> None:
        """Set the lowest of what is held; what was before is known to the first limit only."""
        self._keeper.submit(self._libraries.limit, limits=min(self._held), user_api="blas").result()


_blas = _BlasLimits()


@contextmanager
def limit_blas(n_threads: int) -> Iterator[None]:
    """Let BLAS use no more threads than these in one call, in the whole process.

    The lowest limit of all that are at work at a time holds; when the last ends, what was before the first is put back.
    Limits that the caller has set by threadpoolctl are left as they are.

    Parameters
    ----------
    n_threads
        Threads at most, one at least.

    Yields
    ------
    None
        The limit holds inside the context.
    """
    with _blas.hold(n_threads):
        yield


def limit_small_blas(sizes: Iterable[int]) -> AbstractContextManager[None]:
    """Keep BLAS to one thread where all windows are small, of so many rows each; else each step does so that needs it.

    To begin takes .4 ms, as long as some steps of a small window.
    """
    return limit_blas(1) if all(n_rows <= SMALL_ROWS for n_rows in sizes) else nullcontext()


@lru_cache(1)
def _find_libraries(n_modules: int) -> ThreadpoolController:  # noqa: ARG001 - another number: another may be loaded
    """Find BLAS as it is loaded, numpy's and scipy's own: looking takes 3 ms, like neighbours of a small window."""
    return ThreadpoolController()
