"""Dates as moments: the day begins by a clock; times of day are left as they are."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline.config.times.time_zones import to_local
from driftmap.pipeline.sources.columns.moments import begin_days, find_days, read_moments

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    "values",
    [
        pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 1)]),
        pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 1)], pa.date64()),
        pa.array(["2024-01", " 2024-01-01 "]),
        pa.array(["2024", "2024-01-01"], pa.large_string()),
        pa.array([2024, 2024], pa.int32()),
    ],
)
def test_dates_of_every_kind_begin_by_the_clock(values):
    for clock, hour in ((None, "00"), ("UTC", "00"), (NEW_YORK, "05"), ("-11:30", "11")):
        minutes = "30" if clock == "-11:30" else "00"
        expected = np.datetime64(f"2024-01-01T{hour}:{minutes}", "us")
        assert (read_moments(values, "t", clock) == expected).all()
    assert (read_moments(values, "t", "Asia/Tokyo") == np.datetime64("2023-12-31T15", "us")).all()
    assert find_days(pa.chunked_array([values]))


@pytest.mark.parametrize(
    "values",
    [
        pa.array(np.array(["2024-01-01"], "M8[ns]")),
        pa.array(np.array(["2024-01-01"], "M8[s]"), pa.timestamp("s", "Europe/Berlin")),
        pa.array(["2024-01-01T00:00"]),
        pa.array(["2024-01-01 00:00:00Z"]),
        pa.array(["2024-01-01T02:00+02:00"]),
    ],
)
def test_no_clock_moves_a_time_of_day(values):
    for clock in (None, NEW_YORK, "Asia/Tokyo"):
        assert read_moments(values, "t", clock) == np.datetime64("2024-01-01", "us")
    assert not find_days(pa.chunked_array([values]))


@given(
    st.lists(st.dates(dt.date(1000, 1, 1), dt.date(9998, 1, 1)), min_size=1, max_size=20),
    st.sampled_from([NEW_YORK, "Asia/Tokyo", "America/Havana", "Asia/Beirut", "+05:45", "Africa/Monrovia"]),
)
def test_a_day_has_the_same_date_by_its_clock(days, zone):
    dates = np.array(days, dtype="M8[D]")
    moments = begin_days(dates.astype("M8[us]"), zone)
    assert (to_local(moments, zone).astype("M8[D]") == dates).all()
    assert (np.argsort(moments, kind="stable") == np.argsort(dates, kind="stable")).all()


def test_days_beyond_what_python_knows_stay():
    first = np.array(["0001-01-01"], dtype="M8[us]")
    assert begin_days(first, "Asia/Tokyo") == first
    assert to_local(first, NEW_YORK) == first
    days = np.array(["0000-01-01", "12000-01-01"], dtype="M8[us]")
    assert (begin_days(days, NEW_YORK) == days).all()
    assert begin_days(days[:0], NEW_YORK).shape == (0,)
