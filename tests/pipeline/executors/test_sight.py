"""Workers that do not see the source or the store are named before any work: processes with mounts of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from distributed import Client

from driftmap.pipeline import ingest, plan, run
from driftmap.pipeline.executors.sight import find_faults, refuse_blind, refuse_blind_here, see_source, see_store
from driftmap.pipeline.executors.worker_process import WorkerError
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.store.create import prepare_location
from driftmap.pipeline.store.log.lock import hold_lock

DASK = Path(sys.executable).with_name("dask")
ROLES = {"by": "w", "id": "id"}
HIDE = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
"""Runs a command that sees an empty folder in the place of its first argument."""


def can_hide(folder):
    try:
        return subprocess.run([*HIDE, folder, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_table(n_windows=2):
    vectors = np.random.default_rng(0).normal(size=(30 * n_windows, 4))
    ids, windows = np.tile(np.arange(30), n_windows), np.repeat(np.arange(n_windows), 30)
    return pa.table({"id": ids, "w": windows, **{f"v{i}": vectors[:, i] for i in range(4)}})


@contextmanager
def start(*command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Give a client and a folder: its `in` is hidden from the worker of that name, `out` likewise; `near` sees both."""
    base = tmp_path_factory.mktemp("shared")
    if not can_hide(base):
        pytest.skip("this user may not make mounts")
    file = base / "scheduler.json"
    options = ("--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard")
    for name in ("in", "out"):
        (base / name).mkdir()
    with ExitStack() as stack:
        stack.enter_context(start(DASK, "scheduler", "--port", "0", *options))
        while not file.exists():
            time.sleep(0.1)
        for name, prefix in {"near": [], "in": [*HIDE, base / "in"], "out": [*HIDE, base / "out"]}.items():
            own = ("--name", name, "--nthreads", "1", "--no-nanny")
            stack.enter_context(start(*prefix, DASK, "worker", *own, *options))
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(3, timeout=120)
            yield client, base


def test_a_source_that_a_worker_cannot_see_is_refused_before_any_work(cluster):
    client, base = cluster
    pq.write_table(make_table(), base / "in/rows.parquet")
    asked = {"scheduler": client, "workers_on": ("near", "in"), **ROLES}
    store = base / "s.zarr"
    for call in (partial(plan, **asked), partial(run, store=store, n_epochs=10, **asked)):
        for source, why in ((base / "in/rows.parquet", "no such file"), (base / "in", "the folder .* has no Parquet")):
            said = rf"^1 of 2 workers cannot see the source {source} as this process does: in at tcp://127.* \({why}"
            with pytest.raises(WorkerError, match=said) as refused:
                call(source)
            assert "object storage" in str(refused.value)
            assert "\n" not in str(refused.value)
    assert not store.exists()
    assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0


def test_a_store_that_a_worker_cannot_see_is_refused_before_any_work(cluster):
    client, base = cluster
    (base / "rows").mkdir()
    pq.write_table(make_table(), base / "rows/0.parquet")
    store = base / "out/s.zarr"
    said = r"^1 of 2 workers cannot see the store .*s.zarr as this process does: out at tcp://127.* \(no such folder\)"
    asked, both = {"scheduler": client, "n_epochs": 10, **ROLES}, {"workers_on": ("near", "out")}
    for source in (base / "rows", make_table()):  # rows from Python lie in the store
        with pytest.raises(WorkerError, match=said):
            run(source, store, **asked, **both, scale="standard")
        assert not list((base / "out").iterdir())
    run(base / "rows", store, **asked, workers_on="near")
    pq.write_table(make_table(3).slice(60), base / "rows/1.parquet")
    with pytest.raises(WorkerError, match=said):
        ingest(store, scheduler=client, complete=True, **both)
    assert ingest(store, scheduler=client, complete=True, workers_on="near").new == ["2"]


def test_a_worker_that_joins_later_says_that_it_sees_nothing(tmp_path):
    pq.write_table(make_table(), tmp_path / "rows.parquet")
    sight = see_source(as_source(tmp_path / "rows.parquet", **ROLES).spec)
    refuse_blind_here(sight)
    refuse_blind_here.cache_clear()
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(WorkerError, match=r"^a worker cannot see the source .*:\d+ \(no such file or folder\)"):
        refuse_blind_here(sight)


def write_parquet(folder, n):
    pq.write_table(make_table(n), folder / "rows.parquet")


def write_zarr(folder, n):
    group = zarr.open_group(folder / "rows.zarr", mode="w")
    for name, values in (("vectors", np.ones((30 * n, 3))), ("id", np.arange(30 * n)), ("w", np.repeat(range(n), 30))):
        group.create_array(name, data=values)


def write_with_matrix(folder, n):
    pq.write_table(make_table(n).select(["id", "w"]), folder / "rows.parquet")
    np.save(folder / "v.npy", np.ones((30 * n, 3)))


@pytest.mark.parametrize(
    ("write", "name", "more", "gone"),
    [
        (write_parquet, "rows.parquet", {}, "rows.parquet"),
        (write_parquet, ".", {}, "rows.parquet"),
        (write_zarr, "rows.zarr", {}, "rows.zarr/zarr.json"),
        (write_with_matrix, "rows.parquet", {"vectors_file": "v.npy"}, "v.npy"),
    ],
)
def test_what_is_seen_of_each_kind_of_source(tmp_path, write, name, more, gone):
    write(tmp_path, 2)
    files = {key: tmp_path / value for key, value in more.items()}
    sight = see_source(as_source(tmp_path / name, **ROLES, **files).spec)
    assert find_faults(sight) == [""]
    (tmp_path / gone).rename(tmp_path / "away")
    assert find_faults(sight) != [""]
    (tmp_path / "away").rename(tmp_path / gone)
    if write is not write_zarr:  # Zarr's arrays may grow, and have no size to look at
        write(tmp_path, 3)
        assert find_faults(sight) == ["it has other files there"]


def test_a_growing_source_may_have_other_files(tmp_path):
    write_parquet(tmp_path, 2)
    sight = see_source(as_source(tmp_path, **ROLES).spec, may_grow=True)
    pq.write_table(make_table(3), tmp_path / "more.parquet")
    assert find_faults(sight) == [""]
    for file in tmp_path.glob("*.parquet"):
        file.unlink()
    assert "has no Parquet files" in find_faults(sight)[0]  # such as a mount that is missing


def test_rows_in_memory_need_no_look(tmp_path):
    assert see_source(as_source(make_table(), **ROLES).spec) == ()


def test_the_store_is_the_one_that_is_held_and_can_be_written(tmp_path):
    location = prepare_location(tmp_path / "s.zarr")
    with hold_lock(location) as lock:
        sight = see_store(location, lock)
        assert find_faults(sight) == [""]
        before = sorted(tmp_path.rglob("*"))
        file = location.folder / lock.sign[0]
        text = file.read_bytes()
        file.write_text(json.dumps({**json.loads(text), "token": "of another"}))
        assert find_faults(sight) == ["another folder is there"]
        file.write_bytes(b"[]")
        assert find_faults(sight) == ["another folder is there"]
        file.write_bytes(text)
        assert sorted(tmp_path.rglob("*")) == before


def test_a_worker_that_could_not_look_is_another_trouble(tmp_path):
    write_parquet(tmp_path, 2)
    sight = see_source(as_source(tmp_path, **ROLES).spec)
    refuse_blind(sight, {"tcp://a": ModuleNotFoundError("driftmap"), "tcp://b": [""]}, {"tcp://a": "a", "tcp://b": "b"})
