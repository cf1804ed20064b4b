"""A job that starts every day, whatever comes or is missing, ends as one run over the good rows; nobody is needed.

A year of it, in some three quarters of an hour: `pytest -n 0 -s -m long tests/pipeline/ingestion/test_daily_starts.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.daily_starts import FIRST, PERIOD, Schedule, read_contents, run_over_good_rows
from tests.pipeline.growing import START, read_maps

from driftmap.pipeline import open_store

USER_ERROR = 2

# Some days another holds the store for a while, and whoever waits says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*waiting up to:driftmap.pipeline.errors.StoreWarning")


def label_of(day):
    return str(START + np.timedelta64(day, "D"))[:10]


def compare_with_peace(place, n_days, renamed, **troubles):
    """Live through the same days twice, once with troubles; compare both with one run, and with each other."""
    peace, schedule = Schedule(place / "peace", renamed), Schedule(place / "troubled", renamed, **troubles)
    for one in (peace, schedule):
        one.begin()
        one.live_through(range(FIRST, n_days))
        one.finish()
    run_over_good_rows(place, n_days)
    assert all(codes == [0] for codes in peace.codes.values())
    failed = {day for day, codes in schedule.codes.items() if any(codes)}
    assert failed == {*troubles["full"], *troubles["away"]}  # what no program can help, and the next start makes good
    assert {code for codes in schedule.codes.values() for code in codes} == {0, USER_ERROR}
    assert schedule.n_killed == len(troubles["killed"])
    stores = [open_store(one.place / "store") for one in (peace, schedule)]
    whole = open_store(place / "whole")
    assert [store.labels for store in stores] == [whole.labels] * 2
    assert [[w.n_rows for w in store.state()] for store in stores] == [[w.n_rows for w in whole.state()]] * 2
    contents = [read_contents(store.path) for store in stores]
    assert contents == [read_contents(whole.path)] * 2
    assert read_maps(stores[0]) == read_maps(stores[1])
    assert not (place / "troubled" / "quarantine").exists()
    for store in stores:
        old, new = (
            {w.schema for w in store.state() if (w.label < label_of(renamed)) is is_old} for is_old in (True, False)
        )
        assert (old, new) == ({0}, {1})
    return stores[1]


@pytest.mark.slow
def test_three_weeks_of_daily_starts_end_as_one_run(tmp_path):
    store = compare_with_peace(tmp_path, 25, renamed=18, killed=(9,), overlapping=(13,), full=(12,), away=(21, 22, 23))
    assert store.n_windows == 25 - 1  # an empty day


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_a_year_of_daily_starts_ends_as_one_run(tmp_path):
    away = (203, 204, 205)
    weekly = (day for day in range(FIRST, 363) if day % 7 == 2 and day not in away)
    killed = tuple(day + 2 * (day % PERIOD in (1, 8)) for day in weekly)  # on days that have something to do
    store = compare_with_peace(
        tmp_path, 365, renamed=200, killed=killed, overlapping=tuple(range(10, 365, 10)), full=(155,), away=away
    )
    assert (store.n_windows, len(killed)) == (338, 50)
