"""Memory and time of a large window's start and clusters, each in a new process, beside what estimates say of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tests.benchmarks.tables import format_table

from driftmap.engine import FuzzyGraph, GraphSettings, build_window_graph, cluster_bytes, follow_clusters, start_bytes
from driftmap.engine.layout.start.grouped import grouped_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (400_000, 2_000_000)
N_FEATURES, N_CLUSTERS, N_NEIGHBORS = 8, 200, 15


def measure_stages(sizes: Sequence[int] = SIZES, say: Callable[[str], None] = print) -> dict[str, dict[str, float]]:
    """Give bytes and CPU seconds of both stages in windows of each size, by "stage rows"."""
    found, rows = {}, []
    edges = 2 * (N_NEIGHBORS - 1)
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in sizes:
            path = Path(folder, f"{n_rows}.npz")
            np.savez(path, **_make_graph(n_rows)._asdict())
            bounds = {"start": start_bytes(n_rows, edges), "clusters": cluster_bytes(n_rows, N_NEIGHBORS)}
            for stage, bound in bounds.items():
                words = [sys.executable, "-m", "tests.benchmarks.bench_stages", stage, str(path)]
                one = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
                found[f"{stage} {n_rows}"] = one
                cells = [f"{one['bytes'] / n_rows:,.0f}", f"{bound / n_rows:,.0f}", f"{one['cpu_seconds']:.1f}"]
                rows.append([stage, f"{n_rows:,}", *cells])
    say(format_table(["stage", "rows", "bytes a row", "at most, as estimated", "CPU s"], rows))
    return found


def _make_graph(n_rows: int) -> FuzzyGraph:
    rng = np.random.default_rng(0)
    middles = 3 * rng.normal(size=(N_CLUSTERS, N_FEATURES))
    rows = middles[rng.integers(0, N_CLUSTERS, n_rows)] + rng.normal(size=(n_rows, N_FEATURES))
    return build_window_graph(rows.astype(np.float32), GraphSettings(n_neighbors=N_NEIGHBORS), 0).fuzzy


def measure_stage(stage: str, graph: FuzzyGraph) -> dict[str, float]:
    """Measure one stage in this process, the graph not counted."""
    work = {"start": lambda given: grouped_start(given, 2, 0), "clusters": lambda given: follow_clusters(given, 0)}
    work[stage](_make_graph(21_000))  # kernels are loaded
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is measured
    before, began = _read_bytes("VmRSS"), time.process_time()
    work[stage](graph)
    spent = time.process_time() - began
    # Linux counts pages in batches: where a small window takes what was there, the peak may be read as some less.
    return {"bytes": max(0, _read_bytes("VmHWM") - before), "cpu_seconds": spent}


def _read_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    with np.load(sys.argv[2]) as held:
        given = FuzzyGraph(*(held[name] for name in FuzzyGraph._fields))
    sys.stdout.write(json.dumps(measure_stage(sys.argv[1], given)))
