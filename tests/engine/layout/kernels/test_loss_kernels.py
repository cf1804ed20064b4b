"""The sum over all pairs is that of a loop in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine.layout.kernels.loss_kernels import sum_repulsion

A, B = np.float32(1.577), np.float32(0.895)


def sum_in_a_loop(places):
    wide, total = places.astype(np.float64).T, 0.0
    for i, here in enumerate(wide):
        for j, there in enumerate(wide):
            if i != j:
                total += np.log1p(1 / (float(A) * (((here - there) ** 2).sum() + 1e-12) ** float(B)))
    return total


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 41])
def test_sums_are_those_of_a_loop(n, n_components):
    places = np.random.default_rng(n).normal(scale=4, size=(n_components, n)).astype(np.float32)
    assert sum_repulsion(places, A, B) == pytest.approx(sum_in_a_loop(places), rel=1e-5)


def test_rows_in_one_place_and_far_apart_stay_finite():
    places = np.zeros((2, 20), dtype=np.float32)
    assert sum_repulsion(places, A, B) == pytest.approx(sum_in_a_loop(places), rel=1e-5)
    assert sum_repulsion(places, A, np.float32(2.4)) < np.inf
    places[0] = np.arange(20) * 1e5
    assert sum_repulsion(places, A, B) == pytest.approx(sum_in_a_loop(places), rel=1e-5)


@pytest.mark.parametrize("b", [0.05, 0.9, 4.0, 10.0])
def test_no_curve_and_no_distance_makes_it_other_than_finite(b):
    places = np.array([[0, 0, 1e-9, 1e-3, 1, 30, 1e9, 1e18, 3e19]], dtype=np.float32)
    assert np.isfinite(sum_repulsion(places, A, np.float32(b)))
    apart = np.array([[0, 0.3, 1, 4, 30]], dtype=np.float32)
    own = [float(x) for x in apart[0]]
    expected = sum(np.log1p(1 / (float(A) * (x - y) ** (2 * b))) for x in own for y in own if x > y)
    assert sum_repulsion(apart, A, np.float32(b)) == pytest.approx(2 * expected, rel=1e-5)
