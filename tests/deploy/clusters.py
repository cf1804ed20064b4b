"""A Dask cluster of processes, as `deploy/` starts one: a scheduler and workers of their own, here on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftmap.pipeline.executors.worker_process import find_cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

START_SECONDS = 90
"""For one process on a busy machine."""

HOSTS = Path(__file__).resolve().parents[2] / "deploy" / "hosts"


class Processes:
    """Starts processes in a folder, each with a log, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, command: Sequence[str], before: Sequence[str] = (), **environment: str) -> Path:
        """Start a command, led by `before` (such as one that enters a host); returns its log."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            self.started.append(
                subprocess.Popen(
                    [*before, *command],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=os.environ | environment,
                    start_new_session=True,
                )
            )
        return log

    def end(self, number: int) -> None:
        """End one of them at once, and all that it started."""
        process = self.started[number]
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)

    def end_all(self) -> None:
        """End them, the last one first; those that do not stop when asked are killed."""
        for process in reversed(self.started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for number, process in enumerate(self.started):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.end(number)


def wait_for_line(log: Path, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
    """Wait until a log has a line that matches."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {pattern!r} in {log}:\n{log.read_text(errors='replace')[-3000:]}")


def read_environment_file(path: Path) -> dict[str, str]:
    """Read a file of `deploy/hosts` as systemd does: NAME=value, comments on lines of their own."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def start_unit(
    processes: Processes, name: str, role: str, tls: Path, before: Sequence[str] = (), **changed: str
) -> Path:
    """Start what a systemd unit of `deploy/hosts` starts, with its environment file.

    Parameters
    ----------
    processes, name, before
        Passed to `Processes.start`.
    role
        `scheduler` or `worker`.
    tls
        Folder of its certificates, in place of `/etc/driftmap/tls`.
    **changed
        Lines of the environment file that a user would change.

    Returns
    -------
    Its log.
    """
    settings = read_environment_file(HOSTS / f"{role}.env")
    assert changed.keys() <= settings.keys() | {"PYTHONPATH"}
    settings = {key: value.replace("/etc/driftmap/tls", str(tls)) for key, value in settings.items()} | changed
    unit = (HOSTS / f"driftmap-{role}.service").read_text()
    line = re.search(r"^ExecStart=/opt/driftmap/bin/(.*)$", unit, re.MULTILINE)[1]
    program, *arguments = re.sub(r"\$\{(\w+)\}", lambda found: settings[found[1]], line).split()
    return processes.start(name, [sys.executable, "-m", program, *arguments], before, **settings)


def start_hosts(processes: Processes, certs: Path, workers: Sequence[str] = ("worker",), n_processes: int = 2) -> str:
    """Start a scheduler and hosts with workers, all on loopback; returns the scheduler's address."""
    quiet = {"LISTEN": "127.0.0.1", "PORT": "0", "DASHBOARD": "127.0.0.1:0"}
    log = start_unit(processes, "scheduler", "scheduler", certs / "scheduler", **quiet)
    address = wait_for_line(log, r"Scheduler at: +(tls://\S+)")[1]
    for name in workers:
        start_workers(processes, name, address, certs, n_processes)
    return address


def start_workers(
    processes: Processes,
    name: str,
    scheduler: str,
    certs: Path,
    n_processes: int,
    before: Sequence[str] = (),
    **changed: str,
) -> Path:
    """Start one host's workers, and wait until they are there."""
    changed |= {"SCHEDULER": scheduler, "WORKERS": str(n_processes), "SCRATCH": str(processes.folder / name)}
    log = start_unit(
        processes, name, "worker", certs / "worker", before, NUMBA_CACHE_DIR=str(find_cache_folder()), **changed
    )
    wait_for_line(log, r"(?s)" + r"Registered to: +tls://.*" * n_processes)
    return log


def write_walk(path: Path, n_windows: int = 6, n_rows: int = 90, n_dimensions: int = 8) -> Path:
    """Write entities that move at random, one window a step."""
    rng = np.random.default_rng(11)
    places = rng.normal(size=(n_rows, n_dimensions)).astype(np.float32)
    parts = []
    for step in range(n_windows):
        places = places + 0.1 * rng.normal(size=places.shape).astype(np.float32)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(places.ravel()), n_dimensions)
        parts.append(pa.table({"step": np.full(n_rows, step), "entity": np.arange(n_rows), "v": vectors}))
    pq.write_table(pa.concat_tables(parts), path)
    return path


WALK_OPTIONS = {"by": "step", "id": "entity", "vectors": "v", "n_neighbors": 8, "n_epochs": 30, "block_windows": 3}
