"""Settings of a process while tasks are at work: made by the first task, put back by the last, in any thread."""

from __future__ import annotations

import threading

import numba
import pyarrow as pa
import scipy.linalg  # noqa: F401 - its BLAS
from threadpoolctl import threadpool_info

from driftmap.pipeline.executors.process_settings import hold_settings


def look():
    blas = {found["filepath"]: found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}
    return blas, pa.default_memory_pool().backend_name, numba.config.CACHE_DIR, threading.active_count()


def test_the_last_task_puts_back_what_the_first_found(monkeypatch, tmp_path):
    monkeypatch.setattr("driftmap.pipeline.executors.process_settings.claim_cache_folder", lambda: tmp_path)
    entered, leave = threading.Event(), threading.Event()

    def work():
        with hold_settings(1):
            entered.set()
            leave.wait(30)

    first = threading.Thread(target=work)
    before = look()
    first.start()
    assert entered.wait(30)
    with hold_settings(1):
        leave.set()
        first.join()
        blas, pool, folder, _ = look()
        assert set(blas.values()) == {1}
        assert (pool, folder) == ("system", str(tmp_path))
    assert look() == before
