"""A cluster of the user's own is after a run as it was before: scheduler, workers' settings, nothing kept."""

from __future__ import annotations

import time

import numpy as np
import pytest
from distributed import Client, LocalCluster, WorkerPlugin

from driftmap.pipeline import run
from driftmap.pipeline.errors import SourceError

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "2")


def look_at_worker(dask_worker):
    """Describe what a run could change in a worker's process; the libraries are loaded first."""
    import os

    import numba
    import pyarrow as pa
    import sklearn.neighbors  # noqa: F401 - its BLAS and OpenMP, and variables that it sets as it is imported
    from threadpoolctl import threadpool_info

    return {
        "environment": dict(os.environ),
        "cache": numba.config.CACHE_DIR,
        "numba": numba.get_num_threads(),
        "pool": pa.default_memory_pool().backend_name,
        "threads": {found["filepath"]: found["num_threads"] for found in threadpool_info()},
        "plugins": sorted(dask_worker.plugins),
    }


def look_at_scheduler(dask_scheduler):
    return {
        "worker plugins": sorted(dask_scheduler.worker_plugins),
        "scheduler plugins": sorted(dask_scheduler.plugins),
        "nanny plugins": sorted(dask_scheduler.nanny_plugins),
        "extensions": sorted(dask_scheduler.extensions),
        "preloads": len(dask_scheduler.preloads),
        "tasks": len(dask_scheduler.tasks),
    }


def look_at_cluster(client):
    """Describe a cluster flatly, so that a failure names what changed."""
    seen = {("scheduler", name): value for name, value in client.run_on_scheduler(look_at_scheduler).items()}
    for worker, report in client.run(look_at_worker).items():
        for group, value in report.items():
            entries = value.items() if isinstance(value, dict) else [("", value)]
            seen.update({(worker, group, name): entry for name, entry in entries})
    return seen


def find_changes(before, client):
    """Compare, for some seconds: what Dask could not cancel ends first, and tasks are forgotten a little later."""
    deadline = time.monotonic() + 20
    while True:
        after = look_at_cluster(client)
        names = before | after
        changes = {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
        if not changes or time.monotonic() > deadline:
            return changes
        time.sleep(0.1)


def make_source(n_windows=3):
    vectors = np.random.default_rng(0).normal(size=(40 * n_windows, 5))
    ids = np.tile(np.arange(40), n_windows)
    return {"vectors": vectors, "id": ids, "w": np.repeat(np.arange(n_windows), 40)}


@pytest.fixture(scope="module", params=["processes", "threads"])
def client(request):
    options = {"processes": True, "env": THREADS} if request.param == "processes" else {"processes": False}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", **options) as cluster,
        Client(cluster, set_as_default=False) as found,
    ):
        yield found


@pytest.mark.parametrize("layout", ["carry", "exchange"])
def test_after_a_run_the_cluster_is_as_before(client, tmp_path, layout):
    before = look_at_cluster(client)
    more = {"block_windows": 2} if layout == "exchange" else {}
    run(make_source(5), tmp_path / "s.zarr", by="w", id="id", scheduler=client, n_epochs=20, layout=layout, **more)
    assert find_changes(before, client) == {}


def test_after_a_run_that_failed_too(client, tmp_path):
    before = look_at_cluster(client)
    source = make_source()
    source["vectors"][50] = np.nan
    with pytest.raises(SourceError, match="hold NaN"):
        run(source, tmp_path / "s.zarr", by="w", id="id", scheduler=client, n_epochs=20)
    assert find_changes(before, client) == {}


def test_the_plugin_that_an_earlier_driftmap_left_is_removed(client, tmp_path):
    before = look_at_cluster(client)
    plugin = WorkerPlugin()
    plugin.name = "driftmap"
    client.register_plugin(plugin)
    assert "driftmap" in client.run_on_scheduler(look_at_scheduler)["worker plugins"]
    run(make_source(), tmp_path / "s.zarr", by="w", id="id", scheduler=client, n_epochs=20)
    assert find_changes(before, client) == {}


@pytest.mark.parametrize("client", ["processes"], indirect=True)  # a worker that is a thread does not start again
def test_workers_that_start_again_know_nothing_of_a_run(client):
    (before,) = client.run(look_at_worker).values()
    client.restart(timeout=120)
    client.wait_for_workers(1, timeout=120)
    (after,) = client.run(look_at_worker).values()
    for seen in (before, after):
        del seen["environment"]["PYTEST_CURRENT_TEST"]  # the process that starts workers has another one by now
    assert before == after
