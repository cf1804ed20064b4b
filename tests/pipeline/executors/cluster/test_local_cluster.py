"""Worker processes on this machine: who may start them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from driftmap.pipeline.executors.cluster.local_cluster import start_workers
from driftmap.pipeline.executors.worker_process import WorkerError


def start_from_here(queue) -> None:
    try:
        with ExitStack() as stack:
            start_workers(stack, 1, 1, None, None)
        queue.put("started")
    except WorkerError as error:
        queue.put(str(error))


def test_a_daemonic_process_is_named_with_its_remedies():
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=start_from_here, args=(queue,), daemon=True)
    process.start()
    message = queue.get()
    process.join()
    assert "this process is daemonic" in message
    assert 'scheduler="serial"' in message


def try_in_this_process() -> str:
    try:
        with ExitStack() as stack:
            start_workers(stack, 1, 1, None, None)
    except WorkerError as error:
        return str(error)
    return "started"


def test_a_process_of_joblib_is_named_with_its_remedies():
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=2):
        (message,) = joblib.Parallel()([joblib.delayed(try_in_this_process)()])
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    assert "started by a library with a start method of its own (loky, as joblib's processes are)" in message
    assert 'scheduler="serial"' in message


PIPED = """
import sys
from contextlib import ExitStack
from driftmap.pipeline.executors.cluster.local_cluster import start_workers
with ExitStack() as stack:
    print(start_workers(stack, 1, 1, None, None).client.submit(abs, -3).result())
print(__file__)
"""


@pytest.mark.slow
def test_a_script_that_is_piped_into_python_needs_no_guard():
    done = subprocess.run([sys.executable, "-"], input=PIPED, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["3", "<stdin>"], done.stderr


def test_any_other_process_is_not_refused(monkeypatch):
    def stand_in(*_, **__):
        raise KeyError("cluster")

    monkeypatch.setattr("driftmap.pipeline.executors.cluster.local_cluster._start_cluster", stand_in)
    with ExitStack() as stack, pytest.raises(KeyError, match="cluster"):
        start_workers(stack, 1, 1, None, None)


def describe_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("__DASK")}  # its own mark


def test_the_callers_environment_is_left_alone_when_a_worker_dies_and_is_started_again():
    before = describe_environment()
    with ExitStack() as stack:
        client = start_workers(stack, 1, 1, None, None).client
        assert describe_environment() == before
        (first,) = client.run(os.getpid).values()
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not (found := client.run(os.getpid, on_error="ignore")) or first in found.values():
            assert time.monotonic() < deadline, "no worker was started in its stead"
            time.sleep(0.05)
        assert describe_environment() == before
