"""Worker processes on this machine: who may start them."""

from __future__ import annotations

import multiprocessing
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


def test_any_other_process_is_not_refused(monkeypatch):
    def stand_in(*_):
        raise KeyError("cluster")

    monkeypatch.setattr("driftmap.pipeline.executors.cluster.local_cluster._start_cluster", stand_in)
    with ExitStack() as stack, pytest.raises(KeyError, match="cluster"):
        start_workers(stack, 1, 1, None, None)
