"""Wall and CPU seconds of a call, and what the machine was while it was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

PACKAGES = ("umap-learn", "pynndescent", "numba", "numpy", "scipy", "scikit-learn")


class Timing(NamedTuple):
    wall_seconds: float
    cpu_seconds: float
    """Of all threads of this process."""


def clock(work: Callable[[], Result]) -> tuple[Timing, Result]:
    """Call and time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu), result


def describe_machine() -> dict[str, Any]:
    """What a reader of the figures must know, the load included: times taken under load say little."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "python": platform.python_version(),
        "packages": find_versions(),
        "commit": _describe_commit(),
        "load_average": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def find_versions() -> dict[str, str]:
    """Versions of umap-learn and of what it stands on."""
    return {name: version(name) for name in PACKAGES}


def _describe_commit() -> str:
    """Name the commit, with "-dirty" where files differ from it; empty outside of a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
