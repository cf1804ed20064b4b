"""Time zones: local times and moments, where clocks are put forward and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline.config.times.time_zones import read_zone, to_local, to_utc
from driftmap.pipeline.errors import ConfigError

ZONES = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "+05:30", "-0330", "UTC"]
moments = st.lists(st.integers(0, 60 * 365 * 24 * 4), min_size=1, max_size=30).map(
    lambda quarters: np.sort(np.datetime64("1975-01-01", "us") + np.array(quarters) * np.timedelta64(15, "m"))
)


@given(times=moments, zone=st.sampled_from([zone for zone in ZONES if zone[0] not in "+-"]))
def test_local_times_are_those_of_arrow(times, zone):
    expected = pc.local_timestamp(pa.array(times, pa.timestamp("us", zone))).to_numpy()
    np.testing.assert_array_equal(to_local(times, zone), expected)
    expected = pc.assume_timezone(pa.array(times), zone, ambiguous="earliest", nonexistent="latest")
    np.testing.assert_array_equal(to_utc(times, zone), expected.cast(pa.timestamp("us")).to_numpy())


@given(times=moments, zone=st.sampled_from(ZONES))
def test_moments_of_ascending_local_times_ascend(times, zone):
    assert (np.diff(to_utc(times, zone)) >= np.timedelta64(0, "us")).all()
    again = to_local(to_utc(times, zone), zone)
    assert ((again == times) | (np.abs(again - times) <= np.timedelta64(1, "h"))).all()


def test_hours_that_are_not_there_and_hours_that_come_twice():
    spring = np.array(["2024-03-31T01:30", "2024-03-31T02:00", "2024-03-31T02:30", "2024-03-31T03:00"], "M8[us]")
    expected = ["2024-03-31T00:30", "2024-03-31T01:00", "2024-03-31T01:00", "2024-03-31T01:00"]
    np.testing.assert_array_equal(to_utc(spring, "Europe/Berlin"), np.array(expected, "M8[us]"))
    autumn = np.array(["2024-10-27T01:30", "2024-10-27T02:30", "2024-10-27T03:00"], "M8[us]")
    expected = ["2024-10-26T23:30", "2024-10-27T00:30", "2024-10-27T02:00"]
    np.testing.assert_array_equal(to_utc(autumn, "Europe/Berlin"), np.array(expected, "M8[us]"))


def test_times_that_no_calendar_has_stay():
    far = np.array([np.iinfo(np.int64).max // 2], "M8[us]")
    np.testing.assert_array_equal(to_local(far, "Europe/Berlin"), far)


@pytest.mark.parametrize("name", ["Europe/Berlim", "", "+99:00", "../etc/passwd", "CEST+"])
def test_unknown_zones_are_refused(name):
    with pytest.raises(ConfigError, match="not a known time zone; a name such as Europe/Berlin"):
        read_zone(name)
