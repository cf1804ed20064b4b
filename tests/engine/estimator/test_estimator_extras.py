"""AlignedUMAP beyond fit and update: own starts, reference, transform, figures, movers, the progress bar."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from driftmap.engine import AlignedUMAP, InvalidInputError, trustworthiness

N = 90
CLUSTERS = np.arange(N) % 3


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(3, 6))[CLUSTERS] * 6 + rng.normal(size=(N, 6))
    return [(base + 0.1 * t * rng.normal(size=base.shape)).astype(np.float32) for t in range(3)]


def model(**parameters):
    return AlignedUMAP(**{"random_state": 0, "n_epochs": 60, "n_neighbors": 10, **parameters})


IDS = [np.arange(N)] * 3


@pytest.fixture(scope="module")
def fitted(windows):
    return model().fit(windows, ids=IDS)


@pytest.mark.parametrize("init", ["spectral", "pca", "random"])
def test_each_init_gives_good_maps_of_its_own(windows, fitted, init):
    other = model(init=init, n_epochs=200).fit(windows, ids=IDS)
    assert not np.allclose(other.embeddings_[0], fitted.embeddings_[0], atol=0.1)
    assert min(trustworthiness(x, y, 10) for x, y in zip(windows, other.embeddings_, strict=True)) > 0.85


def test_given_starts_decide_where_the_map_lies(windows):
    start = np.stack([CLUSTERS * 10.0, CLUSTERS * 0.0], axis=1) + np.random.default_rng(0).normal(size=(N, 2))
    maps = model(init=[start + 100] * 3, n_epochs=10).fit(windows, ids=IDS).embeddings_
    for y in maps:
        assert np.median(y, axis=0) == pytest.approx(np.median(start + 100, axis=0), abs=3)


@pytest.mark.parametrize(
    "init", ["middle", [np.zeros((N, 2))], [np.zeros((N, 3))] * 3, [np.full((N, 2), np.nan)] * 3, 7]
)
def test_a_wrong_init_is_named(windows, init):
    with pytest.raises(InvalidInputError, match="init"):
        model(init=init).fit(windows, ids=IDS)


def test_a_reference_turns_the_whole_layout_and_changes_no_distance_ratio(windows, fitted):
    angle = 1.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reference = fitted.embeddings_[1] @ turn * 3 + [40, -7]
    reference[:5] = np.nan
    turned = model().fit(windows, ids=IDS, reference=[None, reference, None])
    for before, after in zip(fitted.embeddings_, turned.embeddings_, strict=True):
        assert after == pytest.approx(before @ turn * 3 + [40, -7], abs=1e-3)
    with pytest.raises(InvalidInputError, match="reference must be a list of 3"):
        model().fit(windows, ids=IDS, reference=[None])
    with pytest.raises(InvalidInputError, match=r"reference\[0\] must have shape"):
        model().fit(windows, ids=IDS, reference=[np.zeros((N, 3)), None, None])


def test_transform_places_rows_near_their_like_and_moves_nothing(windows, fitted):
    before = [m.copy() for m in fitted.embeddings_]
    rng = np.random.default_rng(5)
    new = windows[1] + rng.normal(scale=0.2, size=windows[1].shape).astype(np.float32)
    placed = fitted.transform(new, window=1)
    assert placed.shape == (N, 2)
    assert placed.dtype == np.float32
    assert all(np.array_equal(a, b) for a, b in zip(before, fitted.embeddings_, strict=True))
    y = fitted.embeddings_[1]
    own = np.linalg.norm(placed - y, axis=1)
    others = np.linalg.norm(placed - y[rng.permutation(N)], axis=1)
    assert np.median(own) < 0.25 * np.median(others)
    assert np.array_equal(placed, fitted.transform(new, window=1))
    assert np.array_equal(fitted.transform(new), fitted.transform(new, window=2))
    # a row alone comes out where it does among others
    assert fitted.transform(new[:1], window=1)[0] == pytest.approx(placed[0], abs=1e-4)


def test_transform_refuses_what_does_not_fit(windows, fitted):
    with pytest.raises(InvalidInputError, match="X has 4 columns, the window's rows have 6"):
        fitted.transform(windows[0][:, :4])
    with pytest.raises(InvalidInputError, match="window must be from -3 to 2"):
        fitted.transform(windows[0], window=3)
    with pytest.raises(NotFittedError):
        model().transform(windows[0])


def test_quality_has_a_row_per_window(windows, fitted):
    table = fitted.quality_
    assert len(table) == 3
    assert table[1]["rows"] == N
    assert table[1]["related"] == 1.0
    assert table[1]["trustworthiness"] == pytest.approx(trustworthiness(windows[1], fitted.embeddings_[1]))
    assert np.isnan(table[0]["drift"])
    assert 0 < table[1]["drift"] < 0.5
    assert table[1]["loss_alignment"] > 0
    # a map at random costs more
    worse = model(n_epochs=0, init="random").fit(windows, ids=IDS).quality_
    assert worse[0]["loss_attraction"] > 2 * table[0]["loss_attraction"]


def test_the_row_that_changes_sides_is_the_first_mover(windows):
    changed = [w.copy() for w in windows[:2]]
    changed[1][7] = windows[1][CLUSTERS[7] != CLUSTERS][0]
    found = model().fit(changed, ids=IDS[:2]).movers(0, n=5)
    assert found[0].old_row == 7
    assert found[0].own > 2 * found[1].own


def test_verbose_shows_a_bar_and_changes_nothing(windows, fitted, capsys):
    loud = model(verbose=True).fit(windows, ids=IDS)
    assert "epochs" in capsys.readouterr().err
    assert all(np.array_equal(a, b) for a, b in zip(loud.embeddings_, fitted.embeddings_, strict=True))


@pytest.mark.parametrize("n", [-3, 5.0, True])
def test_a_number_of_movers_that_is_none_is_refused(fitted, n):
    with pytest.raises(InvalidInputError, match="n must be"):
        fitted.movers(0, n)


def test_one_window_has_no_movers(windows):
    with pytest.raises(InvalidInputError, match="holds one window alone; add one by update"):
        model().fit(windows[:1], ids=IDS[:1]).movers(0)
