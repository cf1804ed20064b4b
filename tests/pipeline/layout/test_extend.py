"""One step of ingestion: what pins the map, and settings for windows that a run did not know."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.pipeline.layout.extend import MIN_PINS, pin_to_halo


def turn(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=np.float32)


@pytest.fixture
def places():
    """A final window, and two free ones that are the same but for noise, a turn and a shift."""
    rng = np.random.default_rng(2)
    final = rng.normal(size=(60, 2)).astype(np.float32) * 3
    free = [(final + 0.01 * rng.normal(size=final.shape)).astype(np.float32) @ turn(20) + 5 for _ in range(2)]
    return [final, *(window.astype(np.float32) for window in free)]


def test_windows_that_slid_as_one_are_brought_back(places):
    same = np.arange(60, dtype=np.int32)
    pinned = pin_to_halo(places, {(0, 1): same, (1, 2): same}, 1)
    assert pinned[0] is places[0]
    for window in (1, 2):  # the second one too, that no relation ties to the halo
        assert np.abs(pinned[window] - places[0]).max() < 0.1
    between = np.linalg.norm(pinned[1] - pinned[2], axis=1)
    assert np.allclose(between, np.linalg.norm(places[1] - places[2], axis=1), atol=1e-3)


def test_rows_without_a_place_stay_without_and_do_not_count(places):
    places[1][7] = np.nan
    pinned = pin_to_halo(places, {(0, 1): np.arange(60, dtype=np.int32)}, 1)
    assert np.isnan(pinned[1][7]).all()
    assert np.isfinite(np.delete(pinned[1], 7, axis=0)).all()


def test_too_few_rows_and_rows_on_a_line_turn_nothing(places):
    few = np.full(60, -1, dtype=np.int32)
    few[: MIN_PINS - 1] = np.arange(MIN_PINS - 1)
    assert pin_to_halo(places, {(0, 1): few}, 1)[1] is places[1]
    assert pin_to_halo(places, {}, 0)[1] is places[1]
    mirrored = [places[0], places[0] * np.array([1, -1], np.float32)]
    assert pin_to_halo(mirrored, {(0, 1): np.arange(60, dtype=np.int32)}, 1)[1] is mirrored[1]
