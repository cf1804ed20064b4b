"""Pieces of labels on maps: heaps far apart are several, whatever turns or moves them, and changes follow the rows."""

from __future__ import annotations

import numpy as np

from driftmap.engine.quality.clusters import compare_islands, find_islands


def make_heaps(*middles, n=40):
    rng = np.random.default_rng(0)
    return np.vstack([rng.uniform(-0.5, 0.5, size=(n, 2)) + middle for middle in middles])


def test_each_label_has_its_own_pieces_and_stragglers_have_none():
    places = np.vstack([make_heaps((0, 0), (9, 0), (9, 0)), [[50, 50], [np.nan, 0]]])
    labels = np.array([0] * 80 + [1] * 40 + [1, 0], dtype=np.int32)
    for seen in (places, places @ [[0.6, -0.8], [0.8, 0.6]] + 100):
        islands = find_islands(labels, seen, 2, spread=4.0)
        assert islands.labels.tolist() == [0, 0, 1]
        groups = [set(islands.of_row[a : a + 40].tolist()) for a in (0, 40, 80)]
        assert all(len(group) == 1 for group in groups)
        assert groups[0] | groups[1] == {0, 1}
        assert groups[2] == {2}
        assert islands.of_row[-2:].tolist() == [-1, -1]


def test_labels_beyond_those_asked_for_and_few_rows_are_left_out():
    labels = np.array([0] * 3 + [1] * 40, dtype=np.int32)
    islands = find_islands(labels, make_heaps((0, 0), (5, 5))[:43], 1, spread=1.0)
    assert len(islands.labels) == 0
    assert (islands.of_row == -1).all()


def test_a_split_is_a_merge_backwards_and_unrelated_rows_tell_nothing():
    labels = np.zeros(80, dtype=np.int32)
    one = find_islands(labels, make_heaps((0, 0), (0.2, 0)), 1, spread=4.0)
    two = find_islands(labels, make_heaps((0, 0), (9, 0)), 1, spread=4.0)
    same, none = np.arange(80, dtype=np.int32), np.full(80, -1, dtype=np.int32)
    assert compare_islands(one, two, same) == [("split", 0, 80, 2)]
    assert compare_islands(two, one, same) == [("merge", 0, 80, 2)]
    assert compare_islands(two, two, same) == []
    assert compare_islands(one, two, none) == []
