"""The page as a person uses it, in headless Chromium: one browser for all tests, a fresh page for each."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.pipeline.browsing import MARKS, press, see, set_time, wait_for_label
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.report import write_report

EVIL = "<script>document.title='owned'</script>"
NO_WEBGL = """
const real = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith("webgl") ? null : real.call(this, kind, ...rest);
};
"""

pytestmark = MARKS


class Run:
    """Two heaps of forty points in three windows, the second heap moving up; `extra` leaves, `late` enters."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.names = [f"row {i}" for i in range(80)]
        self.places = np.vstack(
            [rng.uniform(-1, 1, (40, 2)) - np.array([3, 0]), rng.uniform(-1, 1, (40, 2)) + np.array([3, 0])]
        )
        self.names[7] = EVIL
        self.kinds = np.repeat(["calm", "rising"], 40)
        self.lone = np.array([0.0, -3.0])

    def window(self, t: int) -> SmallWindow:
        lone = {0: ["extra"], 1: ["both"], 2: ["late"]}[t]
        places = np.vstack([self.places + np.where(self.kinds == "rising", t, 0)[:, None] * [0, 1.0], self.lone])
        columns = {"kind": np.append(self.kinds, EVIL), "weight": np.linspace(0, 1, 81)}
        return SmallWindow(("a", "<b>", "c")[t], np.array(self.names + lone), places, columns)

    def pixel(self, page, place) -> tuple[float, float]:
        """Where a place is on the screen."""
        everything = np.vstack([self.window(t).positions for t in range(3)])
        low, high = everything.min(axis=0), everything.max(axis=0)
        box = page.locator("#map").bounding_box()
        unit = (min(box["width"], box["height"]) * 0.465 - 2) / ((high - low).max() / 2)
        x, y = (np.asarray(place) - (low + high) / 2) * unit
        return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 - y

    def place(self, name: str, time: float) -> np.ndarray:
        number, t = self.names.index(name), int(time)
        part = time - t
        rise = t + part * part * (3 - 2 * part)
        return self.places[number] + ([0, rise] if self.kinds[number] == "rising" else [0, 0])


@pytest.fixture(scope="module")
def run():
    return Run()


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    store = make_store(folder / "run.zarr", [run.window(t) for t in range(3)])
    return write_report(store, folder / "page.html", title=EVIL)


def find_visible_tip(page, at) -> str:
    page.mouse.move(*at)
    return page.locator("#tip").inner_text() if page.locator("#tip").is_visible() else ""


def test_the_page_opens_from_disk_and_runs_nothing_that_is_data(path, visit):
    page = visit(path)
    assert page.title() == f"{EVIL} · driftmap"
    assert page.locator("h1").inner_text() == EVIL
    assert page.locator(".chip .name").all_inner_texts() == [EVIL, "calm", "rising"]
    assert page.locator("#notices p").count() == 0
    assert page.locator(".cell").count() == 3
    assert page.locator(".cell.provisional").count() == 1
    assert "1 window is provisional" in page.locator("#provisional").inner_text()
    assert page.evaluate("document.querySelectorAll('script').length") == 2


def test_play_moves_on_to_the_end(path, visit):
    page = visit(path)
    page.select_option("#speed", "0.5")
    page.click("#play")
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    wait_for_label(page, re.compile("→"))
    page.select_option("#speed", "4")
    wait_for_label(page, "c")
    page.wait_for_selector("#play[aria-label=Play]")
    assert "provisional" in page.locator("#count").inner_text()


def test_the_slider_moves_points_smoothly_and_hover_names_them(path, visit, run):
    page = visit(path)
    page.uncheck("#trails")
    name, blank = "row 60", see(page, *run.pixel(page, (0, 3.5)))
    for time in (0, 1, 0.5, 1.3, 2):
        set_time(page, time)
        at = run.pixel(page, run.place(name, time))
        assert np.abs(see(page, *at) - blank).max() > 60
        lines = find_visible_tip(page, at).split("\n")
        assert lines[:2] == [name, "kind: rising"]
        assert "in 3 of 3 windows: a to c" in lines
    top = max((run.places[i, 1], run.names[i]) for i in range(40, 80))[1]
    assert np.abs(see(page, *run.pixel(page, run.place(top, 2))) - blank).max() > 60
    set_time(page, 0)
    assert np.abs(see(page, *run.pixel(page, run.place(top, 2))) - blank).max() == 0
    assert find_visible_tip(page, run.pixel(page, (0, 3.5))) == ""


def test_points_that_leave_and_enter_fade(path, visit, run):
    page = visit(path)
    page.uncheck("#names")
    blank, strengths = see(page, *run.pixel(page, (0, 3.5))), []
    for time in (0, 0.2, 0.4):
        set_time(page, time)
        strengths.append(np.abs(see(page, *run.pixel(page, run.lone)) - blank).sum())
        assert find_visible_tip(page, run.pixel(page, run.lone)).startswith("extra")
    assert strengths[0] > strengths[2] > 30
    set_time(page, 2)
    assert find_visible_tip(page, run.pixel(page, run.lone)).split("\n")[0] == "late"


def test_a_click_follows_one_entity(path, visit, run):
    page = visit(path)
    set_time(page, 1)
    page.mouse.click(*run.pixel(page, run.place("row 60", 1)))
    assert page.locator("#followed-name").inner_text() == "row 60"
    assert page.locator(".timeline rect:not(.here)").count() == 3
    assert page.locator(".others.kept b").inner_text() == "Still near"
    assert page.locator(".others.kept .other").count() == 8
    other = page.locator(".others .other").first
    name = other.inner_text()
    other.click()
    assert page.locator("#followed-name").inner_text() == name
    press(page, "Escape")
    assert page.locator("#followed-card").is_hidden()


def test_neighbours_that_come_and_go(tmp_path, visit):
    ids = np.array([f"n{i}" for i in range(13)])
    places = np.array([[0, 0], *([np.cos(k), np.sin(k)] for k in range(8)), *([9, 9 + k] for k in range(4))])
    moved = places.copy()
    moved[1:3], moved[9:11] = places[9:11], places[1:3]
    store = make_store(tmp_path / "r.zarr", [SmallWindow("a", ids, places), SmallWindow("b", ids, moved)])
    page = visit(write_report(store, tmp_path / "page.html"))
    page.fill("#search", "n0")
    press(page, "Enter")
    press(page, "ArrowRight")
    shown = {
        kind: sorted(page.locator(f".others.{kind} .other").all_inner_texts()) for kind in ("kept", "gained", "lost")
    }
    assert shown == {"kept": ["n3", "n4", "n5", "n6", "n7", "n8"], "gained": ["n10", "n9"], "lost": ["n1", "n2"]}


def test_search_finds(path, visit):
    page = visit(path)
    press(page, "/")
    page.keyboard.type("ROW 6")
    found = page.locator("#found [role=option]").all_inner_texts()
    assert found == ["row 6", *(f"row {i}" for i in range(60, 70))]
    press(page, "ArrowDown")
    press(page, "Enter")
    assert page.locator("#followed-name").inner_text() == "row 60"
    page.fill("#search", "late")
    page.locator("#found [role=option]").click()
    wait_for_label(page, "c")  # the only window that has it
    page.fill("#search", "nobody")
    assert page.locator("#found").inner_text() == "no such id"


def test_the_lasso_counts(path, visit, run):
    page = visit(path)
    page.click("#lasso")
    corners = [run.pixel(page, place) for place in [(1.5, -1.5), (4.5, -1.5), (4.5, 1.5), (1.5, 1.5)]]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=3)
    page.mouse.up()
    assert page.locator("#selected-count").inner_text() == "40 selected"
    assert page.locator("#selected .bars li").all_inner_texts()[0].split("\n")[0] == "rising"
    assert page.locator("#selected .bars b").all_inner_texts() == ["40"]
    press(page, "ArrowRight")
    assert "40 of them in <b>" in page.locator("#selected").inner_text()
    assert find_visible_tip(page, run.pixel(page, run.place("row 10", 1))) == ""
    page.click("#unselect")
    assert page.locator("#selected-card").is_hidden()
    assert find_visible_tip(page, run.pixel(page, run.place("row 10", 1))).startswith("row 10")


def test_the_legend_hides_and_isolates(path, visit, run):
    page = visit(path)
    page.uncheck("#names")
    calm, rising = run.pixel(page, run.place("row 10", 0)), run.pixel(page, run.place("row 60", 0))
    blank = see(page, *run.pixel(page, (0, 3.5)))
    page.click(".chip[data-code='1'] .toggle")
    assert (see(page, *calm) == blank).all()
    assert find_visible_tip(page, calm) == ""
    assert find_visible_tip(page, rising).startswith("row 60")
    page.click("#show-all")
    assert (see(page, *calm) != blank).any()
    page.dblclick(".chip[data-code='1'] .toggle")
    assert page.locator(".toggle[aria-pressed=true]").all_inner_texts() == ["calm"]
    assert find_visible_tip(page, rising) == ""
    press(page, "Escape")
    assert page.locator(".toggle[aria-pressed=true]").count() == 3


def test_colour_by_numbers_and_by_movement(path, visit, run):
    page = visit(path)
    calm, rising = run.pixel(page, run.place("row 10", 1)), run.pixel(page, run.place("row 60", 1))
    press(page, "ArrowRight")
    page.uncheck("#trails")
    page.select_option("#by", label="weight")
    assert page.locator(".ramp span").all_inner_texts() == ["0", "1"]
    assert np.abs(see(page, *calm) - see(page, *rising)).max() > 30
    page.select_option("#by", label="how far it moved")
    assert np.abs(see(page, *calm) - see(page, *rising)).max() > 60
    assert page.locator(".chip").count() == 0


def test_dark_and_light(path, visit, run):
    page = visit(path, color_scheme="dark")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    corner = run.pixel(page, (0, 3.5))
    assert see(page, *corner).max() < 60
    page.click("#theme")
    assert see(page, *corner).min() > 240
    press(page, "d")
    assert see(page, *corner).max() < 60


def test_densities_and_where_mass_came_and_went(path, visit, run):
    page = visit(path)
    page.uncheck("#names")
    blank = see(page, *run.pixel(page, (0, 3.5)))
    press(page, "2")
    assert np.abs(see(page, *run.pixel(page, (-3, 0))) - blank).max() > 40
    press(page, "ArrowRight")
    press(page, "3")
    assert page.locator("#since").is_visible()
    red, _, blue = see(page, *run.pixel(page, (3, 1.7)))
    assert red > blue  # more
    red, _, blue = see(page, *run.pixel(page, (3, -0.7)))
    assert red < blue  # less
    assert np.abs(see(page, *run.pixel(page, (-3, 0))) - blank).max() < 25
    page.select_option("#since", label="<b>")
    assert np.abs(see(page, *run.pixel(page, (3, 1.7))) - blank).max() < 5


def test_tables_and_charts_of_change(path, visit):
    page = visit(path)
    assert page.locator("#movers tr").count() == 24
    page.select_option("#movers-of", "step")
    assert page.locator("#movers tr").count() == 12
    assert page.locator("#movers td:nth-child(3)").first.inner_text() == "<b>"
    name = page.locator("#movers th button").first.inner_text()
    page.locator("#movers th button").first.click()
    assert page.locator("#followed-name").inner_text() == name
    wait_for_label(page, "<b>")
    assert not page.locator(".histogram").is_visible()
    assert "80 rows in both" in page.locator("#histogram-note").inner_text()
    assert page.locator(".heat-names span").all_inner_texts() == [EVIL, "calm", "rising"]
    page.locator(".heat rect:not(.here)").last.dispatch_event("click")
    wait_for_label(page, "c")


def test_the_page_opens_at_the_newest_final_window(path, tmp_path, visit):
    wait_for_label(visit(path, first=False), "<b>")
    ids, places = np.arange(12), np.random.default_rng(0).normal(size=(12, 2))
    parts = [SmallWindow(f"w{t}", ids, places) for t in range(3)]
    for n_provisional, label in ((3, "w2"), (2, "w1")):  # the first window has none before it to be compared with
        store = make_store(tmp_path / f"r{n_provisional}.zarr", parts, n_provisional=n_provisional)
        page = visit(write_report(store, tmp_path / "page.html"), first=False)
        wait_for_label(page, label)


def test_keys_and_help(path, visit):
    page = visit(path)
    press(page, "End")
    wait_for_label(page, "c")
    press(page, "ArrowLeft")
    wait_for_label(page, "<b>")
    press(page, "?")
    assert page.locator("#help").is_visible()
    press(page, "Escape")
    assert page.locator("#help").is_hidden()
    press(page, "+")
    assert page.locator("#unzoom").is_visible()
    press(page, "0")
    assert page.locator("#unzoom").is_hidden()


def test_without_webgl_the_page_says_so_and_shows_still_maps(path, visit, run):
    page = visit(path, script=NO_WEBGL)
    assert "no WebGL" in page.locator("#notices").inner_text()
    at = run.pixel(page, run.place("row 60", 0))
    assert np.abs(see(page, *at) - see(page, *run.pixel(page, (0, 3.5)))).max() > 60
    assert find_visible_tip(page, at).startswith("row 60")
    painted = """[...document.querySelectorAll(".cell canvas")].map((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value > 0);
    })"""
    assert page.evaluate(painted) == [True] * 3
    assert page.locator("#quarters").is_visible()


def test_reduced_motion_changes_windows_at_once(path, visit):
    page = visit(path, reduced_motion="reduce")
    assert page.locator("#time").get_attribute("step") == "1"
    page.evaluate("""() => {
      window.seen = new Set();
      const now = document.getElementById("now");
      new MutationObserver(() => window.seen.add(now.textContent)).observe(now, { childList: true });
    }""")
    page.select_option("#speed", "4")
    page.click("#play")
    wait_for_label(page, "c")
    assert page.evaluate("[...window.seen]") == ["<b>", "c"]
