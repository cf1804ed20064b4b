"""What is read from a store to be looked at: the figures of each window."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.pipeline.small_stores import SmallWindow, make_store, read_page_header

from driftmap.pipeline.cli.terminal import show_quality
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.store import Store

N_ROWS = 40


@pytest.fixture
def windows():
    """Three windows whose ids move on by ten rows each; the map is the data itself, moved by .1 a window."""
    places = np.random.default_rng(0).normal(size=(N_ROWS + 20, 2))
    ids = [np.array([f"row {i}" for i in range(10 * t, 10 * t + N_ROWS)]) for t in range(3)]
    return [
        SmallWindow(label, ids[t], places[10 * t : 10 * t + N_ROWS] + 0.1 * t)
        for t, label in enumerate(("a", "b", "c"))
    ]


def test_quality_of_maps_that_keep_everything(tmp_path, windows):
    first, *later = measure_windows(make_store(tmp_path / "run.zarr", windows))
    assert (first.label, first.n_rows, first.status) == ("a", N_ROWS, "final")
    assert first.neighbours == 1
    assert first.drift is None
    assert first.related is None
    for row in later:
        assert row.neighbours == 1
        assert row.related == 0.75
        assert 0 < row.drift < 0.5
    assert later[-1].status == "provisional"


def test_quality_counts_a_map_that_keeps_nothing_as_low(tmp_path, windows):
    rng = np.random.default_rng(1)
    shuffled = make_store(tmp_path / "run.zarr", windows[:2])
    shuffled.positions = lambda _: rng.normal(size=(N_ROWS, 2)).astype(np.float32)
    rows = measure_windows(shuffled)
    assert all(row.neighbours < 0.4 for row in rows)
    assert rows[1].drift > 1


def test_the_strength_of_each_window_is_told(tmp_path, windows, capsys):
    old = make_store(tmp_path / "old.zarr", windows)
    assert [row.strength for row in measure_windows(old)] == [None] * 3
    store = make_store(tmp_path / "run.zarr", windows, strengths={"0": 0.0625, "1": 0.035})
    quality = measure_windows(store)
    assert [row.strength for row in quality] == [0.0625, 0.035, None]
    page = tmp_path / "page.html"
    write_report(store, page, quality=quality)
    assert [window["strength"] for window in read_page_header(page)["windows"]] == [0.0625, 0.035, None]
    assert re.findall(r"<td[^>]*>(0\.062|0\.035)</td>", page.read_text(encoding="utf-8")) == ["0.062", "0.035"]
    show_quality(quality)
    told = capsys.readouterr().out
    assert "Strength" in told
    assert "0.062" in told


def test_windows_without_a_map_are_listed_without_figures(tmp_path):
    windows = [{"label": "a", "n_rows": N_ROWS, "start": None, "end": None, "digest": "d"}]
    store = Store.create(tmp_path / "new.zarr", config={}, windows=windows, fingerprint={})
    (row,) = measure_windows(store)
    assert (row.status, row.neighbours, row.related, row.drift) == ("planned", None, None, None)
    with pytest.raises(StoreError, match="has a map yet"):
        write_report(store, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
