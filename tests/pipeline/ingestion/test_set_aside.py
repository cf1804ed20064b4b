"""What was set aside comes back: windows that were skipped, and late rows that were kept out, once they can be used."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import N_ROWS, make_day, read_maps, take_in, write_days

from driftmap.pipeline import open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth
from driftmap.pipeline.store.log.growth import Growth


def write_bad(place, day, n_rows=N_ROWS):
    """Write a day whose rows cannot be used, as many as it should have."""
    table = make_day(day, n_rows=n_rows)
    bad = pa.FixedSizeListArray.from_arrays(pa.array(np.full(n_rows * 6, np.nan, dtype=np.float32)), 6)
    pq.write_table(table.set_column(3, "v", bad), place / "days" / f"day-{day:03}.parquet")


def mend(place, day):
    write_days(place / "days", range(day, day + 1))


def label_rows(place):
    return {window.label: window.n_rows for window in open_store(place / "store").state()}


@pytest.fixture
def skipped(place):
    """A store of which the windows of the days 6 and 7, and 7 and 8 were skipped, and later ones went in."""
    write_days(place / "days", range(6, 13))
    write_bad(place, 7)
    report = take_in(place, on_bad="skip")
    assert [bad.label for bad in report.skipped] == ["2024-01-07", "2024-01-08"]
    assert report.new == ["2024-01-06", "2024-01-09", "2024-01-10", "2024-01-11"]
    return place


def test_skipped_windows_that_were_mended_are_late_and_reopened(skipped, capsys):
    mend(skipped, 7)
    assert run_command(["ingest", str(skipped / "store"), "--source", str(skipped / "days")]) == 0
    said = capsys.readouterr().err
    assert "window '2024-01-07': 80 rows came too late and are kept out; --reopen takes them in" in said
    assert describe_growth(open_store(skipped / "store"))["late"] == {"2024-01-07": 80, "2024-01-08": 80}
    report = take_in(skipped, reopen=True)
    assert (report.reopened, report.late) == ("2024-01-09", [])
    assert report.new == [f"2024-01-{day:02}" for day in range(7, 12)]
    assert set(label_rows(skipped).values()) == {2 * N_ROWS}
    growth = describe_growth(open_store(skipped / "store"))
    assert (growth["skipped"], growth["late"]) == ({}, {})


@pytest.mark.parametrize("how", [{"reopen": True}, {"reopen_from": "2024-01-08"}])
def test_a_rule_for_rows_brings_skipped_windows_back(skipped, how):
    report = take_in(skipped, on_bad_rows="drop", **how)
    assert report.reopened == "2024-01-09"
    rows = label_rows(skipped)
    assert rows["2024-01-07"] == rows["2024-01-08"] == N_ROWS  # those of the other day


@pytest.mark.parametrize("is_touched", [False, True])
def test_nothing_is_reopened_for_a_window_that_still_cannot_be_used(skipped, is_touched):
    before = read_maps(open_store(skipped / "store"))
    if is_touched:
        write_bad(skipped, 7, n_rows=N_ROWS + 1)
    for on_bad in ("stop", "skip"):
        report = take_in(skipped, reopen=True, on_bad=on_bad)
        assert (report.reopened, report.late) == (None, [])
        assert [bad.label for bad in report.skipped] == (["2024-01-07", "2024-01-08"] if is_touched else [])
        is_touched = False  # said once
    store = open_store(skipped / "store")
    assert (store.generation, read_maps(store)) == (0, before)


def test_a_skipped_window_that_none_follows_goes_in_without_reopening(place):
    write_days(place / "days", range(6, 10))
    write_bad(place, 8)
    report = take_in(place, on_bad="skip")
    assert [bad.label for bad in report.skipped] == ["2024-01-08"]
    assert (report.new, report.n_pending) == (["2024-01-06", "2024-01-07"], 3 * N_ROWS)
    assert take_in(place).did_nothing
    mend(place, 8)
    report = take_in(place)
    assert (report.new, report.late, report.reopened) == (["2024-01-08"], [], None)
    assert describe_growth(open_store(place / "store"))["skipped"] == {}
    write_days(place / "days", range(10, 11))
    assert take_in(place).new == ["2024-01-09"]


def test_of_several_skipped_windows_at_the_end_those_that_were_mended_go_in(place):
    write_days(place / "days", range(6, 14))
    for day in (8, 11):
        write_bad(place, day)
    options = {"on_bad": "skip"}
    assert [bad.label for bad in take_in(place, **options).skipped] == [
        "2024-01-08", "2024-01-09", "2024-01-11", "2024-01-12",
    ]  # fmt: skip
    write_bad(place, 12)
    mend(place, 11)
    report = take_in(place, **options)
    assert (report.new, [bad.label for bad in report.skipped]) == (["2024-01-11"], ["2024-01-12"])


def test_windows_by_values_come_back_too(tmp_path):
    def write(season, is_bad=False):
        table = make_day(season % 4).drop_columns(["when"]).append_column("season", pa.array([season] * N_ROWS))
        if is_bad:
            bad = pa.FixedSizeListArray.from_arrays(pa.array(np.full(N_ROWS * 6, np.nan, dtype=np.float32)), 6)
            table = table.set_column(table.column_names.index("v"), "v", bad)
        (tmp_path / "days").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "days" / f"{season}.parquet")

    for season in (0, 4, 8):
        write(season)
    options = {"id": "who", "by": "season", "n_neighbors": 5, "n_epochs": 5, "lookahead": 1, "block_windows": 2}
    run(tmp_path / "days", tmp_path / "store", scheduler="serial", **options)
    write(12, is_bad=True)
    write(16)
    assert [bad.label for bad in take_in(tmp_path, on_bad="skip").skipped] == ["12"]
    write(12)
    assert take_in(tmp_path).new == ["12"]
    write(20, is_bad=True)
    write(24)
    assert take_in(tmp_path, on_bad="skip", complete=True).new == ["16", "24"]
    write(20)
    assert {late.label: late.n_rows for late in take_in(tmp_path).late} == {"20": N_ROWS}
    assert take_in(tmp_path, reopen=True, complete=True).new == ["20", "24"]


def test_late_rows_that_were_kept_out_come_in_once_they_are_mended(place):
    write_days(place / "days", range(6, 7))
    take_in(place)
    write_bad(place, 9)  # a file of late rows of day 5
    late = pq.read_table(place / "days" / "day-009.parquet").slice(0, 10)
    (place / "days" / "day-009.parquet").unlink()
    late = late.set_column(0, "when", make_day(5, n_rows=10)["when"])
    pq.write_table(late, place / "days" / "late.parquet")
    with pytest.raises(BadRowsError, match=r"'2024-01-05' cannot take in its late.*late.parquet"):
        take_in(place)
    assert [bad.label for bad in take_in(place, on_bad="skip").kept_out] == ["2024-01-05"]
    assert take_in(place, on_bad="skip").did_nothing
    pq.write_table(make_day(5, n_rows=10, first=9000), place / "days" / "late.parquet")
    assert take_in(place).rebuilt == ["2024-01-05"]
    assert label_rows(place)["2024-01-05"] == 2 * N_ROWS + 10


def test_what_an_older_version_set_aside_counts_from_what_it_had_seen():
    saved = json.loads(json.dumps(Growth().to_json()))
    del saved["set_aside"]
    saved |= {"skipped": {"3": ["w3", "bad", 5]}, "changed": {"3": 7, "4": 9}}
    growth = Growth.from_json(saved)
    assert not growth.has_changed("3")
    growth.changed["3"] = 10
    assert growth.has_changed("3")


def test_rows_of_before_the_first_window_are_said_without_a_remedy(place, capsys):
    pq.write_table(make_day(-3, n_rows=5, first=9000), place / "days" / "old.parquet")
    assert run_command(["ingest", str(place / "store"), "--source", str(place / "days")]) == 0
    assert capsys.readouterr().err == "window 'before 2024-01-01': 5 rows came too late and are kept out\n"
