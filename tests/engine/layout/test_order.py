"""Rows of large windows ordered by where they lie: near rows are near in memory, and no byte of a layout changes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.layout.kernels.test_epoch_kernels import make_block

from driftmap.engine import BlockWindow, GraphSettings, LayoutSettings, build_window_graph, lay_out_block, relate_ids
from driftmap.engine.layout import optimiser
from driftmap.engine.layout.exchange import lay_out_in_exchange
from driftmap.engine.layout.kernels.order_kernels import reorder_rows
from driftmap.engine.layout.order import order_by_position


@pytest.mark.parametrize("n_axes", [1, 2, 3, 5])
def test_rows_next_to_each_other_in_the_order_are_near(n_axes):
    positions = np.random.default_rng(0).normal(size=(n_axes, 4000)).astype(np.float32)
    order = order_by_position(positions)
    assert np.array_equal(np.sort(order), np.arange(4000))
    used = positions[:3]
    deltas = np.linalg.norm(np.diff(used[:, order], axis=1), axis=0)
    assert np.median(deltas) < 0.15 * np.median(np.linalg.norm(np.diff(used, axis=1), axis=0))


def test_rows_at_one_position_or_at_none_keep_their_order():
    assert order_by_position(np.ones((2, 7), np.float32)).tolist() == list(range(7))
    lost = np.array([[np.nan, 3, np.inf], [0, 0, 0]], np.float32)
    assert sorted(order_by_position(lost).tolist()) == [0, 1, 2]


def test_each_row_keeps_its_edges_and_relations_in_their_order():
    block, _ = make_block([30, 40, 25])
    before = block._replace(**{name: array.copy() for name, array in block._asdict().items()})
    order = np.random.default_rng(3).permutation(40)
    reorder_rows(block, 30, order)
    new_row = np.arange(95)
    new_row[30 + order] = np.arange(30, 70)
    for old, new in enumerate(new_row):
        for indptr, names, values in (("indptr", "indices", "rates"), ("related_indptr", "related", "related_weights")):
            was = slice(*getattr(before, indptr)[old : old + 2])
            now = slice(*getattr(block, indptr)[new : new + 2])
            assert np.array_equal(getattr(block, names)[now], new_row[getattr(before, names)[was]])
            assert np.array_equal(getattr(block, values)[now], getattr(before, values)[was])
        assert block.row_rates[new] == before.row_rates[old]
        assert block.places[new] == before.places[old]


@pytest.fixture(scope="module")
def data():
    """Four windows of a drifting cloud with groups; some rows come, some go, one has no edge."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=(300, 5)) + 4 * rng.integers(0, 4, size=(300, 1))
    ids = [np.arange(20 * t, 20 * t + 230 + t) for t in range(4)]
    graphs = [
        build_window_graph((base[own] + 0.1 * rng.normal(size=(len(own), 5))).astype(np.float32), GraphSettings()).fuzzy
        for own in ids
    ]
    relations = {(i, j): relate_ids(ids[i], ids[j]) for j in range(4) for i in range(max(0, j - 2), j)}
    return [BlockWindow(graph, t) for t, graph in enumerate(graphs)], relations


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_no_byte_of_a_layout_changes(data, monkeypatch, n_components):
    windows, relations = data
    settings = LayoutSettings(n_components=n_components, n_epochs=30, alignment_window_size=2)
    plain = lay_out_block(windows, relations, settings, 3)
    calls = []

    def spy(positions):
        calls.append(positions.shape)
        return order_by_position(positions)

    monkeypatch.setattr(optimiser, "ORDERED_ROWS", 231)  # the first window is left as it is
    monkeypatch.setattr(optimiser, "order_by_position", spy)
    ordered = lay_out_block(windows, relations, settings, 3)
    assert len(calls) >= 6  # where each of three windows starts, and before they move together
    assert all(np.array_equal(a, b) for a, b in zip(plain, ordered, strict=True))


def test_no_byte_of_blocks_in_parallel_changes(data, monkeypatch):
    windows, relations = data
    settings = LayoutSettings(n_epochs=30, alignment_window_size=2)
    cores = [range(2), range(2, 4)]
    plain = lay_out_in_exchange(windows, relations, settings, 3, cores, n_exchanges=5)
    monkeypatch.setattr(optimiser, "ORDERED_ROWS", 1)
    ordered = lay_out_in_exchange(windows, relations, settings, 3, cores, n_exchanges=5)
    assert all(np.array_equal(a, b) for a, b in zip(plain, ordered, strict=True))
