"""Rows shared out among threads: every row once, an error of any part raised, BLAS on one thread meanwhile."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

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


def count_blas_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def hold_in_thread(stack, limit, n_threads, leave):
    """Hold a limit in a thread of its own until it is let go."""
    held = threading.Event()

    def hold():
        with limit(n_threads):
            held.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    stack.callback(thread.join)
    stack.callback(leave.set)
    assert held.wait(30)
    return thread


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_lowest_limit_holds_and_the_last_to_let_go_puts_back_what_was(order):
    """Tasks and kernels begin and end in any order, in any thread: the second finds the limit of the first."""
    before = count_blas_threads()
    limits = [3, 1, 2]
    leaves = [threading.Event() for _ in limits]
    with ExitStack() as stack:
        holding = {}
        for place, n_threads in enumerate(limits):
            thread = hold_in_thread(stack, threads.limit_blas, n_threads, leaves[place])
            holding[place] = (thread, n_threads)
            assert count_blas_threads() == {min(limits[: place + 1])}
        for place in order:
            leaves[place].set()
            holding.pop(place)[0].join(30)
            expected = {min(n_threads for _, n_threads in holding.values())} if holding else before
            assert count_blas_threads() == expected


def test_a_limit_of_the_caller_stands():
    with threadpool_limits(2, user_api="blas"):
        with threads.limit_blas(1):
            pass
        assert count_blas_threads() == {2}
