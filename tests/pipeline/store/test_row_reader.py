"""Rows of a window read chunk by chunk, as whole arrays give them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import row_reader
from driftmap.pipeline.store.disk import arrays
from driftmap.pipeline.store.row_reader import RowReader

N = 50
ROWS = np.array([0, 3, 4, 17, 31, 48, 49])


def make_reader(path, monkeypatch, ids, chunk_bytes=64, **columns):
    monkeypatch.setattr(arrays, "MAX_CHUNK_BYTES", chunk_bytes)
    places = np.random.default_rng(0).normal(size=(len(ids), 2))
    store = make_store(path, [SmallWindow("a", ids, places, columns)])
    return store, RowReader(store, store.state()[0])


@pytest.mark.parametrize("ids", [np.arange(N) * 7 - 20, np.array([f"ïd {i}" for i in range(N)])], ids=["int", "text"])
def test_chosen_rows_are_those_of_the_whole_arrays(tmp_path, monkeypatch, ids):
    kinds = np.array([f"kind {i % 3}" for i in range(N)])
    store, reader = make_reader(tmp_path / "s.zarr", monkeypatch, ids, kind=kinds, weight=np.linspace(0, 1, N))
    assert reader.take_ids(ROWS).tolist() == store.window_keys(0)[ROWS].tolist()
    assert reader.take_positions(ROWS).tolist() == store.positions(0)[ROWS].tolist()
    assert reader.take_labels("kind", ROWS).tolist() == kinds[ROWS].tolist()
    assert reader.take_labels("weight", ROWS).tolist() == np.linspace(0, 1, N)[ROWS].tolist()
    parts = list(reader.list_positions())
    assert len(parts) > 3
    assert np.concatenate(parts).tolist() == store.positions(0).tolist()


def test_only_chunks_that_hold_chosen_rows_are_read(tmp_path, monkeypatch):
    _, reader = make_reader(tmp_path / "s.zarr", monkeypatch, np.arange(N))
    read = []
    real = arrays._read_chunk
    monkeypatch.setattr(arrays, "_read_chunk", lambda *given: read.append(given[2]) or real(*given))
    reader.take_positions(np.array([0, 1, 49]))
    assert read == ["c/0/0", "c/6/0"]


def test_marks_are_of_the_id_alone_and_spread_evenly(tmp_path, monkeypatch):
    wide, narrow = np.array([f"id {i}" for i in range(2000)]), np.array([f"id {i}" for i in range(10)])
    _, reader = make_reader(tmp_path / "a.zarr", monkeypatch, wide, chunk_bytes=2**12)
    marks = np.concatenate(list(reader.list_marks()))
    _, other = make_reader(tmp_path / "b.zarr", monkeypatch, narrow)
    assert np.concatenate(list(other.list_marks())).tolist() == marks[:10].tolist()
    assert len(np.unique(marks)) == 2000
    assert np.mean(marks < 2.0**62) == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("ids", [np.arange(N) * 7 - 20, np.array([f"ïd {i}" for i in range(N)])], ids=["int", "text"])
def test_ids_are_chosen_by_their_marks_whatever_the_parts(tmp_path, monkeypatch, ids):
    store, reader = make_reader(tmp_path / "s.zarr", monkeypatch, ids)
    monkeypatch.setattr(row_reader, "_ROWS_AT_ONCE", 3)
    marks = reader.take_marks(np.arange(N))
    limit = int(np.sort(marks)[20])
    rows = np.flatnonzero(marks <= limit)
    found = reader.choose_ids(limit)
    assert found.rows.tolist() == rows.tolist()
    assert found.marks.tolist() == marks[rows].tolist()
    assert found.ids.tolist() == store.window_keys(0)[rows].tolist()
    assert reader.choose_ids(2**64 - 1).rows.tolist() == [*range(N)]
    assert len(reader.choose_ids(int(marks.min()) - 1).ids) == 0


def test_numbers_of_any_width_have_the_same_marks(tmp_path, monkeypatch):
    _, small = make_reader(tmp_path / "a.zarr", monkeypatch, np.arange(N, dtype=np.int32))
    _, large = make_reader(tmp_path / "b.zarr", monkeypatch, np.arange(N, dtype=np.int64))
    assert np.concatenate(list(small.list_marks())).tolist() == np.concatenate(list(large.list_marks())).tolist()


def test_ids_are_found_by_how_they_begin_or_as_numbers(tmp_path, monkeypatch):
    _, texts = make_reader(tmp_path / "a.zarr", monkeypatch, np.array([f"ïd {i}" for i in range(N)]))
    assert texts.find_ids("ïd 4", 3).tolist() == [4, 40, 41]
    assert texts.find_ids("ïd 49", 3).tolist() == [49]
    assert texts.find_ids("d 4", 3).tolist() == []
    assert texts.find_ids("x" * 90, 3).tolist() == []
    _, numbers = make_reader(tmp_path / "b.zarr", monkeypatch, np.arange(N) - 5)
    assert numbers.find_ids("-3", 9).tolist() == [2]
    assert numbers.find_ids("x", 9).tolist() == []


def test_damage_is_named_with_its_window(tmp_path, monkeypatch):
    _, reader = make_reader(tmp_path / "s.zarr", monkeypatch, np.arange(N))
    chunk = next(path for path in (tmp_path / "s.zarr").rglob("c/1/0") if "positions" in str(path))
    chunk.write_bytes(chunk.read_bytes()[:-6] + b"xxxxxx")
    with pytest.raises(StoreError, match=r"window 'a'.*positions.*damaged"):
        list(reader.list_positions())
    assert len(reader.take_positions(np.array([0, 1]))) == 2


def test_a_window_without_a_map_is_refused(tmp_path):
    store = make_store(
        tmp_path / "s.zarr", [SmallWindow("a", np.arange(9), np.random.default_rng(0).normal(size=(9, 2)))]
    )
    state = store.state()[0]
    with pytest.raises(StoreError, match="no map yet"):
        RowReader(store, type(state)(**{**vars(state), "layout_attempt": None}))
