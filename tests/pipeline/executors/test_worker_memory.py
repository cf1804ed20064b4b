"""A worker of a user's own cluster that runs out of memory: the same bytes, or one line that names the window."""

from __future__ import annotations

import time

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster, WorkerPlugin
from tests.pipeline.growing import read_maps
from tests.pipeline.years import write_years

from driftmap.pipeline import open_store, run
from driftmap.pipeline.executors.worker_process import WorkerError

OPTIONS = {"by": "year", "id": "entity", "n_neighbors": 5, "n_epochs": 5, "block_windows": 2, "lookahead": 1}
N_WINDOWS = 4
MEMORY = 800 * 2**20
"""Of a worker; one that has loaded the kernels takes some 300 MB of it."""


class TakesMemory(WorkerPlugin):
    """Something else on a worker that takes its memory, when the graph of one window begins there.

    Parameters
    ----------
    window
        Its label.
    flag
        A file that says that it did; it does so once only.
    """

    name = "takes memory"

    def __init__(self, window, flag=None):
        self.window = window
        self.flag = flag

    def transition(self, key, start, finish, **_):
        if finish != "executing" or self.window not in str(key):
            return
        if self.flag is not None:
            if self.flag.exists():
                return
            self.flag.touch()
        self.taken = np.ones(MEMORY // 8)  # touched: memory that is only asked for counts for nothing
        time.sleep(60)  # until the nanny ends this process


@pytest.fixture
def source(tmp_path):
    return write_years(tmp_path / "years.parquet", N_WINDOWS, [f"e{number}" for number in range(40)])


@pytest.fixture
def client():
    """A cluster that gives a task up when the second worker that tried it died; Dask's own default is the fourth."""
    options = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": MEMORY, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(**options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.slow
def test_a_worker_that_once_runs_out_of_memory_changes_no_byte(client, source, tmp_path):
    flag = tmp_path / "taken"
    client.register_plugin(TakesMemory("2002", flag))
    store = run(source, tmp_path / "store", scheduler=client, **OPTIONS)
    assert flag.exists()
    undisturbed = run(source, tmp_path / "undisturbed", scheduler="serial", **OPTIONS)
    assert read_maps(store) == read_maps(undisturbed)


@pytest.mark.slow
def test_a_window_that_takes_all_memory_of_every_worker_is_named_in_one_line(client, source, tmp_path):
    client.register_plugin(TakesMemory("2002"))
    with pytest.raises(WorkerError, match=r"^window '200\d': .*memory.*make windows smaller") as raised:
        run(source, tmp_path / "store", scheduler=client, **OPTIONS)
    assert "window '2002'" in str(raised.value)  # perhaps as one that was sent with the first
    assert "\n" not in str(raised.value)
    # what was done stays, and the same command goes on where there is memory
    assert 0 < sum(window.graph_attempt is not None for window in open_store(tmp_path / "store").state()) < N_WINDOWS
    store = run(source, tmp_path / "store", scheduler="serial", **OPTIONS)
    undisturbed = run(source, tmp_path / "undisturbed", scheduler="serial", **OPTIONS)
    assert read_maps(store) == read_maps(undisturbed)
