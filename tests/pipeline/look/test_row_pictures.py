"""Pictures that rows name by a path: small in the page, said where they are not there, and never fetched."""

from __future__ import annotations

import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image
from tests.pipeline.browsing import MARKS
from tests.pipeline.look.hosting import host_widget
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline import open_store
from driftmap.pipeline.errors import StoreWarning
from driftmap.pipeline.look import extras, row_pictures
from driftmap.pipeline.look.page_data import MAX_ROWS
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.look.row_pictures import PictureReader, is_picture_path
from driftmap.pipeline.look.view import PageServer

N_ROWS = 40


def draw_files(folder):
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (400, 300), (60 * number, 90, 40)).save(folder / f"{number}.jpg", exif=Image.Exif())
    Image.new("RGBA", (30, 20), (200, 0, 0, 90)).save(folder / "clear.png")
    (folder / "torn.png").write_bytes((folder / "clear.png").read_bytes()[:60])
    (folder / "markup.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / "script.png").write_text("<script>alert(1)</script>")


def make_shown(folder, values):
    draw_files(folder / "pictures")
    rng = np.random.default_rng(0)
    files = np.array([values[number % len(values)] for number in range(N_ROWS)])
    window = SmallWindow("w", np.arange(N_ROWS), rng.normal(size=(N_ROWS, 2)), {"file": files})
    config = {"source": {"show": ["file"], "path": str(folder / "rows.parquet")}}
    return make_store(folder / "s", [window, window._replace(label="x")], config=config)


def read_picture(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_pictures_are_small_and_what_is_none_is_named(tmp_path):
    store = make_shown(tmp_path, ["pictures/0.jpg"])
    names = ["0.jpg", "clear.png", "torn.png", "script.png", "markup.svg", "gone.JPG"]
    values = [f"pictures/{name}" for name in names]
    found = PictureReader(store).read([*values, str(tmp_path / "pictures" / "1.jpg"), "a title"])
    with read_picture(found[0]) as picture:
        assert (picture.format, picture.size) == ("JPEG", (160, 120))
        assert not picture.getexif()
    with read_picture(found[1]) as picture:
        assert (picture.format, picture.size, picture.mode) == ("PNG", (30, 20), "RGBA")
    assert found[2:6] == ["unreadable", "unreadable", "", "missing"]
    assert found[6].startswith("data:image/jpeg;base64,")
    assert found[7] == ""


@pytest.mark.parametrize(
    "value",
    [
        "https://example.org/a.png",
        "javascript:a.png",
        "file:///a.png",
        "data:a.png",
        "//host/share/a.png",
        "\\\\host\\share\\a.png",
        "a\0.png",
        "a.svg",
        "a.txt",
    ],
)
def test_nothing_else_is_opened(value):
    assert not is_picture_path(value)


def test_pictures_too_many_or_too_large_are_left_out(tmp_path, monkeypatch):
    store = make_shown(tmp_path, ["pictures/0.jpg"])
    values = [f"pictures/{number}.jpg" for number in range(4)]
    n_bytes = len(PictureReader(store).read(values[:1])[0])
    monkeypatch.setattr(row_pictures, "MAX_PICTURE_BYTES", int(2.5 * n_bytes))
    reader = PictureReader(store)
    found = reader.read(values)
    assert [one[:10] for one in found] == ["data:image", "data:image", "left out", "left out"]
    with pytest.warns(StoreWarning, match=r"2 pictures of rows do not fit .* \('pictures/2.jpg', 'pictures/3.jpg'\)"):
        reader.warn()
    reader.start()
    assert reader.read(values) == found
    monkeypatch.setattr(row_pictures, "MAX_PIXELS", 1_000)
    assert PictureReader(store).read(values[:1]) == ["unreadable"]


def test_without_pillow_it_is_said(tmp_path, monkeypatch):
    store = make_shown(tmp_path, ["pictures/0.jpg"])

    def refuse(module):
        raise ModuleNotFoundError(module, name=module)

    monkeypatch.setattr(extras, "import_module", refuse)
    with pytest.warns(StoreWarning, match=r"1 pictures of rows need pillow.*driftmap\[plot\]"):
        write_report(store, tmp_path / "page.html")


@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_the_page_shows_them_and_asks_for_nothing(tmp_path, visit, mark):
    store = make_shown(tmp_path, ["pictures/0.jpg", "pictures/gone.png", "javascript:a.png", "<img src=x>.png"])
    with pytest.warns(StoreWarning, match="2 pictures of rows are not there"):
        path = write_report(store, tmp_path / "page.html")
    asked = []
    page = visit(path, first=False)
    page.on("request", lambda request: asked.append(request.url))
    for entity, shown in enumerate(["img.picture", "picture missing", "javascript:a.png", "<img src=x>.png"]):
        page.locator("#search").fill(str(entity + 20))
        page.keyboard.press("Enter")
        card = page.locator("#followed")
        (card.locator(shown) if shown.startswith("img") else card.get_by_text(shown)).first.wait_for()
        assert card.locator("img").count() == (entity == 0)
    page.locator("#search").fill("20")
    page.keyboard.press("Enter")
    drawn = page.locator("#followed img.picture")
    drawn.wait_for()
    assert drawn.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 160
    assert [url for url in asked if not url.startswith("data:")] == []


SHOWN = ["pictures/0.jpg", "pictures/gone.png", "<img src=x>.png"]


def expect_pictures(place, follow):
    """Follow the first three ids: a picture, one that is missing, and markup that stays text."""
    from playwright.sync_api import expect

    for entity, text in enumerate(["pictures/0.jpg", "picture missing", "<img src=x>.png"]):
        follow(str(entity))
        expect(place.locator("#followed-name")).to_have_text(str(entity))
        expect(place.locator("#followed")).to_contain_text(text)
        expect(place.locator("#followed img")).to_have_count(1 if entity == 0 else 0)
    follow("0")
    drawn = place.locator("#followed img.picture")
    assert drawn.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 160


def search_in(place):
    def follow(name):
        place.locator("#search").fill(name)
        place.locator("#search").press("Enter")

    return follow


@pytest.mark.filterwarnings("ignore:.*pictures of rows:driftmap.pipeline.errors.StoreWarning")
@pytest.mark.parametrize("max_rows", [pytest.param(n, marks=MARKS) for n in (MAX_ROWS, 0)], ids=["whole", "live"])
def test_view_shows_them_whole_and_of_a_large_store(tmp_path, browser, max_rows):
    store, asked = make_shown(tmp_path, SHOWN), []
    with PageServer(store, max_rows=max_rows) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)
        page.wait_for_selector("html[data-ready]", state="attached")
        expect_pictures(page, search_in(page))
        page.close()
        server.shutdown()
        thread.join()
    assert all(url.startswith((server.url, "data:")) for url in asked)


@pytest.mark.filterwarnings("ignore:.*pictures of rows:driftmap.pipeline.errors.StoreWarning")
@pytest.mark.parametrize("mark", [pytest.param(None, marks=MARKS)])
def test_the_widget_shows_them(tmp_path, browser, mark):
    store = make_shown(tmp_path, SHOWN)
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(host_widget(open_store(store.path).widget(), tmp_path / "host.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached", timeout=30_000)
    expect_pictures(frame, search_in(frame))
    page.close()
