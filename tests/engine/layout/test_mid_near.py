"""What mid-near rows do for a layout: far groups lie as in the data; nothing depends on where rows are moved."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.window_graph import build_window_graph
from driftmap.engine.layout.block import BlockWindow, lay_out_block
from driftmap.engine.layout.flatten import MID_NEAR_RATE, Shuffle, flatten_block
from driftmap.engine.layout.pace import PACE
from driftmap.engine.layout.schedule import Schedule
from driftmap.engine.settings import LayoutSettings
from driftmap.engine.types import FuzzyGraph


def flatten(mid_near, graph, own=None):
    return flatten_block([graph], {}, [Shuffle(graph, 4)], [200], own=own, mid_near=[mid_near])


def test_flat_pairs_go_both_ways_once_each_and_leave_out_rows_without_edges():
    graph = build_window_graph(np.random.default_rng(0).normal(size=(40, 3))).fuzzy
    matrix = csr_array((graph.data, graph.indices, graph.indptr)).tolil()
    matrix[7], matrix[:, 7] = 0, 0
    matrix = matrix.tocsr()
    graph = FuzzyGraph(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    mid_near = np.random.default_rng(1).integers(-1, 40, (40, 4)).astype(np.int32)
    mid_near[3] = 3, 5, 5, -1
    block, rows = flatten(mid_near, graph), Shuffle(graph, 4).rows
    found = {
        (int(rows[here]), int(rows[block.mid_near[k]]))
        for here in range(40)
        for k in range(block.mid_near_indptr[here], block.mid_near_indptr[here + 1])
    }
    pairs = {(row, int(other)) for row in range(40) for other in mid_near[row] if other >= 0 and other != row}
    expected = {pair for one in pairs for pair in (one, one[::-1]) if 7 not in pair}
    assert found == expected
    assert len(block.mid_near) == len(expected)
    assert (block.mid_near_rates == MID_NEAR_RATE).all()
    # A share of the rows has its own part of them.
    parts = [flatten(mid_near, graph, [range(*ends)]) for ends in ((0, 13), (13, 39))]
    assert np.array_equal(np.concatenate([part.mid_near for part in parts]), block.mid_near)
    assert np.array_equal(parts[0].mid_near_indptr[:14], block.mid_near_indptr[:14])
    assert parts[0].mid_near_indptr[-1] == block.mid_near_indptr[13]


def test_they_attract_in_the_first_part_of_a_carry_pass_and_never_in_the_joint_pass():
    schedule = Schedule([200, 100], [1.0, 1.0], [True, True], [False, False], [1.0, 0.5], [50, 50])
    assert schedule.carry(0).n_drawn == PACE.small_first_drawn_share * 200
    assert schedule.carry(1).n_drawn == round(PACE.drawn_share * PACE.carry_share * 100)
    larger = Schedule([200], [1.0], [True], [False], [1.0], [601])
    assert larger.carry(0).n_drawn == PACE.first_drawn_share * 200
    assert schedule.joint(300, range(300)).n_drawn == 0


def test_groups_that_no_edge_joins_lie_as_in_the_data():
    kept = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        centres = 8.0 * rng.normal(size=(9, 2)) @ rng.normal(size=(2, 8))
        rows = np.repeat(centres, 40, axis=0) + rng.normal(size=(360, 8))
        graph = build_window_graph(rows)
        for mid_near in (graph.mid_near, None):
            (y,) = lay_out_block([BlockWindow(graph.fuzzy, 0, mid_near=mid_near)], {}, LayoutSettings(), seed)
            kept.append(spearmanr(pdist(centres), pdist(y.reshape(9, 40, 2).mean(axis=1))).statistic)
    assert np.mean(kept[::2]) > 0.4
    assert np.mean(kept[1::2]) < 0.2


def test_a_window_that_has_a_place_is_not_drawn():
    rows = np.random.default_rng(2).normal(size=(60, 4))
    graph = build_window_graph(rows)
    settings = LayoutSettings(n_epochs=20)
    (place,) = lay_out_block([BlockWindow(graph.fuzzy, 0)], {}, settings, 1)
    moved = [
        lay_out_block([BlockWindow(graph.fuzzy, 0, positions=place, mid_near=mid_near)], {}, settings, 1)[0]
        for mid_near in (graph.mid_near, None)
    ]
    assert np.array_equal(*moved)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((59, 4), np.int32),
        np.zeros(60, np.int32),
        np.zeros((60, 4)),
        np.full((60, 1), 60),
        np.full((60, 1), -2),
    ],
)
def test_rows_that_are_none_of_the_window_are_refused(bad):
    graph = build_window_graph(np.random.default_rng(2).normal(size=(60, 4))).fuzzy
    with pytest.raises(
        InvalidInputError, match=r"windows\[0\].mid_near must hold numbers of its graph's rows, -1 to 59"
    ):
        lay_out_block([BlockWindow(graph, 0, mid_near=bad)], {}, LayoutSettings(n_epochs=5), 1)
