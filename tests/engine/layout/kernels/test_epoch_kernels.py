"""Epochs against a slow loop written from the papers."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from tests import naive_layout

from driftmap.engine.core.jit import exact_uncached
from driftmap.engine.layout.curve import fit_curve
from driftmap.engine.layout.flatten import Shuffle, flatten_block
from driftmap.engine.layout.kernels import arrays
from driftmap.engine.layout.kernels import epoch_kernels as kernels
from driftmap.engine.layout.kernels.force_kernels import draw_run
from driftmap.engine.layout.kernels.taking_kernels import take
from driftmap.engine.relations.relations import relate_ids
from driftmap.engine.types import FuzzyGraph

A, B = (np.float32(value) for value in fit_curve(0.1, 1.0))


def random_graph(n, seed, isolated=()):
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((n, n)) < 0.3, rng.uniform(0.05, 1, (n, n)), 0).astype(np.float32)
    dense = np.maximum(dense, dense.T)
    np.fill_diagonal(dense, 0)
    for row in isolated:
        dense[row] = dense[:, row] = 0
    rows, columns = np.nonzero(dense)
    indptr = np.searchsorted(rows, np.arange(n + 1)).astype(np.int64)
    return FuzzyGraph(indptr, columns.astype(np.int32), dense[rows, columns])


def make_block(sizes, seed=0, isolated=(), mid_near=None):
    graphs = [random_graph(n, seed + t, isolated) for t, n in enumerate(sizes)]
    shuffles = [Shuffle(graph, seed + t) for t, graph in enumerate(graphs)]
    ids = [np.arange(t * 3, t * 3 + n) for t, n in enumerate(sizes)]
    pairs = {(i, j): relate_ids(ids[i], ids[j]) for i in range(len(sizes)) for j in range(i + 1, len(sizes))}
    return flatten_block(graphs, pairs, shuffles, [200] * len(sizes), mid_near=mid_near), shuffles


def make_forces(n_windows, **changes):
    values = {
        "a": A,
        "b": B,
        "repulsion_strength": 1.0,
        "negative_sample_rate": 5,
        "alignment_regularisation": 0.05,
        "moves_freely": 0.0,
        **changes,
    }
    return arrays.WindowForces(*(np.full(n_windows, values[name], np.float32) for name in arrays.WindowForces._fields))


def run(
    block, forces, positions, learning_rates, n_placed=None, first_epoch=0, windows=None, hot_rate=np.inf, n_drawn=0
):
    windows = range(len(block.n_active)) if windows is None else windows
    chunks = [(t, int(block.offsets[t]), int(block.offsets[t] + block.n_active[t])) for t in windows]
    plan = arrays.EpochPlan(
        chunks=np.array(chunks, np.int64),
        learning_rates=np.array(learning_rates, np.float32),
        hot_rates=np.full(len(block.n_active), hot_rate, np.float32),
        epochs=first_epoch + np.arange(len(learning_rates), dtype=np.int64),
        n_placed=int(block.offsets[-1]) if n_placed is None else n_placed,
        seeds=np.arange(11, 11 + len(block.n_active), dtype=np.uint64),
        draws=np.arange(len(learning_rates)) < n_drawn,
        is_ordered=False,
        n_threads=1,
    )
    buffers = np.stack([positions.T, positions.T]).astype(np.float32).copy()
    kernels.run_epochs(plan, block, forces, buffers, np.empty((buffers.shape[1], 0), np.float32))
    assert np.array_equal(buffers[0], buffers[1], equal_nan=True)
    return buffers[0].T


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[80], [20, 77, 50], [9, 12]])
def test_one_epoch_equals_the_slow_loop(sizes, n_components):
    block, _ = make_block(sizes)
    forces = make_forces(len(sizes), repulsion_strength=1.3, negative_sample_rate=4)
    positions = np.random.default_rng(5).normal(scale=3, size=(sum(sizes), n_components)).astype(np.float32)
    moved = run(block, forces, positions, [[0.7] * len(sizes)], first_epoch=6)
    for t in range(len(sizes)):
        rows = slice(block.offsets[t], block.offsets[t + 1])
        expected = naive_layout.one_epoch(
            block, forces, positions.astype(np.float64), t, 0.7, 11 + t, 6, int(block.offsets[-1])
        )
        assert moved[rows] == pytest.approx(expected[rows], abs=2e-4)
    assert np.abs(moved - positions).max() > 0.1


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_mid_near_rows_attract_while_rows_are_drawn(n_components):
    mid_near = [np.random.default_rng(7).integers(-1, 40, (40, 4)).astype(np.int32), None]
    block, _ = make_block([40, 30], isolated=[3], mid_near=mid_near)
    positions = np.random.default_rng(5).normal(scale=3, size=(70, n_components)).astype(np.float32)
    given = block, make_forces(2), positions
    drawn, free = (run(*given, [[0.7, 0.7]], n_drawn=n_drawn) for n_drawn in (1, 0))
    slow = [block, make_forces(2), positions.astype(np.float64), 0, 0.7, 11, 0, 70]
    assert drawn[:39] == pytest.approx(naive_layout.one_epoch(*slow, draws=True)[:39], abs=2e-4)
    assert free[:39] == pytest.approx(naive_layout.one_epoch(*slow)[:39], abs=2e-4)
    assert np.abs(drawn - free)[:39].max() > 0.1
    assert np.array_equal(drawn[40:], free[40:])
    # After the first epoch none is drawn: the second is that of any other stage.
    assert np.array_equal(
        run(*given, [[0.7, 0.7]] * 2, n_drawn=1), run(block, make_forces(2), drawn, [[0.7, 0.7]], first_epoch=1)
    )


@pytest.mark.parametrize(("hot_rate", "n_negatives"), [(0.71, 64), (0.69, 32)])
def test_rows_look_at_fewer_negative_samples_where_the_rate_is_above_that_of_hot_epochs(hot_rate, n_negatives):
    block, _ = make_block([80, 20])
    positions = np.random.default_rng(5).normal(scale=3, size=(100, 2)).astype(np.float32)
    moved = run(block, make_forces(2), positions, [[0.7, 0.7]], hot_rate=hot_rate)
    expected = naive_layout.one_epoch(
        block, make_forces(2), positions.astype(np.float64), 0, 0.7, 11, 0, len(positions), n_negatives
    )
    assert moved[:80] == pytest.approx(expected[:80], abs=2e-4)


def test_windows_without_a_place_pull_nothing_and_windows_at_rest_stay():
    block, _ = make_block([20, 30, 25])
    forces = make_forces(3, alignment_regularisation=5.0)
    positions = np.random.default_rng(1).normal(size=(75, 2)).astype(np.float32)
    far = positions.copy()
    far[50:] = 1e6
    first, second = (run(block, forces, p, [[1, 0, 0]] * 3, n_placed=50, windows=[0]) for p in (positions, far))
    assert np.array_equal(first[:20], second[:20])
    assert np.array_equal(first[20:], positions[20:])
    pulled = run(block, forces, far, [[1, 0, 0]] * 3, windows=[0])
    assert np.abs(pulled[:20]).max() > 1e3


def test_a_pull_of_no_strength_moves_nothing():
    block, _ = make_block([20, 30])
    apart = block._replace(related_indptr=np.zeros_like(block.related_indptr))
    positions = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    forces = make_forces(2, alignment_regularisation=0.0)
    assert np.array_equal(run(block, forces, positions, [[1, 1]] * 9), run(apart, forces, positions, [[1, 1]] * 9))


def test_no_row_moves_farther_than_the_learning_rate_when_nothing_pulls():
    block, _ = make_block([30])
    positions = np.random.default_rng(1).normal(scale=1e-4, size=(30, 2)).astype(np.float32)
    moved = run(block, make_forces(1), positions, [[0.25]])
    delta = np.linalg.norm(moved - positions, axis=1)
    assert delta.max() <= 0.25 * 1.0001
    assert delta.max() > 0.2


def test_epochs_in_one_call_equal_epochs_in_several_calls():
    block, _ = make_block([20, 37])
    forces = make_forces(2)
    positions = np.random.default_rng(5).normal(size=(57, 2)).astype(np.float32)
    rates = np.linspace(1, 0.1, 7)[:, None].repeat(2, 1)
    whole = run(block, forces, positions, rates)
    parts = run(block, forces, run(block, forces, positions, rates[:3]), rates[3:], first_epoch=3)
    assert np.array_equal(whole, parts)


def test_rows_without_an_edge_take_no_part():
    block, shuffles = make_block([30], isolated=[4, 9])
    assert block.n_active[0] == 28
    assert set(shuffles[0].rows[28:]) == {4, 9}
    positions = np.random.default_rng(5).normal(size=(30, 2)).astype(np.float32)
    poisoned = positions.copy()
    poisoned[28:] = np.nan
    moved = run(block, make_forces(1), poisoned, [[1.0]] * 5)
    assert np.array_equal(moved[:28], run(block, make_forces(1), positions, [[1.0]] * 5)[:28])
    assert np.isfinite(moved[:28]).all()


def make_plan(block, is_ordered, n_threads=1):
    chunks = [(t, int(block.offsets[t]), int(block.offsets[t] + n)) for t, n in enumerate(block.n_active)]
    return arrays.EpochPlan(
        chunks=np.array(chunks, np.int64),
        learning_rates=np.full((3, len(chunks)), 0.5, np.float32),
        hot_rates=np.full(len(chunks), np.inf, np.float32),
        epochs=np.array([5, 6, 9]),
        n_placed=int(block.offsets[-1]),
        seeds=np.arange(11, 11 + len(chunks), dtype=np.uint64),
        draws=np.zeros(3, bool),
        is_ordered=is_ordered,
        n_threads=n_threads,
    )


@pytest.fixture
def n_sampled_rows(monkeypatch):
    """Rows that samples begin at: as compiled; few where nothing is compiled, and every row takes a millisecond."""
    if numba.config.DISABLE_JIT:
        monkeypatch.setattr(kernels, "SAMPLED_ROWS", 200)
    return kernels.SAMPLED_ROWS


def test_negative_samples_of_a_large_window_begin_anywhere_in_a_part_that_changes_with_the_epoch(n_sampled_rows):
    n = 3 * n_sampled_rows
    block = make_ring_block(n)
    plan = make_plan(block, is_ordered=False)
    found = [kernels.find_sampled(0, epoch, plan, block) for epoch in range(3)]
    assert len({first for first, _ in found}) == 3
    assert {n_sampled for _, n_sampled in found} == {n_sampled_rows}
    (first, n_sampled) = found[0]
    window = arrays.WindowEpoch(0, n, n_sampled, first, A, B, 64, np.float32(1), np.uint64(7))
    starts = np.array([draw_run(place, window)[0] for place in range(min(n, 10_000))])
    assert ((starts - first) % n < n_sampled_rows).all()
    assert np.histogram((starts - first) % n, bins=4)[0].min() > 0.8 * len(starts) / 4
    small = make_ring_block(n_sampled_rows)
    assert kernels.find_sampled(0, 1, make_plan(small, is_ordered=False), small) == (0, n_sampled_rows)


def make_ring_block(n):
    """A window of rows of which each has an edge to the next one."""
    return arrays.BlockArrays(
        offsets=np.array([0, n]),
        n_active=np.array([n]),
        indptr=np.arange(n + 1),
        indices=((np.arange(n) + 1) % n).astype(np.int32),
        rates=np.ones(n, np.float32),
        row_rates=np.ones(n, np.float32),
        related_indptr=np.zeros(n + 1, np.int64),
        related=np.empty(0, np.int32),
        related_weights=np.empty(0, np.float32),
        places=np.arange(n, dtype=np.int32),
        mid_near_indptr=np.zeros(n + 1, np.int64),
        mid_near=np.empty(0, np.int32),
        mid_near_rates=np.empty(0, np.float32),
    )


@pytest.mark.parametrize("is_large", [False, True])
def test_samples_from_a_shuffled_copy_are_the_same_bytes(n_sampled_rows, is_large):
    n = 4 * n_sampled_rows if is_large else 100
    block = make_ring_block(n)
    positions = np.random.default_rng(5).normal(size=(2, n)).astype(np.float32)
    moved = []
    for is_ordered in (False, True):
        buffers = np.stack([positions, positions]).copy()
        shuffled = np.full_like(positions, np.nan)
        kernels.run_epochs(make_plan(block, is_ordered), block, make_forces(1), buffers, shuffled)
        moved.append(buffers[0])
    assert np.isfinite(moved[0]).all()
    assert np.array_equal(*moved)
    assert np.isnan(shuffled).any() == is_large  # only what is read is copied


@pytest.mark.parametrize("n_chunks", [1, 7, 200])
def test_every_chunk_is_moved_once_whatever_the_number_of_threads(n_chunks):
    n = 3 * n_chunks
    block = make_ring_block(n)
    positions = np.random.default_rng(6).normal(size=(2, n)).astype(np.float32)
    chunks = np.stack([np.zeros(n_chunks, np.int64), np.arange(0, n, 3), np.arange(0, n, 3) + 3], axis=1)
    moved = []
    for n_threads in (1, 2, 3):
        buffers = np.stack([positions, positions]).copy()
        plan = make_plan(block, is_ordered=False, n_threads=n_threads)._replace(chunks=chunks)
        kernels.run_epochs(plan, block, make_forces(1), buffers, np.empty((2, 0), np.float32))
        moved.append(buffers[0])
    assert (moved[0] != positions).all()
    assert np.array_equal(moved[0], moved[1])
    assert np.array_equal(moved[0], moved[2])


@pytest.mark.parametrize("n_at_once", [1, 3])
def test_threads_take_each_number_once(n_at_once):
    taken = np.zeros(2, np.int64)
    found = [take_one(taken, 1, n_at_once) for _ in range(4)]
    assert found == [0, n_at_once, 2 * n_at_once, 3 * n_at_once]
    assert taken.tolist() == [0, 4 * n_at_once]


@exact_uncached
def take_one(taken, counter, n):
    return take(taken, counter, n)
