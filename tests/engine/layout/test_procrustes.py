"""Registration: what was turned, scaled and shifted comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmap.engine.layout.procrustes import fit_similarity, register_maps


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), n_components=st.integers(1, 4), scale=st.floats(0.2, 5))
def test_a_similarity_is_found_again(seed, n_components, scale):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(20, n_components))
    turn = np.linalg.qr(rng.normal(size=(n_components, n_components)))[0]
    shift = rng.normal(size=n_components)
    target = scale * points @ turn + shift
    target[3] = np.nan
    found = fit_similarity(points, target, with_scale=True)
    assert found.scale == pytest.approx(scale)
    assert found.rotation == pytest.approx(turn, abs=1e-9)
    assert found.shift == pytest.approx(shift, abs=1e-9)
    assert fit_similarity(points, points @ turn, with_scale=False).scale == 1.0


def test_nothing_known_changes_nothing():
    points = np.ones((4, 2), np.float32)
    assert np.array_equal(fit_similarity(points, points * np.nan, with_scale=True).apply(points), points)
    maps, _ = register_maps([points], [None])
    assert np.array_equal(maps[0], points)


def test_all_windows_move_together():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(10, 2)).astype(np.float32) for _ in range(3)]
    quarter = np.array([[0, 1], [-1, 0]])
    moved, found = register_maps(maps, [None, maps[1] @ quarter * 2 + 5, None])
    assert found.scale == pytest.approx(2, rel=1e-5)
    for before, after in zip(maps, moved, strict=True):
        assert after == pytest.approx(before @ quarter * 2 + 5, abs=1e-5)
