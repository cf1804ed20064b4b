"""Two windows on the page: A and B share sentences, selection and hover; a swipe where there is little room."""

from __future__ import annotations

import pytest
from tests.pipeline.browsing import MARKS, NARROW, WIDE, press, set_time, settle, wait_for_label
from tests.pipeline.look.planted import plant

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    planted = plant(folder / "run.zarr", "birth", 0, has_labels=True, n_rows=40, n_windows=5)
    return write_report(planted.store, folder / "page.html")


def set_since(page, t):
    page.locator("#since-time").evaluate(
        "(slider, t) => { slider.value = t; slider.dispatchEvent(new Event('input')); }", t
    )
    settle(page)


def test_the_page_opens_with_the_newest_final_window_beside_the_one_before(path, visit):
    page = visit(path, first=False)
    wait_for_label(page, "w3")
    assert page.locator("#since-now").inner_text() == "w2"
    a, b = (page.locator(f"#{name}").bounding_box() for name in ("since-map", "map"))
    assert a["x"] + a["width"] <= b["x"] + 1
    assert abs(a["width"] - b["width"]) <= 2
    assert a["y"] == b["y"]
    assert page.locator("#answers-title").inner_text() == "What changed from w2 to w3"
    assert page.locator("#answers-list .what").all_inner_texts() == ["group 1 is new: 40 rows; 100% are new ids"]


def test_sentences_answer_for_the_windows_of_both_handles(path, visit):
    page = visit(path)
    set_time(page, 4)
    set_since(page, 1)
    assert page.locator("#answers-title").inner_text() == "What changed from w1 to w4"
    assert "group 1 is new" in page.locator("#answers-list .what").first.inner_text()
    set_since(page, 3)
    assert page.locator("#answers-list .none").inner_text() == "No group of rows changed unusually."
    page.locator("#answers-list button").first.click()
    wait_for_label(page, "w3")
    assert page.locator("#since-now").inner_text() == "w2"
    assert page.locator("#selected-count").inner_text() == "40 selected"
    # the handles may cross
    set_since(page, 4)
    assert page.locator("#answers-title").inner_text() == "What changed from w3 to w4"


def test_hover_and_lasso_work_in_window_a(path, visit):
    page = visit(path, first=False)
    box = page.locator("#since-map").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    press(page, "l")
    corners = [(0.004, 0.004), (0.996, 0.004), (0.996, 0.996), (0.004, 0.996)]
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=3)
    page.mouse.up()
    assert page.locator("#selected-count").inner_text() == "160 selected"
    page.mouse.move(*middle)
    press(page, "Escape")
    seen = set()
    for k in range(40):
        page.mouse.move(box["x"] + box["width"] * (0.1 + 0.02 * k), middle[1])
        settle(page)
        if page.locator("#tip").is_visible():
            seen.add(page.locator("#tip b").inner_text())
    assert seen
    assert all(name.startswith("id ") for name in seen)


def test_one_window_alone_has_the_whole_width(path, visit):
    page = visit(path)
    half = page.locator("#map").bounding_box()["width"]
    page.locator("#compare").click()
    settle(page)
    assert not page.locator("#since-map").is_visible()
    assert page.locator("#map").bounding_box()["width"] > 1.2 * half


def test_on_a_phone_a_swipe_uncovers_window_a(path, visit):
    page = visit(path, viewport=NARROW, first=False)
    a, b = (page.locator(f"#{name}").bounding_box() for name in ("since-map", "map"))
    assert a == b

    def swipe(percent):
        page.locator("#swipe").evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", percent
        )
        return page.locator(".pane-a").evaluate("pane => getComputedStyle(pane).clipPath")

    assert swipe(20) != swipe(70)
    assert page.locator("#swipe").bounding_box()["y"] >= b["y"] + b["height"]  # it covers nothing of the map
    assert not visit(path, viewport=WIDE).locator("#swipe").is_visible()


NOTE_TEXTS = """
window.written = {};
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const half = this.measureText(text).width / 2;
  (window.written[this.canvas.id] ||= []).push([text, x - half, x + half]);
  fillText.call(this, text, x, y);
};"""


@pytest.mark.parametrize("percent", [10, 30, 50, 75])
def test_on_a_phone_the_swipe_cuts_no_name(path, visit, percent):
    page = visit(path, viewport={"width": 390, "height": 844}, script=NOTE_TEXTS, first=False)
    page.locator("#swipe").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", percent
    )
    page.evaluate("window.written = {}")
    press(page, "d")
    settle(page)
    written = page.evaluate("window.written")
    swipe = page.locator("#map").bounding_box()["width"] * percent / 100
    assert any(written.values())
    assert all(right <= swipe for _, _, right in written.get("since-map", []))
    assert all(left >= swipe for _, left, _ in written.get("map", []))
    begin = page.locator("#map").bounding_box()["x"]
    older, newer = (page.locator(f".pane-{pane} .now").bounding_box() for pane in "ab")
    assert older["x"] + older["width"] <= begin + swipe
    assert newer["x"] >= begin + swipe


def test_two_fingers_zoom_both_windows(path, visit):
    page = visit(path, viewport=NARROW, first=False)
    page.locator("#map").evaluate(
        """(map) => {
          const box = map.getBoundingClientRect();
          const touch = (kind, pointerId, x) => map.dispatchEvent(new PointerEvent(kind, {
            pointerId, pointerType: "touch", clientX: box.left + x, clientY: box.top + 100, bubbles: true }));
          touch("pointerdown", 7, 100);
          touch("pointerdown", 8, 140);
          touch("pointermove", 8, 220);
          touch("pointerup", 7, 100);
          touch("pointerup", 8, 220);
        }"""
    )
    settle(page)
    assert page.locator("#unzoom").is_visible()
    press(page, "0")
    assert not page.locator("#unzoom").is_visible()
