"""What a person finds by words and names, and takes out of the page: a link, ids, a table, a picture."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from tests.pipeline.browsing import MARKS, press, set_time, settle, wait_for_label
from tests.pipeline.look.planted_reasons import plant_reasons

from driftmap.pipeline.look.report import write_report

pytestmark = MARKS


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reach")
    found = plant_reasons(folder / "run.zarr", 1)
    return found, write_report(found.store, folder / "page.html")


def find(page, text):
    page.locator("#search").fill(text)
    return page.locator("#found-list [role=option]")


def wait_for_address(page, part, *, is_there=True):
    for _ in range(50):
        if (part in page.url) == is_there:
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.url)


def counts_of(page):
    return [int(n) for n in page.locator("svg.counts").get_attribute("aria-label").split(": ")[1].split(", ")]


def test_words_texts_and_names_are_found_and_select_their_rows(planted, visit):
    found, path = planted
    page = visit(path, first=False)
    word = found.words[0]
    options = find(page, word)
    texts = options.all_inner_texts()
    assert f"{word} word" in texts
    assert any(text.startswith(f"“{word}” in ") and text.endswith("of title") for text in texts)
    options.filter(has_text=f"{word} word").dispatch_event("pointerdown")
    by_word = counts_of(page)
    assert by_word[2] > by_word[1] > 0
    find(page, word).filter(has_text="of title").dispatch_event("pointerdown")
    assert counts_of(page) == by_word
    assert page.locator("#selected-count").inner_text().endswith(f": “{word}” in title")
    name = page.locator("#legend .chip .name").first.inner_text()
    find(page, name).filter(has_text=name).first.dispatch_event("pointerdown")
    assert page.locator("#selected-count").inner_text().endswith(f": {name}")
    find(page, "no such thing")
    assert page.locator("#found-note").inner_text() == "nothing found"
    find(page, "id 7")
    page.keyboard.press("Enter")
    assert page.locator("#followed-name").inner_text() == "id 7"


def test_the_address_shows_the_same_again_from_disk(planted, visit):
    found, path = planted
    page = visit(path, first=False)
    assert "#" not in page.url
    set_time(page, 3)
    page.locator("#since").select_option("0")
    find(page, found.words[0]).filter(has_text="word").first.dispatch_event("pointerdown")
    wait_for_address(page, "sel=word")
    assert "w=w3&a=w0" in page.url
    selected, card = page.locator("#selected-count").inner_text(), page.locator("#reasons").inner_text()
    again = visit(path, first=False, address=f"#{page.url.split('#')[1]}")
    wait_for_label(again, "w3")
    assert again.locator("#selected-count").inner_text() == selected
    again.locator(".examples .detail").first.wait_for()
    assert again.locator("#reasons").inner_text() == card
    # a group of a window, and single ids
    again.locator(".river-band").first.dispatch_event("click")
    wait_for_address(again, "sel=group")
    group, url = again.locator("#selected-count").inner_text(), again.url
    press(again, "Escape")
    wait_for_address(again, "sel=", is_there=False)
    again.evaluate("url => { location.href = url }", url)
    again.get_by_text(group, exact=True).wait_for()
    again.evaluate("location.hash = 'w=w1&sel=ids/id%207/id%208/nobody'")
    wait_for_label(again, "w1")
    assert again.locator("#selected-count").inner_text() == "2 selected"
    again.evaluate("location.hash = 'w=nothing&a=%&sel=group/x/y/%E0%A4%A'")
    settle(again)
    wait_for_label(again, "w1")


def test_ids_a_table_and_a_picture_are_taken_out(planted, visit):
    from PIL import Image

    found, path = planted
    page = visit(path, first=False)
    page.locator("#answers-list button").first.click()
    n_selected = int(page.locator("#selected-count").inner_text().split()[0])
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator("#copy-ids").click()
    page.get_by_text("ids copied").wait_for()
    copied = page.evaluate("window.copied").split("\n")
    assert len(copied) == n_selected
    with page.expect_download() as saved:
        page.locator("#save-table").click()
    rows = list(csv.DictReader(io.StringIO(saved.value.path().read_bytes().decode())))
    assert {row["id"] for row in rows} == {*copied}
    assert {row["window"] for row in rows} == {"w0", "w1", "w2", "w3"}
    for row in rows[::9]:
        ids, positions = found.store.embedding(row["window"])
        place = positions[np.flatnonzero(ids == row["id"])[0]]
        assert np.allclose([float(row["x"]), float(row["y"])], place, atol=0.01)
        assert row["title"].startswith("<i>")
    with page.expect_download() as saved:
        page.locator("#save-picture").click()
    picture = np.asarray(Image.open(saved.value.path()).convert("RGB"), dtype=int)
    assert picture.shape[1] > 1.5 * picture.shape[0]
    assert (np.ptp(picture[picture.shape[0] // 8 :], axis=-1) > 60).sum() > 200
    press(page, "Escape")
    with page.expect_download() as saved:
        page.locator("#save-table").click()
    seen = list(csv.DictReader(io.StringIO(saved.value.path().read_bytes().decode())))
    assert {row["window"] for row in seen} == {"w2"}
    assert len(seen) == 300
