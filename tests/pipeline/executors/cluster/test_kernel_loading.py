"""Kernels on the workers of a user's cluster: begun ahead of the first task, and loaded once."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

import driftmap.engine
from driftmap.pipeline.executors.cluster import kernel_loading
from driftmap.pipeline.executors.worker_process import name_process

calls = []
is_let_go = threading.Event()

CALL = """
import json, sys
from driftmap.pipeline import run
seen = []
store = run({source!r}, {store!r}, scheduler={address!r}, progress=lambda state: seen.append(state.compiling_workers),
            id="id", vectors="v", rows=60, n_neighbors=5, n_epochs=8, layout={layout!r}, lookahead=1)
print(json.dumps([sorted(sys.modules), [store.positions(t).tobytes().hex() for t in range(store.n_windows)], seen]))
"""


def warm_up():
    is_let_go.wait(30)
    calls.append(threading.current_thread().name)


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(kernel_loading, "_found", [])
    kernel_loading._load_kernels.cache_clear()
    calls.clear()
    is_let_go.clear()


def test_kernels_that_are_being_loaded_are_waited_for_and_loaded_once():
    pickled = pickle.dumps(warm_up)
    kernel_loading.begin_loading("another process", 1, pickled)  # comes back at once
    assert not calls
    task = threading.Thread(target=kernel_loading.load_once, args=(1, pickled), name="task")
    is_let_go.set()
    task.start()
    for thread in [task, *(thread for thread in threading.enumerate() if thread.name == "driftmap-load")]:
        thread.join(30)
    assert len(calls) == 1


def test_a_cluster_in_the_clients_process_loads_nothing_ahead():
    before = set(threading.enumerate())
    kernel_loading.begin_loading(name_process(), 1, pickle.dumps(warm_up))
    assert set(threading.enumerate()) <= before


def test_what_had_to_be_compiled_is_known_after_it_was_begun(monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(driftmap.engine, "has_compiled_kernels", lambda: next(answers), raising=False)
    is_let_go.set()
    kernel_loading.begin_loading("another process", 1, pickle.dumps(warm_up))
    assert kernel_loading.are_compiled() is False
    assert kernel_loading.are_compiled() is False


@pytest.mark.slow
def test_the_client_of_a_cluster_loads_no_kernels_and_gets_the_same_maps(tmp_path):
    source = tmp_path / "rows.parquet"
    vectors = np.random.default_rng(0).normal(size=(240, 6)).astype(np.float32)
    columns = {"id": np.arange(240) % 60, "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)}
    pq.write_table(pa.table(columns), source)
    code = {"source": str(source), "layout": "exchange"}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        modules, maps, compiling = call(store=str(tmp_path / "there"), address=cluster.scheduler_address, **code)
    _, here, _ = call(store=str(tmp_path / "here"), address="serial", **code)
    assert not {"numba", "llvmlite", "scipy", "sklearn"} & {name.partition(".")[0] for name in modules}
    assert maps == here
    assert np.isfinite(np.frombuffer(bytes.fromhex(maps[0]), dtype=np.float32)).all()
    assert set(compiling) <= {0, 1}


def call(**given):
    done = subprocess.run([sys.executable, "-c", CALL.format(**given)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
