"""The power function and the hash, against numpy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmap.engine.layout.kernels.float32_kernels import below, mix, power, rough_power


@numba.njit
def raise_all(x, exponent):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = power(x[i], exponent)
    return out


@numba.njit
def raise_all_roughly(x, exponent):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = rough_power(x[i], exponent)
    return out


@numba.njit
def draw(state, n, count):
    return np.array([below(mix(state, i), n) for i in range(count)])


@pytest.mark.parametrize("exponent", [0.3, 0.7906, 0.8951, 1.0, 1.9])
def test_power_is_within_1e_5_of_numpy_over_the_whole_range_of_distances(exponent):
    x = np.exp(np.linspace(np.log(1e-12), np.log(1e12), 20_001)).astype(np.float32)
    expected = x.astype(np.float64) ** float(np.float32(exponent))
    assert np.abs(raise_all(x, np.float32(exponent)) / expected - 1).max() < 1e-5


@pytest.mark.parametrize("exponent", [0.3, 0.7906, 0.8951, 1.0, 1.9])
def test_rough_power_is_within_3e_4_of_numpy_over_the_whole_range_of_distances(exponent):
    x = np.exp(np.linspace(np.log(1e-12), np.log(1e12), 20_001)).astype(np.float32)
    expected = x.astype(np.float64) ** float(np.float32(exponent))
    assert np.abs(raise_all_roughly(x, np.float32(exponent)) / expected - 1).max() < 3e-4


def test_power_of_one_is_one():
    assert raise_all(np.ones(1, np.float32), np.float32(0.9))[0] == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=25)
@given(state=st.integers(0, 2**64 - 1), n=st.integers(1, 2**31 - 1))
def test_below_stays_in_range(state, n):
    drawn = draw(np.uint64(state), n, 64)
    assert drawn.min() >= 0
    assert drawn.max() < n


def test_below_is_even_and_depends_on_each_number_hashed():
    counts = np.bincount(draw(np.uint64(7), 10, 20_000), minlength=10)
    # 2000 expected in each of ten cells; the chi-square of nine degrees of freedom is above 27.9 once in a thousand
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9
    assert not np.array_equal(draw(np.uint64(7), 1000, 50), draw(np.uint64(8), 1000, 50))
