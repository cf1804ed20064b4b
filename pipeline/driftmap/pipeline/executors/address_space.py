"""Addresses that a process may have (`ulimit -v`): with too few, libraries end the process, or ask for ever."""

from __future__ import annotations

from driftmap.pipeline.errors import PipelineError

_TO_LOAD = 600 * 10**6
"""Measured on two cores: with 400 MB or less, loading Arrow and numba fails in this and that; 500 MB are enough."""

_TO_COMPUTE = 2 * 10**9
_TO_COMPUTE_PER_CORE = 5 * 10**8
_MAX_CORES = 16
"""On two cores a run in one process takes 2.2 to 2.5 GB, one with workers 2.5 to 3: buffers of two OpenBLAS for each
core, and pools of memory and a stack for each thread. Below, OpenBLAS may ask again without end, deaf to signals."""


class AddressSpaceError(PipelineError, MemoryError):
    """The system gives this process too few addresses."""


def count_addresses() -> int | None:
    """Bytes of addresses that the system lets this process have; None where it sets no limit."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def check_for_loading() -> None:
    """Refuse to load the libraries that read stores and tables where they would fail in it.

    Raises
    ------
    AddressSpaceError
        With what is there, and what is needed.
    """
    _check(_TO_LOAD, "read stores and tables")


def check_for_computing() -> None:
    """Refuse to compute maps where the libraries would fail in it, before any work.

    Raises
    ------
    AddressSpaceError
        With what is there, and what is needed.
    """
    if count_addresses() is not None:
        from driftmap.pipeline.executors.machine import count_cores  # late: slow to import

        _check(_TO_COMPUTE + min(count_cores(), _MAX_CORES) * _TO_COMPUTE_PER_CORE, "compute maps")


def _check(needed: int, purpose: str) -> None:
    limit = count_addresses()
    if limit is not None and limit < needed:
        raise AddressSpaceError(
            f"this process may have {limit / 1e6:,.0f} MB of addresses (`ulimit -v`); the libraries that {purpose} set "
            f"aside {needed / 1e6:,.0f} MB, most of it never used: raise that limit, or limit memory by a container"
        )
