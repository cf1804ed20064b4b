"""Blocks in parallel: with an exchange after every epoch they are the joint layout, byte for byte."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftmap.engine import (
    BlockWindow,
    GraphSettings,
    InvalidInputError,
    LayoutSettings,
    build_window_graph,
    drift,
    lay_out_block,
    lay_out_in_exchange,
    relate_ids,
    trustworthiness,
)
from driftmap.engine.layout.exchange import ExchangeBlock, add_halo, as_halo, pick_relations
from driftmap.engine.layout.pace import PACE, cut_rounds

N_WINDOWS, N_ROWS, REACH = 7, 60, 2
N_EPOCHS = 20
SETTINGS = LayoutSettings(n_epochs=N_EPOCHS, alignment_window_size=REACH)
N_JOINT = PACE.count_joint_epochs([N_EPOCHS])
CORES = [range(3), range(3, 4), range(4, 7)]


@pytest.fixture(scope="module")
def data():
    """Rows and ids of windows of three drifting clusters; each window loses 8 entities and gains 8."""
    rng = np.random.default_rng(5)
    n_entities = N_ROWS + 8 * (N_WINDOWS - 1)
    base = 6 * rng.normal(size=(3, 6))[np.arange(n_entities) % 3] + rng.normal(size=(n_entities, 6))
    step = 0.15 * rng.normal(size=(n_entities, 6))
    ids = [np.arange(8 * t, 8 * t + N_ROWS) for t in range(N_WINDOWS)]
    return [(base + t * step)[ids[t]].astype(np.float32) for t in range(N_WINDOWS)], ids


@pytest.fixture(scope="module")
def windows(data):
    return [
        BlockWindow(build_window_graph(rows, GraphSettings(n_neighbors=8)).fuzzy, t) for t, rows in enumerate(data[0])
    ]


@pytest.fixture(scope="module")
def relations(data):
    ids = data[1]
    return {(i, j): relate_ids(ids[i], ids[j]) for j in range(N_WINDOWS) for i in range(max(0, j - REACH), j)}


def same(maps, others):
    return [np.array_equal(a, b, equal_nan=True) for a, b in zip(maps, others, strict=True)]


@pytest.mark.parametrize("cores", [CORES, [range(t, t + 1) for t in range(N_WINDOWS)], [range(N_WINDOWS)]])
def test_an_exchange_after_every_epoch_gives_the_joint_layout(windows, relations, cores):
    joint = lay_out_block(windows, relations, SETTINGS, 3, pace=PACE)
    maps = lay_out_in_exchange(windows, relations, SETTINGS, 3, cores, n_exchanges=N_JOINT)
    assert all(same(maps, joint))


def test_windows_with_epochs_of_their_own_and_some_that_stand(windows, relations):
    """Blocks of fewer epochs keep to the run's rounds; a window that is final is read and never moved."""
    settings = LayoutSettings(n_epochs=[20, 10, 10, 7, 20, 5, 10], alignment_window_size=REACH)
    placed = lay_out_block(windows, relations, SETTINGS, 0)
    some = [BlockWindow(w.graph, w.index, placed[t], is_fixed=t < 1) if t < 2 else w for t, w in enumerate(windows)]
    joint = lay_out_block(some, relations, settings, 3, pace=PACE)
    maps = lay_out_in_exchange(some, relations, settings, 3, CORES, n_exchanges=1000)
    assert all(same(maps, joint))
    assert np.array_equal(maps[0], placed[0])


def test_one_block_needs_no_exchange(windows, relations):
    joint = lay_out_block(windows, relations, SETTINGS, 3, pace=PACE)
    assert all(same(lay_out_in_exchange(windows, relations, SETTINGS, 3, [range(N_WINDOWS)], 2), joint))


def test_fewer_exchanges_are_near_the_joint_layout_and_another_seed_is_not(data, windows, relations):
    rows, ids = data
    steps = [relate_ids(a, b) for a, b in itertools.pairwise(ids)]
    joint = lay_out_block(windows, relations, SETTINGS, 3, pace=PACE)
    maps = lay_out_in_exchange(windows, relations, SETTINGS, 3, CORES, n_exchanges=6)
    other = lay_out_in_exchange(windows, relations, SETTINGS, 4, CORES, n_exchanges=6)
    assert not any(same(maps, joint))
    assert not any(same(maps, other))
    assert all(trustworthiness(x, y, 8) > 0.85 for x, y in zip(rows, maps, strict=True))
    assert drift(maps, steps) < 1.2 * drift(joint, steps)


def test_blocks_of_a_round_may_run_in_any_order(windows, relations):
    rounds = cut_rounds(N_JOINT, 4)
    spans = [add_halo(core, N_WINDOWS, REACH) for core in CORES]
    blocks = [
        ExchangeBlock(
            [windows[t] if t in core else as_halo(windows[t]) for t in span],
            pick_relations(relations, core, span),
            SETTINGS,
            3,
            rounds,
        )
        for core, span in zip(CORES, spans, strict=True)
    ]
    maps = []
    for core, span, block in zip(CORES, spans, blocks, strict=True):
        maps += block.carry({t - span.start: maps[t] for t in range(span.start, core.start)})
    for number in range(len(rounds)):
        moved = {}
        for core, span, block in reversed(list(zip(CORES, spans, blocks, strict=True))):
            places = block.move(number, {t - span.start: maps[t] for t in span})
            moved.update(zip(core, places, strict=True))
        maps = [moved[t] for t in range(N_WINDOWS)]
    assert all(same(maps, lay_out_in_exchange(windows, relations, SETTINGS, 3, CORES, n_exchanges=4)))


def test_every_epoch_of_every_block_is_told(windows, relations):
    seen = []
    lay_out_in_exchange(
        windows, relations, SETTINGS, 3, CORES, n_exchanges=4, on_epoch=lambda done, total: seen.append((done, total))
    )
    n_carry = N_EPOCHS + (N_WINDOWS - 1) * round(PACE.carry_share * N_EPOCHS)
    total = n_carry + len(CORES) * N_JOINT
    assert seen == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize(
    ("n_epochs", "n_rounds", "expected"),
    [(300, 40, 40), (7, 3, 3), (3, 7, 3), (0, 5, 1), (5, 0, 1)],
)
def test_rounds_partition_the_epochs(n_epochs, n_rounds, expected):
    rounds = cut_rounds(n_epochs, n_rounds)
    assert [epoch for each in rounds for epoch in each] == list(range(n_epochs))
    assert len(rounds) == expected
    assert max(map(len, rounds)) - min(map(len, rounds)) <= 1


@pytest.mark.parametrize("cores", [[range(3)], [range(4), range(3, 7)], [range(4, 7), range(4)], []])
def test_cores_that_are_no_partition_are_refused(windows, relations, cores):
    with pytest.raises(InvalidInputError, match="cores must hold the 7 windows once each, in order"):
        lay_out_in_exchange(windows, relations, SETTINGS, 3, cores)


def test_no_window_is_no_map():
    assert lay_out_in_exchange([], {}, SETTINGS, 0, []) == []
