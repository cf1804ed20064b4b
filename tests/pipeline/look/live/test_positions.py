"""Positions of windows that were looked at last are held, and the frame's cells are counted as they pass."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.look.live.served import N_ROWS, make_run

from driftmap.pipeline.look.live import positions as live_positions
from driftmap.pipeline.look.live.frame import NOWHERE, STEPS, to_steps
from driftmap.pipeline.look.live.positions import HeldPositions, measure_first, place_rows
from driftmap.pipeline.look.page_data import DENSITY_CELLS, Frame
from driftmap.pipeline.store.row_reader import RowReader

PARTS = [np.random.default_rng(t).normal(size=(n, 2)).astype(np.float32) for t, n in enumerate((40, 7, 90))]
ALL = np.concatenate(PARTS)
ROWS = np.array([0, 3, 39, 40, 46, 47, 136])


@pytest.fixture
def store(tmp_path):
    return make_run(tmp_path / "run.zarr")


def test_few_windows_are_held(store, monkeypatch):
    monkeypatch.setattr(live_positions, "HELD_BYTES", 2 * N_ROWS * 8)
    held, readers = HeldPositions(), [RowReader(store, fact) for fact in store.state()]
    for t in (0, 1, 2, 0):
        assert np.concatenate(held.list(readers[t], (t, "one"))).tolist() == store.positions(t).tolist()
    assert [index for index, _ in held._held] == [2, 0]
    assert held.list(readers[0], (0, "one")) is held.list(readers[0], (0, "one"))
    monkeypatch.setattr(live_positions, "HELD_BYTES", 10)
    assert np.concatenate([*held.list(readers[1], (1, "one"))]).tolist() == store.positions(1).tolist()
    assert [index for index, _ in held._held] == [2, 0]


def test_rows_are_taken_and_cells_counted_in_one_pass():
    frame = measure_first(PARTS, ROWS)
    low, high = ALL[ROWS].min(axis=0), ALL[ROWS].max(axis=0)
    np.testing.assert_allclose(frame.centre, (low + high) / 2)
    found, density = place_rows(frame, iter(PARTS), ROWS)
    assert found.tolist() == ALL[ROWS].tolist()
    naive = np.zeros((DENSITY_CELLS, DENSITY_CELLS), dtype=int)
    for x, y in ALL.astype(np.float64):
        steps = [round((v - c) / frame.half * STEPS) for v, c in zip((x, y), frame.centre, strict=True)]
        column, row = (min(DENSITY_CELLS - 1, max(0, (s + STEPS) * DENSITY_CELLS // (2 * STEPS))) for s in steps)
        naive[row, column] += 1
    assert density.tolist() == naive.ravel().tolist()


def test_rows_without_a_place_lie_nowhere_and_are_in_no_cell():
    frame = Frame(np.array([0.5, -1.0]), 2.0, 1.0)
    places = np.array([[0.5, -1.0], [np.nan, 0.0], [0.5, np.inf], [-np.inf, 0.0], [1e30, 0.0]], dtype=np.float32)
    steps = to_steps(frame, places)
    assert steps[0].tolist() == [0, 0]
    assert [steps[1, 0], steps[2, 1], steps[3, 0], steps[4, 0]] == [NOWHERE, NOWHERE, -NOWHERE, NOWHERE]
    _, density = place_rows(frame, [places], np.array([], dtype=np.int64))
    assert density.sum() == 1
    wide = np.repeat(places, 20_000, axis=0)
    assert place_rows(frame, [wide], np.array([0]))[1].tolist() == (20_000 * density).tolist()
