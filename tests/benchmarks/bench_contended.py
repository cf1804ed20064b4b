"""CPU seconds of a fit beside one busy process per core, and beside none: what threads that wait cost others.

Every fit is a process of its own, warm. Rounds alternate, and figures are medians; the wall times say how busy the
machine was.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bench_speed import CHILD_SECONDS, ROOT
from tests.benchmarks.tables import format_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BAR, AIM = 1.2, 1.0
ROUNDS = 5
FIT = """
import time
import numpy as np
from sklearn.datasets import load_digits
from driftmap.engine import AlignedUMAP
digits = load_digits()
x = digits.data[np.argsort(digits.target, kind="stable")]
starts = range(0, 1350, 150)
windows, ids = [x[s:s + 400] for s in starts], [np.arange(s, min(s + 400, len(x))) for s in starts]
AlignedUMAP(random_state=0, n_epochs=3).fit(windows, ids=ids)
print("ready", flush=True)
input()
cpu, wall = time.process_time(), time.perf_counter()
AlignedUMAP(random_state=0).fit(windows, ids=ids)
print(time.process_time() - cpu, time.perf_counter() - wall)
"""
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    "OpenMP's own waits": {"GOMP_SPINCOUNT": "300000"},  # GNU OpenMP's where there are no more threads than cores
    "BLAS on one thread": {"OPENBLAS_NUM_THREADS": "1"},
    "one thread": {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
}


def compare_contended(say: Callable[[str], None], rounds: int = ROUNDS) -> dict[str, Any]:
    """Fit the digits beside no and beside busy processes, with the settings above."""
    found: dict[str, dict[str, list[float]]] = {name: {"idle": [], "busy": [], "wall": []} for name in SETTINGS}
    for _ in range(rounds):
        for name, environment in SETTINGS.items():
            figures = found[name]
            figures["idle"].append(time_fit(environment, n_busy=0)[0])
            cpu, wall = time_fit(environment, n_busy=os.cpu_count() or 2)
            figures["busy"].append(cpu)
            figures["wall"].append(wall)
    medians = {name: {key: statistics.median(values) for key, values in f.items()} for name, f in found.items()}
    rows = [
        [name, f"{m['idle']:.2f}", f"{m['busy']:.2f}", f"{m['wall']:.2f}", f"{m['busy'] / m['idle']:.2f}"]
        for name, m in medians.items()
    ]
    say(format_table(["digits, one busy process per core", "idle CPU s", "busy CPU s", "busy wall s", "ratio"], rows))
    say(f"Bar for the first ratio: {BAR}; aim: {AIM}.")
    return {"medians": medians, "rounds": found, "bar": BAR, "aim": AIM}


def time_fit(environment: Mapping[str, str], n_busy: int) -> tuple[float, float]:
    """Time one warm fit beside so many busy processes; returns its CPU and wall seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", FIT],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    busy = [multiprocessing.get_context("spawn").Process(target=keep_busy, daemon=True) for _ in range(n_busy)]
    for other in busy:
        other.start()
    try:
        cpu, wall = process.communicate("\n", timeout=CHILD_SECONDS)[0].split()
    finally:
        for other in busy:
            other.terminate()
            other.join()
    return float(cpu), float(wall)


def keep_busy() -> None:
    """Use one core until terminated."""
    while True:
        sum(range(10_000))
