"""Figures of maps: the same for status and for the log of an ingest."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import build_knn_graph
from driftmap.pipeline.layout.figures import MapFigures, measure_map, measure_move


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)


def test_a_map_that_is_the_data_keeps_all_neighbours_and_stands_still(rows):
    ids = np.arange(len(rows))
    neighbours = build_knn_graph(rows, 8).indices
    figures = measure_map(neighbours, (ids, rows), (ids, rows))
    assert figures == MapFigures(neighbours=1.0, related=1.0, drift=0.0)
    assert figures.to_json() == {"neighbours": 1.0, "related": 1.0, "drift": 0.0}
    assert measure_move((ids, rows), (ids, rows)) == 0.0


def test_what_there_is_nothing_to_compare_with_is_none(rows):
    ids = np.arange(len(rows))
    assert measure_map(None, (ids, rows), None) == MapFigures()
    strangers = measure_map(None, (ids, rows), (ids + 100, rows))
    assert strangers == MapFigures(related=0.0)
    assert strangers.to_json() == {"related": 0.0}
    assert measure_move((ids + 100, rows), (ids, rows)) == 0.0


def test_drift_is_over_the_spread_of_both_maps(rows):
    ids = np.arange(len(rows))
    moved = rows + np.float32([3.0, 4.0])
    spread = np.sqrt(rows.var(axis=0).mean())
    figures = measure_map(None, (ids[30:], moved[30:]), (ids, rows))
    assert figures.related == 1.0
    both = np.sqrt((moved[30:].var(axis=0).mean() + rows.var(axis=0).mean()) / 2)
    assert figures.drift == pytest.approx(5 / both, rel=1e-3)
    assert measure_move((ids, rows), (ids, moved)) == pytest.approx(5 / spread, rel=1e-3)
