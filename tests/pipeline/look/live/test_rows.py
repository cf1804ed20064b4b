"""Single rows of a large store: those in a rectangle, facts of one, and an id in all windows."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.look.live.served import N_ROWS, make_run, make_window
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.live import rows as live_rows
from driftmap.pipeline.look.live.rows import LiveRows
from driftmap.pipeline.look.live.windows import LiveWindows
from driftmap.pipeline.look.page_codec import unpack_page

EVERYWHERE = (-1e6, 1e6, -1e6, 1e6)


@pytest.fixture
def store(tmp_path):
    return make_run(tmp_path / "run.zarr")


def make_rows(store, sample_rows=50, tile_rows=1000):
    windows = LiveWindows(store, sample_rows)
    return windows, LiveRows(store, windows, tile_rows)


def read_tile(rows, index, box, c=0):
    header, streams = unpack_page(rows.encode_tile(index, box, c))
    places = np.column_stack([streams[header["x"]], streams[header["y"]]]) / header["fineness"]
    return header, streams[header["rows"]], places, None if header["codes"] is None else streams[header["codes"]]


def test_a_rectangle_has_the_rows_that_the_sample_lacks(store):
    windows, rows = make_rows(store)
    sample = windows.read(1)
    header, found, places, codes = read_tile(rows, 1, EVERYWHERE)
    assert header["is_whole"]
    assert sorted([*found, *sample.rows]) == [*range(N_ROWS)]
    x, y, unit = unpack_page(windows.encode(1))[0]["frame"]
    assert places * unit + [x, y] == pytest.approx(make_window(1).positions[found], abs=unit)
    kinds = np.array(header["described"][0]["values"])[codes]
    assert kinds.tolist() == make_window(1).columns["kind"][found].tolist()


def test_only_rows_inside_are_given(store, monkeypatch):
    monkeypatch.setattr(live_rows, "_ROWS_AT_ONCE", 30)
    windows, rows = make_rows(store)
    sample = windows.read(0)
    box = (0, 5000, -2000, 2000)
    header, found, places, _ = read_tile(rows, 0, box)
    assert 20 < header["n_inside"] < N_ROWS
    assert ((places[:, 0] >= 0) & (places[:, 0] <= 5000) & (np.abs(places[:, 1]) <= 2000)).all()
    inside = (sample.places >= [0, -2000]).all(axis=1) & (sample.places <= [5000, 2000]).all(axis=1)
    assert len(found) + inside.sum() == header["n_inside"]


def test_of_too_many_rows_the_same_share_is_given_wherever_one_looks(store, monkeypatch):
    monkeypatch.setattr(live_rows, "_ROWS_AT_ONCE", 30)
    _, rows = make_rows(store, sample_rows=20, tile_rows=40)
    header, found, _, _ = read_tile(rows, 0, EVERYWHERE)
    assert not header["is_whole"]
    assert header["n_inside"] == N_ROWS
    assert 20 < len(found) < 70
    again = read_tile(rows, 0, (-1e5, 1e5, -1e6, 1e6))[1]
    assert again.tolist() == found.tolist()


def test_an_empty_rectangle_and_columns_that_are_not_there(store):
    _, rows = make_rows(store)
    assert len(read_tile(rows, 0, (20_000, 20_001, 0, 1))[1]) == 0
    assert read_tile(rows, 0, EVERYWHERE, c=-1)[3] is None
    assert read_tile(rows, 0, EVERYWHERE, c=-2)[3] is None
    assert read_tile(rows, 0, EVERYWHERE, c=99)[3] is None


def test_a_row_tells_its_id_labels_and_shown_columns(tmp_path):
    places = np.random.default_rng(0).normal(size=(9, 2))
    texts = np.array([f"https://example.org/{i}" for i in range(9)])
    window = SmallWindow("a", np.arange(9), places, {"kind": np.repeat(["x"], 9), "link": texts})
    store = make_store(tmp_path / "run.zarr", [window], config={"source": {"show": ["link"]}})
    windows, rows = make_rows(store)
    windows.read(0)
    assert [column.name for column in windows.columns] == ["kind"]
    said = rows.describe_row(0, 4)
    assert said == {"name": "4", "labels": [["kind", "x"]], "details": [["link", "https://example.org/4", ""]]}
    with pytest.raises(LookupError, match="no row 9"):
        rows.describe_row(0, 9)


def test_ids_are_found_in_the_window_that_is_shown_first(store):
    _, rows = make_rows(store)
    found = rows.find("id 0000", 1)["found"]
    assert found[0][:2] == ["id 00001", 1]
    assert len(found) == 10
    assert rows.find("id 10000", 0)["found"] == [["id 10000", 1, 0]]
    assert rows.find("nobody", 0)["found"] == []


def test_an_id_is_followed_into_other_windows(store):
    windows, rows = make_rows(store)
    here, there = rows.follow(1, 1, 7), rows.follow(2, 1, 7)
    assert here["row"] == there["row"] == 7
    assert here["entity"] == there["entity"]
    assert here["name"] == there["name"] == "id 00007"
    unit = windows.frame.half / 8191
    place = np.array(there["place"]) * unit + windows.frame.centre
    assert place == pytest.approx(make_window(2).positions[7], abs=unit)
    assert rows.follow(1, 0, 0) == {"row": None}
    with pytest.raises(LookupError, match="no row"):
        rows.follow(1, 0, -1)


def test_an_id_of_the_sample_keeps_its_number(store):
    windows, rows = make_rows(store)
    sample = windows.read(1)
    assert rows.follow(1, 1, int(sample.rows[5]))["entity"] == sample.entities[5]
