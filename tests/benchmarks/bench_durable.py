"""What it costs that a store cannot lie: syncs in a run of 100 windows, digests in an export.

Run by hand: `python -m tests.benchmarks.bench_durable`. Shares of the same run's and export's own time, so that a
machine that is busy otherwise changes little of them; thresholds: 10 % of the run, 5 % of the export.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftmap.pipeline import open_store, run
from driftmap.pipeline.store.disk import arrays, location
from driftmap.pipeline.store.table_files import write_table

if TYPE_CHECKING:
    from collections.abc import Callable

N_WINDOWS, N_ROWS, N_AXES = 100, 2_000, 16
N_ROUNDS = 3


class Stopwatch:
    """Sums up the time that some functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.n_calls = 0

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function with its calls timed."""

        def timed(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.perf_counter() - started
                self.n_calls += 1

        return timed


def write_rows(path: Path) -> None:
    """Write windows of rows that move a little."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N_ROWS, N_AXES)).astype(np.float32)
    with pq.ParquetWriter(path, _tabulate(0, rows).schema) as writer:
        for window in range(N_WINDOWS):
            writer.write_table(_tabulate(window, rows))
            rows = rows + 0.1 * rng.normal(size=rows.shape).astype(np.float32)


def _tabulate(window: int, rows: np.ndarray) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), N_AXES)
    return pa.table({"w": np.full(len(rows), window), "id": np.arange(len(rows)), "v": vectors})


def time_run(source: Path, path: Path) -> str:
    """Time a run, and the syncs in it."""
    sync = Stopwatch()
    started = time.perf_counter()
    with mock.patch.object(location, "_sync_path", sync.watch(location._sync_path)):
        run(source, path, by="w", id="id", scheduler="serial")
    seconds = time.perf_counter() - started
    share = sync.seconds / seconds
    return f"run of {N_WINDOWS} windows: {seconds:.1f} s, {sync.n_calls:,} syncs {sync.seconds:.2f} s: {share:.1%}"


def time_export(path: Path, output: Path) -> str:
    """Time an export, and the reading and comparing of digests in it."""
    check = Stopwatch()
    names = ("digest_values", "digest_bytes", "read_digests")
    started = time.perf_counter()
    with mock.patch.multiple(arrays, **{name: check.watch(getattr(arrays, name)) for name in names}):
        write_table(open_store(path).to_table(), output)
    seconds = time.perf_counter() - started
    return f"export: {seconds:.2f} s, digests {check.seconds:.3f} s: {check.seconds / seconds:.1%}"


def main() -> None:
    """Print a line for each measurement."""
    folder = Path(tempfile.mkdtemp())
    try:
        write_rows(folder / "rows.parquet")
        click.echo(time_run(folder / "rows.parquet", folder / "s"))
        for _ in range(N_ROUNDS):
            click.echo(time_export(folder / "s", folder / "maps.parquet"))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
