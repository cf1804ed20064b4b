"""The pipeline with two worker processes beside the engine called in one process, and 1,000 windows beside 100.

What a window costs where it is small and there are many: `python -m tests.benchmarks.bench_pipeline pipeline 10000
--n-rows 50`, beside the same with 1,000 windows.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import make_stream
from tests.benchmarks.tables import format_table

if TYPE_CHECKING:
    from collections.abc import Callable

N_ROWS = 2_000
N_WORKERS = 2
ENGINE_BAR, ENGINE_AIM = 1.15, 0.7
LONG_BAR, LONG_AIM = 1.1, 1.0
N_ROUNDS = 5
CHILD_SECONDS = 7_200


def compare_pipeline(n_short: int = 100, n_long: int = 1_000, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Time both on one stream cut into windows of 2,000 rows, in turn, each run in a process of its own."""
    rounds: list[tuple[float, float]] = []
    for number in range(1, N_ROUNDS + 1):
        engine, pipeline = _run("engine", n_short), _run("pipeline", n_short)
        rounds.append((engine, pipeline))
        say(f"round {number}: engine {engine:.2f} s, pipeline {pipeline:.2f} s, {pipeline / engine:.2f}")
    long = _run("pipeline", n_long)
    engine, short = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    found = {
        f"engine, {n_short} windows": engine,
        f"pipeline, {n_short} windows": short,
        f"pipeline, {n_long} windows": long,
    }
    rows = [[name, f"{seconds:.2f}"] for name, seconds in found.items()]
    what, seconds = f"windows of {N_ROWS:,} rows, {N_WORKERS} workers", f"wall s (median of {N_ROUNDS}; longest once)"
    say("\n" + format_table([what, seconds], rows))
    ratios = {"pipeline to engine": short / engine, "per window, long to short": long / n_long / (short / n_short)}
    say(f"pipeline to engine {ratios['pipeline to engine']:.2f}: bar {ENGINE_BAR}, aim {ENGINE_AIM}")
    say(f"per window, long to short {ratios['per window, long to short']:.2f}: bar {LONG_BAR}, aim {LONG_AIM}\n")
    return {**found, **ratios, "rounds": rounds}


def _run(who: str, n_windows: int) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.bench_pipeline", who, str(n_windows)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root, timeout=CHILD_SECONDS)
    return float(done.stdout.split()[-1])


def time_engine(n_windows: int, n_rows: int = N_ROWS) -> float:
    """Fit all windows at once, after a short fit."""
    from driftmap.engine import AlignedUMAP

    stride = n_rows // 2
    rows, _ = make_stream(n_windows, n_rows, stride)
    spans = [np.arange(start, start + n_rows) for start in range(0, n_windows * stride, stride)]
    windows = [rows[span] for span in spans]
    AlignedUMAP(random_state=42).fit(windows[:3], ids=spans[:3])
    return clock(lambda: AlignedUMAP(random_state=42).fit(windows, ids=spans))[0].wall_seconds


def time_pipeline(n_windows: int, n_rows: int = N_ROWS) -> float:
    """Run into a store, workers' start included, after a short run into another."""
    from driftmap.pipeline import run

    stride = n_rows // 2
    rows, _ = make_stream(n_windows, n_rows, stride)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"rows": n_rows, "row_stride": stride, "workers": N_WORKERS}
        run(_source(rows[: n_rows + 2 * stride]), Path(folder) / "short.zarr", **settings)
        return clock(lambda: run(_source(rows), Path(folder) / "all.zarr", **settings))[0].wall_seconds


def _source(rows: Any) -> dict[str, Any]:
    return {"vectors": rows, "id": np.arange(len(rows))}


@click.command()
@click.argument("who", type=click.Choice(["engine", "pipeline"]))
@click.argument("n_windows", type=int)
@click.option("--n-rows", type=int, default=N_ROWS, show_default=True, help="Rows of a window; half of them are new.")
def main(who: str, n_windows: int, n_rows: int) -> None:
    """Time one run and say its wall seconds."""
    click.echo((time_engine if who == "engine" else time_pipeline)(n_windows, n_rows))


if __name__ == "__main__":
    main()
