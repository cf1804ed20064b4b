"""The process that workers on this machine are forked from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.workers import find_fork_servers, find_workers

from driftmap.pipeline.executors import make_executor
from driftmap.pipeline.executors.base import Task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")

NO_KERNELS = """
import importlib, sys
from driftmap.pipeline.executors.fork_server import LOADED_AHEAD
for name in LOADED_AHEAD:
    importlib.import_module(name)
from numba.core.dispatcher import Dispatcher
ours = [module for name, module in sys.modules.items() if name.startswith("driftmap")]
assert len(ours) > 20
print([f"{module.__name__}.{name}" for module in ours for name, value in vars(module).items()
       if isinstance(value, Dispatcher)])
"""


def look_around():
    return os.getpid(), os.environ.get("SAID_LATER"), Path.cwd()


def test_workers_are_forked_from_a_process_without_threads(tmp_path, monkeypatch):
    with make_executor(workers=2) as executor:
        list(executor.map_unordered(look_around, [Task("first", ())]))
        (server,), workers = find_fork_servers(os.getpid()), find_workers(os.getpid())
        assert len(workers) == 2
        assert {worker.ppid() for worker in workers} == {server.pid}
        assert server.num_threads() == 1
    assert find_workers(os.getpid()) == []
    # A later run has the same server, and the environment and folder of its own time.
    monkeypatch.setenv("SAID_LATER", "yes")
    monkeypatch.chdir(tmp_path)
    with make_executor(workers=1) as executor:
        ((worker, said, folder),) = executor.map_unordered(look_around, [Task("second", ())])
        assert [process.pid for process in find_workers(os.getpid())] == [worker]
        assert (said, folder) == ("yes", tmp_path)
        assert find_fork_servers(os.getpid()) == [server]


def test_a_run_by_the_command_says_nothing_on_standard_error(tmp_path):
    years = np.repeat([2001, 2002], 40)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.random.default_rng(0).normal(size=80 * 4)), 4)
    pq.write_table(pa.table({"year": years, "id": np.tile(np.arange(40), 2), "v": vectors}), tmp_path / "p.parquet")
    command = [sys.executable, "-m", "driftmap.pipeline.cli.app", "run", "p.parquet", "--store", "s", "--by", "year"]
    command += ["--id", "id", "--vectors", "v", "--n-epochs", "5", "--workers", "2", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_loaded_ahead_has_no_kernels():
    # Their cache folder is chosen as they are imported, and every worker has its own.
    done = subprocess.run([sys.executable, "-c", NO_KERNELS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_workers_are_spawned_where_the_server_has_no_room_for_its_socket(tmp_path):
    # A socket's path has 107 characters at most.
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    code = "from driftmap.pipeline.executors.fork_server import start_fork_server as start; print(start())"
    for place, expected in ((folder, "spawn"), (tmp_path, "forkserver")):
        environment = {**os.environ, "TMPDIR": str(place)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.strip() == expected, done.stderr
