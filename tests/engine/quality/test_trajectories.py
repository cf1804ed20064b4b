"""Smooth paths: through every place, and never beyond two of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.quality.trajectories import smooth_paths

places = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 3)),
    elements=st.floats(-100, 100, width=32, allow_subnormal=False),
)


@given(places, st.integers(1, 5))
def test_paths_go_through_every_place_and_never_overshoot(nodes, n_steps):
    paths = smooth_paths(nodes, n_steps)
    n, n_windows, n_axes = nodes.shape
    assert paths.shape == (n, (n_windows - 1) * n_steps + 1, n_axes)
    np.testing.assert_allclose(paths[:, ::n_steps], nodes, atol=1e-4)
    for window in range(n_windows - 1):
        piece = paths[:, window * n_steps : (window + 1) * n_steps + 1]
        pair = nodes[:, window : window + 2]
        assert (piece >= pair.min(axis=1, keepdims=True) - 1e-3).all()
        assert (piece <= pair.max(axis=1, keepdims=True) + 1e-3).all()


def test_paths_are_smooth():
    steep = smooth_paths(np.array([[[0.0], [1], [3], [10], [11]]]), 200)[0, :, 0]
    turns = np.abs(np.diff(steep, 2))
    assert turns.max() < 1e-3  # straight lines would turn by .045 at once


def test_no_entities_give_no_paths():
    assert smooth_paths(np.zeros((0, 4, 2)), 5).shape == (0, 16, 2)


@pytest.mark.parametrize("nodes", [np.zeros((3, 2)), np.zeros((1, 0, 2)), np.full((1, 2, 2), np.nan)])
def test_what_is_no_path_is_refused(nodes):
    with pytest.raises(InvalidInputError, match="places must be finite"):
        smooth_paths(nodes, 4)


@pytest.mark.parametrize("n_steps", [0, -1, 2.5, True])
def test_paths_of_no_points_are_refused(n_steps):
    with pytest.raises(InvalidInputError, match="n_steps"):
        smooth_paths(np.zeros((2, 3, 2)), n_steps)
