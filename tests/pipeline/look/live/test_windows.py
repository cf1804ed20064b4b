"""Samples of windows: the same ids in every window, and all rows in the densities."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.look.live.served import N_ROWS, make_run, make_window
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.look.live.numbering import ColumnCodes, EntityNumbers
from driftmap.pipeline.look.live.windows import LiveWindows
from driftmap.pipeline.look.page_codec import unpack_page


@pytest.fixture
def store(tmp_path):
    return make_run(tmp_path / "run.zarr")


def test_the_same_ids_are_drawn_in_every_window_whatever_is_read_first(store):
    forwards, backwards = LiveWindows(store, 100), LiveWindows(store, 100)
    read = [set(forwards.read(t).names) for t in range(3)]
    assert [set(backwards.read(t).names) for t in (2, 1, 0)] == read[::-1]
    for t in range(3):
        everyone = set(make_window(t).ids.tolist())
        assert read[t] < everyone
        assert read[t] & set(make_window(0).ids.tolist()) == read[0] & everyone
        assert len(read[t]) == pytest.approx(100, abs=30)


def test_a_small_window_beside_large_ones_has_rows_of_the_same_ids(tmp_path):
    windows = LiveWindows(make_store(tmp_path / "run.zarr", [make_window(0), make_window(0, 40, label="small")]), 30)
    assert len(windows.read(0).rows) == pytest.approx(30, abs=12)
    assert len(windows.read(1).rows) == 8
    assert {name for name in windows.read(0).names if name < "id 00040"} <= set(windows.read(1).names)


def test_rows_are_those_of_the_store(store):
    windows = LiveWindows(store, 100)
    windows.read(1)
    window, sample = make_window(2), windows.read(2)
    header, streams = unpack_page(windows.encode(2))
    rows = [window.ids.tolist().index(name) for name in header["names"]]
    assert (np.cumsum(streams[header["entities"]]) - 1).tolist() == sample.entities.tolist()
    x, y, unit = header["frame"]
    places = np.column_stack([streams[header["x"]], streams[header["y"]]]) * unit + [x, y]
    assert places == pytest.approx(window.positions[rows], abs=unit)
    kind, weight, *_ = header["described"]
    assert [kind["values"][code] for code in streams[header["columns"][0]]] == window.columns["kind"][rows].tolist()
    codes = np.array(streams[header["columns"][1]])
    assert weight["low"] + weight["step"] * codes == pytest.approx(window.columns["weight"][rows], abs=weight["step"])


def test_densities_count_all_rows(store):
    assert LiveWindows(store, 20).read(0).density.sum() == N_ROWS


def test_an_entity_keeps_its_number(store):
    windows = LiveWindows(store, 100)
    numbers = [dict(zip(windows.read(t).names, windows.read(t).entities.tolist(), strict=True)) for t in (1, 0, 2)]
    for one in numbers[1:]:
        assert all(numbers[0][name] == number for name, number in one.items() if name in numbers[0])
    assert all((np.diff(windows.read(t).entities) > 0).all() for t in range(3))
    everyone = {number for one in numbers for number in one.values()}
    assert everyone == set(range(len(everyone)))


def test_rows_without_a_place_are_not_drawn(tmp_path):
    window = make_window(0)
    window.positions[5] = np.nan
    store = make_store(tmp_path / "run.zarr", [window])
    windows = LiveWindows(store)
    assert len(windows.read(0).rows) == N_ROWS - 1
    assert windows.read(0).density.sum() == N_ROWS - 1


def test_a_window_that_is_not_there_is_said(store):
    with pytest.raises(LookupError, match="no window 9"):
        LiveWindows(store).read(9)


def test_a_store_without_maps_is_refused(tmp_path):
    store = make_store(tmp_path / "run.zarr", [make_window(0)])
    store._state.windows[0] = type(store.state()[0])(**{**vars(store.state()[0]), "status": "graph"})
    with pytest.raises(StoreError, match=r"no window .* has a map"):
        LiveWindows(store)


def test_codes_of_labels_stay_when_new_ones_come():
    column = ColumnCodes("kind", np.array(["b", "a", "b"]))
    assert column.encode(np.array(["a", "b"])).tolist() == [0, 1]
    assert column.encode(np.array(["", "b", "c"])).tolist() == [2, 1, 3]
    assert column.describe()["values"] == ["a", "b", "(empty)", "c"]


def test_the_most_frequent_of_many_labels_come_first_and_the_rest_share_one():
    column = ColumnCodes("kind", np.repeat([f"k{i:02}" for i in range(20)], np.arange(1, 21)), 15, "no kind")
    assert column.describe()["values"] == [*(f"k{i:02}" for i in range(19, 4, -1)), "no kind"]
    assert column.encode(np.array(["new", "k19", "k02", "no kind"])).tolist() == [15, 0, 15, 15]


def test_scales_leave_room_for_later_windows():
    column = ColumnCodes("weight", np.array([0.0, 1.0, np.nan]))
    described, codes = column.describe(), column.encode(np.array([-1.5, 0.5, 2.5, np.nan, 1e9]))
    assert described["range"] == [0, 1]
    assert described["low"] + described["step"] * codes[:3] == pytest.approx([-1.5, 0.5, 2.5], abs=1e-3)
    assert codes[3] == -1
    assert column.encode(np.array(["text"])).tolist() == [-1]


def test_entities_are_numbered_as_they_come():
    numbers = EntityNumbers()
    assert sorted(numbers.number(np.array([7, 3, 9], dtype=np.uint64)).tolist()) == [0, 1, 2]
    assert numbers.number(np.array([8, 7], dtype=np.uint64)).tolist()[0] == 3
    assert len(numbers) == 4


def test_long_texts_can_be_labels(tmp_path):
    places = np.random.default_rng(0).normal(size=(9, 2))
    texts = np.array(["x" * 300 + str(i % 2) for i in range(9)], dtype=object)
    store = make_store(tmp_path / "run.zarr", [SmallWindow("a", np.arange(9), places, {"title": texts})])
    windows = LiveWindows(store)
    windows.read(0)
    assert len(windows.columns[0].values) == 2
