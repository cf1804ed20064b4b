"""Windows in time begin by the clock of the column's own zone, or of the one that is asked for; far rows are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import ingest, plan, run
from driftmap.pipeline.config.times.durations import parse_duration
from driftmap.pipeline.config.times.time_zones import to_utc
from driftmap.pipeline.errors import ConfigError, PlanError
from driftmap.pipeline.ingestion.slots import TimeSlots
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth

BERLIN = "Europe/Berlin"
OPTIONS = {"time": "t", "id": "id", "window": "1M", "n_neighbors": 5, "n_epochs": 5}


def make_frame(starts, n_rows=20):
    frame = pd.DataFrame({"id": np.tile(np.arange(n_rows), len(starts)), "t": np.repeat(starts, n_rows)})
    frame[["a", "b"]] = np.random.default_rng(0).normal(size=(len(frame), 2))
    return frame


def first_days(first, n, zone=None):
    return pd.date_range(first, periods=n, freq="MS", tz=zone)


def labels_of(made):
    return [window.label for window in made.windows]


@pytest.mark.parametrize("kind", ["pandas", "parquet", "arrays"])
@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "+05:30", "UTC"])
def test_months_begin_by_the_clock_of_the_column(tmp_path, zone, kind):
    frame = make_frame(first_days("2023-10-01", 4, zone))
    source = frame
    if kind == "parquet":
        source = tmp_path / "x.parquet"
        frame.to_parquet(source, index=False)
    elif kind == "arrays":
        source = {"vectors": frame[["a", "b"]].to_numpy(), "id": frame["id"], "t": frame["t"]}
    made = plan(source, **OPTIONS)
    assert labels_of(made) == ["2023-10", "2023-11", "2023-12", "2024-01"]
    assert [window.n_rows for window in made.windows] == [20] * 4
    assert made.rule == f"Windows begin by the clock of {zone} (timezone)"
    assert made.windows[1].start == "2023-11-01"


def test_a_zone_that_is_asked_for_overrides_that_of_the_column(tmp_path):
    frame = make_frame(first_days("2023-10-01", 3, BERLIN))
    assert labels_of(plan(frame, **OPTIONS, timezone="UTC")) == ["2023-09", "2023-10", "2023-11"]
    plain = make_frame(first_days("2023-10-01", 3).shift(-1, "h"))  # without a zone: in UTC
    assert labels_of(plan(plain, **OPTIONS)) == ["2023-09", "2023-10", "2023-11"]
    assert labels_of(plan(plain, **OPTIONS, timezone=BERLIN)) == ["2023-10", "2023-11", "2023-12"]
    with pytest.raises(ConfigError, match="timezone: 'Berlin' is not a known time zone"):
        plan(plain, **OPTIONS, timezone="Berlin")
    with pytest.raises(ConfigError, match="timezone is 'UTC', but window is not given"):
        plan(plain, rows=20, id="id", timezone="UTC")


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27"])
def test_days_on_which_the_clock_changes_have_23_and_25_hours(day):
    hours = pd.date_range(f"{day} 00:00", periods=60, freq="h", tz=BERLIN)
    frame = make_frame(hours, n_rows=1)
    frame["id"] = np.arange(len(frame))
    made = plan(frame, **{**OPTIONS, "window": "1D"}, allow_unrelated=True)
    n_hours = 23 if day == "2024-03-31" else 25
    assert [window.n_rows for window in made.windows] == [n_hours, 24, 60 - n_hours - 24]
    by_hour = (
        plan(frame, **{**OPTIONS, "window": "1h", "n_neighbors": 2}, allow_unrelated=True) if n_hours == 25 else None
    )
    assert by_hour is None or [(w.label, w.n_rows) for w in by_hour.windows] == [(f"{day}T02", 2)]


def test_a_run_keeps_its_zone_and_an_ingest_goes_on_by_it(tmp_path):
    (tmp_path / "x").mkdir()
    make_frame(first_days("2023-10-01", 3, BERLIN)).to_parquet(tmp_path / "x" / "1.parquet", index=False)
    store = run(tmp_path / "x", tmp_path / "s", scheduler="serial", **OPTIONS)
    assert store.config["windows"]["timezone"] == BERLIN
    assert run(tmp_path / "x", tmp_path / "s", scheduler="serial", **OPTIONS).labels == store.labels
    with pytest.raises(ConfigError, match="timezone: store has 'Europe/Berlin', now 'UTC'"):
        run(tmp_path / "x", tmp_path / "s", scheduler="serial", **OPTIONS, timezone="UTC")
    make_frame(first_days("2024-01-01", 3, BERLIN)).to_parquet(tmp_path / "x" / "2.parquet", index=False)
    assert ingest(tmp_path / "s", scheduler="serial").new == ["2024-01", "2024-02"]  # March is not over
    grown = ingest(tmp_path / "s", scheduler="serial", complete=True)
    assert grown.new == ["2024-03"]
    assert [window.n_rows for window in grown.store.state()] == [20] * 6
    assert describe_growth(grown.store)["lag_seconds"] == 0


@pytest.mark.parametrize(
    ("window", "stride"), [("1h", "1h"), ("2h", "30min"), ("1D", "1D"), ("2M", "1M"), ("1W", "1D")]
)
def test_slots_and_the_plan_agree_on_every_row(window, stride):
    times = np.sort(
        np.datetime64("2024-10-25", "us")
        + np.random.default_rng(1).integers(0, 6 * 86400, 400) * np.timedelta64(1, "s")
    )
    frame = pd.DataFrame({"t": pd.to_datetime(times).tz_localize("UTC").tz_convert(BERLIN), "id": np.arange(400)})
    frame["a"] = np.arange(400.0)
    made = plan(frame, time="t", id="id", window=window, stride=stride, n_neighbors=2, allow_unrelated=True)
    origin = to_utc(np.array([made.windows[0].start], "M8[us]"), None)[0]
    slots = TimeSlots("t", origin, parse_duration(window), parse_duration(stride), BERLIN)
    counts = slots.count(times)
    for planned in made.windows:
        slot = slots.find(planned.label, planned.start)
        assert slots.describe(slot) == (planned.label, *map(_as_shown, (planned.start, planned.end)))
        assert counts[slot] == planned.n_rows == int(slots.contains(times, slot).sum())


def _as_shown(moment):
    return moment.removesuffix("T00:00:00")


@pytest.mark.parametrize("wrong", ["1970-01-01", "2062-01-01"])
def test_a_row_with_a_wrong_time_is_named(wrong):
    frame = make_frame(pd.date_range("2024-01-01", periods=10, freq="D"))
    frame.loc[77, "t"] = pd.Timestamp(wrong)
    message = rf"row 77 of the source: {wrong}T00:00:00, and the (first after|last before) that is 2024-01-(01|10)T"
    with pytest.raises(PlanError, match=message):
        plan(frame, **{**OPTIONS, "window": "1D"})
    with pytest.raises(PlanError, match=rf"would give [0-9,]+ windows, more than 1,000,000.*{message}"):
        plan(frame, **{**OPTIONS, "window": "1h", "stride": "1min"})


def test_a_long_gap_between_many_rows_is_a_gap():
    starts = pd.date_range("2024-01-01", periods=3, freq="D").append(pd.date_range("2024-08-01", periods=3, freq="D"))
    made = plan(make_frame(starts), **{**OPTIONS, "window": "1D"})
    assert len(made.windows) == 6
    assert len(made.skipped) == 210
