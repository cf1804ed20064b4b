"""Rows of a block laid out in parts: the bytes of the whole block in one process."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.afar import Afar

from driftmap.engine import (
    BlockPart,
    BlockWindow,
    GraphSettings,
    InvalidInputError,
    LayoutSettings,
    RowShare,
    WindowKind,
    build_window_graph,
    join_parts,
    lay_out_block,
    place_window,
    relate_ids,
)
from driftmap.engine.layout import block_part, optimiser
from driftmap.engine.layout.pace import PACE
from driftmap.engine.layout.start import place_new

SETTINGS = LayoutSettings(n_epochs=12)


@pytest.fixture(scope="module")
def data():
    """Three windows of a drifting cloud with groups; rows come and go, and one has no edge."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=(300, 5)) + 4 * rng.integers(0, 4, size=(300, 1))
    ids = [np.arange(20 * t, 20 * t + 230 + t) for t in range(3)]
    graphs = [
        build_window_graph((base[own] + 0.1 * rng.normal(size=(len(own), 5))).astype(np.float32), GraphSettings()).fuzzy
        for own in ids
    ]
    graphs[1] = lose_edges(graphs[1], 7)
    relations = {(i, j): relate_ids(ids[i], ids[j]) for j in range(3) for i in range(j)}
    return graphs, relations


def lose_edges(graph, row):
    rows = np.repeat(np.arange(graph.n_rows), np.diff(graph.indptr))
    kept = (rows != row) & (graph.indices != row)
    counts = np.bincount(rows[kept], minlength=graph.n_rows)
    return type(graph)(np.concatenate([[0], np.cumsum(counts)]), graph.indices[kept], graph.data[kept])


class Parts:
    """What the processes that share a block do, here one after the other; `fixed` windows have positions."""

    def __init__(self, graphs, relations, settings, n_parts, fixed=()):
        self.graphs, self.given = graphs, (relations, settings, 0)
        self.n_epochs, self.n_fixed = settings.n_epochs, len(fixed)
        self.afar = [Afar(graph) for graph in graphs]
        self.kinds = [WindowKind(t, t >= len(fixed), t < len(fixed)) for t in range(len(graphs))]
        self.parts = [BlockPart(self.afar, self.kinds, *self.given, RowShare(part, n_parts)) for part in range(n_parts)]
        self.places = {}
        for t, positions in enumerate(fixed):
            self.place(t, positions)

    def place(self, t, positions):
        self.places[t] = positions
        for part in self.parts:
            part.place(t, positions)
            part.order(t)

    def exchange(self, t, moved):
        for part in self.parts:
            for number, positions in enumerate(moved):
                part.place_part(t, number, positions)
        self.places[t] = join_parts(self.graphs[t], t, 0, moved)

    def carry(self, t):
        relations, settings, seed = self.given
        self.place(t, place_window(self.afar, self.kinds, relations, t, self.places, settings, seed))
        if self.graphs[t].n_rows < block_part.LEAST_SHARED_ROWS:
            return
        for epoch in range(PACE.count_carry_epochs(self.n_epochs, self.graphs[t].n_rows, is_first=t == 0)):
            self.exchange(t, [part.carry(t, epoch) for part in self.parts])
        for part in self.parts:
            part.order(t)

    def lay_out(self):
        for t in range(self.n_fixed, len(self.graphs)):
            self.carry(t)
        for epoch in range(PACE.count_joint_epochs([self.n_epochs])):
            moved = [part.move(epoch) for part in self.parts]
            for t in moved[0]:
                self.exchange(t, [each[t] for each in moved])
        return [self.places[t] for t in range(len(self.graphs))]


def lay_out_in_parts(*arguments):
    return Parts(*arguments).lay_out()


@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("is_ordered", [False, True])
def test_parts_have_the_bytes_of_the_whole(data, n_parts, is_ordered, monkeypatch):
    monkeypatch.setattr(place_new, "SMALL_ROWS", 0)
    monkeypatch.setattr(block_part, "LEAST_SHARED_ROWS", 0)
    monkeypatch.setattr(optimiser, "ORDERED_ROWS", 100 if is_ordered else 1_000)
    graphs, relations = data
    whole = lay_out_block([BlockWindow(graph, t) for t, graph in enumerate(graphs)], relations, SETTINGS, 0)
    found = lay_out_in_parts(graphs, relations, SETTINGS, n_parts)
    assert [here.tobytes() for here in found] == [there.tobytes() for there in whole]
    assert np.isnan(found[1][7]).all()


def test_small_windows_are_carried_by_one_process(data):
    graphs, relations = data
    settings = LayoutSettings(n_epochs=12, n_components=3)
    whole = lay_out_block([BlockWindow(graph, t) for t, graph in enumerate(graphs)], relations, settings, 0)
    found = lay_out_in_parts(graphs, relations, settings, 2)
    assert [here.tobytes() for here in found] == [there.tobytes() for there in whole]


def test_windows_that_are_final_stand_still(data):
    graphs, relations = data
    settings = LayoutSettings(n_epochs=12, alignment_regularisation=0.1)
    first = lay_out_block([BlockWindow(graphs[0], 0)], {}, settings, 0)[0]
    windows = [BlockWindow(graphs[0], 0, first, is_fixed=True), *(BlockWindow(graphs[t], t) for t in (1, 2))]
    whole = lay_out_block(windows, relations, settings, 0)
    found = lay_out_in_parts(graphs, relations, settings, 2, [first])
    assert [here.tobytes() for here in found] == [there.tobytes() for there in whole]


def test_a_part_holds_the_edges_of_its_own_rows_alone(data):
    graphs, relations = data
    kinds = [WindowKind(t, is_new=True, is_fixed=False) for t in range(3)]
    sizes = [BlockPart(graphs, kinds, relations, SETTINGS, 0, RowShare(0, n)).n_bytes for n in (1, 2, 1_000)]
    edges = sizes[0] - sizes[2]
    assert edges > sum(8 * len(graph.indices) for graph in graphs) * 0.9
    assert sizes[1] - sizes[2] == pytest.approx(edges / 2, rel=0.1)


def test_positions_that_overflow_are_refused(data):
    graph = data[0][0]
    parts = [np.zeros((100, 2), np.float32), np.full((graph.n_rows - 100, 2), np.inf, np.float32)]
    with pytest.raises(InvalidInputError, match="130 of 230 rows"):
        join_parts(graph, 0, 0, parts)
