"""The page for people who cannot see it well, or at all: axe-core has no serious and no critical finding."""

from __future__ import annotations

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from tests.pipeline.browsing import MARKS, NARROW, WIDE, press, settle
from tests.pipeline.look.planted import plant
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS

MANY = 24
VIEWS = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": NARROW, "color_scheme": "light", "has_touch": True},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("axe")
    planted = plant(folder / "run.zarr", "birth", 0, has_labels=True, n_rows=40, n_windows=5)
    return write_report(planted.store, folder / "page.html")


@pytest.fixture(scope="module")
def wide_path(tmp_path_factory):
    """More labels than colours, an empty one among them, numbers, long names and a provisional window."""
    folder, rng = tmp_path_factory.mktemp("axe"), np.random.default_rng(0)
    ids, kinds = np.arange(20 * MANY), np.array(["", *(f"a label of some length, {k}" for k in range(1, MANY))])
    columns = {"kind": np.repeat(kinds, 20), "weight": rng.random(20 * MANY)}
    places = np.repeat(rng.normal(scale=9, size=(MANY, 2)), 20, axis=0)
    windows = [SmallWindow(f"2024-0{t}", ids, places + rng.normal(size=places.shape), columns) for t in range(1, 4)]
    return write_report(make_store(folder / "run.zarr", windows), folder / "page.html")


def find_faults(page) -> list[str]:
    """What axe-core finds, as `rule: element`."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html'][:120]} {node['failureSummary']}" for one in grave for node in one["nodes"]]


def test_axe_sees_a_fault(path, visit):
    page = visit(path)
    page.evaluate("document.getElementById('lasso').removeAttribute('aria-label')")
    page.evaluate("document.getElementById('lasso').removeAttribute('title')")
    assert [one.split(":")[0] for one in find_faults(page)] == ["button-name"]


@pytest.mark.parametrize("name", VIEWS)
def test_no_serious_finding_where_the_page_opens(path, visit, name):
    assert find_faults(visit(path, first=False, **VIEWS[name])) == []


@pytest.mark.parametrize("name", ["dark", "phone"])
def test_no_serious_finding_with_many_labels(wide_path, visit, name):
    page = visit(wide_path, **VIEWS[name])
    assert page.locator(".chip .name", has_text="(empty)").count() == 1
    assert find_faults(page) == []


@pytest.mark.parametrize("name", ["light", "dark"])
def test_no_serious_finding_after_clicks(path, visit, name):
    page = visit(path, first=False, **VIEWS[name])
    page.fill("#search", "0")
    settle(page)
    assert find_faults(page) == []
    press(page, "Enter")
    page.locator("#quarter-buttons button:enabled").first.click()
    page.locator(".chip .toggle").first.click()
    page.hover("#answers-list button")
    press(page, "3")
    assert page.locator("#followed-card").is_visible()
    assert page.locator("#selected-card").is_visible()
    assert find_faults(page) == []
    press(page, "?")
    assert find_faults(page) == []
