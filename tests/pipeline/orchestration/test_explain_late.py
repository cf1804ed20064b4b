"""`explain` where the source has more than the store: late rows, other files, rows that changed."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import OPTIONS, make_day, read_maps, take_in

from driftmap.pipeline import explain, open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.graphs import explain_task


def make_told_day(day, **how):
    table = make_day(day, **how)
    return table.append_column("note", pa.array([f"about {who}" for who in table["who"].to_pylist()]))


def spoil_numbers(table):
    bad = pa.FixedSizeListArray.from_arrays(pa.array(np.full(len(table) * 6, np.nan, dtype=np.float32)), 6)
    return table.set_column(3, "v", bad)


def drop_an_id(table):
    ids = table["who"].to_pylist()
    return table.set_column(1, "who", pa.array([None, *ids[1:]]))


LATE = {
    "good": make_told_day(2, n_rows=10, first=9000),
    "of ids that are there": make_told_day(2).slice(5, 10),
    "numbers missing": spoil_numbers(make_told_day(2, n_rows=10, first=9000)),
    "without an id": drop_an_id(make_told_day(2, n_rows=10, first=9000)),
    "no vectors": make_told_day(2, n_rows=10, first=9000).drop_columns(["v"]),
    "no texts": make_day(2, n_rows=10, first=9000),
    "one more column": make_told_day(2, n_rows=10, first=9000).append_column("more", pa.array(["x"] * 10)),
    "older": make_told_day(-9, n_rows=10, first=9000),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A store of nine days whose first five windows are final, made without texts."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "days").mkdir()
    for day in range(6):
        pq.write_table(make_told_day(day), folder / "days" / f"day-{day:03}.parquet")
    run(folder / "days", folder / "store", scheduler="serial", **OPTIONS)
    for day in range(6, 9):
        pq.write_table(make_told_day(day), folder / "days" / f"day-{day:03}.parquet")
    take_in(folder)
    return folder


@pytest.fixture
def place(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "p")
    return tmp_path / "p"


def fill(place):
    return explain(place / "store", place / "days", text="note", show="note", scheduler="serial")


def read_shown(store):
    return [(store.window_ids(t).tolist(), store.window_labels(t)["note"].tolist()) for t in range(store.n_windows)]


@pytest.mark.parametrize("has_ingested", [True, False])
@pytest.mark.parametrize("what", LATE)
def test_rows_that_came_late_are_left_out(place, what, has_ingested):
    before = open_store(place / "store")
    maps = read_maps(before)
    pq.write_table(LATE[what], place / "days" / "late.parquet")
    if has_ingested:
        take_in(place, on_bad="skip")
    done = fill(place)
    assert (done.filled, done.refused, done.left_out) == (before.labels, {}, [])
    store = open_store(place / "store")
    assert read_maps(store) == maps
    for ids, note in read_shown(store):
        assert note == [f"about {who}" for who in ids]
    assert fill(place).same == before.labels


def test_late_rows_are_left_out_of_windows_read_in_blocks(place, monkeypatch):
    pq.write_table(LATE["numbers missing"], place / "days" / "late.parquet")
    monkeypatch.setattr(explain_task, "find_block_rows", lambda *_given: 16)
    assert fill(place).filled == open_store(place / "store").labels


def test_late_rows_in_the_file_itself_are_left_out(tmp_path):
    file = tmp_path / "rows.csv"
    table = pa.concat_tables([make_told_day(day) for day in range(6)])
    numbers = np.stack(table["v"].to_pylist())
    for number in range(6):
        table = table.append_column(f"v{number}", pa.array(numbers[:, number]))
    table = table.drop_columns(["v"])
    pyarrow.csv.write_csv(table, file)
    run(file, tmp_path / "store", scheduler="serial", **OPTIONS)
    late = table.slice(60, 10).set_column(1, "who", pa.array([f"f{number}" for number in range(10)]))
    pyarrow.csv.write_csv(pa.concat_tables([table, late, table.slice(60, 3)]), file)
    done = explain(tmp_path / "store", text="note", scheduler="serial")
    assert (done.filled, done.refused) == (open_store(tmp_path / "store").labels, {})


def test_windows_whose_rows_changed_stay_as_they_are_and_are_named(place, capsys):
    changed = make_told_day(2, seed=1)
    pq.write_table(changed, place / "days" / "day-002.parquet")
    take_in(place)
    command = ["explain", str(place / "store"), str(place / "days"), "--text", "note", "--scheduler", "serial"]
    assert run_command(command) == 0
    said = capsys.readouterr().out
    assert "of 5 windows were filled in; 2 windows stay as they are, such as '2024-01-02': its rows are others" in said
    store = open_store(place / "store")
    assert [store.read_traits(t) is not None for t in range(7)] == [True, False, False, True, True, True, True]
    assert take_in(place, reopen=True).reopened == "2024-01-02"
    assert explain(place / "store", place / "days", scheduler="serial").same == store.labels
