"""a and b: umap-learn's numbers, and a curve that fits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.layout.curve import _FITTED, _fit, fit_curve
from driftmap.engine.settings import SETTINGS as ENGINE

SETTINGS = [(0.1, 1.0), (0.0, 1.0), (0.001, 1.0), (0.5, 1.0), (0.99, 1.0), (1.0, 1.0), (0.25, 2.5), (0.01, 0.3)]


@pytest.mark.parametrize(("min_dist", "spread"), SETTINGS)
def test_equals_umap_learn(min_dist, spread):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap-learn's own imports, and of its search
        from umap.umap_ import find_ab_params

        expected = find_ab_params(spread, min_dist)
    np.testing.assert_allclose(fit_curve(min_dist, spread), expected, atol=1e-4)


def test_what_is_kept_of_the_defaults_is_the_fit():
    assert list(_FITTED) == [(ENGINE["min_dist"].default, ENGINE["spread"].default)]
    for asked, kept in _FITTED.items():
        np.testing.assert_allclose(kept, _fit(*asked), rtol=1e-9)


@pytest.mark.parametrize("spread", [0.05, 0.1, 10.0, 100.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_only_the_unit_changes_with_the_spread(share, spread):
    """umap-learn's search runs off to negative b at such spreads."""
    a, b = fit_curve(share, 1.0)
    np.testing.assert_allclose(fit_curve(share * spread, spread), (a / spread ** (2 * b), b), rtol=1e-5)


@pytest.mark.parametrize(("min_dist", "spread"), SETTINGS)
def test_no_curve_nearby_fits_better(min_dist, spread):
    distance = np.linspace(0, 3 * spread, 300)
    target = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))

    def misfit(a, b):
        return np.sum((1 / (1 + a * distance ** (2 * b)) - target) ** 2)

    a, b = fit_curve(min_dist, spread)
    assert a > 0
    assert b > 0
    for by_a, by_b in [(1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99), (1.01, 1.01), (0.99, 0.99)]:
        assert misfit(a, b) < misfit(a * by_a, b * by_b)


def test_numpy_scalars_and_plain_results():
    found = fit_curve(np.float32(0.5), np.int64(1))
    assert found == fit_curve(0.5, 1.0)
    assert [type(value) for value in found] == [float, float]


@pytest.mark.parametrize(
    ("min_dist", "spread", "message"),
    [
        (-0.1, 1.0, "min_dist must be finite and from 0 to 1000, got -0.1"),
        (0.1, 0.0, "spread must be finite and from 0.001 to 1000, got 0"),
        (0.1, -1.0, "spread must be finite and from 0.001 to 1000, got -1"),
        (2.0, 1.0, "min_dist must be at most spread, got 2 and 1"),
        (np.nan, 1.0, "min_dist must be finite"),
        ("0.1", 1.0, "min_dist must be a number, got '0.1'"),
        (0.1, True, "spread must be a number, got True"),
    ],
)
def test_bad_input_is_named(min_dist, spread, message):
    with pytest.raises(InvalidInputError, match=message):
        fit_curve(min_dist, spread)
