"""Memory of whole runs: the coordinator's with 100 and 1,000 windows, and everybody's with a source larger than memory.

python -m tests.benchmarks.bench_memory windows
python -m tests.benchmarks.bench_memory large --gigabytes 8 --kind parquet   # or zarr
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from tests.workers import find_workers

if TYPE_CHECKING:
    from collections.abc import Iterator

BAR = 1.1
"""The coordinator's peak with 1,000 windows, over that with 100."""
ROOT = Path(__file__).resolve().parents[2]


def write_source(path: Path, kind: str, n_windows: int, n_rows: int, n_features: int) -> None:
    """Write windows of the same ids, whose rows drift; never more than one is held."""
    windows = _make_windows(n_windows, n_rows, n_features)
    if kind == "zarr":
        group = zarr.open_group(path, mode="w", zarr_format=3)
        shape = n_windows * n_rows, n_features
        vectors = group.create_array("vectors", shape=shape, dtype="f4", chunks=(min(n_rows, 4096), n_features))
        ids = group.create_array("id", shape=shape[:1], dtype="i8", chunks=(n_rows,))
        for number, rows in enumerate(windows):
            part = slice(number * n_rows, (number + 1) * n_rows)
            vectors[part], ids[part] = rows, np.arange(n_rows)
        return
    schema = pa.schema([("id", pa.int64()), ("v", pa.list_(pa.float32(), n_features))])
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False) as writer:
        for rows in windows:
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), n_features)
            writer.write_table(pa.table([pa.array(np.arange(n_rows)), column], schema=schema))


def _make_windows(n_windows: int, n_rows: int, n_features: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, n_features)).astype(np.float32)[rng.integers(20, size=n_rows)] * np.float32(3)
    for _ in range(n_windows):
        rows = rows + rng.standard_normal(rows.shape, dtype=np.float32) * np.float32(0.3)
        yield rows


def watch_run(source: Path, store: Path, *options: str) -> tuple[int, int, float]:
    """Run the command line; returns the peak of the coordinator, of any worker, and seconds."""
    command = [
        sys.executable,
        "-m",
        "driftmap",
        "run",
        str(source),
        "--store",
        str(store),
        "--id",
        "id",
    ]
    started = time.perf_counter()
    process = subprocess.Popen([*command, *options], cwd=ROOT)
    coordinator = psutil.Process(process.pid)
    peaks = {"coordinator": 0, "worker": 0}
    while process.poll() is None:
        time.sleep(0.2)
        try:
            peaks["coordinator"] = max(peaks["coordinator"], _peak_bytes(coordinator))
            for worker in find_workers(process.pid):
                peaks["worker"] = max(peaks["worker"], _peak_bytes(worker))
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
    if process.returncode:
        raise click.ClickException(f"the run ended with {process.returncode}")
    return peaks["coordinator"], peaks["worker"], time.perf_counter() - started


def _peak_bytes(process: psutil.Process) -> int:
    # As Linux counts it, so that nothing is missed between two looks.
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


@click.group()
def main() -> None:
    """Measure memory."""


@main.command()
@click.option("--n-epochs", type=int, default=200)
@click.option("--folder", type=click.Path(path_type=Path))
@click.option("--many", type=int, default=1_000)
def windows(n_epochs: int, folder: Path | None, many: int) -> None:
    """Compare the coordinator's peak with 100 windows of 2,000 rows and with 1,000."""
    peaks = {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for n_windows in (100, many):
            source = Path(place) / f"{n_windows}.parquet"
            write_source(source, "parquet", n_windows, 2_000, 16)
            options = ("--rows", "2000", "--n-epochs", str(n_epochs), "--workers", "2")
            peaks[n_windows], worker, seconds = watch_run(source, Path(place) / f"{n_windows}.zarr", *options)
            click.echo(
                f"{n_windows} windows: coordinator {peaks[n_windows] / 1e6:.0f} MB, worker {worker / 1e6:.0f} MB, "
                f"{seconds:.0f} s, {seconds / n_windows:.3f} s a window"
            )
    click.echo(f"{many} windows to 100: {peaks[many] / peaks[100]:.3f} (bar {BAR})")


@main.command()
@click.option("--gigabytes", type=float, default=8.0)
@click.option("--kind", type=click.Choice(["parquet", "zarr"]), default="parquet")
@click.option("--n-rows", type=int, default=2_000)
@click.option("--n-features", type=int, default=1_024)
@click.option("--n-epochs", type=int, default=50)
@click.option("--worker-memory", default="1.5GB")
@click.option("--folder", type=click.Path(path_type=Path))
def large(
    gigabytes: float,
    kind: str,
    n_rows: int,
    n_features: int,
    n_epochs: int,
    worker_memory: str,
    folder: Path | None,
) -> None:
    """Run a source larger than the workers' memory to the end."""
    n_windows = max(2, round(gigabytes * 1e9 / (n_rows * n_features * 4)))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        free = shutil.disk_usage(place).free
        if free < 2.5e9 * gigabytes:
            raise click.ClickException(f"{free / 1e9:.0f} GB are free in {place}; {2.5 * gigabytes:.0f} GB are needed")
        source = Path(place) / f"large.{kind}"
        write_source(source, kind, n_windows, n_rows, n_features)
        on_disk = sum(file.stat().st_size for file in [source, *source.rglob("*")] if file.is_file())
        click.echo(f"{kind}: {n_windows} windows of {n_rows:,} x {n_features}, {on_disk / 1e9:.2f} GB")
        options = ("--rows", str(n_rows), "--n-epochs", str(n_epochs), "--workers", "2", "--memory-limit", "1GB")
        peaks = watch_run(source, Path(place) / "maps.zarr", *options, "--worker-memory", worker_memory)
        click.echo(f"coordinator {peaks[0] / 1e6:.0f} MB, worker {peaks[1] / 1e6:.0f} MB, {peaks[2]:.0f} s")


if __name__ == "__main__":
    main()
