"""Clusters of a run: the same on every path, kept in the store with their lineage, and numbered for life."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.pipeline.damage import cut_log
from tests.pipeline.growing import OPTIONS, make_store, take_in, write_days
from tests.pipeline.look.planted import is_named
from tests.pipeline.look.planted_runs import run_planted
from tests.pipeline.merging import write_merging
from tests.pipeline.small_stores import SmallWindow
from tests.pipeline.small_stores import make_store as make_by_hand

from driftmap.pipeline import open_store, prune, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.layout import block_layout, clusters
from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.clusters import list_clusters
from driftmap.pipeline.look.run_codes import read_run
from driftmap.pipeline.store.verify import find_damage, find_orphans


def read_all(store):
    return [store.clusters(window.index).tolist() for window in store.state()]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_merging(tmp_path_factory.mktemp("data") / "rows.parquet", 7)


HOW = {"id": "id", "by": "window", "vectors": "v", "n_epochs": 8, "n_neighbors": 10, "lookahead": 2}


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    return run(source, tmp_path_factory.mktemp("runs") / "s", scheduler="serial", block_windows=2, **HOW)


def test_every_layout_and_every_block_give_the_same_clusters(source, whole, tmp_path):
    assert len({*whole.clusters(0).tolist()}) == 6
    assert [(row["window"], row["kind"]) for row in whole.lineage().to_pylist() if row["kind"] != "same"] == [
        ("4", "merge")
    ]
    others = [
        run(source, tmp_path / "blocks", scheduler="serial", block_windows=5, **HOW),
        run(source, tmp_path / "exchange", scheduler="serial", block_windows=2, layout="exchange", **HOW),
    ]
    for other in others:
        assert read_all(other) == read_all(whole)
        assert other.lineage() == whole.lineage()
        assert find_damage(other) == []


@pytest.mark.parametrize("n_threads", [1, 2])
def test_clusters_of_larger_windows_are_found_beside_a_layout_that_may_use_several_threads(
    source, whole, tmp_path, monkeypatch, n_threads
):
    monkeypatch.setattr(block_layout, "BESIDE_ROWS", 0)
    monkeypatch.setattr(block_layout, "count_threads", lambda: n_threads)
    threads, find = [], block_layout.find_missing

    def find_missing(*given, **options):
        threads.append(threading.current_thread())
        return find(*given, **options)

    monkeypatch.setattr(block_layout, "find_missing", find_missing)
    beside = run(source, tmp_path / "s", scheduler="serial", block_windows=2, **HOW)
    assert read_all(beside) == read_all(whole)
    assert beside.lineage() == whole.lineage()
    assert [beside.positions(index).tobytes() for index in range(7)] == [
        whole.positions(index).tobytes() for index in range(7)
    ]
    assert find_damage(beside) == []
    assert threads
    assert (threading.main_thread() in threads) == (n_threads == 1)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError])
def test_a_layout_that_is_stopped_waits_for_the_window_whose_clusters_are_being_found(
    source, tmp_path, monkeypatch, fault
):
    monkeypatch.setattr(block_layout, "BESIDE_ROWS", 0)
    monkeypatch.setattr(block_layout, "count_threads", lambda: 2)
    found, has_begun, is_stopping, follow = [], threading.Event(), threading.Event(), clusters.follow_and_write

    def follow_and_write(store, follower, index, *given, **options):
        has_begun.set()
        is_stopping.wait(30)
        found.append(index)
        return follow(store, follower, index, *given, **options)

    def stop(*given):
        has_begun.wait(30)
        threading.Timer(0.2, is_stopping.set).start()
        raise fault

    monkeypatch.setattr(clusters, "follow_and_write", follow_and_write)
    monkeypatch.setattr(block_layout, "lay_out_block", stop)
    with pytest.raises(fault):
        run(source, tmp_path / "s", scheduler="serial", block_windows=2, **HOW)
    assert found == [0], "no further window is begun"
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("driftmap-clusters")]
    monkeypatch.undo()
    assert run(source, tmp_path / "s", scheduler="serial", block_windows=2, **HOW).state()[6].layout_attempt


@pytest.mark.slow
def test_workers_give_the_same_clusters_as_one_process(source, whole, tmp_path):
    for layout in ("carry", "exchange"):
        made = run(source, tmp_path / layout, workers=2, block_windows=2, layout=layout, **HOW)
        assert read_all(made) == read_all(whole)


@pytest.mark.parametrize("layout", ["carry", "exchange"])
def test_a_run_that_goes_on_gives_the_same_clusters(source, whole, tmp_path, layout):
    made = run(source, tmp_path / "s", scheduler="serial", block_windows=2, layout=layout, **HOW)
    n_layouts = sum(json.loads(file.read_text())["kind"] == "layout" for file in (made.path / "commits").iterdir())
    assert n_layouts > 1
    cut_log(made.path, made.n_commits - n_layouts + 1)
    again = run(source, tmp_path / "s", scheduler="serial", block_windows=2, layout=layout, **HOW)
    assert read_all(again) == read_all(whole)
    assert again.lineage() == whole.lineage()


def test_the_table_of_maps_and_the_status_have_them(whole, capsys):
    table = whole.to_table()
    assert table["cluster"].to_numpy().tolist() == [number for window in read_all(whole) for number in window]
    assert run_command(["status", str(whole.path), "--json"]) == 0
    windows = json.loads(capsys.readouterr().out)["windows"]
    assert [window["clusters"]["n_clusters"] for window in windows] == [6, 6, 6, 6, 5, 5, 5]
    assert whole.lineage().column_names == ["window", "window_index", "kind", "old", "new", "rows"]


def test_a_label_column_of_that_name_keeps_it(tmp_path):
    make_store(tmp_path / "days", tmp_path / "s", 3)
    table = open_store(tmp_path / "s").to_table()
    assert {"cluster", "kind"} <= {*table.column_names}
    for file in (tmp_path / "days").glob("*.parquet"):
        whole = pq.read_table(file)
        pq.write_table(whole.rename_columns(["when", "who", "cluster", "v"]), file)
    renamed = run(tmp_path / "days", tmp_path / "t", scheduler="serial", **{**OPTIONS, "label": "cluster"})
    names = renamed.to_table().column_names
    assert {"cluster", "found_cluster"} <= {*names}
    assert set(renamed.to_table()["cluster"].to_pylist()) == {f"k{number}" for number in range(5)}


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    place = tmp_path_factory.mktemp("grown")
    make_store(place / "days", place / "store")
    return place


def test_final_windows_keep_their_numbers_while_others_come(grown, tmp_path):
    place = tmp_path / "p"
    shutil.copytree(grown, place)
    seen = {}
    for day in range(6, 10):
        store = open_store(place / "store")
        for window in store.state():
            if window.status == "final":
                now = store.clusters(window.index).tolist(), window.clusters["attempt"]
                assert seen.setdefault(window.label, now) == now
        write_days(place / "days", range(day, day + 1))
        take_in(place)
    store = open_store(place / "store")
    assert all(window.clusters for window in store.state())
    # one ingest of all days gives the same as one a day
    once = tmp_path / "once"
    shutil.copytree(grown, once)
    write_days(once / "days", range(6, 10))
    take_in(once)
    assert read_all(open_store(once / "store")) == read_all(store)


def test_pruning_keeps_clusters_and_drops_them_with_the_maps(grown, tmp_path):
    place = tmp_path / "p"
    shutil.copytree(grown, place)
    write_days(place / "days", range(6, 12))
    take_in(place)
    before = read_all(open_store(place / "store"))
    prune(place / "store", keep="3D")
    store = open_store(place / "store")
    assert read_all(store) == before
    assert find_damage(store) == []
    assert find_orphans(store) == {}
    prune(place / "store", keep="3D", embeddings=True)
    store = open_store(place / "store")
    with pytest.raises(StoreError, match="removed to save room"):
        store.clusters(0)
    assert find_damage(store) == []
    assert not [path for path in (place / "store" / "windows" / "00000000").rglob("clusters/*") if path.is_file()]
    assert store.lineage().num_rows > 0


def test_of_a_store_made_before_the_page_finds_them(tmp_path):
    groups = np.repeat([0, 20, 40], 30)
    rng = np.random.default_rng(0)
    places = np.column_stack([groups, np.zeros(90)]) + rng.normal(0, 0.5, (90, 2))
    windows = [SmallWindow(f"w{t}", np.arange(90), places + rng.normal(0, 0.02, (90, 2))) for t in range(3)]
    store = make_by_hand(tmp_path / "s", windows)
    with pytest.raises(StoreError, match="window 'w0' has no clusters"):
        store.clusters(0)
    assert store.lineage().num_rows == 0
    assert "cluster" not in store.to_table().column_names
    found = [clusters.of_row.tolist() for clusters in list_clusters(store, read_run(store))]
    assert found == [np.repeat([0, 1, 2], 30).tolist()] * 3


@pytest.mark.parametrize("kind", ["nothing", "merge", "split", "birth"])
@pytest.mark.parametrize("has_labels", [pytest.param(True, marks=pytest.mark.slow), False])
def test_what_is_planted_in_data_is_named_after_a_run(tmp_path, kind, has_labels):
    planted = run_planted(tmp_path, kind, 7, has_labels=has_labels, n_rows=40)
    run_ = read_run(planted.store)
    found = find_answers(planted.store, run_, 1.0).sentences
    assert is_named(planted, found), found
    assert {one.window for one in found} <= {planted.window}
