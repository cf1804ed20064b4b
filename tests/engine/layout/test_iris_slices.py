"""What umap-learn asks of its own AlignedUMAP, asked of ours: slices of iris, fit, update, one value per window.

The bounds are those of umap-learn's tests; the seed is fixed here, and relations run from old row to new row.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from driftmap.engine import AlignedUMAP, InvalidInputError

STARTS = range(0, 125, 25)


@pytest.fixture(scope="module")
def slices():
    iris = load_iris()
    return [iris.data[s : s + 50] for s in STARTS], [iris.target[s : s + 50] for s in STARTS]


RELATIONS = [{row + 25: row for row in range(25)} for _ in range(4)]


def share_kept(rows, positions, k=10):
    """Share of each row's ten nearest, itself included, that are among the ten nearest on the map."""
    data, places = (np.argsort(pairwise_distances(x), axis=1)[:, :k] for x in (rows, positions))
    return np.mean([np.isin(a, b).mean() for a, b in zip(data, places, strict=True)])


@pytest.fixture(scope="module")
def fitted(slices):
    return AlignedUMAP(random_state=42).fit(slices[0], relations=RELATIONS)


def test_neighbours_are_kept_in_every_slice(slices, fitted):
    assert min(share_kept(x, y) for x, y in zip(slices[0], fitted.embeddings_, strict=True)) >= 0.65


@pytest.mark.parametrize(("window", "bound"), [(1, 0.75), (3, 0.40)])
def test_species_are_clusters(slices, fitted, window, bound):
    clusters = KMeans(n_clusters=2, n_init=10, random_state=0).fit_predict(fitted.embeddings_[window])
    assert adjusted_rand_score(slices[1][window], clusters) >= bound


def test_update_keeps_neighbours_too(slices):
    model = AlignedUMAP(random_state=42).fit(slices[0][:3], relations=RELATIONS[:2])
    model.update(slices[0][3], relations=RELATIONS[2])
    assert min(share_kept(x, y) for x, y in zip(slices[0], model.embeddings_, strict=False)) >= 0.65


def test_update_takes_values_for_the_new_window(slices):
    n_neighbors = [10, 10, 10]
    model = AlignedUMAP(random_state=42, n_neighbors=n_neighbors, n_epochs=50)
    model.fit(slices[0][:3], relations=RELATIONS[:2]).update(slices[0][3], relations=RELATIONS[2], n_neighbors=25)
    other = AlignedUMAP(random_state=42, n_neighbors=n_neighbors, n_epochs=50)
    other.fit(slices[0][:3], relations=RELATIONS[:2]).update(slices[0][3], relations=RELATIONS[2])
    assert n_neighbors == [10, 10, 10]
    assert len(model.graphs_[3].data) > 1.5 * len(other.graphs_[3].data)
    assert share_kept(slices[0][3], model.embeddings_[3]) >= 0.45
    # the window after it goes back to the model's own value
    model.update(slices[0][4], relations=RELATIONS[3])
    assert len(model.graphs_[4].data) < len(model.graphs_[3].data)


def test_update_refuses_values_it_cannot_set_and_several_windows_at_once(slices):
    model = AlignedUMAP(random_state=42, n_epochs=10).fit(slices[0][:3], relations=RELATIONS[:2])
    with pytest.raises(InvalidInputError, match="n_components cannot be set for one window"):
        model.update(slices[0][3], relations=RELATIONS[2], n_components=3)
    with pytest.raises(InvalidInputError, match="n_neighbors takes one value"):
        model.update(slices[0][3], relations=RELATIONS[2], n_neighbors=[5, 5])
    with pytest.raises(InvalidInputError, match="X must be a 2-D array"):
        model.update(slices[0][3:], relations=RELATIONS[2])
    assert model.n_windows_ == 3


def test_update_after_a_reference_stays_on_it(slices):
    plain = AlignedUMAP(random_state=42, n_epochs=40).fit(slices[0][:3], relations=RELATIONS[:2])
    reference = [m * 10 + 100 for m in plain.embeddings_]
    on_it = AlignedUMAP(random_state=42, n_epochs=40).fit(slices[0][:3], relations=RELATIONS[:2], reference=reference)
    plain.update(slices[0][3], relations=RELATIONS[2], lookahead=1)
    on_it.update(slices[0][3], relations=RELATIONS[2], lookahead=1)
    for a, b in zip(plain.embeddings_, on_it.embeddings_, strict=True):
        assert b == pytest.approx(a * 10 + 100, abs=1e-2)
    assert on_it.transform(slices[0][3]) == pytest.approx(plain.transform(slices[0][3]) * 10 + 100, abs=1e-2)
