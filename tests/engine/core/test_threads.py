"""Rows shared out among threads: every row once, an error of any part raised, BLAS on one thread meanwhile."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from driftmap.engine.core import threads


@pytest.mark.parametrize(
    ("n_threads", "n_rows", "n_parts"), [(1, 500, 1), (3, 500, 3), (3, 130, 2), (3, 7, 1), (3, 0, 1)]
)
def test_every_row_is_in_one_part(monkeypatch, n_threads, n_rows, n_parts):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: n_threads)
    seen = []

    def count(part):
        seen.append(np.arange(n_rows)[part])
        return len(seen[-1])

    with threads.share_rows() as share:
        assert share(count, n_rows) == n_rows
    assert len(seen) == n_parts
    assert sorted(np.concatenate(seen).tolist()) == list(range(n_rows))


def test_the_caller_works_too_and_blas_takes_one_thread(monkeypatch):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 2)
    threads._find_blas.cache_clear()  # scipy's own may have been loaded since; products are numpy's
    workers = set()

    def note(part):
        workers.add(threading.current_thread())
        return 0

    before = {library["filepath"]: library["num_threads"] for library in threadpool_info()}
    with threads.share_rows() as share:
        share(note, 1000)
        limited = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    assert set(limited) == {1}
    assert before == {library["filepath"]: library["num_threads"] for library in threadpool_info()}
    assert threading.current_thread() in workers
    assert len(workers) == 2


def test_an_error_in_any_part_is_raised(monkeypatch):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 2)

    def fail_late(part):
        if part.start:
            raise ValueError("in a part")
        return 1

    with threads.share_rows() as share, pytest.raises(ValueError, match="in a part"):
        share(fail_late, 1000)


def test_blas_has_its_threads_again_whoever_lets_go_last():
    """Two that hold it at once, and let go in the order in which they began: the second found one thread."""

    def count():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = count()
    with ExitStack() as second:
        with threads.share_rows():
            second.enter_context(threads.share_rows())
            assert set(count()) == {1}
        assert set(count()) == {1}
    assert count() == before
