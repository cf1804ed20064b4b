"""What the log is told of maps: which are final, and with what strength."""

from __future__ import annotations

import math

from driftmap.pipeline.layout.publish import describe_layout, name_strengths


def describe(core, beyond=(), n_windows=10, lookahead=2, **given):
    options = {"strengths": {}, "seconds": 1.0, **given}
    return describe_layout(3, "a", core, beyond, n_windows=n_windows, lookahead=lookahead, **options)


def test_windows_beyond_the_core_are_provisional_wherever_they_are():
    commit = describe(range(2, 5), range(5, 7))
    assert (commit["final"], commit["provisional"]) == ([2, 3, 4], [5, 6])


def test_the_last_windows_of_a_run_stay_provisional():
    commit = describe(range(6, 10))
    assert (commit["final"], commit["provisional"]) == ([6, 7], [8, 9])
    assert describe(range(6, 10), lookahead=0)["provisional"] == []


def test_strengths_of_windows_that_did_not_move_are_left_out():
    strengths = name_strengths([1, 2, 3], [0.25, math.nan, 1 / 3])
    assert strengths == {"1": 0.25, "3": 0.333333}
    assert describe(range(2, 5), strengths=strengths)["strengths"] == {"3": 0.333333}


def test_seconds_are_rounded():
    assert describe([0], seconds=1.23456789)["seconds"] == 1.234568
