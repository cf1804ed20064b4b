"""Clusters that shrink while a run is at work: the same bytes, whoever goes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster

from driftmap.pipeline import run
from driftmap.pipeline.graphs import staging
from driftmap.pipeline.planning.estimates import reading

pytestmark = pytest.mark.slow

N_WINDOWS, N_ROWS = 8, 80
OPTIONS = {"by": "w", "id": "id", "n_neighbors": 6, "n_epochs": 10, "block_windows": 2}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(4)
    n_rows = N_WINDOWS * N_ROWS
    columns = {"w": np.repeat(np.arange(N_WINDOWS), N_ROWS), "id": np.tile(np.arange(N_ROWS), N_WINDOWS)}
    table = pa.table(columns | {f"v{axis}": rng.normal(size=n_rows) for axis in range(4)})
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    pq.write_table(table.take(pa.array(rng.permutation(n_rows))), path, row_group_size=20)
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    return read_all(run(source, tmp_path_factory.mktemp("whole") / "s", scheduler="serial", **OPTIONS))


def read_all(store):
    return [(w.label, w.rows_digest, store.positions(w.index).tobytes()) for w in store.state()]


@pytest.mark.parametrize(("stage", "how"), [("sort", "retired"), ("graphs", "scaled"), ("layout", "retired")])
def test_workers_that_leave_in_a_stage_change_nothing(source, undisturbed, tmp_path, monkeypatch, stage, how):
    monkeypatch.setattr(reading, "LEAST_EXCESS_BYTES", 0)
    monkeypatch.setattr(staging, "_LEAST_SPAN_BYTES", 400)
    left = []
    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:

        def shrink(state):
            if state.stage != stage or left:
                return
            names = list(client.scheduler_info(n_workers=-1)["workers"])
            if how == "retired":
                left.extend(client.retire_workers(names[:2], close_workers=True))
            else:
                cluster.scale(1)
                left.extend(names[:2])

        store = run(source, tmp_path / "s", scheduler=client, progress=shrink, **OPTIONS)
    assert len(left) == 2
    assert read_all(store) == undisturbed
    assert not store.n_staged_bytes
