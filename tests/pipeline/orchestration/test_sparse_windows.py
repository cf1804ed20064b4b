"""Windows of few rows or none: left out or mapped, and said, in a run and in what comes after it."""

from __future__ import annotations

import html
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline import ingest, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import PlanError, PlanWarning
from driftmap.pipeline.look.report import write_report

DAYS = {0: 30, 1: 30, 2: 6, 5: 2, 6: 30, 7: 1, 8: 30}
"""Rows of each day; days 3 and 4 have none."""
OPTIONS = {"time": "when", "id": "who", "window": "1D", "n_neighbors": 10, "n_epochs": 5}
LABELS = ["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-06", "2024-03-07", "2024-03-09"]


def make_table(days):
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-03-01T06:00", "us")
    when = np.repeat(start + np.array(list(days)) * np.timedelta64(1, "D"), list(days.values()))
    who = np.concatenate([np.arange(n) for n in days.values()])
    vectors = rng.normal(size=(len(who), 4)).astype(np.float32) + who[:, None]
    columns = {f"v{axis}": vectors[:, axis] for axis in range(4)}
    return pa.table({"when": when, "who": who, **columns})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "days").mkdir()
    pq.write_table(make_table(DAYS), tmp_path / "days" / "march.parquet")
    return tmp_path


def test_a_run_goes_on_over_a_gap_and_says_so(folder, capsys):
    with pytest.warns(PlanWarning) as said:
        store = run(folder / "days", folder / "s", scheduler="serial", **OPTIONS)
    assert store.labels == LABELS
    assert [window.n_rows for window in store.state()] == [30, 30, 6, 2, 30, 30]
    texts = [str(warning.message) for warning in said]
    assert texts == [
        "3 windows ('2024-03-04', '2024-03-05', '2024-03-08') are left out, with fewer than 2 rows (on_empty)",
        (
            "2 windows ('2024-03-03' (6 rows), '2024-03-06' (2 rows)) are smaller than n_neighbors (10): all rows of "
            "such a window are neighbours"
        ),
    ]
    assert all(np.isfinite(store.positions(index)).all() for index in range(store.n_windows))
    before = [store.positions(index).tobytes() for index in range(store.n_windows)]
    again = run(folder / "days", folder / "s", scheduler="serial", **OPTIONS)
    assert [again.positions(index).tobytes() for index in range(again.n_windows)] == before
    assert again.left_out == ["2024-03-04", "2024-03-05", "2024-03-08"]
    page = write_report(again, folder / "page.html").read_text()
    line = "windows left out, with fewer than 2 rows (on_empty): '2024-03-04', '2024-03-05', '2024-03-08'"
    assert line in html.unescape(page)
    capsys.readouterr()
    assert run_command(["status", str(folder / "s")]) == 0
    assert line in " ".join(capsys.readouterr().out.split())
    assert run_command(["status", str(folder / "s"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped_windows"] == again.left_out


def test_the_plan_says_what_is_left_out_and_what_is_small(folder, capsys):
    words = ["--time", "when", "--id", "who", "--window", "1D", "--n-neighbors", "10"]
    assert run_command(["plan", str(folder / "days"), *words]) == 0
    shown = capsys.readouterr().out
    assert "'2024-03-04', '2024-03-05', '2024-03-08') are left out" in shown
    assert "'2024-03-03' (6 rows)" in shown
    assert run_command(["plan", str(folder / "days"), *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["skipped_windows"] == ["2024-03-04", "2024-03-05", "2024-03-08"]
    assert len(told["notes"]) == 2
    assert run_command(["plan", str(folder / "days"), *words, "--on-empty", "refuse"]) == 2
    assert "on_empty is 'refuse'" in capsys.readouterr().err


def test_empty_windows_are_refused_where_that_is_asked_for(folder):
    with pytest.raises(PlanError, match=r"3 windows \('2024-03-04', '2024-03-05', '2024-03-08' \(1 row\)\) have fewer"):
        plan(folder / "days", **OPTIONS, on_empty="refuse")
    assert not (folder / "s").exists()


@pytest.mark.filterwarnings("ignore::driftmap.pipeline.errors.PlanWarning")
def test_an_ingest_goes_on_after_a_gap_of_the_run(folder):
    run(folder / "days", folder / "s", scheduler="serial", **OPTIONS)
    pq.write_table(make_table({9: 30, 10: 4, 11: 30}), folder / "days" / "more.parquet")
    report = ingest(folder / "s", scheduler="serial", complete=True)
    assert report.new == ["2024-03-10", "2024-03-11", "2024-03-12"]
    assert report.late == []
    assert report.n_pending == 0
    pq.write_table(make_table({3: 20}), folder / "days" / "late.parquet")
    report = ingest(folder / "s", scheduler="serial", complete=True)
    assert [(late.label, late.n_rows, late.index) for late in report.late] == [("2024-03-04", 20, 3)]
    assert "2024-03-04" in report.store.left_out
    report = ingest(folder / "s", scheduler="serial", complete=True, reopen=True)
    assert "2024-03-04" in report.store.labels
    assert report.store.left_out == ["2024-03-05", "2024-03-08"]


def test_an_ingest_says_that_a_window_is_small(folder):
    days = {day: n for day, n in DAYS.items() if n == 30 and day < 2}
    pq.write_table(make_table(days), folder / "days" / "march.parquet")
    run(folder / "days", folder / "s", scheduler="serial", **OPTIONS)
    pq.write_table(make_table({2: 5}), folder / "days" / "more.parquet")
    with pytest.warns(PlanWarning, match=r"window '2024-03-03' has 5 rows, fewer than n_neighbors \(10\)"):
        assert ingest(folder / "s", scheduler="serial", complete=True).new == ["2024-03-03"]
