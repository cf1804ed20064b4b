"""Runs that are killed with -9 anywhere, and run again, end with the same bytes as one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline import open_store
from driftmap.pipeline.store.commits import has_commits

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.store import Store

N_WINDOWS, N_ROWS = 16, 150
VICTIMS = ("all", "coordinator", "worker")
KILLS = [
    *(pytest.param(victim, 0, marks=pytest.mark.slow, id=victim) for victim in VICTIMS),
    *(
        pytest.param(victim, number, marks=pytest.mark.long, id=f"{victim}-{number}")
        for number in range(1, 8)
        for victim in VICTIMS
    ),
]


def start_run(source: Path, store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "driftmap.pipeline.cli", "run", str(source), "--store", str(store)]
    options = {"by": "year", "id": "entity", "vectors": "v", "n-epochs": 60, "block-windows": 4, "workers": 2}
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(5)
    everyone = rng.normal(size=(N_ROWS, 8)).astype(np.float32)
    parts = []
    for window in range(N_WINDOWS):
        everyone = everyone + 0.1 * rng.normal(size=everyone.shape).astype(np.float32)
        present = np.sort(rng.choice(N_ROWS, N_ROWS - 20, replace=False))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(everyone[present].ravel()), 8)
        years = pa.array(np.full(len(present), 1990 + window))
        parts.append(pa.table({"year": years, "entity": pa.array(present), "v": vectors}))
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    pq.write_table(pa.concat_tables(parts), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """A run that nothing killed, and how long it took."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    started = time.monotonic()
    finish(start_run(source, path))
    return open_store(path), time.monotonic() - started


def read_positions(store: Store) -> list[bytes]:
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def kill(process: subprocess.Popen[str], victim: str) -> None:
    """Kill the whole run, its coordinator alone, or one of its workers, where it has not ended yet."""
    if process.poll() is None:
        if victim == "all":
            os.killpg(process.pid, signal.SIGKILL)
        elif victim == "coordinator":
            process.kill()
        else:
            children = psutil.Process(process.pid).children()
            for worker in [child for child in children if "spawn_main" in " ".join(child.cmdline())][:1]:
                worker.kill()
    if victim == "worker":
        finish(process)
    process.communicate(timeout=60)


def check_every_named_array(path: Path) -> int:
    """Read all that the log names, as a reader in the middle of a run would; returns the number of maps."""
    if not has_commits(path):
        return 0
    store = open_store(path)
    for window in store.state():
        if window.graph_attempt is not None:
            assert len(store.window_ids(window.index)) == window.n_rows
            assert len(store.knn_graph(window.index).indices) == window.n_rows
            assert store.fuzzy_graph(window.index).n_rows == window.n_rows
        if window.layout_attempt is not None:
            assert len(store.positions(window.index)) == window.n_rows
    return sum(window.layout_attempt is not None for window in store.state())


@pytest.mark.parametrize(("victim", "number"), KILLS)
def test_a_killed_run_ends_with_the_same_bytes(source, undisturbed, tmp_path, victim, number):
    expected, seconds = undisturbed
    moments = random.Random(f"{victim} {number}")
    for _ in range(1 if number == 0 else 2):
        process = start_run(source, tmp_path / "s")
        time.sleep(moments.uniform(0.2 * seconds, 0.9 * seconds))
        kill(process, victim)
        n_maps = check_every_named_array(tmp_path / "s")
        assert n_maps <= N_WINDOWS
    finish(start_run(source, tmp_path / "s"))
    store = open_store(tmp_path / "s")
    assert read_positions(store) == read_positions(expected)
    assert [window.status for window in store.state()] == [window.status for window in expected.state()]
    assert check_every_named_array(tmp_path / "s") == N_WINDOWS
