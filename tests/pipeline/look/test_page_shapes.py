"""Pages of runs of every shape, in headless Chromium: few and many windows, rows and labels, and names of any kind."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.pipeline.browsing import MARKS, NARROW, WIDE, press, settle
from tests.pipeline.small_stores import SmallWindow, make_store, read_page_header

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS

LONG = "a name that is far longer than any reasonable place for it on a page would allow it to be " * 3
RTL, EMOJI = "شبكة الجيران المشتركة", "👩‍👩‍👧‍👦 family 🏳️‍🌈"


def make_parts(n_windows: int, n_rows: int, labels: list | None) -> list[SmallWindow]:
    rng = np.random.default_rng(0)
    ids, places = np.array([f"id {i}" for i in range(n_rows)]), rng.normal(size=(n_rows, 2))
    columns = {} if labels is None else {"label": np.array([labels[i % len(labels)] for i in range(n_rows)])}
    moves = [rng.normal(size=(n_rows, 2)) * 0.1 for _ in range(n_windows)]
    return [SmallWindow(f"window {t}", ids, places + moves[t], columns) for t in range(n_windows)]


SHAPES = {
    "one window": make_parts(1, 30, ["a", "b"]),
    "60 windows": make_parts(60, 12, ["a", "b"]),
    "200 windows": make_parts(200, 12, ["a", "b"]),
    "one label": make_parts(2, 30, ["only"]),
    "500 labels": make_parts(3, 1500, [f"label {i}" for i in range(500)]),
    "no labels": make_parts(3, 30, None),
    "one row": make_parts(2, 1, ["a"]),
    "long names": [
        SmallWindow(
            LONG + part.label, np.array([LONG + i for i in part.ids]), part.positions, {LONG: part.columns["x"]}
        )
        for part in (p._replace(columns={"x": np.array([LONG, LONG + "b"] * 15)}) for p in make_parts(3, 30, None))
    ],
    "letters of the world": [
        SmallWindow(
            f"{RTL} {t}",
            np.array([RTL, EMOJI] + [f"{RTL} {i}" for i in range(28)]),
            part.positions,
            {EMOJI: np.array([RTL, EMOJI] * 15)},
        )
        for t, part in enumerate(make_parts(3, 30, None))
    ],
}


@pytest.mark.parametrize(
    "shape",  # what is said of each pair of 200 windows takes a quarter of a minute
    [pytest.param(shape, marks=[pytest.mark.long] * (shape == "200 windows")) for shape in SHAPES],
)
def test_runs_of_every_shape(tmp_path, visit, shape):
    parts = SHAPES[shape]
    store = make_store(tmp_path / "r.zarr", parts)
    page = visit(write_report(store, tmp_path / "page.html"))
    assert page.locator("#transport").is_visible() == (len(parts) > 1)
    assert page.locator(".panels").is_visible() == (len(parts) > 1)
    page.fill("#search", str(parts[0].ids[0]))
    press(page, "Enter")
    assert page.locator("#followed-name").inner_text().strip() == str(parts[0].ids[0]).strip()
    press(page, "End")
    assert page.locator("#now").inner_text().strip() == parts[-1].label.strip()
    first = read_page_header(tmp_path / "page.html")["columns"][:1]  # the clusters, where there are no labels
    n_labels = len(first[0]["values"]) if first else 0
    assert page.locator(".chip").count() == n_labels
    if n_labels > 10:
        coloured = page.locator(".dot").evaluate_all("(all) => all.filter((d) => !d.style.background.includes('var'))")
        assert len(coloured) == 10
    if shape == "500 labels":
        page.fill("#legend-filter", "label 499")
        assert page.locator(".chip:visible .name").all_inner_texts() == ["label 499"]
        page.dblclick(".chip:visible .toggle")
        dots = page.locator(".chip:visible .dot").evaluate_all("(all) => all.map((dot) => dot.style.background)")
        assert len(dots) == 1
        assert dots[0].startswith("rgb")
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    if shape != "long names":  # tables stand whole on a phone
        widths = page.locator(".scroll").evaluate_all("(all) => all.map((box) => box.scrollWidth - box.clientWidth)")
        assert max(widths) <= 0


def test_a_sample_says_so(tmp_path, visit):
    parts = make_parts(2, 2000, ["a", "b"])
    store = make_store(tmp_path / "r.zarr", parts)
    page = visit(write_report(store, tmp_path / "page.html", max_rows=1000))
    assert re.search(r"A sample: \d+ of 2,000 ids", page.locator("#notices").inner_text())
    press(page, "2")
    press(page, "3")
    page.fill("#search", "nobody")
    assert page.locator("#found").inner_text() == "not among the ids of the sample"
