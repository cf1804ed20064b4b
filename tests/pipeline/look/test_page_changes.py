"""Events, heat map and frame of the page in headless Chromium."""

from __future__ import annotations

import re

import numpy as np
from tests.pipeline.browsing import MARKS, press, settle, wait_for_label
from tests.pipeline.look.test_palette import read_ramp
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS


def test_events_lead_to_their_window(tmp_path, visit):
    ids, places = np.arange(12), np.random.default_rng(0).normal(size=(12, 2))
    kinds = [np.repeat("x", 12), np.array(["x"] * 6 + ["y"] * 6)]
    parts = [SmallWindow(f"w{t}", ids, places, {"kind": kinds[t]}) for t in range(2)]
    page = visit(write_report(make_store(tmp_path / "r.zarr", parts), tmp_path / "page.html"))
    texts = [re.sub(r"\s+", " ", text) for text in page.locator("#events li").all_inner_texts()]
    assert texts == ["w1 ● y appears 6", "w1 → x becomes y 6"]
    page.locator("#events button").first.click()
    wait_for_label(page, "w1")


def test_events_are_ranked_and_those_of_one_row_folded(tmp_path, visit):
    ids, places = np.arange(12), np.random.default_rng(0).normal(size=(12, 2))
    kinds = [["x"] * 12, ["x"] * 11 + ["lone"], ["x"] * 8 + ["y"] * 4, ["x"] * 4 + ["z"] * 8]
    parts = [SmallWindow(f"w{t}", ids, places, {"kind": np.array(kind)}) for t, kind in enumerate(kinds)]
    page = visit(write_report(make_store(tmp_path / "r.zarr", parts), tmp_path / "page.html"))
    seen = page.locator("#events li:visible")
    texts = [re.sub(r"\s+", " ", text) for text in seen.all_inner_texts()]
    assert texts[:2] == ["w3 ● z appears 8", "w2 ● y appears 4"]
    assert texts[-1] == "2 more of one row"
    assert not any("lone" in text for text in texts)
    seen.last.locator("button").click()
    assert {text.split()[2] for text in seen.all_inner_texts() if text.endswith("1")} == {"lone"}


def test_events_of_one_row_are_shown_where_there_are_no_others(tmp_path, visit):
    ids, places = np.arange(12), np.random.default_rng(0).normal(size=(12, 2))
    kinds = [["x"] * 12, ["x"] * 11 + ["lone"]]
    parts = [SmallWindow(f"w{t}", ids, places, {"kind": np.array(kind)}) for t, kind in enumerate(kinds)]
    page = visit(write_report(make_store(tmp_path / "r.zarr", parts), tmp_path / "page.html"))
    assert "lone" in page.locator("#events li:visible").first.inner_text()
    key = page.locator(".heat-key").inner_text()
    assert key.startswith("1/64 and less")


def test_a_few_rows_far_away_do_not_make_the_map_small(tmp_path, visit):
    rng = np.random.default_rng(0)
    ids, places = np.arange(1001), np.vstack([rng.uniform(-1, 1, (1000, 2)), [[40.0, 0.0]]])
    parts = [SmallWindow(f"w{t}", ids, places) for t in range(2)]
    page = visit(write_report(make_store(tmp_path / "r.zarr", parts), tmp_path / "page.html"))
    page.locator("#trails").uncheck()
    page.locator("#names").uncheck()

    def count_painted() -> tuple[int, int]:
        pixels = page.evaluate("""() => {
          const read = (id, x, w) => {
            const canvas = document.getElementById(id), copy = document.createElement("canvas");
            copy.width = canvas.width; copy.height = canvas.height;
            copy.getContext("2d").drawImage(canvas, 0, 0);
            const { data } = copy.getContext("2d").getImageData(x * canvas.width, 0, w * canvas.width, canvas.height);
            let n = 0;
            for (let i = 3; i < data.length; i += 4) if (data[i] > 100) n++;
            return n;
          };
          return [read("map", 0.97, 0.03), read("map", 0, 0.5)];
        }""")
        return tuple(pixels)

    settle(page)
    arrow, nothing = count_painted()
    assert arrow > 20
    assert nothing == 0
    press(page, "f")
    assert count_painted()[0] == 0
    assert page.locator("#unzoom").is_visible()
    press(page, "0")
    assert count_painted()[0] == arrow


def test_movements_below_the_noise_floor_are_grey_and_the_scale_is_absolute(tmp_path, visit):
    rng = np.random.default_rng(0)
    ids, places = np.arange(90), rng.normal(size=(90, 2))
    kinds = np.repeat(["still", "calm", "far"], 30)
    moved = places + np.where(kinds == "far", 3.0, np.where(kinds == "calm", 1e-3, 0.0))[:, None]
    parts = [SmallWindow("w0", ids, places, {"kind": kinds}), SmallWindow("w1", ids, moved, {"kind": kinds})]
    page = visit(write_report(make_store(tmp_path / "r.zarr", parts), tmp_path / "page.html"))
    names = page.locator(".heat-names span").all_inner_texts()
    cells = page.locator(".heat rect:not(.here)")
    fills = {name: cells.nth(k).evaluate("cell => getComputedStyle(cell).fill") for k, name in enumerate(names)}
    classes = {name: cells.nth(k).get_attribute("class") for k, name in enumerate(names)}
    assert classes["still"] == "still"
    assert fills["far"] == "rgb({}, {}, {})".format(*read_ramp("light", "moved")[-1].tolist())
    assert fills["calm"] in (fills["still"], "rgb(205, 212, 221)")
