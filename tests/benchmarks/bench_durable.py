"""What it costs that a store cannot lie: syncs in a run of 100 windows, digests in an export.

Run by hand: `python -m tests.benchmarks.bench_durable`. Syncs are a share of the run's own time, exports are compared
in turn in one process; thresholds: 10 % of the run, 5 % of the export.
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
from driftmap.pipeline.store.disk import arrays
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.tables.table_files import write_table

if TYPE_CHECKING:
    from collections.abc import Callable

N_WINDOWS, N_ROWS, N_AXES = 100, 2_000, 16
N_ROUNDS = 25


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
    with mock.patch.object(Location, "_sync", sync.watch(Location._sync)):
        run(source, path, by="w", id="id", scheduler="serial")
    seconds = time.perf_counter() - started
    share = sync.seconds / seconds
    return f"run of {N_WINDOWS} windows: {seconds:.1f} s, {sync.seconds:.2f} s in syncs: {share:.1%}"


class Anything:
    """A digest that agrees with every other."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None


def compare_exports(path: Path, output: Path) -> str:
    """Compare CPU seconds of exports with digests and without, in turn in this process."""

    def export() -> float:
        started = time.process_time()
        write_table(open_store(path).to_table(), output)
        return time.process_time() - started

    export()
    checked, unchecked = [], []
    for _ in range(N_ROUNDS):
        checked.append(export())
        with mock.patch.object(arrays, "_digest_encoded", return_value=Anything()):
            unchecked.append(export())
    usual, bare = min(checked), min(unchecked)  # whatever else the machine does only adds to it
    return f"export: {usual:.3f} CPU s with digests, {bare:.3f} without: {usual / bare - 1:+.1%} (least of {N_ROUNDS})"


def main() -> None:
    """Print a line for each measurement."""
    folder = Path(tempfile.mkdtemp())
    try:
        write_rows(folder / "rows.parquet")
        click.echo(time_run(folder / "rows.parquet", folder / "s"))
        click.echo(compare_exports(folder / "s", folder / "maps.parquet"))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
