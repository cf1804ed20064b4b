"""How the engine's kernels are compiled: every numba flag stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

from driftmap.engine.core.openmp import load_openmp

if TYPE_CHECKING:
    from collections.abc import Callable

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
    return cast("_Function", numba.njit(**_EXACT)(function))  # type: ignore[call-overload]


def exact_uncounted(function: _Function) -> _Function:
    """Compile as `exact`, without reference counts: for what allocates no array, and is called for every row."""
    return cast("_Function", numba.njit(**_EXACT, **_UNCOUNTED)(function))  # type: ignore[call-overload]


def exact_uncached(function: _Function) -> _Function:
    """Compile as `exact`, not kept on disk: for what takes functions as arguments, or comes from the caller."""
    return cast("_Function", numba.njit(**{**_EXACT, "cache": False})(function))  # type: ignore[call-overload]


def exact_inline(function: _Function) -> _Function:
    """Compile as `exact`, into the body of its callers."""
    return cast("_Function", numba.njit(**_EXACT, inline="always")(function))  # type: ignore[call-overload]


def fast(function: _Function) -> _Function:
    """Compile a kernel whose sums may be reordered: same bytes on any number of threads of one kind of processor."""
    return cast("_Function", numba.njit(**_FAST)(function))  # type: ignore[call-overload]


def fast_uncounted(function: _Function) -> _Function:
    """Compile as `fast`, without reference counts, as `exact_uncounted`."""
    return cast("_Function", numba.njit(**_FAST, **_UNCOUNTED)(function))  # type: ignore[call-overload]


def fast_inline(function: _Function) -> _Function:
    """Compile as `fast`, into the body of its callers."""
    return cast("_Function", numba.njit(**_FAST, inline="always")(function))  # type: ignore[call-overload]


def fast_parallel(function: _Function) -> _Function:
    """Compile as `fast`, with `prange` loops spread over numba's threads."""
    return cast("_Function", numba.njit(**_FAST, parallel=True)(function))  # type: ignore[call-overload]


def is_compiled(kernel: Any) -> bool:
    """Tell whether a kernel's machine code is on disk, for this machine and version; True where that is not known."""
    try:
        return bool(kernel._cache._cache_file._load_index())  # noqa: SLF001 - numba tells it nowhere else
    except (AttributeError, OSError):
        return True


def load_compiler() -> None:
    """Load what numba loads with a process's first kernel, .5 s of CPU: for a process that others are forked from."""
    exact_uncached(lambda values: values[0] + 1.0)(np.zeros(1))
