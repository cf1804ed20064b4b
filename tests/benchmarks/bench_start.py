"""CPU seconds that a start of `driftmap ingest` takes: with nothing new, and with one small window.

Each start is a process of its own with its children, from Python's start to its end. Byte code is kept (in a folder of
the benchmark's own, where PYTHONDONTWRITEBYTECODE would forbid it) and numba's cache is warm, as for a job that starts
every day. Time means something on an idle machine only.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.tables import format_table
from tests.pipeline.growing import N_ROWS, make_store, write_days

from driftmap.pipeline import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

N_DAYS = 8
BARS = {"nothing new": 0.5, "nothing new, with a look": None, "one small window": 1.5}
"""CPU seconds; a look is what the start after a change of options takes."""


def measure_starts(repeats: int = 5, say: Callable[[str], None] = print) -> dict[str, float]:
    """Give the median of some starts of each kind."""
    folder = Path(tempfile.mkdtemp(prefix="bench-start-"))
    try:
        found = _measure(folder, repeats)
    finally:
        shutil.rmtree(folder)
    rows = [[name, f"{seconds:.2f}", str(BARS[name] or "")] for name, seconds in found.items()]
    say(format_table([f"driftmap ingest, windows of {2 * N_ROWS} rows", "CPU s", "bar"], rows))
    return found


def _measure(folder: Path, repeats: int) -> dict[str, float]:
    make_store(folder / "days", folder / "store", N_DAYS)
    shutil.copytree(folder / "store", folder / "kept")
    words = ["ingest", str(folder / "store")]
    _start(folder, words)  # writes byte code, and what the next start answers from
    nothing = [_start(folder, words) for _ in range(repeats)]
    looks = [_start(folder, [*words, "--grace", f"{minutes}min"]) for minutes in range(1, 1 + repeats)]
    write_days(folder / "days", range(N_DAYS, N_DAYS + 2))  # the second one's rows say that the window is whole
    n_before, ones = len(open_store(folder / "kept").labels), []
    for _ in range(1 + repeats):
        shutil.rmtree(folder / "store")
        shutil.copytree(folder / "kept", folder / "store")
        ones.append(_start(folder, words))
        if len(open_store(folder / "store").labels) != n_before + 1:
            raise RuntimeError("the start took in other than one window")
    seconds = (nothing, looks, ones[1:])
    return {name: statistics.median(measured) for name, measured in zip(BARS, seconds, strict=True)}


def _start(folder: Path, words: list[str]) -> float:
    """Start the command; returns the CPU seconds that it and its children took."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "driftmap.pipeline.cli", *words]
    before = _used()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return _used() - before


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
