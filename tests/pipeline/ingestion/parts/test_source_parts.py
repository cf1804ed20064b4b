"""Sources that grow in other ways than by files: functions and tables from Python, Zarr arrays, values of a column."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import zarr
from tests.pipeline.growing import N_ROWS, OPTIONS, make_day, make_store, read_maps, write_days

from driftmap.pipeline import ingest, open_store, place, run
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.ingestion.ingest import BadRowsError

SERIAL = {"scheduler": "serial"}


@pytest.fixture(scope="module")
def by_files(tmp_path_factory):
    """Maps of the same days that came as files."""
    folder = tmp_path_factory.mktemp("files")
    make_store(folder / "days", folder / "store")
    write_days(folder / "days", range(6, 10))
    ingest(folder / "store", **SERIAL)
    return folder


def test_a_function_is_asked_for_what_came_since(by_files, tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    asked = []

    def fetch(since):
        asked.append(since)
        days = [make_day(day) for day in range(10)]
        everything = pa.concat_tables(days)
        return everything.filter(pc.greater(everything["when"], pa.scalar(since.replace(tzinfo=None))))

    report = ingest(tmp_path / "store", source=fetch, **SERIAL)
    assert asked == [datetime(2024, 1, 6, 23, 59, tzinfo=UTC)]
    assert report.new == ["2024-01-06", "2024-01-07", "2024-01-08"]
    assert read_maps(open_store(tmp_path / "store")) == read_maps(open_store(by_files / "store"))
    assert ingest(tmp_path / "store", source=fetch, **SERIAL).did_nothing
    assert asked[-1] == datetime(2024, 1, 10, 23, 59, tzinfo=UTC)
    assert ingest(tmp_path / "store", source=lambda since: None, **SERIAL).did_nothing
    assert place(tmp_path / "store", make_day(20)).num_rows == N_ROWS


def test_tables_may_be_given_day_by_day(by_files, tmp_path):
    days = pa.concat_tables([make_day(day) for day in range(6)])
    run(days, tmp_path / "store", scheduler="serial", **OPTIONS)
    for day in range(6, 10):
        ingest(tmp_path / "store", source=make_day(day), **SERIAL)
        assert ingest(tmp_path / "store", source=make_day(day), **SERIAL).did_nothing  # the same rows once more
    assert open_store(tmp_path / "store").labels == open_store(by_files / "store").labels
    assert len(list((tmp_path / "store" / "inbox").iterdir())) == 4
    assert ingest(tmp_path / "store", **SERIAL).did_nothing
    late = make_day(8, n_rows=6, first=9000)
    assert ingest(tmp_path / "store", source=late, **SERIAL).rebuilt == ["2024-01-08"]


def test_rows_from_python_need_the_columns_of_the_run(tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    with pytest.raises(SourceError, match="no column 'who'"):
        ingest(tmp_path / "store", source=make_day(6).drop_columns(["who"]), **SERIAL)
    bad = make_day(6).to_pydict()
    bad["v"][3][2] = float("nan")
    table = make_day(6).set_column(3, "v", pa.array(bad["v"], pa.list_(pa.float32(), 6)))
    ingest(tmp_path / "store", source=table, **SERIAL)
    with pytest.raises(BadRowsError, match=r"inbox/00000000-.*row 3"):
        ingest(tmp_path / "store", source=make_day(7), **SERIAL)
    report = ingest(tmp_path / "store", quarantine=tmp_path / "aside", **SERIAL)
    assert [name.split("-")[0] for name in report.quarantined] == ["inbox/00000000"]
    assert ingest(tmp_path / "store", source=make_day(6), **SERIAL).did_nothing is False


def write_zarr(path, days, *, with_ids=True):
    """Write or lengthen a group of arrays; the time last, as a careful writer does."""
    group = zarr.open_group(path, mode="a")
    for day in days:
        table = make_day(day)
        values = {"vectors": np.stack(table["v"].to_pylist()).astype(np.float32)}
        if with_ids:
            values["id"] = np.array([int(name[1:]) for name in table["who"].to_pylist()])
        values["time"] = table["when"].to_numpy().astype("datetime64[s]").astype(np.int64)
        for name, array in values.items():
            if name in group:
                group[name].append(array)
            else:
                chunks = (25, *array.shape[1:])
                made = group.create_array(name, data=array, chunks=chunks)
                if name == "time":
                    made.attrs["units"] = "seconds since 1970-01-01"


@pytest.mark.parametrize("with_ids", [True, False])
def test_an_array_grows(tmp_path, with_ids):
    write_zarr(tmp_path / "g.zarr", range(6), with_ids=with_ids)
    options = {name: value for name, value in OPTIONS.items() if name not in ("time", "id", "label")}
    run(tmp_path / "g.zarr", tmp_path / "s", scheduler="serial", **options)
    assert ingest(tmp_path / "s", **SERIAL).did_nothing
    shutil.copytree(tmp_path / "s", tmp_path / "once")
    for day in range(6, 10):
        write_zarr(tmp_path / "g.zarr", [day], with_ids=with_ids)
        ingest(tmp_path / "s", **SERIAL)
    assert open_store(tmp_path / "s").labels[-1] == "2024-01-08"
    ingest(tmp_path / "once", **SERIAL)
    assert read_maps(open_store(tmp_path / "once")) == read_maps(open_store(tmp_path / "s"))


@pytest.mark.parametrize("rule", ["first", "last"])
def test_rows_of_an_array_come_first_or_last_by_their_numbers(tmp_path, rule):
    group = zarr.open_group(tmp_path / "g.zarr", mode="a")
    rng = np.random.default_rng(0)

    def write(windows, ids, mark):
        arrays = {"vectors": rng.normal(size=(len(ids), 4)).astype(np.float32), "id": ids, "w": windows}
        for name, array in (arrays | {"mark": np.full(len(ids), mark)}).items():
            if name in group:
                group[name].append(array)
            else:
                group.create_array(name, data=array, chunks=(25, *array.shape[1:]))

    write(np.repeat([0, 1, 2], 30), np.tile(np.arange(30), 3), 0)
    options = {"by": "w", "label": "mark", "duplicates": rule, "n_neighbors": 5, "n_epochs": 5, "scheduler": "serial"}
    run(tmp_path / "g.zarr", tmp_path / "s", **options)
    for mark in (1, 2, 3):
        write(np.full(5, 2), np.arange(5), mark)
        assert ingest(tmp_path / "s", complete=True, **SERIAL).rebuilt == ["2"]
    store = open_store(tmp_path / "s")
    assert {"rows 95-100", "rows 100-105"} <= set(store.growth.parts)
    marks = dict(zip(store.window_ids(2).tolist(), store.window_labels(2)["mark"].tolist(), strict=True))
    assert {marks[number] for number in range(5)} == {3 if rule == "last" else 0}
    assert {marks[number] for number in range(5, 30)} == {0}


def test_rows_that_an_array_only_made_room_for_are_not_taken(tmp_path):
    write_zarr(tmp_path / "g.zarr", range(6))
    options = {name: value for name, value in OPTIONS.items() if name not in ("time", "id", "label")}
    run(tmp_path / "g.zarr", tmp_path / "s", scheduler="serial", **options)
    group = zarr.open_group(tmp_path / "g.zarr", mode="a")
    n_rows = group["time"].shape[0]
    group["vectors"].resize((n_rows + N_ROWS, 6))
    report = ingest(tmp_path / "s", **SERIAL)  # its arrays are not of one length yet
    assert report.did_nothing
    assert report.waiting == [str(tmp_path / "g.zarr")]
    group["id"].resize(n_rows + N_ROWS)
    group["time"].resize(n_rows + N_ROWS)
    assert ingest(tmp_path / "s", **SERIAL).n_pending == N_ROWS  # of day 6 only, which waits for the next
    assert open_store(tmp_path / "s").growth.count_rows().get("before") is None
    for name, shape in (("vectors", (n_rows - 1, 6)), ("id", n_rows - 1), ("time", n_rows - 1)):
        group[name].resize(shape)
    with pytest.raises(SourceError, match="an array may only grow"):
        ingest(tmp_path / "s", **SERIAL)


def make_season(season, n_rows=N_ROWS):
    table = make_day(season, n_rows=n_rows, first=season * 10)
    return table.set_column(0, "season", pa.array([season] * n_rows))


def write_seasons(folder, seasons):
    folder.mkdir(parents=True, exist_ok=True)
    for season in seasons:
        pq.write_table(make_season(season), folder / f"{season}.parquet")


BY = {name: value for name, value in OPTIONS.items() if name not in ("time", "window", "stride")} | {"by": "season"}


def test_values_of_a_column_are_whole_when_a_later_one_is_there(tmp_path):
    write_seasons(tmp_path / "d", range(6, 10))
    run(tmp_path / "d", tmp_path / "s", scheduler="serial", **BY)
    write_seasons(tmp_path / "d", [10])
    assert ingest(tmp_path / "s", **SERIAL).did_nothing
    write_seasons(tmp_path / "d", [11])
    assert ingest(tmp_path / "s", **SERIAL).new == ["10"]  # after "9": as numbers
    assert ingest(tmp_path / "s", complete=True, **SERIAL).new == ["11"]
    write_seasons(tmp_path / "d", [5])
    report = ingest(tmp_path / "s", **SERIAL)
    assert [(late.label, late.n_rows) for late in report.late] == [("5", N_ROWS)]
    report = ingest(tmp_path / "s", reopen=True, complete=True, **SERIAL)
    assert report.new == ["5", "6", "7", "8", "9", "10", "11"]
    store = open_store(tmp_path / "s")
    assert store.labels == ["5", "6", "7", "8", "9", "10", "11"]
    assert [w.status for w in store.state()] == ["final"] * 5 + ["provisional"] * 2


def test_many_small_files_are_as_good_as_one(by_files, tmp_path):
    """A feed of messages: a file for every few rows."""
    make_store(tmp_path / "days", tmp_path / "store")
    for day in range(6, 10):
        table = make_day(day)
        for start in range(0, table.num_rows, 4):
            pq.write_table(table.slice(start, 4), tmp_path / "days" / f"m-{day}-{start:03}.parquet")
        ingest(tmp_path / "store", **SERIAL)
    assert read_maps(open_store(tmp_path / "store")) == read_maps(open_store(by_files / "store"))
