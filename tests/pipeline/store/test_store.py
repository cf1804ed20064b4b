"""The store: what is written comes back, damage is found and named, and the log alone is true."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from driftmap.engine.types import FuzzyGraph, KnnGraph, WindowGraph
from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.sources.readers.zarr.zarr_arrays import is_array, list_arrays, open_array
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import write_graph, write_positions
from driftmap.pipeline.store.disk.arrays import read_array, write_arrays
from driftmap.pipeline.store.log.commits import CommitConflictError, CommitLog
from driftmap.pipeline.store.log.state import FORMAT_VERSION

if TYPE_CHECKING:
    from pathlib import Path

N_ROWS = 6


def make_graph(seed: int = 0) -> WindowGraph:
    rng = np.random.default_rng(seed)
    knn = KnnGraph(
        rng.integers(0, N_ROWS, (N_ROWS, 3)).astype(np.int32), np.sort(rng.random((N_ROWS, 3)).astype(np.float32))
    )
    fuzzy = FuzzyGraph(
        np.arange(0, 2 * N_ROWS + 1, 2, dtype=np.int64),
        rng.integers(0, N_ROWS, 2 * N_ROWS).astype(np.int32),
        rng.random(2 * N_ROWS).astype(np.float32),
    )
    return WindowGraph(knn, fuzzy)


def make_store(path: Path, n_windows: int = 3) -> Store:
    windows = [
        {"label": f"year {2000 + w}", "n_rows": N_ROWS, "start": None, "end": None, "digest": "d"}
        for w in range(n_windows)
    ]
    return Store.create(path, config={"n_neighbors": 3}, windows=windows, fingerprint={"rows": 18})


def add_graph(store: Store, index: int, ids: np.ndarray | None = None) -> dict:
    attempt = store.new_attempt(index)
    ids = np.arange(N_ROWS) + index if ids is None else ids
    labels = {"party": np.array(["left", "right", "", "åland", "left", "left"])}
    n_bytes = write_graph(attempt, ids, labels, make_graph(index))
    return {
        "index": index,
        "label": attempt.label,
        "attempt": attempt.name,
        "n_rows": N_ROWS,
        "n_edges": 2 * N_ROWS,
        "has_ids": True,
        "label_columns": ["party"],
        "seconds": 0.5,
        "bytes": n_bytes,
    }


def add_layout(store: Store, block: int, final: list[int], provisional: list[int], by: str = "") -> dict:
    payload = {
        "block": block,
        "attempt": f"layout{block}{by}",
        "final": final,
        "provisional": provisional,
        "seconds": 1.0,
    }
    for index in final + provisional:
        positions = np.random.default_rng(index).random((N_ROWS, 2)).astype(np.float32)
        write_positions(store.new_attempt(index, payload["attempt"]), positions)
    return payload


@pytest.fixture
def store(tmp_path):
    store = make_store(tmp_path / "a store?#.zarr")
    for index in range(2):
        store.commit_graph(add_graph(store, index))
    store.commit_layout(add_layout(store, 0, [0], [1]))
    return store


@given(
    hnp.arrays(
        st.sampled_from(["i8", "i4", "f4", "f8", "?", "u1", "S4", "U5", ">f8", "M8[D]", "M8[ns]"]),
        hnp.array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=9),
        elements={"alphabet": st.characters(exclude_categories=["Cs"])},  # half characters, which sources refuse
    )
)
def test_arrays_come_back_as_they_were(tmp_path_factory, values):
    root = tmp_path_factory.mktemp("arrays")
    write_arrays(root, "group", {"values": values})
    found = read_array(root, "group/values", "window 'w'")
    assert len(found) == len(values)
    assert found.tobytes() == values.astype(found.dtype).tobytes()
    assert found.dtype.kind == values.dtype.kind


@pytest.mark.parametrize("shape", [(0, 2), (0,), (3, 0), (5, 2)])
def test_arrays_of_any_shape_come_back(tmp_path, shape):
    write_arrays(tmp_path, "group", {"values": np.ones(shape, dtype=np.float32)})
    assert read_array(tmp_path, "group/values", "w").shape == shape


def test_large_arrays_are_cut_along_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("driftmap.pipeline.store.disk.arrays.MAX_CHUNK_BYTES", 1000)
    values = np.arange(2000, dtype=np.int64).reshape(1000, 2)
    write_arrays(tmp_path, "group", {"values": values})
    assert len(list((tmp_path / "group/values/c").iterdir())) == 17
    np.testing.assert_array_equal(read_array(tmp_path, "group/values", "w"), values)


def test_zarr_alone_reads_a_store_and_finds_its_codecs(store):
    state = store.state()[0]
    group = zarr.open_group(store.path / f"windows/00000000/{state.graph_attempt}", mode="r")
    np.testing.assert_array_equal(group["ids"][...], np.arange(N_ROWS))
    codecs = json.loads((store.path / f"windows/00000000/{state.graph_attempt}/data/zarr.json").read_text())["codecs"]
    assert [codec["name"] for codec in codecs] == ["bytes", "blosc", "crc32c"]
    assert codecs[1]["configuration"]["cname"] == "lz4"
    assert codecs[1]["configuration"]["shuffle"] == "shuffle"


def test_what_is_committed_is_read(store):
    again = Store.open(store.path)
    assert again.labels == ["year 2000", "year 2001", "year 2002"]
    assert again.config == {"n_neighbors": 3}
    assert [window.status for window in again.state()] == ["final", "provisional", "planned"]
    ids, positions = again.embedding("year 2001")
    np.testing.assert_array_equal(ids, np.arange(1, N_ROWS + 1))
    np.testing.assert_array_equal(positions, np.random.default_rng(1).random((N_ROWS, 2)).astype(np.float32))
    for found, written in zip(again.fuzzy_graph(1), make_graph(1).fuzzy, strict=True):
        np.testing.assert_array_equal(found, written)
    for found, written in zip(again.knn_graph(1), make_graph(1).knn, strict=True):
        np.testing.assert_array_equal(found, written)
    assert again.window_labels(0)["party"].tolist() == ["left", "right", "", "åland", "left", "left"]
    assert not again.is_complete
    assert "3 windows (1 final, 1 provisional, 1 planned)" in repr(again)


def test_ids_of_bytes_come_back_as_text_where_they_are_text(tmp_path):
    store = make_store(tmp_path / "s")
    store.commit_graph(add_graph(store, 0, np.array(["a", "b", "ü", "", "e", "f"]).astype("U3")))
    store.commit_graph(add_graph(store, 1, np.array([b"a", b"\xff", b"c", b"d", b"e", b"f"])))
    assert store.window_ids(0).tolist() == ["a", "b", "ü", "", "e", "f"]
    assert store.window_ids(1).tolist() == [b"a", b"\xff", b"c", b"d", b"e", b"f"]


def test_the_table_holds_every_map(store):
    table = store.to_table()
    assert table.column_names == ["window", "window_index", "id", "x", "y", "status", "party"]
    assert table.num_rows == 2 * N_ROWS
    assert table["status"].to_pylist() == ["final"] * N_ROWS + ["provisional"] * N_ROWS
    assert table["x"].to_numpy().astype(np.float32)[0] == store.positions(0)[0, 0]
    assert store.to_table(["year 2001"])["window_index"].unique().to_pylist() == [1]
    assert make_store(store.path.parent / "empty").to_table().num_rows == 0


def test_a_reader_sees_commits_of_another_process_after_refresh(store):
    reader = Store.open(store.path)
    store.commit_graph(add_graph(store, 2))
    assert reader.state()[2].status == "planned"
    assert reader.refresh()
    assert reader.state()[2].status == "graph"
    assert not reader.refresh()


def test_nothing_counts_before_its_commit(store):
    add_graph(store, 2)
    add_layout(store, 1, [2], [])
    again = Store.open(store.path)
    assert again.state()[2].status == "planned"
    with pytest.raises(StoreError, match="'year 2002' has no graph yet"):
        again.fuzzy_graph(2)


def test_a_window_is_named_by_label_or_number(store):
    with pytest.raises(StoreError, match=r"no window 'yaer 2001'.*there are 3, such as \['year 2001'"):
        store.positions("yaer 2001")
    with pytest.raises(StoreError, match="window 3 is out of range: the store has windows 0 to 2"):
        store.positions(3)
    with pytest.raises(StoreError, match=r"'year 2002' has no map yet \(status: planned\)"):
        store.positions(np.int64(2))


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_named(store):
    damage(store.path / "windows/00000001/layout0/positions/c/0/0")
    with pytest.raises(StoreError, match=r"window 'year 2001': array .*positions.* is damaged"):
        Store.open(store.path).embedding(1)
    assert len(Store.open(store.path).embedding(0)[0]) == N_ROWS


def test_every_single_flipped_bit_of_a_chunk_is_found(tmp_path):
    write_arrays(tmp_path, "group", {"values": np.arange(5, dtype=np.int32)})
    chunk = tmp_path / "group/values/c/0"
    content = chunk.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        chunk.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"):
            read_array(tmp_path, "group/values", "w")


def test_a_missing_chunk_is_not_read_as_zeros(store):
    shutil.rmtree(store.path / "windows/00000001/layout0/positions/c")
    with pytest.raises(StoreError, match=r"window 'year 2001': array .*positions.* lacks its chunk c/0/0"):
        Store.open(store.path).positions(1)


def test_a_missing_array_is_named(store):
    shutil.rmtree(store.path / "windows/00000001/layout0")
    with pytest.raises(StoreError, match=r"window 'year 2001': array .*positions.* is missing"):
        Store.open(store.path).positions(1)


def test_chunks_of_zeros_are_written(tmp_path):
    write_arrays(tmp_path, "group", {"values": np.zeros(5)})
    assert (tmp_path / "group/values/c/0").is_file()
    assert read_array(tmp_path, "group/values", "w").tolist() == [0.0] * 5


def test_a_group_is_never_written_twice(tmp_path):
    write_arrays(tmp_path, "group", {"values": np.zeros(5)})
    with pytest.raises(StoreError, match=r"group of .* is there already"):
        write_arrays(tmp_path, "group", {"values": np.ones(5)})
    assert read_array(tmp_path, "group/values", "w").tolist() == [0.0] * 5


def test_objects_cannot_be_stored(tmp_path):
    with pytest.raises(StoreError, match="complex128 cannot be stored"):
        write_arrays(tmp_path, "group", {"values": np.zeros(5, dtype=complex)})


def test_a_store_of_a_newer_version_is_refused(store):
    path = store.path / "commits/00000000.json"
    content = json.loads(path.read_text())
    del content["checksum"], content["previous"]
    for later in sorted(path.parent.iterdir())[1:]:
        later.unlink()
    path.write_text(json.dumps({**content, "version": FORMAT_VERSION + 1, "driftmap": "9.1"}))
    with pytest.raises(StoreError, match=r"made by driftmap 9.1, is in store format 3; .*upgrade"):
        Store.open(store.path)


def test_a_commit_of_an_unknown_kind_is_refused(store):
    log = CommitLog(store.location)
    log.read_new()
    log.append("merge", {})
    with pytest.raises(StoreError, match=r"commit 4 .* unknown kind 'merge'"):
        Store.open(store.path)


def test_a_damaged_commit_is_named(store):
    (store.path / "commits/00000002.json").write_text("{")
    with pytest.raises(StoreError, match=r"00000002\.json is damaged"):
        Store.open(store.path)


def test_what_is_no_store_is_neither_opened_nor_touched(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/letter.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file"):
        with pytest.raises(StoreError, match="is not a driftmap store"):
            Store.open(tmp_path / name)
    with pytest.raises(StoreError, match=r"no store at .*: there is no such folder"):
        Store.open(tmp_path / "absent")
    with pytest.raises(StoreError, match="exists and is not a driftmap store"):
        make_store(tmp_path / "folder")
    with pytest.raises(StoreError, match="is a file"):
        make_store(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "letter.txt"]


def test_a_store_whose_making_was_cut_short_is_made_again(tmp_path):
    (tmp_path / "s/commits").mkdir(parents=True)
    (tmp_path / "s/commits/00000000.json#1").write_text('{"kind": "cre')
    (tmp_path / "s/source").mkdir()
    assert make_store(tmp_path / "s").n_windows == 3


def test_a_reader_cannot_commit(store):
    with pytest.raises(StoreError, match="reading only"):
        Store.open(store.path).commit_layout({"block": 1})


def test_a_second_writer_of_one_number_fails_and_looks_again(tmp_path):
    first, second = CommitLog(tmp_path), CommitLog(tmp_path)
    first.append("create", {"by": "first"})
    with pytest.raises(CommitConflictError, match="commit 0 is not ours"):
        second.append("create", {"by": "second"})
    assert [commit.payload["by"] for commit in second.read_new()] == ["first"]
    assert second.append("graph", {}).number == 1


def test_two_runs_on_one_store_share_the_work(store):
    other = Store.open(store.path, read_only=False)
    mine, theirs = add_graph(store, 2), add_graph(other, 2)
    assert other.commit_graph(theirs)
    assert not store.commit_graph(mine)
    assert store.state()[2].graph_attempt == theirs["attempt"]
    assert store.commit_layout(add_layout(store, 1, [1, 2], []))
    assert not other.commit_layout(add_layout(other, 1, [1, 2], [], by="other"))
    assert [window.status for window in other.state()] == ["final"] * 3
    assert other.n_commits == Store.open(store.path).n_commits == 6


def append_many(root: Path, writer: int) -> int:
    log = CommitLog(root)
    for number in range(25):
        while True:
            log.read_new()
            try:
                log.append("graph", {"writer": writer, "number": number})
                break
            except CommitConflictError:
                continue
    return writer


def test_four_processes_commit_at_once_and_nothing_is_lost(tmp_path):
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert sorted(pool.map(append_many, [tmp_path] * 4, range(4))) == list(range(4))
    commits = CommitLog(tmp_path).read_new()
    assert sorted((c.payload["writer"], c.payload["number"]) for c in commits) == [
        (w, n) for w in range(4) for n in range(25)
    ]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_users_zarr_data_are_opened(tmp_path, zarr_format):
    group = zarr.create_group(tmp_path / "data #1.zarr", zarr_format=zarr_format)
    group.create_array("vectors", data=np.ones((4, 2), dtype=np.float32), chunks=(2, 2))
    group.create_group("meta").create_array("year", data=np.arange(4), chunks=(2,))
    entries = list_arrays(tmp_path / "data #1.zarr")
    assert [(entry.name, entry.shape) for entry in entries] == [("meta/year", (4,)), ("vectors", (4, 2))]
    array = open_array(tmp_path / "data #1.zarr/meta/year")
    assert array[1:3].tolist() == [1, 2]
    assert is_array(tmp_path / "data #1.zarr/vectors")
    assert not is_array(tmp_path / "data #1.zarr")
    assert list_arrays(tmp_path / "data #1.zarr/vectors") == []
    with pytest.raises(SourceError, match=r"is a Zarr group.*name one of: meta/year, vectors"):
        open_array(tmp_path / "data #1.zarr")


def test_what_is_no_zarr_data_is_a_source_error(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, message in (("file", "is a file"), ("folder", "no Zarr array or group"), ("absent", "no such file")):
        with pytest.raises(SourceError, match=message):
            open_array(tmp_path / name)


@pytest.mark.parametrize(
    "fingerprint", ["x", [], None, {"stamps": "x"}, {"stamps": {"a": 3}}, {"stamps": {"a": ["x", 1]}}]
)
def test_a_fingerprint_that_is_no_table_is_damage(store, fingerprint):
    log = store.path / "commits"
    for file in sorted(log.iterdir()):
        content = json.loads(file.read_text())
        del content["checksum"], content["previous"]
        file.write_text(
            json.dumps({**content, "fingerprint": fingerprint} if file.name == "00000000.json" else content)
        )
    with pytest.raises(StoreError, match=r"commit 0 of the store is damaged .*fingerprint"):
        Store.open(store.path)
