"""Main axes of wide rows beside a plain eigendecomposition, and rows on them as whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine.core.threads import limit_blas
from driftmap.engine.neighbours.partitions import projection
from driftmap.engine.neighbours.partitions.projection import Frame, find_axes, project_rows


def make_rows(n_axes, n=3000, d=300):
    """Rows of so many axes of falling variance, beside little noise."""
    rng = np.random.default_rng(0)
    on_axes = rng.normal(size=(n, n_axes)) * np.linspace(2.0, 1.0, n_axes)
    axes = np.linalg.qr(rng.normal(size=(d, n_axes)))[0]
    return (on_axes @ axes.T + 0.01 * rng.normal(size=(n, d))).astype(np.float32)


def find(rows):
    frame = Frame(np.zeros(rows.shape[1]), 1.0)
    with limit_blas(1):
        return find_axes(rows, np.ones(len(rows)), frame, np.random.default_rng(0))


@pytest.mark.parametrize(("n_axes", "n_found"), [(16, 16), (100, 96), (150, 144)])
def test_the_fewest_axes_that_hold_enough_of_the_variance(n_axes, n_found):
    rows = make_rows(n_axes)
    axes = find(rows)
    assert abs(axes.shape[1] - n_found) <= projection.AXES_MULTIPLE
    unit = axes / np.linalg.norm(axes, axis=0)
    np.testing.assert_allclose(unit.T @ unit, np.eye(axes.shape[1]), atol=1e-4)
    held = np.square(rows @ unit).sum() / np.square(rows).sum()
    best = np.linalg.eigvalsh(rows.T @ rows)[-axes.shape[1] :].sum() / np.square(rows).sum()
    assert 0.88 <= held <= best + 1e-5
    assert held > best - 0.02


def test_noise_has_no_axes():
    assert find(np.random.default_rng(0).normal(size=(3000, 400)).astype(np.float32)) is None


def test_products_of_whole_numbers_are_exact():
    rows = make_rows(16)
    rows[5] *= 1e4
    whole = project_rows(rows, find(rows))
    np.testing.assert_array_equal(whole, np.rint(whole))
    norms = np.square(whole.astype(np.float64)).sum(axis=1)
    assert 3.0 * norms.max() < 2**24
    assert np.median(norms) > 2.0**18
    np.testing.assert_array_equal(whole @ whole.T, whole.astype(np.float64) @ whole.T.astype(np.float64))
