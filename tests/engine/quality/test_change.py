"""Turnover, displacement and noise floor: the loops, what they do not depend on, and a row that is known to move."""

from __future__ import annotations

import numpy as np
import pytest
from tests import naive

from driftmap.engine import build_knn_graph, displacement, drift, noise_floor, relate_ids, turnover
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.quality.change import STILL_SHARE


def make_pair(seed=0, n=120, n_common=80, noise=0.4, k=8):
    """Two windows of the same 5-dimensional rows with noise, of which `n_common` are in both, in another order."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2 * n - n_common, 5))
    old_ids, new_ids = rng.permutation(n), rng.permutation(np.arange(n - n_common, 2 * n - n_common))
    old, new = rows[old_ids], rows[new_ids] + rng.normal(size=(n, 5)) * noise
    graphs = [build_knn_graph(x.astype(np.float32), k).indices for x in (old, new)]
    return graphs, [old[:, :2], new[:, :2]], relate_ids(old_ids, new_ids)


@pytest.mark.parametrize("n_common", [1, 3, 40, 120])
def test_turnover_equals_the_loop(n_common):
    (old, new), _, relation = make_pair(1, n_common=n_common)
    found = turnover(old, new, relation)
    np.testing.assert_allclose(found, naive.turnover(old, new, relation), atol=1e-6)
    assert found.dtype == np.float32
    assert np.isnan(found[relation < 0]).all()


def test_turnover_of_short_lists_equals_the_loop():
    (old, new), _, relation = make_pair(2)
    new = new[:, :5].copy()
    old[::7, 3:] = -1
    new[3, 1:] = -1
    np.testing.assert_allclose(turnover(old, new, relation), naive.turnover(old, new, relation), atol=1e-6)


def test_nothing_that_came_or_went_is_turnover():
    (old, new), _, relation = make_pair(3, noise=0.0, n_common=60)
    found = turnover(old, new, relation)
    assert np.nanmax(found) == 0
    assert np.isfinite(found).sum() > 40


def test_the_order_of_rows_is_nothing_to_turnover():
    (old, new), _, relation = make_pair(4)
    order = np.random.default_rng(5).permutation(len(old))
    place = np.argsort(order).astype(np.int32)
    found = turnover(place[old[order]], new, relation[order])
    np.testing.assert_array_equal(found, turnover(old, new, relation)[order])


def test_displacement_equals_the_loop():
    _, (old, new), relation = make_pair(6)
    old[4], new[7] = np.nan, np.inf
    expected = naive.displacement(old, new, relation)
    expected[~np.isfinite(expected)] = np.nan
    np.testing.assert_allclose(displacement(old, new, relation), expected, rtol=1e-6)


def test_the_mean_displacement_is_the_drift():
    _, maps, relation = make_pair(7)
    assert np.nanmean(displacement(*maps, relation)) == pytest.approx(drift(maps, [relation]), rel=1e-6)
    scaled = displacement(*maps, relation, spread=2.0)
    distances = np.linalg.norm(maps[0][relation >= 0] - maps[1][relation[relation >= 0]], axis=1)
    np.testing.assert_allclose(scaled[relation >= 0], distances / 2, rtol=1e-6)


def test_maps_without_spread():
    still = np.zeros((3, 2))
    relation = np.arange(3, dtype=np.int32)
    assert displacement(still, still, relation).tolist() == [0, 0, 0]
    assert np.isnan(displacement(still * np.nan, still, relation)).all()


def test_a_row_that_moves_stands_above_the_floor():
    rng = np.random.default_rng(8)
    old = np.concatenate([rng.normal(size=(60, 4)), rng.normal(size=(60, 4)) + 12]).astype(np.float32)
    new = old + rng.normal(size=old.shape).astype(np.float32) * 0.05
    new[5] += 12
    graphs = [build_knn_graph(x, 10).indices for x in (old, new)]
    relation = np.arange(120, dtype=np.int32)
    change, moved = turnover(*graphs, relation), displacement(old[:, :2], new[:, :2], relation)
    assert change.argmax() == moved.argmax() == 5
    assert change[5] == 1
    assert moved[5] > 20 * noise_floor(change, moved) > 0


def test_the_noise_floor_is_the_median_of_the_stillest_rows():
    rng = np.random.default_rng(9)
    change, moved = rng.permutation(100) / 100, rng.random(100)
    n = round(STILL_SHARE * 100)
    assert noise_floor(change, moved) == np.median(moved[np.argsort(change)[:n]])
    change[np.argsort(change)[:30]] = 0  # equal turnover: none is left out
    assert noise_floor(change, moved) == np.median(moved[change == 0])


def test_the_noise_floor_of_nothing_is_unknown():
    assert np.isnan(noise_floor([np.nan, 0.5], [1.0, np.nan]))
    assert np.isnan(noise_floor([], []))


def test_arguments_that_do_not_fit_are_refused():
    (old, new), maps, relation = make_pair(10)
    with pytest.raises(InvalidInputError, match="old_knn must be integers"):
        turnover(old + len(old), new, relation)
    with pytest.raises(InvalidInputError, match="relation must be integers, one for each of the 120 rows"):
        turnover(old, new, relation[:-1])
    with pytest.raises(InvalidInputError, match="relation must be"):
        displacement(maps[0], maps[1][:10], relation)
    with pytest.raises(InvalidInputError, match="old has 2 components and new 1"):
        displacement(maps[0], maps[1][:, :1], relation)
    with pytest.raises(InvalidInputError, match="of the same rows"):
        noise_floor([0.0], [0.0, 1.0])
