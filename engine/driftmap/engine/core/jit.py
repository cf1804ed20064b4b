"""How the engine's kernels are compiled: every numba flag stands here."""

from __future__ import annotations

import functools
import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np
from numba.core.runtime.nrt import rtsys

from driftmap.engine.core.openmp import load_openmp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_Function = TypeVar("_Function", bound="Callable[..., Any]")

load_openmp()  # before any kernel can run

# Kernels are cached on disk and hold no lock. numpy's error model drops a test per division, without which no loop is
# vectorised: 8.5 ns per negative sample with the test, 2.6 without.
_EXACT = {"cache": True, "nogil": True, "error_model": "numpy"}
# Sums may be reordered into vector lanes, but NaN and infinity keep their meaning.
_FAST = {**_EXACT, "fastmath": {"reassoc", "nsz", "arcp", "contract", "afn"}}
# Else every slice of an array counts the array's references up and down with two atomic instructions: 5 ns, and several
# times that where another core counts the same array's. With counts an epoch of the layout took 355 ns a row, without
# 303; on two threads at once 180 to 270, and 150 to 170.
_UNCOUNTED = {"_nrt": False}


def exact(function: _Function) -> _Function:
    """Compile a kernel whose arithmetic is done in the order it is written."""
    return _compile(function, **_EXACT)


def exact_uncounted(function: _Function) -> _Function:
    """Compile as `exact`, without reference counts: for what allocates no array, and is called for every row."""
    return _compile(function, **_EXACT, **_UNCOUNTED)


def reordered_uncounted(function: _Function) -> _Function:
    """Compile as `exact_uncounted`, but for sums, which are made in vector lanes: in one order, the machine code's.

    Nothing is contracted, so that equal rows stay at distance 0 and either row may come first.
    """
    return _compile(function, **_EXACT, **_UNCOUNTED, fastmath={"reassoc"})


def exact_uncached(function: _Function) -> _Function:
    """Compile as `exact`, not kept on disk: for what takes functions as arguments, or comes from the caller."""
    return _compile(function, **{**_EXACT, "cache": False})


def exact_inline(function: _Function) -> _Function:
    """Compile as `exact`, into the body of its callers."""
    return _compile(function, **_EXACT, inline="always")


def fast(function: _Function) -> _Function:
    """Compile a kernel whose sums may be reordered: same bytes on any number of threads of one kind of processor."""
    return _compile(function, **_FAST)


def fast_uncounted(function: _Function) -> _Function:
    """Compile as `fast`, without reference counts, as `exact_uncounted`."""
    return _compile(function, **_FAST, **_UNCOUNTED)


def fast_uncounted_inline(function: _Function) -> _Function:
    """Compile as `fast_uncounted`, and have LLVM put the machine code into its callers' whatever its size.

    A call passes every array of a tuple as seven numbers: `pull` alone took a tenth of a fit of 4,000 rows so, half of
    it for 110 arguments a row.
    """
    return _compile(function, **_FAST, **_UNCOUNTED, forceinline=True)


def fast_inline(function: _Function) -> _Function:
    """Compile as `fast`, into the body of its callers."""
    return _compile(function, **_FAST, inline="always")


def fast_parallel(function: _Function) -> _Function:
    """Compile as `fast`, with `prange` loops spread over numba's threads."""
    return _compile(function, **_FAST, parallel=True)


@contextmanager
def cache_kernels_in(folder: Path) -> Iterator[None]:
    """Have numba keep in a folder what is compiled by modules that are imported meanwhile; they go on to use it.

    Parameters
    ----------
    folder
        For this process alone: numba's cache is not safe when two processes write it at once.

    Yields
    ------
    None
        The setting holds inside the context; the environment is not changed.
    """
    config: Any = numba.config
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _compile(function: _Function, **flags: Any) -> _Function:
    """Compile a function, again where its index on disk cannot be read.

    numba unpickles an index before it compares the time of the source, and raises where a type of ours that it names is
    not there any more, as after an upgrade.
    """
    kernel: Any = numba.njit(**flags)(function)
    cache: Any = getattr(kernel, "_cache", None)
    file = getattr(cache, "_cache_file", None)
    if file is not None:
        file._load_index = functools.partial(_load_or_forget, file._load_index)  # noqa: SLF001 - numba has no setting
        if hasattr(cache, "_load_overload") and hasattr(cache, "_guard_against_spurious_io_errors"):
            cache.load_overload = functools.partial(_load_alone, cache)
    return cast("_Function", kernel)


def _load_alone(cache: Any, signature: Any, context: Any) -> Any:
    """Load a kernel's machine code from disk without all that numba needs to compile.

    numba's own method first imports and registers every type and function that it can compile, which machine code does
    not need, only its runtime; a compilation that comes later does so by itself.
    """
    rtsys.initialize(context)
    with cache._guard_against_spurious_io_errors():  # noqa: SLF001 - as numba's own method
        return cache._load_overload(signature, context)  # noqa: SLF001


def _load_or_forget(load_index: Callable[[], dict[Any, str]]) -> dict[Any, str]:
    try:
        return load_index()
    except (AttributeError, ImportError, EOFError, pickle.UnpicklingError):
        return {}


def is_compiled(kernel: Any) -> bool:
    """Tell whether a kernel's machine code is on disk, for this machine and version; True where that is not known."""
    try:
        return bool(kernel._cache._cache_file._load_index())  # noqa: SLF001 - numba tells it nowhere else
    except (AttributeError, OSError):
        return True


def load_compiler() -> None:
    """Load what numba loads with a process's first kernel, .5 s of CPU: for a process that others are forked from."""
    exact_uncached(lambda values: values[0] + 1.0)(np.zeros(1))
