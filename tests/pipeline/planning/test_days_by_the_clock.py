"""Dates, months and years have no time of day and no zone: each is that day by the clock that is asked for."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import plan, run
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.sources import as_source

NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"
OPTIONS = {"time": "t", "id": "id", "n_neighbors": 5, "n_epochs": 5}
DAYS = ["2024-01-01", "2024-02-01", "2024-03-01"]
MONTHS = ["2024-01", "2024-02", "2024-03"]


def make_frame(times, n_rows=20):
    frame = pd.DataFrame({"id": np.tile(np.arange(n_rows), len(times)), "t": np.repeat(times, n_rows)})
    frame[["a", "b"]] = np.random.default_rng(0).normal(size=(len(frame), 2))
    return frame


def give(frame, folder, kind):
    path = folder / f"x.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif kind == "parquet":
        frame.to_parquet(path, index=False)
    elif kind == "feather":
        frame.to_feather(path)
    elif kind == "frame":
        path = frame
    elif kind == "arrays":
        path = {"vectors": frame[["a", "b"]].to_numpy(), "id": frame["id"].to_numpy(), "t": frame["t"].to_numpy()}
    elif kind == "opened":
        path = as_source(give(frame, folder, "parquet"), time="t", id="id")
    elif kind == "dask":
        import dask.dataframe as dd

        path = dd.from_pandas(frame, npartitions=2)
    return path


def of(made):
    return [(window.label, window.start, window.end, window.n_rows) for window in made.windows]


KINDS = ["csv", "jsonl", "parquet", "feather", "frame", "arrays", "opened", "dask"]
FORMS = [(kind, form) for kind in KINDS for form in ("text", "months")] + [(kind, "dates") for kind in KINDS[2:]]


@pytest.mark.parametrize(("kind", "written"), FORMS)
@pytest.mark.parametrize("zone", [NEW_YORK, "+09:00"])
def test_a_zone_moves_no_date(tmp_path, kind, zone, written):
    times = {"dates": [dt.date.fromisoformat(day) for day in DAYS], "text": DAYS, "months": MONTHS}[written]
    source = give(make_frame(times), tmp_path, kind)
    made = plan(source, **OPTIONS, window="1M", timezone=zone)
    assert of(made) == of(plan(source, **OPTIONS, window="1M"))
    assert [window.label for window in made.windows] == MONTHS
    assert made.windows[0].start == "2024-01-01"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "arrays"])
@pytest.mark.parametrize("zone", [NEW_YORK, TOKYO])
def test_a_zone_moves_no_year(tmp_path, kind, zone):
    made = plan(give(make_frame([2001, 2002, 2003]), tmp_path, kind), **OPTIONS, window="1Y", timezone=zone)
    assert [window.label for window in made.windows] == ["2001", "2002", "2003"]


@pytest.mark.parametrize("unit", ["D", "W", "M", "Y"])
def test_dates_of_numpy_are_dates(unit):
    times = np.repeat(np.array(["2001", "2002", "2003"], f"M8[{unit}]"), 20)
    source = {"vectors": np.random.default_rng(0).normal(size=(60, 2)), "t": times, "id": np.tile(np.arange(20), 3)}
    window = {"window": "1W", "allow_unrelated": True} if unit == "W" else {"window": "1Y"}
    made = plan(source, **OPTIONS, **window, timezone=NEW_YORK)
    assert of(made) == of(plan(source, **OPTIONS, **window))


def test_times_of_day_without_a_zone_stay_in_utc(tmp_path):
    stamps = make_frame(pd.to_datetime(DAYS))
    assert plan(stamps, **OPTIONS, window="1M", timezone=NEW_YORK).windows[0].label == "2023-12"
    mixed = make_frame(["2024-01-01", "2024-01-01T04:59:59", "2024-01-01T05:00:00Z"])
    made = plan(give(mixed, tmp_path, "csv"), **OPTIONS, window="1D", timezone=NEW_YORK, duplicates="first")
    assert of(made) == [
        ("2023-12-31", "2023-12-31", "2024-01-01", 20),
        ("2024-01-01", "2024-01-01", "2024-01-02", 20),
    ]
    assert any("dates without a time of day as days by the clock of timezone" in note for note in made.doubts)
    assert not any("without a time of day" in note for note in plan(stamps, **OPTIONS, window="1M").doubts)


@pytest.mark.parametrize("zone", ["America/Havana", "Asia/Beirut", "America/Sao_Paulo", NEW_YORK, TOKYO, "+05:30"])
@pytest.mark.parametrize("year", [2016, 2018])
def test_every_day_of_a_year_is_its_own_window(zone, year):
    """Where the clock is put forward at midnight the day begins at 01:00; put back there, midnight comes twice."""
    days = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="M8[D]")
    source = {"vectors": np.random.default_rng(0).normal(size=(2 * len(days), 2)), "t": np.repeat(days, 2)}
    made = plan(source, time="t", window="1D", timezone=zone, n_neighbors=2, n_epochs=5, allow_unrelated=True)
    assert [window.label for window in made.windows] == days.astype(str).tolist()
    assert all(window.n_rows == 2 for window in made.windows)


def test_windows_by_a_column_of_dates_are_named_by_them(tmp_path):
    source = give(make_frame([dt.date.fromisoformat(day) for day in DAYS]), tmp_path, "parquet")
    for zone in (NEW_YORK, TOKYO, None):
        made = plan(source, by="t", id="id", n_neighbors=5, timezone=zone)
        assert [window.label for window in made.windows] == DAYS


@pytest.mark.parametrize(("zone", "last"), [(NEW_YORK, [0, 20]), ("UTC", [20, 40]), (TOKYO, [20, 40])])
def test_the_last_row_by_time_goes_by_moments(tmp_path, zone, last):
    """By the clock of New York the day begins at 05:00 in UTC, after the time that another row has."""
    source = give(make_frame(["2024-01-01", "2024-01-01T04:00:00Z"]), tmp_path, "csv")
    made = plan(source, **OPTIONS, window="1000D", timezone=zone, duplicates="last", allow_unrelated=True)
    rows = [row for window in made.windows for row in window.runs.tolist()]
    assert rows[0] == last


def test_rows_that_are_in_memory_are_opened_with_the_clock():
    frame = make_frame([dt.date.fromisoformat(day) for day in DAYS])
    opened = as_source(frame, time="t", id="id")
    with pytest.raises(ConfigError, match=r"timezone is 'Asia/Tokyo'.*dates by the clock of UTC; give clock='Asia/T"):
        plan(opened, **OPTIONS, window="1M", timezone=TOKYO)
    opened = as_source(frame, time="t", id="id", clock=NEW_YORK)
    for zone in (None, NEW_YORK):
        made = plan(opened, time="t", id="id", n_neighbors=5, window="1M", timezone=zone)
        assert [window.label for window in made.windows] == MONTHS
        assert made.config.windows.timezone == NEW_YORK
    stamps = as_source(make_frame(pd.to_datetime(DAYS)), time="t", id="id")
    assert plan(stamps, **OPTIONS, window="1M", timezone=NEW_YORK).windows[0].label == "2023-12"


def test_a_wrong_zone_is_said_once():
    with pytest.raises(ConfigError, match="timezone: 'Berlin' is not a known time zone"):
        plan(make_frame([dt.date(2024, 1, 1)]), **OPTIONS, window="1M", timezone="Berlin")


def test_the_store_shows_the_same_days(tmp_path):
    frame = make_frame([dt.date.fromisoformat(day) for day in DAYS])
    store = run(
        give(frame, tmp_path, "parquet"),
        tmp_path / "s",
        scheduler="serial",
        **OPTIONS,
        label="t",
        window="1M",
        timezone=NEW_YORK,
    )
    assert store.labels == MONTHS
    assert [window.start for window in store.state()] == DAYS
    shown = store.to_table().to_pandas() if hasattr(store, "to_table") else None
    assert shown is None or pd.to_datetime(shown["t"]).dt.strftime("%Y-%m-%d").unique().tolist() == DAYS
    assert (
        run(tmp_path / "x.parquet", tmp_path / "s", scheduler="serial", **OPTIONS, label="t", window="1M").labels
        == MONTHS
    )
