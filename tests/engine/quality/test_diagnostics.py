"""Loss terms against a loop over all pairs, and against turning; the rows that moved most against their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmap.engine.quality.diagnostics import find_movers, measure_alignment, measure_loss
from driftmap.engine.relations.relations import alignment_weights
from driftmap.engine.types import FuzzyGraph

A, B = 1.577, 0.895


def ring_graph(n, weight=0.5):
    rows = np.repeat(np.arange(n), 2)
    columns = np.stack([(np.arange(n) - 1) % n, (np.arange(n) + 1) % n], axis=1)
    columns.sort(axis=1)
    indptr = np.arange(0, 2 * n + 1, 2).astype(np.int64)
    return FuzzyGraph(indptr, columns.ravel().astype(np.int32), np.full(len(rows), weight, np.float32))


def dense(graph):
    out = np.zeros((graph.n_rows, graph.n_rows))
    out[np.repeat(np.arange(graph.n_rows), np.diff(graph.indptr)), graph.indices] = graph.data
    return out


@pytest.mark.parametrize("n", [12, 150])
def test_loss_terms_equal_a_loop_over_all_pairs(n):
    graph = ring_graph(n)
    y = np.random.default_rng(0).normal(size=(n, 2))
    w = dense(graph)
    attraction = repulsion = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                q = 1 / (1 + A * ((y[i] - y[j]) ** 2).sum() ** B)
                attraction -= w[i, j] * np.log(q)
                repulsion -= (1 - w[i, j]) * np.log(1 - q)
    loss = measure_loss(graph, y, A, B)
    assert loss.attraction == pytest.approx(attraction)
    assert loss.repulsion == pytest.approx(repulsion)


@settings(max_examples=25)
@given(angle=st.floats(0, 6.28), shift=st.floats(-50, 50), seed=st.integers(0, 1000))
def test_turning_and_moving_the_whole_layout_changes_no_loss(angle, shift, seed):
    rng = np.random.default_rng(seed)
    graph, y, z = ring_graph(20), rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    relation = np.arange(20, dtype=np.int32)
    assert measure_loss(graph, y @ turn + shift, A, B) == pytest.approx(measure_loss(graph, y, A, B), rel=1e-6)
    before, after = (
        measure_alignment(graph, graph, p, q, relation) for p, q in ((y, z), (y @ turn + shift, z @ turn + shift))
    )
    assert after == pytest.approx(before, rel=1e-9)


def test_alignment_is_half_the_weighted_square_of_the_ways():
    old, new = ring_graph(8), ring_graph(8)
    relation = np.array([0, 1, 2, 3, 4, 5, -1, 7], np.int32)
    y = np.random.default_rng(1).normal(size=(8, 2))
    weights = alignment_weights(old, new, relation)
    expected = sum(weights[i] * 9 / 2 for i in range(8) if relation[i] >= 0)
    assert measure_alignment(old, new, y, y + np.array([3, 0]), relation) == pytest.approx(expected)


def test_movers_are_those_that_leave_their_neighbours():
    """A whole ring shifts; one row goes farther, and one is not in the newer window."""
    graph = ring_graph(10)
    old = np.random.default_rng(0).normal(size=(10, 2))
    new = old + np.array([5.0, 0])
    new[4] += [0, 2.0]
    relation = np.arange(10, dtype=np.int32)
    relation[9] = -1
    movers = find_movers(graph, old, new, relation, 3)
    assert movers[0].old_row == movers[0].new_row == 4
    assert movers[0].distance == pytest.approx(np.hypot(5, 2))
    assert movers[0].own == pytest.approx(2.0)
    assert [m.own for m in movers] == sorted((m.own for m in movers), reverse=True)
    assert {m.old_row for m in movers[1:]} == {3, 5}
    assert len(find_movers(graph, old, new, relation, 50)) == 9
