"""The sentences at the top of the page: each planted change is named, and nothing where nothing happened."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.browsing import MARKS, NARROW, WIDE, wait_for_label
from tests.pipeline.look.planted import KINDS, is_named, plant
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.answers import N_ANSWERS, find_answers
from driftmap.pipeline.look.page_data import measure_frame
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.look.run_codes import read_run


def answer(store):
    run = read_run(store)
    return find_answers(store, run, measure_frame(store, run).spread).sentences


@pytest.mark.parametrize("has_labels", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_change_is_named_with_its_window_and_group(tmp_path, kind, has_labels):
    planted = plant(tmp_path / "run.zarr", kind, 0, has_labels=has_labels, n_rows=40)
    found = answer(planted.store)
    assert is_named(planted, found), found
    assert len(found) <= N_ANSWERS
    assert {one.window for one in found} <= {planted.window}
    assert all(one.since == one.window - 1 for one in found)
    assert all((one.lit is None) == (len(one.entities) > 0) for one in found)


def test_growth_says_how_many_rows_and_how_many_ids_are_new(tmp_path):
    planted = plant(tmp_path / "run.zarr", "growth", 0, has_labels=True, n_rows=60)
    assert [one.text for one in answer(planted.store)] == ["group 1 grew from 20 to 60 rows; 67% are new ids"]


def test_the_first_window_is_not_compared_with_one_before_it(tmp_path):
    ids, places = np.arange(12), np.random.default_rng(0).normal(size=(12, 2))
    for n_provisional, newest in ((2, (0, 1)), (0, (1, 2)), (3, (1, 2))):
        parts = [SmallWindow(f"w{t}", ids, places) for t in range(3)]
        store = make_store(tmp_path / f"{n_provisional}.zarr", parts, n_provisional=n_provisional)
        run = read_run(store)
        assert find_answers(store, run, measure_frame(store, run).spread).newest == newest


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_a_sentence_is_on_the_first_screen_and_a_click_shows_its_window_and_rows(tmp_path, visit, viewport, mark):
    planted = plant(tmp_path / "run.zarr", "growth", 0, has_labels=True, n_rows=60)
    page = visit(write_report(planted.store, tmp_path / "page.html"), viewport=viewport)
    sentence = page.locator("#answers-list button").first
    box = sentence.bounding_box()
    assert box["y"] + box["height"] < viewport["height"]
    sentence.click()
    wait_for_label(page, "w2")
    assert page.locator("#selected-count").inner_text().startswith("60")
    map_box = page.locator("#map").bounding_box()
    assert map_box["y"] >= -1
    assert map_box["y"] + map_box["height"] <= viewport["height"] + 1


@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_where_nothing_happened_there_is_no_sentence(tmp_path, visit, mark):
    planted = plant(tmp_path / "run.zarr", "nothing", 0, has_labels=True, n_rows=40)
    page = visit(write_report(planted.store, tmp_path / "page.html"))
    assert not page.locator("#answers").is_visible()
