"""A store in a notebook, and its page in the browser."""

from __future__ import annotations

import re
import webbrowser
import xml.etree.ElementTree as ET

import pytest
from tests.pipeline.pictured import make_maps, write_maps

from driftmap.pipeline import open_store
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.look.notebook import open_page
from driftmap.pipeline.store import Store

EVIL = "<b>&\"'"


@pytest.fixture
def store(tmp_path):
    made = make_maps(n_windows=20, n_rows=30)
    made.kinds[0][:] = EVIL
    write_maps(tmp_path / "run.zarr", made, [f"{EVIL} {window}" for window in range(20)])
    return open_store(tmp_path / "run.zarr")


def read_picture(text: str) -> ET.Element:
    return ET.fromstring(re.search(r"<svg.*</svg>", text)[0])


def test_a_store_shows_a_dozen_maps_and_its_labels(store):
    shown = store._repr_html_()
    assert "20 windows (19 final, 1 provisional)" in shown
    assert "12 of 20 maps, kind:" in shown
    assert EVIL not in shown
    assert len(shown) < 60_000
    picture = read_picture(shown)
    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert (titles[0], titles[-1], len(titles)) == (f"{EVIL} 0", f"{EVIL} 19", 12)
    assert len({path.get("stroke") for path in picture.iter("{http://www.w3.org/2000/svg}path")}) == 4


def test_a_store_without_maps_and_a_damaged_one_say_so(store, tmp_path):
    windows = [{"label": "a", "n_rows": 3, "start": None, "end": None, "digest": "d"}]
    empty = Store.create(tmp_path / "new.zarr", config={}, windows=windows, fingerprint={})
    assert "No window has a map yet" in empty._repr_html_()
    for file in store.path.glob("windows/00000000/one/positions/c/**/*"):
        if file.is_file():
            file.write_bytes(b"damaged")
    with pytest.raises(StoreError):
        store.positions(0)
    assert "window &#x27;" in store._repr_html_()


@pytest.mark.parametrize(("screen", "expected"), [("", False), (":0", True)])
def test_the_page_opens_only_where_there_is_a_screen(tmp_path, monkeypatch, screen, expected):
    opened = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or True)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", screen)
    page = tmp_path / "a page#1.html"
    assert open_page(page) is expected
    assert opened == ([page.resolve().as_uri()] if expected else [])


def test_a_store_writes_its_page(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = []
    monkeypatch.setattr("driftmap.pipeline.look.notebook.open_page", opened.append)
    page = store.report()
    assert (page.name, opened) == ("run.html", [page])
    assert "Batters" in store.report(tmp_path / "other.html", title="Batters").read_text(encoding="utf-8")
