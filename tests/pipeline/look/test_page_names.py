"""Names on the map, tips beside spots and labels under axes of time: where they stand, in headless Chromium."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.pipeline.browsing import MARKS, NARROW, WIDE, press, settle
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS

N_LABELS, N_EACH = 24, 20
# Writes down what is drawn on the map of window B, frame by frame: names, and spots at the ends of lines.
WATCH = """
const own = CanvasRenderingContext2D.prototype, { clearRect, fillText, arc } = own;
window.drawn = { names: [], spots: 0 };
const on = (context, does) => { if (context.canvas.id === "map") does(); };
own.clearRect = function (...at) { on(this, () => { window.drawn = { names: [], spots: 0 }; }); return clearRect.apply(this, at); };
own.arc = function (x, y, r, ...rest) { on(this, () => { window.drawn.spots += r === 2; }); return arc.call(this, x, y, r, ...rest); };
own.fillText = function (text, x, y) {
  on(this, () => window.drawn.names.push({ text, x, y, half: this.measureText(text).width / 2, tall: 6, colour: this.fillStyle }));
  return fillText.call(this, text, x, y);
};
"""  # noqa: E501
HEADINGS = """() => [$("#now"), $("#count")].map((one) => ({
  x: one.offsetLeft + one.offsetWidth / 2, half: one.offsetWidth / 2, y: one.offsetTop + one.offsetHeight / 2, tall: one.offsetHeight / 2 }))
""".replace("$(", "document.querySelector(")  # noqa: E501


def make_run(scale: float) -> list[SmallWindow]:
    rng = np.random.default_rng(0)
    kinds = np.repeat([f"label number {k}" for k in range(N_LABELS)], N_EACH)
    heaps = np.repeat(rng.normal(scale=scale, size=(N_LABELS, 2)), N_EACH, axis=0)
    ids = np.array([f"id {i}" for i in range(len(kinds))])
    moved = [heaps + rng.normal(scale=0.3, size=heaps.shape) for _ in range(12)]
    return [SmallWindow(f"2024, week {t:02}", ids, places, {"kind": kinds}) for t, places in enumerate(moved)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    return write_report(make_store(folder / "run.zarr", make_run(4)), folder / "page.html")


def do_touch(one, other) -> bool:
    apart = abs(one["x"] - other["x"]), abs(one["y"] - other["y"])
    return apart[0] < one["half"] + other["half"] and apart[1] < one["tall"] + other["tall"]


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_names_stand_free_of_each_other_and_inside_the_edge(path, visit, viewport):
    page = visit(path, viewport=viewport, script=WATCH)
    page.uncheck("#trails")
    settle(page)
    names, box = page.evaluate("window.drawn.names"), page.locator("#map").bounding_box()
    assert len(names) > (15 if viewport is WIDE else 8)
    assert not any(do_touch(*two) for two in itertools.combinations(names, 2))
    assert not any(do_touch(*two) for two in itertools.product(names, page.evaluate(HEADINGS)))
    for name in names:
        assert name["half"] <= name["x"] <= box["width"] - name["half"]
        assert name["tall"] <= name["y"] <= box["height"] - name["tall"]
    # labels without a colour of their own have names too
    assert len({name["colour"] for name in names}) == 2
    # some stand beside their spot, with a line to it
    assert 2 <= page.evaluate("window.drawn.spots") < len(names)
    page.uncheck("#names")
    settle(page)
    assert page.evaluate("window.drawn") == {"names": [], "spots": 0}


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_the_tip_stands_beside_the_spot(path, visit, viewport):
    page = visit(path, viewport=viewport)
    box, panes = page.locator("#map").bounding_box(), page.locator("#panes").bounding_box()
    n_seen = 0
    for across, down in itertools.product(np.linspace(0.03, 0.97, 12), np.linspace(0.03, 0.97, 12)):
        at = box["x"] + across * box["width"], box["y"] + down * box["height"]
        page.mouse.move(*at)
        tip = page.locator("#tip").bounding_box()
        if tip is None:
            continue
        n_seen += 1
        right, bottom = tip["x"] + tip["width"], tip["y"] + tip["height"]
        assert not (tip["x"] < at[0] < right and tip["y"] < at[1] < bottom)
        assert panes["x"] - 1 <= tip["x"]
        assert right <= panes["x"] + panes["width"] + 1
        assert panes["y"] - 1 <= tip["y"]
        assert bottom <= panes["y"] + panes["height"] + 1
    assert n_seen > 15


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_every_axis_of_time_has_labels_that_stand_free(path, visit, viewport):
    page = visit(path, viewport=viewport)
    page.fill("#search", "id 7")
    press(page, "Enter")
    for place in ("#river", "#ends", "#heat", "#followed"):
        axis = page.locator(f"{place} .axis")
        assert axis.count() == 1, place
        texts = axis.locator("span").all_inner_texts()
        assert len(texts) >= 2, place
        assert texts[0] == ("2024, week 01" if place == "#heat" else "2024, week 00")
        assert texts[-1] == "2024, week 11"
        boxes = axis.locator("span").evaluate_all(
            "all => all.map(one => { const b = one.getBoundingClientRect(); return [b.left, b.right]; })"
        )
        assert all(one[1] < other[0] for one, other in itertools.pairwise(boxes)), place
        outer = axis.bounding_box()
        assert boxes[0][0] >= outer["x"] - 1
        assert boxes[-1][1] <= outer["x"] + outer["width"] + 2


def test_the_toolbar_does_not_jump(path, visit):
    page = visit(path)
    tall = page.locator(".tools").bounding_box()["height"]
    for key in ("3", "2", "1", "+", "0"):
        press(page, key)
        assert page.locator(".tools").bounding_box()["height"] == tall, key
    page.select_option("#by", label="how far it moved")
    assert page.locator(".tools").bounding_box()["height"] == tall
