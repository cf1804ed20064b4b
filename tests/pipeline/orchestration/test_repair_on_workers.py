"""What is damaged of a store is made again by a cluster's workers, with the same bytes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tests.pipeline.damage import find_group, flip_a_bit, list_chunks
from tests.pipeline.years import write_years
from tests.workers import start_two_workers

from driftmap.pipeline import open_store, run
from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.orchestration import repair, stages
from driftmap.pipeline.store.verify import find_damage

OPTIONS = {"by": "year", "id": "entity", "vectors": "v", "n_neighbors": 5, "n_epochs": 8, "lookahead": 2,
           "alignment_window_size": 2, "block_windows": 2}  # fmt: skip
LOST = [(3, "positions"), (4, "positions"), (6, "positions"), (4, "clusters"), (5, "data")]


@pytest.fixture(scope="module")
def client():
    with start_two_workers() as found:
        yield found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    return write_years(path, 8, [f"e{row}" for row in range(40)], np.arange(40) % 3)


@pytest.fixture(scope="module", params=["carry", "exchange"])
def options(request):
    return {**OPTIONS, "layout": request.param}


@pytest.fixture(scope="module")
def whole(source, options, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftmap.pipeline.store.attempts.PACKED_BYTES", 0)  # as graphs of large windows lie
        return run(source, tmp_path_factory.mktemp("runs") / "whole", scheduler="serial", **options)


@pytest.fixture
def damaged(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "s")
    store = open_store(tmp_path / "s")
    for window, array in LOST:
        flip_a_bit(list_chunks(find_group(store, window, array) / array)[0])
    return store


def read_maps(store):
    return [
        (store.positions(index).tobytes(), store.clusters(index).tobytes(), store.fuzzy_graph(index).data.tobytes())
        for index in range(store.n_windows)
    ]


def refuse(*_given):
    raise AssertionError("lost maps are made again in the process that was called")


def test_workers_make_lost_maps_and_clusters_again(damaged, whole, source, options, client, monkeypatch):
    for name in ("remake_maps", "find_clusters_again"):
        monkeypatch.setattr(repair, name, refuse)  # workers are processes of their own
    store = run(source, damaged.path, scheduler=client, **options)
    assert find_damage(open_store(store.path)) == []
    assert read_maps(store) == read_maps(whole)


def test_where_no_worker_has_room_this_process_does(damaged, whole, source, options, client, monkeypatch):
    monkeypatch.setattr(stages, "share_block_bytes", lambda _limit, **_kind: 1000)
    monkeypatch.setattr(repair, "do_on_worker", refuse)
    with pytest.warns(PlanWarning, match="blocks are laid out in this process"):
        store = run(source, damaged.path, scheduler=client, **options)
    assert read_maps(store) == read_maps(whole)
