"""Attraction and repulsion against finite differences of their losses."""

from __future__ import annotations

import numpy as np
import pytest
from tests import naive_layout

from driftmap.engine.layout.curve import fit_curve
from driftmap.engine.layout.flatten import Shuffle, flatten_block
from driftmap.engine.layout.kernels import arrays
from driftmap.engine.layout.kernels import force_kernels as kernels
from driftmap.engine.types import FuzzyGraph

A, B = (np.float32(value) for value in fit_curve(0.1, 1.0))


def make_pair(n_components, distance):
    """Two rows with one edge, so far apart, and what the kernels work on."""
    graph = FuzzyGraph(np.array([0, 1, 2]), np.array([1, 0], np.int32), np.ones(2, np.float32))
    shuffle = Shuffle(graph, 0)
    block = flatten_block([graph], {}, [shuffle], [200])
    places = np.stack([np.zeros(n_components), np.full(n_components, distance / np.sqrt(n_components))])
    positions = places.T.astype(np.float32).copy()
    window = arrays.WindowEpoch(
        start=0,
        n=2,
        n_sampled=2,
        first_sampled=0,
        a=A,
        b=B,
        n_negatives=2,
        repulsion=np.float32(1),
        random=np.uint64(7),
    )
    scratch = kernels.make_scratch(np.array([0, 0, 2]), block, n_components)
    scratch.force[:] = 0
    return block, positions, window, scratch


@pytest.mark.parametrize("distance", [0.05, 0.3, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("n_components", [1, 2, 3, 5])
def test_attraction_follows_the_gradient_of_its_loss(distance, n_components):
    block, positions, window, scratch = make_pair(n_components, distance)
    edges = arrays.Edges(block.indptr, block.indices, block.rates)
    kernels.attract((0, 2), edges, positions, window, scratch)
    here, there = positions.T.astype(np.float64)
    expected = 2 * naive_layout.downhill(naive_layout.attraction_loss, here, there, float(A), float(B))
    assert scratch.force[:, 0] == pytest.approx(expected, rel=2e-3)
    assert scratch.force[:, 1] == pytest.approx(-expected, rel=2e-3)


@pytest.mark.parametrize("distance", [0.6, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("n_components", [1, 2, 3, 5])
def test_repulsion_follows_the_gradient_of_its_loss_where_it_is_not_softened(distance, n_components):
    # Each row's negative samples are both rows; a row does not repel itself.
    block, positions, window, scratch = make_pair(n_components, distance)
    kernels.repel((0, 2), block, (positions, positions), window, scratch)
    here, there = positions.T.astype(np.float64)
    expected = naive_layout.downhill(naive_layout.repulsion_loss, here, there, float(A), float(B))
    assert scratch.force[:, 0] == pytest.approx(expected, rel=5e-3, abs=1e-6)
    assert scratch.force[:, 1] == pytest.approx(-expected, rel=5e-3, abs=1e-6)


@pytest.mark.parametrize("distance", [0.0, 1e-6, 1e-3, 0.1])
def test_repulsion_is_bounded_and_a_row_does_not_repel_itself(distance):
    block, positions, window, scratch = make_pair(2, distance)
    kernels.repel((0, 2), block, (positions, positions), window, scratch)
    assert np.isfinite(scratch.force[:, :2]).all()
    assert np.linalg.norm(scratch.force[:, 0]) <= 4.001
    assert (np.linalg.norm(scratch.force[:, 0]) > 0) == (distance > 0)
