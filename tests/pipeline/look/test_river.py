"""The river on the page: a band for each label or cluster on the slider's axis, lit by hovering, sought by clicking."""

from __future__ import annotations

import pytest
from tests.pipeline.browsing import MARKS, NARROW, WIDE, settle, wait_for_label
from tests.pipeline.look.planted import plant
from tests.pipeline.small_stores import read_page_header

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS


def read_codes(page, kind):
    return page.locator(f".river-{kind}").evaluate_all("(all) => all.map((one) => one.dataset.code)")


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
@pytest.mark.parametrize("has_labels", [True, False])
def test_each_label_has_a_band_which_lights_its_rows_and_seeks_its_window(tmp_path, visit, viewport, has_labels):
    planted = plant(tmp_path / "run.zarr", "merge", 1, has_labels=has_labels, n_rows=40)
    page = visit(write_report(planted.store, tmp_path / "page.html"), viewport=viewport)
    column = read_page_header(tmp_path / "page.html")["columns"][0]
    assert column["name"] == ("kind" if has_labels else "cluster")
    codes = read_codes(page, "band")
    assert sorted(codes) == sorted({str(code) for code in range(len(column["values"]))})
    assert bool(read_codes(page, "thread")) != has_labels  # rows of the cluster that ends change their cluster
    box = page.locator(".river").bounding_box()
    assert box["width"] > 150
    page.locator("#river").scroll_into_view_if_needed()
    band = page.locator(f".river-band[data-code='{codes[0]}']")
    band.hover()
    assert page.locator(".river .dim").count() >= len(codes) - 1
    assert column["values"][int(codes[0])] in page.locator("#river-note").inner_text()
    page.mouse.move(1, 1)
    settle(page)
    assert page.locator(".river .dim").count() == 0
    box = page.locator(".river").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    wait_for_label(page, "w3")


def test_the_river_shows_what_colours(tmp_path, visit):
    planted = plant(tmp_path / "run.zarr", "birth", 1, has_labels=True, n_rows=40)
    page = visit(write_report(planted.store, tmp_path / "page.html"))
    assert page.locator("#river-name").inner_text() == "kind"
    page.select_option("#by", label="cluster")
    assert page.locator("#river-name").inner_text() == "cluster"
    page.select_option("#by", label="how far it moved")
    assert page.locator("#river-name").inner_text() == "cluster"
    assert page.locator(".river-band").count() == 5
    page.select_option("#by", label="kind")
    page.locator(".chip .toggle").first.click()
    fills = page.locator(".river-band").evaluate_all("(all) => all.map((one) => one.style.fill)")
    assert fills.count("transparent") == 1
