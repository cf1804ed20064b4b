"""A real SLURM cluster of one node runs what `deploy/slurm` has: `apt-get install slurm-wlm munge`, `driftmap[hpc]`.

By hand: `pytest -m long tests/deploy/test_slurm.py`, as root.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.deploy.clusters import write_walk
from tests.deploy.slurm_node import find_missing, run_node

from driftmap.pipeline import open_store, run
from driftmap.pipeline.executors.worker_process import find_cache_folder
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log.commits import has_commits

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(find_missing()), reason=f"SLURM is not installed: {', '.join(find_missing())}"),
    pytest.mark.skipif(os.getuid() != 0, reason="munged and slurmd are started as root"),
]

SLURM = Path(__file__).resolve().parents[2] / "deploy" / "slurm"
OPTIONS = {"by": "window", "id": "entity", "vectors": "vector", "n_epochs": 100, "block_windows": 4}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    running = run_node(folder)
    environment = next(running)
    # What compiled kernels there are spare the workers the minute that theirs would take.
    environment |= {"DRIFTMAP_KERNELS": str(find_cache_folder() / socket.gethostname() / "worker-0")}
    shared = {"DRIFTMAP_BIN": str(programs(folder)), "DRIFTMAP_SHARED": str(folder / "shared")}
    yield environment | shared | {"DRIFTMAP_INTERFACE": "lo", "DRIFTMAP_SCRATCH": str(folder / "scratch")}
    next(running, None)


def programs(folder):
    """`driftmap` and `dask` of this Python, whether or not driftmap is installed in it."""
    place = folder / "bin"
    place.mkdir()
    for name, module in (("driftmap", "driftmap.pipeline.cli.app"), ("dask", "dask")):
        (place / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (place / name).chmod(0o755)
    return place


@pytest.fixture(scope="module")
def source(request, tmp_path_factory):
    """Votes in the US House, by year; a walk where those data are not on this machine."""
    folder = tmp_path_factory.mktemp("data")
    try:
        windows, ids, _, _ = request.getfixturevalue("load_shared")("house_votes")
    except pytest.skip.Exception:
        walk = pq.read_table(write_walk(folder / "walk.parquet", n_windows=40, n_rows=800))
        pq.write_table(walk.rename_columns(["window", "entity", "vector"]), folder / "rows.parquet")
        return folder / "rows.parquet"
    table = {
        "window": np.concatenate([np.full(len(rows), t) for t, rows in enumerate(windows)]),
        "entity": [str(name) for names in ids for name in names],
        "vector": pa.array([row.tolist() for rows in windows for row in rows], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(table), folder / "rows.parquet")
    return folder / "rows.parquet"


@pytest.fixture(scope="module")
def alone(source, tmp_path_factory):
    return run(source, tmp_path_factory.mktemp("alone") / "maps", scheduler="serial", **OPTIONS)


def write_toml(folder, source):
    lines = [f"{name} = {json.dumps(value)}" for name, value in OPTIONS.items()]
    (folder / "run.toml").write_text("\n".join([f'source = "{source}"', f'store = "{folder / "maps"}"', *lines, ""]))
    return folder / "run.toml"


def submit(node, folder, toml):
    command = ["sbatch", "--parsable", "--ntasks=3", f"--output={folder / 'job.log'}", SLURM / "driftmap.sbatch", toml]
    done = subprocess.run(command, env=node, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def count_graphs(folder):
    if not has_commits(Location(folder / "maps")):
        return 0
    return sum(window.graph_attempt is not None for window in open_store(folder / "maps").state())


def wait_until(what, seconds=600):
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.2)
    return answer


def job_state(node, job):
    command = ["scontrol", "show", "job", job]
    shown = subprocess.run(command, env=node, capture_output=True, text=True, check=True).stdout
    return shown.split("JobState=")[1].split()[0]


def wait_for_end(node, job, folder):
    ends = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")
    state = wait_until(lambda: next((end for end in ends if job_state(node, job) == end), None))
    return state, (folder / "job.log").read_text(errors="replace")


def check_bytes(store, alone):
    assert store.is_complete
    for window in range(alone.n_windows):
        assert store.positions(window).tobytes() == alone.positions(window).tobytes()


def test_a_batch_job_that_is_cancelled_and_submitted_again_ends_with_the_same_bytes(node, source, alone, tmp_path):
    toml = write_toml(tmp_path, source)
    job = submit(node, tmp_path, toml)
    wait_until(lambda: count_graphs(tmp_path) >= 2)
    subprocess.run(["scancel", job], env=node, check=True)
    state, _ = wait_for_end(node, job, tmp_path)
    assert state == "CANCELLED"
    assert not open_store(tmp_path / "maps").is_complete
    state, log = wait_for_end(node, submit(node, tmp_path, toml), tmp_path)
    assert state == "COMPLETED", log
    check_bytes(open_store(tmp_path / "maps"), alone)


def test_a_batch_job_near_its_time_limit_goes_back_to_the_queue_and_on(node, source, alone, tmp_path):
    job = submit(node, tmp_path, write_toml(tmp_path, source))
    wait_until(lambda: count_graphs(tmp_path) >= 2)
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], env=node, check=True)  # as SLURM does by --signal
    wait_until(lambda: job_state(node, job) == "PENDING")
    assert not open_store(tmp_path / "maps").is_complete
    state, log = wait_for_end(node, job, tmp_path)
    assert state == "COMPLETED", log
    assert "back in the queue" in log
    check_bytes(open_store(tmp_path / "maps"), alone)
    assert list(Path(node["DRIFTMAP_SHARED"]).glob("job-*")) == []


def test_workers_as_jobs_of_which_one_is_cancelled(node, source, alone, tmp_path):
    pytest.importorskip("dask_jobqueue", reason="it comes with driftmap[hpc]")
    toml = write_toml(tmp_path, source)
    options = {"--jobs": "2", "--memory": "1GB", "--interface": "lo"}
    options |= {"--shared": str(tmp_path / "shared"), "--scratch": str(tmp_path / "scratch")}
    command = [sys.executable, SLURM / "run_jobs.py", toml, *(part for pair in options.items() for part in pair)]
    process = subprocess.Popen(command, env=node, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: count_graphs(tmp_path) >= 2 or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        queue = ["squeue", "--noheader", "--states=RUNNING", "--format=%A"]
        jobs = subprocess.run(queue, env=node, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["scancel", jobs[0]], env=node, check=True)
        output, _ = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, output
    check_bytes(open_store(tmp_path / "maps"), alone)
