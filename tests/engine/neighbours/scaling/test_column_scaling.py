"""Scaling of columns and rows, against scikit-learn."""

import numpy as np
import pytest
from sklearn.preprocessing import Normalizer, RobustScaler, StandardScaler

from driftmap.engine import ColumnMoments, ColumnScaling, scale_to_unit


def make_rows(n_rows=9000):
    """Columns of very different kinds; the last is constant, one has an offset that float32 barely holds."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n_rows, 7)) * [1, 1e-6, 1e5, 3, 1e-3, 50, 0] + [0, 1, -1e7, 1e6, 0, 2, 12.5]
    return rows.astype(np.float32)


@pytest.mark.parametrize("steps", [[9000], [1, 8999], [3000, 2500, 3500]])
def test_standard_scaling_is_that_of_scikit_learn_whatever_the_pieces(steps):
    rows = make_rows()
    pieces = np.split(rows, np.cumsum(steps)[:-1])
    moments = ColumnMoments.of(pieces[0])
    for piece in pieces[1:]:
        moments = moments.join(ColumnMoments.of(piece))
    scaling, scaler = ColumnScaling.standard(moments), StandardScaler().fit(rows.astype(np.float64))
    np.testing.assert_allclose(scaling.centres, scaler.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scaling.spreads, scaler.scale_, rtol=1e-9)
    expected = scaler.transform(rows.astype(np.float64))
    scaling.apply(rows)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-6)
    assert not rows[:, -1].any()


def test_robust_scaling_is_that_of_scikit_learn():
    rows = make_rows()
    scaler = RobustScaler().fit(rows.astype(np.float64))
    scaling = ColumnScaling.robust(rows)
    np.testing.assert_allclose(scaling.centres, scaler.center_, rtol=1e-12)
    np.testing.assert_allclose(scaling.spreads, scaler.scale_, rtol=1e-12)


def test_rows_of_length_one():
    rows = make_rows()
    rows[5] = 0
    expected = Normalizer().fit_transform(rows.astype(np.float64))
    scale_to_unit(rows)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-7)
    assert not rows[5].any()


def test_no_rows_and_one_row():
    empty = ColumnMoments.of(np.empty((0, 3), dtype=np.float32))
    one = ColumnMoments.of(np.array([[1, 2, 3]], dtype=np.float32))
    assert empty.join(empty).n_rows == 0
    joined = empty.join(one)
    assert joined.means.tolist() == [1, 2, 3]
    assert ColumnScaling.standard(joined).spreads.tolist() == [1, 1, 1]
