"""Did it move, or did the map move: four quarters on the page that select their rows."""

from __future__ import annotations

import pytest
from tests.pipeline.browsing import MARKS, NARROW, WIDE, set_time, settle
from tests.pipeline.look.planted import plant
from tests.pipeline.small_stores import read_page_header

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS


def read_counts(page):
    buttons = page.locator("#quarter-buttons button")
    return {one.get_attribute("data-kind"): int(one.locator("b").inner_text()) for one in buttons.all()}


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
@pytest.mark.parametrize("kind", ["moved", "company", "carried"])
def test_each_kind_of_change_has_its_quarter(tmp_path, visit, kind, viewport):
    planted = plant(tmp_path / "run.zarr", kind, 0, has_labels=True, n_rows=40)
    page = visit(write_report(planted.store, tmp_path / "page.html"), viewport=viewport)
    set_time(page, 1)
    settle(page)
    assert read_counts(page)["still"] >= 195
    set_time(page, 2)
    settle(page)
    counts = read_counts(page)
    assert sum(counts.values()) == 200
    assert counts[kind] >= 30
    button = page.locator(f"#quarter-buttons [data-kind={kind}]")
    button.scroll_into_view_if_needed()
    button.click()
    assert page.locator("#selected-count").inner_text() == f"{counts[kind]} selected"


def test_a_rectangle_selects_and_a_click_lets_go(tmp_path, visit):
    planted = plant(tmp_path / "run.zarr", "moved", 0, has_labels=True, n_rows=40)
    page = visit(write_report(planted.store, tmp_path / "page.html"))
    set_time(page, 2)
    canvas = page.locator("#quarters")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1, steps=4)
    page.mouse.up()
    assert page.locator("#selected-count").inner_text() == "200 selected"
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert not page.locator("#selected-card").is_visible()
    page.select_option("#by", label="neighbours changed")
    assert page.locator(".ramp").is_visible()


def test_the_page_has_a_byte_for_each_row_of_each_step(tmp_path):
    planted = plant(tmp_path / "run.zarr", "birth", 0, has_labels=True, n_rows=40)
    header = read_page_header(write_report(planted.store, tmp_path / "page.html"))
    sizes = [header["streams"][one["turnover"]] if "turnover" in one else None for one in header["windows"]]
    assert sizes[0] is None
    assert [size[1:] for size in sizes[1:]] == [[160, 1], [200, 1], [200, 1]]
