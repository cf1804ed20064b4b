"""Dates of a store that goes on: late and new files fall into the windows of the run, by the clock it was made by."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import Store, ingest, run
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth

NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"
OPTIONS = {"time": "t", "id": "id", "n_neighbors": 5, "n_epochs": 5, "window": "1M", "scheduler": "serial"}


def make_frame(days, written="dates"):
    times = [dt.date.fromisoformat(day) for day in days] if written == "dates" else days
    frame = pd.DataFrame({"id": np.tile(np.arange(20), len(days)), "t": np.repeat(times, 20)})
    frame[["a", "b"]] = np.random.default_rng(len(days)).normal(size=(len(frame), 2))
    return frame


def write(folder, name, days, written):
    folder.mkdir(exist_ok=True)
    frame = make_frame(days, written)
    if written == "csv":
        frame.to_csv(folder / f"{name}.csv", index=False)
    else:
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def count(store):
    return {window.label: window.n_rows for window in store.state()}


@pytest.mark.parametrize("written", ["dates", "text", "csv"])
@pytest.mark.parametrize("zone", [NEW_YORK, TOKYO])
def test_new_days_fall_where_a_run_over_all_puts_them(tmp_path, zone, written):
    first, later = ["2024-01-01", "2024-02-01"], ["2024-03-01", "2024-04-01", "2024-04-30"]
    source = write(tmp_path / "x", "1", first, written)
    options = {**OPTIONS, "timezone": zone, "duplicates": "first"}
    store = run(source, tmp_path / "s", **options)
    assert store.config["source"]["clock"] == zone
    write(source, "2", later, written)
    grown = ingest(tmp_path / "s", scheduler="serial", complete=True).store
    whole = run(source, tmp_path / "whole", **options)
    assert count(grown) == count(whole) == {"2024-01": 20, "2024-02": 20, "2024-03": 20, "2024-04": 20}
    assert [window.start for window in grown.state()] == [window.start for window in whole.state()]
    assert describe_growth(grown)["lag_seconds"] == 0  # the newest row is before the end of its window


def test_a_month_is_whole_when_its_last_day_is_over_by_the_clock(tmp_path):
    source = write(tmp_path / "x", "1", ["2024-01-01", "2024-02-01"], "dates")
    run(source, tmp_path / "s", **OPTIONS, timezone=NEW_YORK)
    write(source, "2", ["2024-03-01"], "dates")
    frame = make_frame(["2024-03-31"])
    frame.assign(id=frame["id"] + 20).to_parquet(source / "3.parquet", index=False)
    assert ingest(tmp_path / "s", scheduler="serial").new == []
    write(source, "4", ["2024-04-01"], "dates")
    grown = ingest(tmp_path / "s", scheduler="serial")
    assert grown.new == ["2024-03"]
    assert count(grown.store)["2024-03"] == 40


def test_rows_from_python_go_by_the_clock_of_the_store(tmp_path):
    days = ["2024-01-01", "2024-02-01"]
    run(make_frame(days), tmp_path / "s", **OPTIONS, timezone=NEW_YORK)
    assert run(make_frame(days), tmp_path / "s", **OPTIONS, timezone=NEW_YORK).labels == ["2024-01", "2024-02"]
    assert run(make_frame(days), tmp_path / "s", **OPTIONS).labels == ["2024-01", "2024-02"]
    grown = ingest(tmp_path / "s", source=make_frame(["2024-03-01"]), scheduler="serial", complete=True)
    assert grown.new == ["2024-03"]
    assert count(grown.store) == {"2024-01": 20, "2024-02": 20, "2024-03": 20}


@pytest.mark.parametrize("kind", ["files", "python"])
def test_a_store_of_before_goes_on_as_it_was_cut(tmp_path, monkeypatch, kind):
    """It took dates for midnight in UTC, and its configuration names no clock for them."""
    days = ["2024-01-01", "2024-02-01", "2024-03-01"]
    source = write(tmp_path / "x", "1", days, "dates") if kind == "files" else make_frame(days)
    options = {**OPTIONS, "timezone": NEW_YORK}
    with monkeypatch.context() as patch:
        patch.setattr("driftmap.pipeline.orchestration.run._find_clock", lambda *_: None)
        run(source, tmp_path / "s", **options)
    assert Store.open(tmp_path / "s").config["source"]["clock"] is None
    for again in (options, OPTIONS):
        assert run(source, tmp_path / "s", **again).labels == ["2023-12", "2024-01", "2024-02"]
    new = make_frame(["2024-04-01"]) if kind == "python" else None
    if new is None:
        write(source, "2", ["2024-04-01"], "dates")
    grown = ingest(tmp_path / "s", source=new, scheduler="serial", complete=True)
    assert grown.new == ["2024-03"]
