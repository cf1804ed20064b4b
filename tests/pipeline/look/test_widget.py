"""The page as a widget of a notebook: its traits in the kernel, in both directions in a browser, and in JupyterLab."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.pipeline.browsing import MARKS
from tests.pipeline.look.hosting import host_widget
from tests.pipeline.pictured import make_maps, write_maps

from driftmap import AlignedUMAP
from driftmap.pipeline import open_store
from driftmap.pipeline.errors import MissingExtraError, PictureError
from driftmap.pipeline.look import extras, make_widget, widget
from driftmap.pipeline.look.fitted_store import write_fitted
from driftmap.pipeline.look.page_codec import decode_page


@pytest.fixture
def path(tmp_path):
    write_maps(tmp_path / "run.zarr", make_maps(n_windows=3, n_rows=30), ["2024-01", "2024-02", "2024-03"])
    return tmp_path / "run.zarr"


def test_what_is_set_must_be_of_the_page(path):
    from traitlets import TraitError

    shown = open_store(path).widget(title="Batters", height=500)
    assert "<title>Batters · driftmap</title>" in shown._page
    assert (shown.window, shown.selection, shown.hover, shown.height) == ("", [], "", 500)
    shown.window, shown.selection, shown.hover = "2024-02", ["entity 16", "entity 20"], "entity 17"
    state = shown.get_state()
    assert (state["window"], state["selection"], state["hover"]) == ("2024-02", ["entity 16", "entity 20"], "entity 17")
    with pytest.raises(TraitError, match=r"window must be .* one of the 3 windows, .*'2024-03'; got '2025'"):
        shown.window = "2025"
    with pytest.raises(TraitError, match=r"selection must be of ids that the page draws.*; got 'nobody'"):
        shown.selection = ["entity 16", "nobody"]
    with pytest.raises(TraitError, match="hover must be"):
        shown.hover = "nobody"
    assert (shown.window, shown.selection, shown.hover) == ("2024-02", ["entity 16", "entity 20"], "entity 17")


def test_without_anywidget_it_says_what_to_install(path, monkeypatch):
    def refuse(module):
        raise ModuleNotFoundError(module, name=module)

    monkeypatch.setattr(extras, "import_module", refuse)
    widget._load_class.cache_clear()
    with pytest.raises(MissingExtraError, match=r"a widget needs anywidget.*driftmap\[widget\]"):
        open_store(path).widget()


@pytest.fixture(scope="module")
def windows():
    """Two groups of rows apart from each other, and a third one that comes in the last window."""
    rows = np.arange(120)
    kinds = np.where(rows >= 70, 2, rows % 2)
    places = np.random.default_rng(0).normal(size=(120, 6)) + 9 * np.eye(6)[kinds]
    groups = np.array(["even", "odd", "late"])[kinds]
    ids = [rows[:60], rows[10:70], rows[20:]]
    return [places[one] for one in ids], ids, [groups[one] for one in ids]


@pytest.fixture(scope="module")
def fitted(windows):
    rows, ids, _ = windows
    return AlignedUMAP(n_epochs=20, random_state=0).fit(rows, ids=ids)


def test_of_a_fitted_estimator(fitted, windows):
    _, ids, groups = windows
    shown = make_widget(
        fitted,
        label=groups,
        names=["May", "June", "July"],
        text=[[f"{group} talk" for group in one] for one in groups],
    )
    assert shown._windows == ["May", "June", "July"]
    assert shown._ids == {str(one) for one in np.concatenate(ids)}
    assert "<title>AlignedUMAP · driftmap</title>" in shown._page
    assert "euclidean distance" in shown._page
    header = read_header(shown)
    columns = {column["name"]: column["values"] for column in header["columns"]}
    assert columns["label"] == ["even", "late", "odd"]
    assert {"even", "odd", "late"} <= set(" ".join(columns["cluster"]).replace(",", "").split())
    assert "late is new: 50 rows" in str(header["answers"])


def test_of_an_estimator_with_relations(windows):
    rows, ids, _ = windows
    relations = [{row + 10: row for row in range(50)}] * 2
    related = AlignedUMAP(n_epochs=20, random_state=0).fit(rows, relations=relations)
    shown = make_widget(related)
    assert shown._windows == ["0", "1", "2"]
    assert shown._ids == {str(one) for one in range(120)}
    assert [one.tolist() for one in related.ids_] == [one.tolist() for one in ids]


def test_what_does_not_fit_an_estimator_is_refused(fitted, path, windows):
    with pytest.raises(PictureError, match="not fitted"):
        make_widget(AlignedUMAP())
    with pytest.raises(PictureError, match=r"fitted AlignedUMAP, got list.*plot_grid"):
        make_widget([np.zeros((3, 2))])
    with pytest.raises(PictureError, match="names has 'May' twice"):
        make_widget(fitted, names=["May", "June", "May"])
    with pytest.raises(PictureError, match="2 names for 3 windows"):
        make_widget(fitted, names=["May", "June"])
    with pytest.raises(PictureError, match=r"text\[1\] has 1 texts for a map of 60 rows"):
        make_widget(fitted, text=[["a"] * 60, ["a"], ["a"] * 100])
    with pytest.raises(PictureError, match="text must hold one list of texts for each of the 3 windows, got 1"):
        make_widget(fitted, text=[["a"] * 60])
    with pytest.raises(PictureError, match="a store has its own"):
        make_widget(open_store(path), label=windows[2])
    with pytest.raises(PictureError, match="a store has its own"):
        make_widget(open_store(path), columns=windows[0])


def test_columns_that_do_not_fit_an_estimator_are_refused(fitted, windows):
    rows = windows[0]
    with pytest.raises(PictureError, match="columns must hold one table of numbers for each of the 3 windows, got 2"):
        make_widget(fitted, columns=rows[:2])
    with pytest.raises(PictureError, match=r"columns must hold one table .* got dict"):
        make_widget(fitted, columns={"a": [1.0]})
    with pytest.raises(PictureError, match=r"columns\[1\]\[:, 0\] has shape \(5,\) for a map of 60 rows"):
        make_widget(fitted, columns=[rows[0], rows[1][:5], rows[2]])
    with pytest.raises(
        PictureError, match=r"columns\[2\] has the columns 'x0', 'x1', columns\[0\] has 'x0', 'x1', 'x2', .* 2"
    ):
        make_widget(fitted, columns=[rows[0], rows[1], rows[2][:, :2]])
    with pytest.raises(PictureError, match=r"columns\[0\]\['a'\] holds <U1 values; give numbers"):
        make_widget(fitted, columns=[{"a": ["x"] * len(one)} for one in rows])
    with pytest.raises(PictureError, match=r"columns\[0\] has 70 columns; give 1 to 64"):
        make_widget(fitted, columns=[np.zeros((len(one), 70)) for one in rows])
    with pytest.raises(PictureError, match=r"columns\[0\] must be a frame, .* got ndarray of shape \(60,\)"):
        make_widget(fitted, columns=[one[:, 0] for one in rows])


@pytest.mark.parametrize("kind", ["array", "mapping", "frame"])
def test_columns_of_an_estimator_are_kept_as_of_a_run(fitted, windows, tmp_path, kind):
    rows = [one.copy() for one in windows[0]]
    rows[0][3, 1], rows[0][4, 1] = np.nan, np.inf
    names = [f"x{k}" for k in range(6)] if kind == "array" else [f"column {k}" for k in range(6)]
    tables = {
        "array": rows,
        "mapping": [dict(zip(names, one.T, strict=True)) for one in rows],
        "frame": [pd.DataFrame(one, columns=names) for one in rows],
    }
    store = write_fitted(fitted, tmp_path / "fitted", columns=tables[kind])
    for index, one in enumerate(rows):
        traits = store.read_traits(index)
        assert traits.columns == tuple(names)
        is_known = np.isfinite(one)
        assert np.array_equal(np.isfinite(traits.numbers), is_known)
        known = np.where(is_known, one, np.nan)
        spread = np.nanstd(known, axis=0)
        steps = np.hypot(spread, 2 * (known - np.nanmean(known, axis=0))) / 48  # a step is finest at the mean
        assert (np.abs(traits.numbers - known) < 0.6 * steps)[is_known].all()


@pytest.fixture
def hosted(path, tmp_path, browser):
    """A page that holds the widget as a notebook does, and the frame in it."""
    file = host_widget(open_store(path).widget(), tmp_path / "host.html", window="2024-01", selection=["entity 3"])
    complaints = []
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached", timeout=30_000)
    yield page, frame
    page.close()
    assert complaints == []


def read_header(shown):
    return decode_page(re.search(r'id="data">([^<]*)<', shown._page)[1])[0]


def expect_state(page, name, value):
    page.wait_for_function(
        "([name, value]) => JSON.stringify(model.get(name)) === value",
        arg=[name, json.dumps(value, separators=(",", ":"))],
    )


@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_window_selection_and_hover_go_both_ways(hosted, mark):
    from playwright.sync_api import expect

    page, frame = hosted
    expect(frame.locator("#now")).to_have_text("2024-01")  # as the notebook has it
    expect(frame.locator("#selected-count")).to_have_text("1 selected")
    page.evaluate("model.set('window', '2024-03')")
    expect(frame.locator("#now")).to_have_text("2024-03")
    page.evaluate("model.set('selection', ['entity 31', 'entity 32'])")
    expect(frame.locator("#selected-count")).to_have_text("2 selected")
    assert page.evaluate("window.n_saved") is None  # nothing comes back of what the notebook said
    frame.locator("#back").click()
    expect_state(page, "window", "2024-02")
    frame.locator("#unselect").click()
    expect_state(page, "selection", [])
    box = frame.locator("#map").bounding_box()
    found = set()
    for part in range(4, 17):
        page.mouse.move(box["x"] + box["width"] * part / 20, box["y"] + box["height"] / 2, steps=4)
        found.add(page.evaluate("model.get('hover')"))
    assert any(re.fullmatch(r"entity \d+", one) for one in found), found
    page.evaluate("model.set('hover', 'entity 20')")
    expect(frame.locator("#now")).to_have_text("2024-02")


@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_an_estimator_in_a_page(fitted, windows, tmp_path, browser, mark):
    from playwright.sync_api import expect

    shown = make_widget(fitted, label=windows[2], names=["May", "June", "July"], columns=windows[0])
    file = host_widget(shown, tmp_path / "host.html", window="May", selection=["3", "4"])
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(file.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached", timeout=30_000)
    expect(frame.locator("#now")).to_have_text("May")
    expect(frame.locator("#selected-count")).to_have_text("2 selected")
    page.evaluate("model.set('window', 'June')")
    expect(frame.locator("#now")).to_have_text("June")
    frame.locator("#unselect").click()
    expect_state(page, "selection", [])
    page.evaluate("model.set('window', 'July')")
    expect(frame.locator("#reasons")).to_contain_text("x2")  # the group that comes lies along it
    page.close()


NOTEBOOK = """
from driftmap import open_store
shown = open_store({path!r}).widget(height=620)
shown
"""

ESTIMATOR = """
import numpy as np
from driftmap import AlignedUMAP
from driftmap.pipeline.look import make_widget
rows = np.random.default_rng(0).normal(size=(60, 5))
mapper = AlignedUMAP(n_epochs=20, random_state=0).fit([rows[:50], rows[10:]], ids=[range(50), range(10, 60)])
fitted = make_widget(mapper, names=['May', 'June'], title='Fitted', height=300)
fitted
"""


def run_last_cell(page, text):
    page.locator(".jp-CodeCell .cm-content").last.click()  # keys go to the frame otherwise
    page.keyboard.insert_text(text)
    page.keyboard.press("Shift+Enter")


def wait_for_address(log):
    for _ in range(600):
        if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text(encoding="utf-8")):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.mark.long
@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_in_jupyterlab(path, tmp_path, browser, mark):
    from playwright.sync_api import expect

    cells = [
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "id": "one",
            "source": NOTEBOOK.format(path=str(path)).strip(),
        }
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "maps.ipynb").write_text(json.dumps(book), encoding="utf-8")
    options = [
        "--no-browser",
        "--ServerApp.token=secret",
        "--ServerApp.port=0",
        "--allow-root",
        "--ServerApp.disable_check_xsrf=True",
    ]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    log = tmp_path / "lab.log"
    with log.open("w", encoding="utf-8") as unfinished:
        environment = {**os.environ, **folders}
        command = [sys.executable, "-m", "jupyterlab", *options]
        lab = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=unfinished)
    try:
        address = wait_for_address(log)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"{address}lab/tree/maps.ipynb?token=secret")
        page.get_by_text("(ipykernel) | Idle").wait_for()  # without a kernel a cell that is run does nothing
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        frame = page.frame_locator("iframe[title='Maps']")
        frame.locator("html[data-ready]").wait_for(state="attached")
        expect(frame.locator("#now")).to_have_text("2024-02", timeout=30_000)
        frame.locator("#back").click()
        expect(frame.locator("#now")).to_have_text("2024-01", timeout=30_000)
        run_last_cell(page, "print('at', shown.window)")
        expect(page.locator(".jp-OutputArea-output pre").last).to_have_text("at 2024-01\n", timeout=30_000)
        run_last_cell(
            page,
            textwrap.dedent("""
            shown.window = '2024-03'
            shown.selection = ['entity 31', 'entity 32']
        """).strip(),
        )
        expect(frame.locator("#now")).to_have_text("2024-03", timeout=30_000)
        expect(frame.locator("#selected-count")).to_have_text("2 selected", timeout=30_000)
        run_last_cell(page, ESTIMATOR.strip())
        second = page.frame_locator("iframe[title='Maps']").nth(1)
        expect(second.locator("#now")).to_have_text("June", timeout=60_000)
        second.locator("#back").click()
        run_last_cell(page, "print('then', fitted.window)")
        expect(page.locator(".jp-OutputArea-output pre").last).to_have_text("then May\n", timeout=30_000)
        run_last_cell(page, "fitted.selection = ['12', '13']")
        expect(second.locator("#selected-count")).to_have_text("2 selected", timeout=30_000)
        if folder := os.environ.get("DRIFTMAP_SHOTS"):
            page.screenshot(path=Path(folder) / "jupyterlab.png")
        page.close()
    finally:
        lab.terminate()
        lab.wait(30)
