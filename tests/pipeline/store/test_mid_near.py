"""Mid-near rows in the store: they are there where the log says so, and stay where a graph is written again."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tests.pipeline.store.test_store import N_ROWS, add_graph, make_graph, make_store
from tests.pipeline.years import write_years

from driftmap.pipeline import explain, open_store, run
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import name_group, write_graph
from driftmap.pipeline.store.verify import find_damage


def test_mid_near_rows_are_there_where_the_log_says_so(tmp_path):
    store = make_store(tmp_path / "s.zarr")
    mid_near = np.random.default_rng(2).integers(-1, N_ROWS, (N_ROWS, 4)).astype(np.int32)
    for index in range(2):
        receipt = add_graph(store, index)
        if index:
            attempt = store.new_attempt(1)
            graph = make_graph(1)._replace(mid_near=mid_near)
            write_graph(attempt, np.arange(N_ROWS), {}, graph)
            receipt |= {"attempt": attempt.name, "label_columns": [], "has_mid_near": True}
        store.commit_graph(receipt)
    again = Store.open(store.path)
    assert again.read_mid_near(0) is None
    assert again.read_layout_input(0).mid_near is None
    np.testing.assert_array_equal(again.read_mid_near(1), mid_near)
    np.testing.assert_array_equal(again.read_layout_input(1).mid_near, mid_near)
    assert not find_damage(again)
    shutil.rmtree(tmp_path / "s.zarr" / name_group(1, attempt.name) / "mid_near")
    assert {damage.array for damage in find_damage(again)} == {"mid_near"}
    with pytest.raises(StoreError, match="array 'mid_near'"):
        Store.open(store.path).read_layout_input(1)


def test_a_graph_that_is_written_again_keeps_them(tmp_path):
    source = write_years(tmp_path / "years.parquet", 3, [f"e{row}" for row in range(40)], np.arange(40) % 3)
    options = {"by": "year", "id": "entity", "vectors": "v", "n_neighbors": 5, "n_epochs": 8, "scheduler": "serial"}
    store = run(source, tmp_path / "s", **options)
    before = [store.read_mid_near(window) for window in range(3)]
    assert all(rows is not None and rows.shape == (40, 4) for rows in before)
    explain(store.path, show=["party"], scheduler="serial")
    again = open_store(store.path)
    assert again.state()[1].graph_attempt != store.state()[1].graph_attempt
    for window in range(3):
        np.testing.assert_array_equal(again.read_mid_near(window), before[window])
    assert not find_damage(again)
