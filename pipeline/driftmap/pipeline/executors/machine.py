"""What this machine has, or what the container gives that it is; and sizes as people write them."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from driftmap.pipeline.errors import ConfigError

_CGROUP = Path("/sys/fs/cgroup")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)


def count_memory_bytes() -> int:
    """Memory of this machine, or of the container that it is."""
    total = int(psutil.virtual_memory().total)
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max": no limit
            total = min(total, int((_CGROUP / file).read_text()))
    return total


def count_cores() -> int:
    """Cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max 100000": no limit
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def release_memory() -> None:
    """Give what is free in this process back to the system, where its C library can.

    Else what planning read, and what one block leaves in pieces, stays with a process that lives for many blocks.
    """
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):  # of the GNU library only
        ctypes.CDLL(None).malloc_trim(0)


def read_size(given: int | str, name: str) -> int:
    """Read a number of bytes, or text such as `"2GB"`.

    Raises
    ------
    ConfigError
        Naming the option, when it is none.
    """
    match = _SIZE.fullmatch(str(given))
    n_bytes = int(float(match[1]) * _UNITS[match[2].lower()]) if match and match[2].lower() in _UNITS else 0
    if n_bytes <= 0:
        raise ConfigError(f"{name} is {given!r}; give bytes, or text such as '2GB' or '512MiB'")
    return n_bytes


def format_size(n_bytes: float) -> str:
    """Write a number of bytes with three digits: `1.25 GB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= 0.9995 * size:
            value = n_bytes / size
            return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f} {unit}"
    return f"{n_bytes:.0f} B"
