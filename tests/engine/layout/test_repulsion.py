"""The weight of the repulsion left to the rows of a window: its size, and who takes it."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import AlignedUMAP, LayoutSettings, pick_repulsion, window_values
from driftmap.engine.errors import InvalidInputError


@pytest.mark.parametrize(("n_rows", "weight"), [(0, 1), (2, 1), (200, 1), (450, 1.5), (800, 2), (1_800, 3), (10**7, 3)])
def test_it_is_the_root_of_the_rows_over_200_from_1_to_3(n_rows, weight):
    assert pick_repulsion(n_rows) == pytest.approx(weight)


def test_each_window_has_its_own_where_it_is_left_open():
    settings = LayoutSettings(repulsion_strength=("auto", 0.5, "auto"))
    found = [window_values(settings, t, n_rows).repulsion_strength for t, n_rows in enumerate((450, 450, 20, 800))]
    assert found == pytest.approx([1.5, 0.5, 1, 2])
    assert window_values(LayoutSettings(), 0, 800).repulsion_strength == 2


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 6)).astype(np.float32)
    return [rows[:450], rows[50:]], [np.arange(450), np.arange(50, 500)]


def fit(windows, **settings):
    return AlignedUMAP(n_neighbors=8, n_epochs=20, random_state=0, **settings).fit(windows[0], ids=windows[1])


def test_the_default_is_the_number_that_it_stands_for(windows):
    chosen, given, plain = (fit(windows, **s) for s in ({}, {"repulsion_strength": 1.5}, {"repulsion_strength": 1}))
    for one, same, other in zip(chosen.embeddings_, given.embeddings_, plain.embeddings_, strict=True):
        assert np.array_equal(one, same)
        assert not np.allclose(one, other, atol=1e-2)
    rows = windows[0][1][:7] + np.float32(0.01)
    assert np.array_equal(chosen.transform(rows), given.transform(rows))
    chosen.update(windows[0][0], ids=windows[1][0])
    given.update(windows[0][0], ids=windows[1][0])
    assert np.array_equal(chosen.embeddings_[2], given.embeddings_[2])


@pytest.mark.parametrize("value", ["often", ["auto", "often"]])
def test_other_words_are_refused(windows, value):
    with pytest.raises(InvalidInputError, match=r"repulsion_strength.* must be a number or 'auto', got 'often'"):
        fit(windows, repulsion_strength=value)
