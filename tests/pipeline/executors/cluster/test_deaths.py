"""What is said of tasks that Dask gave up: one line, with the window's name."""

from __future__ import annotations

from concurrent.futures import CancelledError

from distributed.client import FutureCancelledError

from driftmap.pipeline.executors.cluster.deaths import explain_cancelled


def test_a_task_that_was_given_up_is_named_in_one_line():
    key, more = ("graph", "window '2020'", "0123abcd"), "Scheduler has restarted. Please re-run your work."
    error = FutureCancelledError(key, "scheduler-restart", more)
    assert explain_cancelled(error) == (
        "window '2020': given up by the Dask scheduler (scheduler-restart); run again to go on"
    )
    assert explain_cancelled(CancelledError("two\nlines")) == (
        "given up by the Dask scheduler (two lines); run again to go on"
    )
