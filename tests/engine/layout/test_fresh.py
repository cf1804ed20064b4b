"""Rows that are related to no window before: how many there are, and in how many epochs their window moves."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import Coupling
from driftmap.engine.layout.fresh import find_fresh_shares
from driftmap.engine.layout.pace import Pace
from driftmap.engine.layout.schedule import Schedule


def mark_rows(n_rows: int, n_alone: int = 0) -> np.ndarray:
    """Say of each row whether it has an edge; the last ones have none."""
    return np.arange(n_rows) < n_rows - n_alone


def test_rows_that_any_window_before_has_are_not_fresh():
    has_edge = [mark_rows(10), mark_rows(10), mark_rows(10)]
    near, far = np.full(10, -1, np.int32), np.full(10, -1, np.int32)
    near[:6] = np.arange(4, 10)
    far[0] = 0
    assert find_fresh_shares(has_edge, {(0, 1): near, (1, 2): near, (0, 2): far}) == [0, 0.4, 0.3]
    assert find_fresh_shares(has_edge, {}) == [0, 1, 1]


def test_rows_without_an_edge_do_not_count():
    relation = np.arange(10, dtype=np.int32)
    assert find_fresh_shares([mark_rows(10), mark_rows(10, n_alone=5)], {(0, 1): relation}) == [0, 0]
    relation[:3] = -1
    assert find_fresh_shares([mark_rows(10), mark_rows(10, n_alone=5)], {(0, 1): relation}) == [0, 3 / 5]
    assert find_fresh_shares([mark_rows(10), mark_rows(10, n_alone=10)], {}) == [0, 0]


def test_couplings_relate_rows_too():
    coupling = Coupling(np.array([0, 0, 5]), np.array([2, 3, 3]), np.ones(3, np.float32))
    assert find_fresh_shares([mark_rows(10), mark_rows(10)], {(0, 1): coupling}) == [0, 0.8]


@pytest.mark.parametrize(("fresh", "expected"), [(0.0, 10), (0.25, 15), (1.0, 30)])
def test_a_window_moves_in_more_epochs_the_more_of_its_rows_are_new(fresh, expected):
    pace = Pace(joint_share=0.5, fresh_share=1.0)
    schedule = Schedule([20, 20], [1.0, 1.0], [True, True], [False, False], [0.0, fresh], [9, 9], pace)
    n = schedule.n_joint_epochs
    assert n == pace.count_joint_epochs([20, 20]) == 30
    moves = schedule.joint(n, range(n)).learning_rates > 0
    assert moves.sum(axis=0).tolist() == [10, expected]
    gaps = np.diff(np.flatnonzero(moves[:, 1]))
    assert gaps.max() - gaps.min() <= 1
    parts = [schedule.joint(n, epochs).learning_rates for epochs in (range(7), range(7, n))]
    assert np.array_equal(np.concatenate(parts), schedule.joint(n, range(n)).learning_rates)


def test_the_rate_of_the_joint_pass_falls_to_nothing_and_is_cool_for_longer_than_it_is_hot():
    schedule = Schedule([100], [2.0], [True], [False], [1.0], [9], Pace())
    rates = schedule.joint(100, range(100)).learning_rates[:, 0]
    assert rates[0] == pytest.approx(2 * Pace().joint_learning_rate)
    assert (np.diff(rates) < 0).all()
    is_hot = rates > schedule.joint(100, range(100)).hot_rates[0]
    assert is_hot.tolist() == [True] * 50 + [False] * 50
    assert 0 < rates[-1] < 0.001 * rates[0]
    assert np.median(rates) < 0.3 * rates[0]
