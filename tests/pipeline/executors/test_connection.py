"""One connection to a cluster for all that a run asks of it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.workers import start_two_workers

from driftmap.pipeline import plan, run
from driftmap.pipeline.executors import make_executor
from driftmap.pipeline.executors.cluster import dask_client
from driftmap.pipeline.executors.connection import keep_connection

pytestmark = pytest.mark.slow

ROWS = {
    "vectors": np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32),
    "id": np.arange(60) // 3,
    "w": np.arange(60) % 3,
}


@pytest.fixture(scope="module")
def address():
    with start_two_workers() as client:
        yield client.scheduler.address


@pytest.fixture
def connected(monkeypatch):
    """Clients that were connected."""
    clients = []
    usual = dask_client._connect

    def connect(scheduler):
        clients.append(usual(scheduler))
        return clients[-1]

    monkeypatch.setattr(dask_client, "_connect", connect)
    return clients


def test_who_asks_for_a_kept_one_gets_the_same_until_it_ends_and_another_where_it_was_lost(address, connected):
    with keep_connection(address):
        assert connected == []  # none before it is asked for
        with dask_client.reach(address) as first, dask_client.reach(address) as second:
            assert first is second
        assert first.status == "running"
        with keep_connection("tcp://127.0.0.1:1"), dask_client.reach(address) as other:
            assert other is not first
        assert other.status == "closed"
        first.close()
        with dask_client.reach(address) as third:
            assert third.status == "running"
    assert third.status == "closed"
    assert connected == [first, other, third]


def test_a_run_and_a_plan_connect_once(address, connected, tmp_path):
    options = {"by": "w", "id": "id", "n_neighbors": 3, "n_epochs": 10}
    plan(ROWS, scheduler=address, **options)
    assert len(connected) == 1
    run(ROWS, tmp_path / "s", scheduler=address, **options)
    assert [client.status for client in connected] == ["closed", "closed"]


def test_workers_of_this_machine_have_a_dashboard_where_it_is_asked_for(monkeypatch):
    pytest.importorskip("bokeh", reason="bokeh is not installed: pip install 'driftmap[dashboard]'")
    for name in [name for name in sys.modules if name.startswith("distributed.dashboard.scheduler")]:
        monkeypatch.delitem(sys.modules, name)
    with make_executor(None, workers=1):
        assert "distributed.dashboard.scheduler" not in sys.modules
    with make_executor(None, workers=1, on_dashboard=lambda _: None):
        assert "distributed.dashboard.scheduler" in sys.modules
