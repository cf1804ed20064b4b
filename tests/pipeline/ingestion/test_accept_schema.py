"""A schema change on purpose: files with other columns of vectors are refused, or taken in for windows of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import OPTIONS, make_day, make_store, read_maps, take_in, write_days

from driftmap.pipeline import ingest, open_store, run
from driftmap.pipeline import place as place_rows
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.ingestion.ingest import BadRowsError

DAILY = {"window": "1D", "stride": None, "alignment_window_size": 4}


def make_other_day(day, n_features=8, name="v", kind=np.float32):
    """Rows of a day whose vectors have another length, name or type."""
    table = make_day(day)
    vectors = np.stack(table["v"].to_pylist())
    wider = np.hstack([vectors, vectors])[:, :n_features].astype(kind)
    column = pa.FixedSizeListArray.from_arrays(pa.array(wider.ravel()), n_features)
    return table.set_column(table.column_names.index("v"), name, column)


def write_other_days(folder, days, **how):
    for day in days:
        pq.write_table(make_other_day(day, **how), folder / f"day-{day:03}.parquet")


@pytest.fixture
def daily(tmp_path):
    """A store of six days, a window each."""
    make_store(tmp_path / "days", tmp_path / "store", **DAILY)
    return tmp_path


def test_windows_of_other_vectors_are_laid_out_beside_those_before(daily, capsys):
    write_other_days(daily / "days", range(6, 9))
    with pytest.raises(
        BadRowsError, match=r"day-006.parquet.*8 numbers.*6 were expected.*on purpose \(accept_schema\)"
    ):
        take_in(daily)
    report = take_in(daily, accept_schema=True)
    assert report.schemas == ["day-006.parquet: vectors: 1 column, v (lists of 8 numbers)"]
    assert report.new == ["2024-01-07", "2024-01-08"]
    store = open_store(daily / "store")
    assert [window.schema for window in store.state()] == [0] * 6 + [1] * 2
    assert all(np.isfinite(store.positions(window.index)).all() for window in store.state())
    # a later start knows the columns, and old ones may come again
    write_other_days(daily / "days", range(9, 10))
    write_days(daily / "days", range(10, 11))
    assert take_in(daily, complete=True).new == ["2024-01-09", "2024-01-10", "2024-01-11"]
    assert [window.schema for window in open_store(daily / "store").state()][-3:] == [1, 1, 0]
    assert run_command(["status", str(daily / "store")]) == 0
    shown = capsys.readouterr().out
    assert "vectors: 1 column, v (lists of 6 numbers)" in shown
    assert "schema accepted in 4 windows, '2024-01-07', '2024-01-08'" in shown
    assert "v (lists of 8 numbers)" in shown
    assert run_command(["verify", str(daily / "store")]) == 0


def test_rows_of_two_schemas_in_one_window_are_refused_in_one_line(place, tmp_path):
    """Windows of two days: one of them has a day of each schema."""
    write_other_days(place / "days", range(6, 9))
    with pytest.raises(BadRowsError, match=r"rows of two schemas, day-005.parquet \(.*6 numbers.*day-006.*8") as raised:
        take_in(place, accept_schema=True, quarantine=tmp_path / "aside")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "aside").exists()
    report = take_in(place, on_bad="skip", quarantine=tmp_path / "aside")
    assert [bad.label for bad in report.skipped] == ["2024-01-06"]
    assert report.new == ["2024-01-07"]


def test_the_same_columns_of_another_type_mix(place):
    """A type alone changes no number: one run over the same rows gives the same bytes."""
    folder, kinds = place / "flat", [np.int64] * 6 + [np.float64] * 3
    for there in (folder, place / "all"):
        there.mkdir()
    for day, kind in enumerate(kinds):
        table = make_day(day).drop_columns(["v"])
        values = np.round(np.stack(make_day(day)["v"].to_pylist()))
        for number in range(6):
            table = table.append_column(f"e{number}", pa.array(values[:, number].astype(kind)))
        if day < 6:
            pq.write_table(table, folder / f"day-{day}.parquet")
        pq.write_table(table, place / "all" / f"day-{day}.parquet")
    run(folder, place / "flat-store", scheduler="serial", **OPTIONS)
    for day in range(6, 9):
        (folder / f"day-{day}.parquet").write_bytes((place / "all" / f"day-{day}.parquet").read_bytes())
    with pytest.raises(BadRowsError, match="holds double, and integer was expected"):
        ingest(place / "flat-store", scheduler="serial")
    report = ingest(place / "flat-store", scheduler="serial", accept_schema=True)
    assert report.new == ["2024-01-06", "2024-01-07"]
    run(place / "all", place / "whole", scheduler="serial", **OPTIONS)
    grown, whole = open_store(place / "flat-store").state(), open_store(place / "whole").state()
    assert [w.rows_digest for w in grown] == [w.rows_digest for w in whole[: len(grown)]]


def test_a_column_more_goes_into_the_vectors_or_stays_out(tmp_path):
    def write(folder, day, more):
        folder.mkdir(exist_ok=True)
        table = make_day(day).drop_columns(["v"])
        values = np.stack(make_day(day)["v"].to_pylist())
        for number in range(6 + more):
            table = table.append_column(f"e{number}", pa.array(values[:, number % 6]))
        pq.write_table(table, folder / f"day-{day}.parquet")

    for name in ("in", "out"):
        for day in range(6):
            write(tmp_path / name, day, 0)
        run(tmp_path / name, tmp_path / f"{name}-store", scheduler="serial", **{**OPTIONS, **DAILY})
        for day in range(6, 9):
            write(tmp_path / name, day, 1)
    with pytest.raises(ConfigError, match=r"exclude is 'e6'.*accept_schema"):
        ingest(tmp_path / "out-store", scheduler="serial", exclude="e6")
    ingest(tmp_path / "in-store", scheduler="serial", accept_schema=True, complete=True)
    ingest(tmp_path / "out-store", scheduler="serial", accept_schema=True, exclude=["e6"], complete=True)
    wide, same = open_store(tmp_path / "in-store"), open_store(tmp_path / "out-store")
    pins = [store.config["schemas"][0]["pin"] for store in (wide, same)]
    assert [pin["dimension"] for pin in pins] == [7, 6]
    assert len(wide.config["schemas"]) == len(same.config["schemas"]) == 1
    # without the column the windows are those of files that never had it
    for day in range(6, 9):
        write(tmp_path / "in", day, 0)
    run(tmp_path / "in", tmp_path / "never", scheduler="serial", **{**OPTIONS, **DAILY})
    never = open_store(tmp_path / "never")
    assert [w.rows_digest for w in same.state()] == [w.rows_digest for w in never.state()]
    assert [w.rows_digest for w in wide.state()[6:]] != [w.rows_digest for w in never.state()[6:]]


def test_rows_are_placed_by_the_columns_of_their_window(daily):
    write_other_days(daily / "days", range(6, 9), name="embedding")
    take_in(daily, accept_schema=True)
    rows = make_other_day(8, name="embedding")
    assert len(place_rows(daily / "store", rows, source=daily / "days")) == rows.num_rows
    old = make_day(5)
    placed = place_rows(daily / "store", old, source=daily / "days", window="2024-01-05")
    assert len(placed) == old.num_rows


def test_a_change_of_columns_is_refused_where_columns_are_scaled(tmp_path):
    make_store(tmp_path / "days", tmp_path / "store", **DAILY, scale="standard")
    write_other_days(tmp_path / "days", range(6, 8))
    with pytest.raises(BadRowsError, match=r"day-006.parquet.*scaled \('standard'\).*make a new store"):
        take_in(tmp_path, accept_schema=True)


def test_a_file_that_is_bad_for_another_reason_is_no_new_schema(daily):
    pq.write_table(make_day(6).drop_columns(["when"]), daily / "days" / "day-006.parquet")
    with pytest.raises(BadRowsError, match="no column 'when'") as raised:
        take_in(daily, accept_schema=True)
    assert "on purpose" not in str(raised.value)
    assert "schemas" not in open_store(daily / "store").config or not open_store(daily / "store").config["schemas"]


def test_a_store_goes_back_to_before_a_schema(daily):
    """Windows of both schemas are built again, each of its own columns."""
    write_other_days(daily / "days", range(6, 9))
    take_in(daily, accept_schema=True)
    before = {window.label: window.rows_digest for window in open_store(daily / "store").state()}
    take_in(daily, reopen_from="2024-01-05")
    store = open_store(daily / "store")
    assert {window.label: window.rows_digest for window in store.state()} == before
    assert [window.schema for window in store.state()] == [0] * 6 + [1] * 2
    assert len(read_maps(store)) == 8
