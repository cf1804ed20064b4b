"""Clusters and starts that workers find ahead of a layout in the process that called: the bytes of one process."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from tests.workers import find_workers

from driftmap.pipeline import open_store, run
from driftmap.pipeline.executors.base import SerialExecutor
from driftmap.pipeline.layout import block_layout, work_ahead
from driftmap.pipeline.layout.job import LayoutJob
from driftmap.pipeline.store.verify import find_damage

pytestmark = pytest.mark.slow

N_WINDOWS, N_ROWS = 24, 60
OPTIONS = {"by": "w", "id": "id", "n_neighbors": 6, "n_epochs": 30, "block_windows": 3, "lookahead": 2}


def make_source():
    """Make windows of which each knows half of the rows of the one before."""
    rng = np.random.default_rng(0)
    middles = 4 * rng.normal(size=(3, 5))
    ids = np.concatenate([window * N_ROWS // 2 + np.arange(N_ROWS) for window in range(N_WINDOWS)])
    vectors = middles[ids % 3] + rng.normal(size=(len(ids), 5))
    return {"vectors": vectors.astype(np.float32), "id": ids, "w": np.repeat(np.arange(N_WINDOWS), N_ROWS)}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return read_all(run(make_source(), tmp_path_factory.mktemp("here") / "s", scheduler="serial", **OPTIONS))


@pytest.fixture
def no_clusters_here(monkeypatch):
    """In this process no clusters are found."""

    def refuse(*_given, **_options):
        raise AssertionError("clusters are found in the process that called")

    monkeypatch.setattr(block_layout, "find_missing", refuse)


def read_all(store):
    states = store.state()
    return [
        (
            store.positions(i).tobytes(),
            store.clusters(i).tobytes(),
            store.read_turnover_codes(states[i]) is not None and store.turnover(i).tobytes(),
            [states[i].clusters[name] for name in ("n_clusters", "n_known", "passages")],
            states[i].status,
            states[i].strength,
        )
        for i in range(store.n_windows)
    ]


@pytest.mark.usefixtures("no_clusters_here")
def test_workers_find_them_and_the_bytes_are_those_of_one_process(tmp_path, expected):
    store = run(make_source(), tmp_path / "s", workers=2, **OPTIONS)
    assert read_all(store) == expected
    assert find_damage(store) == []


@pytest.mark.parametrize("n_done", [0, 3, 9])
def test_a_run_that_was_stopped_goes_on_with_them(tmp_path, expected, n_done):
    class StoppedError(Exception):
        pass

    def stop(progress):
        if progress.stage == "layout" and progress.windows_done >= n_done:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(make_source(), tmp_path / "s", workers=2, progress=stop, **OPTIONS)
    assert not open_store(tmp_path / "s").is_complete
    assert read_all(run(make_source(), tmp_path / "s", workers=2, **OPTIONS)) == expected


@pytest.mark.usefixtures("no_clusters_here")
def test_a_worker_that_is_killed_meanwhile_costs_no_byte(tmp_path, expected, monkeypatch):
    killed = []
    usual = work_ahead.WorkAhead.advance

    def kill(self, **how):
        usual(self, **how)
        if self._running is not None and not killed:
            killed.extend(worker.pid for worker in find_workers(os.getpid()))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(work_ahead.WorkAhead, "advance", kill)
    store = run(make_source(), tmp_path / "s", workers=2, **OPTIONS)
    assert killed
    assert read_all(store) == expected


def test_without_workers_and_for_large_windows_one_process_does_all(tmp_path, monkeypatch):
    store = run(make_source(), tmp_path / "s", scheduler="serial", **OPTIONS)
    job = LayoutJob((), None, 2, 0)
    assert work_ahead.WorkAhead.begin(store, job, [], SerialExecutor()) is None
    assert work_ahead.WorkAhead.begin(store, job, [], object()) is not None
    monkeypatch.setattr(work_ahead, "ROWS_TOGETHER", N_ROWS - 1)
    assert work_ahead.WorkAhead.begin(store, job, [], object()) is None
