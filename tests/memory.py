"""Memory of processes, measured: the peak of a call, and Python in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

needs_proc = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")

ROOT = Path(__file__).resolve().parents[1]

AS_IN_WORKERS = {"MALLOC_TRIM_THRESHOLD_": "65536", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""What frees memory at once: Dask sets the first for workers, tasks take the second; here planning takes it too."""


def read_status(name: str, process: int | str = "self") -> int:
    """Bytes that Linux counts for a process: `VmRSS` now, `VmHWM` at its peak."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def peak_bytes_of(call: Callable[[], object]) -> int:
    """Call, and say by how much this process grew at most meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")
    before = read_status("VmRSS")
    call()
    return read_status("VmHWM") - before


def run_python(code: str, **environment: str) -> str:
    """Run code in a process of its own; returns what it printed last."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def measure_task(code: str) -> list[int]:
    """Run code as in a worker; once more where it compiled kernels, whose memory is not that of what it measures.

    It prints a list of what it measured, and last how many kernels it compiled.
    """
    for _ in range(2):
        *measured, n_compiled = json.loads(run_python(code, **AS_IN_WORKERS))
        if not n_compiled:
            return measured
    raise AssertionError("numba keeps no kernels on disk")
