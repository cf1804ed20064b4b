"""The page of a large store in Chromium: windows come as they are looked at, and new ones by themselves."""

from __future__ import annotations

import re
from contextlib import ExitStack

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.pipeline.browsing import MARKS, WIDE, press, settle, wait_for_label
from tests.pipeline.growing import make_store, take_in, write_days
from tests.pipeline.look.live.served import N_ROWS, make_run, make_talk, make_window, serve
from tests.pipeline.look.planted import plant
from tests.pipeline.look.planted_reasons import count_right, plant_reasons, read_card
from tests.pipeline.small_stores import make_store as make_small

from driftmap.pipeline import open_store
from driftmap.pipeline.look.live.windows import LiveWindows

pytestmark = MARKS


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    make_run(tmp_path_factory.mktemp("live") / "run.zarr")
    return tmp_path_factory.getbasetemp() / "live0" / "run.zarr"


@pytest.fixture
def visit_live(browser):
    """Serve a store and open its page; afterwards nothing was asked of others, and no error shown."""
    complaints, asked, roots = [], [], []
    allowed = []

    def open_page(path, *, viewport=WIDE, address="", n_read=None, flaw="", **options):
        server = servers.enter_context(serve(path, **options))
        roots.append(server.url)
        context = contexts.enter_context(browser.new_context(viewport=viewport))
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.url + address)
        page.wait_for_selector("html[data-ready]", state="attached")
        if n_read:
            page.wait_for_selector(f"html[data-read='{n_read}']", state="attached")
        settle(page)
        allowed.extend([flaw] if flaw else [])
        return page

    with ExitStack() as servers, ExitStack() as contexts:
        yield open_page
    assert [text for text in complaints if not any(one in text for one in allowed)] == []
    assert all(url.startswith(tuple(roots)) for url in asked)


def test_it_opens_on_the_newest_final_window_with_a_sample(path, visit_live):
    page = visit_live(path, sample_rows=100, n_read=3)
    assert page.locator("#now").text_content() == "w1"
    assert page.locator("#count").text_content() == f"{N_ROWS} rows"
    notice = page.locator("#notices").text_content()
    assert "of 400 rows of a window about 100 are drawn" in notice
    assert page.locator("#legend .chip").all_text_contents() == ["calmonly", "risingonly"]
    assert page.locator("#grid button").count() == 3
    press(page, "ArrowRight")
    assert "w2" in page.locator("#now").text_content()
    assert page.locator("#followed-card").is_hidden()


def test_windows_out_of_sight_are_read_when_they_are_looked_at(tmp_path, visit_live):
    make_run(tmp_path / "run.zarr", n_windows=40, n=60)
    page = visit_live(tmp_path / "run.zarr", viewport={"width": 1200, "height": 700})
    page.wait_for_selector("html[data-read]", state="attached")
    before = int(page.get_attribute("html", "data-read"))
    assert 2 < before < 40
    press(page, "Home")
    expect(page.locator("#count")).to_have_text("60 rows")
    assert page.locator("#now").text_content() == "w0"
    expect(page.locator("html")).not_to_have_attribute("data-read", str(before))


def test_an_id_is_found_and_followed_through_the_windows(path, visit_live):
    page = visit_live(path, n_read=3)
    page.fill("#search", "id 00001")
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("#followed-name").text_content() == "id 00001"
    assert "in 3 of 3 windows: w0 to w2" in page.locator("#followed").text_content()
    page.wait_for_timeout(400)
    address = page.evaluate("location.hash")
    assert "id=" in address
    again = visit_live(path, address=address, n_read=3)
    assert again.locator("#followed-name").text_content() == "id 00001"


def test_moves_are_measured_once_both_windows_are_read(path, visit_live):
    page = visit_live(path, n_read=3)
    page.select_option("#by", label="how far it moved")
    settle(page)
    low, high = page.locator("#legend .ramp span").all_text_contents()
    assert low == "0"
    assert 0.1 < float(high.split()[0]) < 0.5


def test_a_window_that_is_damaged_is_said_and_the_others_stand(tmp_path, visit_live):
    make_run(tmp_path / "run.zarr")
    for file in (tmp_path / "run.zarr" / "windows" / "00000000").rglob("*"):
        if file.is_file():
            file.unlink()
    page = visit_live(tmp_path / "run.zarr", n_read=2, flaw="503")
    page.wait_for_selector("#notices p:has-text('Window w0 cannot be read')")
    assert page.locator("#now").text_content() == "w1"


def test_a_window_of_an_ingest_appears_in_the_open_page(tmp_path, visit_live):
    make_store(tmp_path / "days", tmp_path / "store")
    page = visit_live(tmp_path / "store")
    labels = page.locator("#grid button span").all_text_contents()
    now = page.locator("#now").text_content()
    write_days(tmp_path / "days", range(6, 8))
    take_in(tmp_path)
    page.wait_for_selector("#notices p:has-text('The store has grown')")
    grown = page.locator("#grid button span").all_text_contents()
    assert grown[: len(labels)] == labels
    assert len(grown) > len(labels)
    assert page.locator("#now").text_content() == now
    assert page.locator("#quality-rows tr").count() == len(grown)
    press(page, "End")
    wait_for_label(page, grown[-1])
    expect(page.locator("#count")).not_to_contain_text("reading")


def test_a_server_that_ended_is_said(path, visit_live):
    page = visit_live(path, n_read=3, flaw="ERR_FAILED")
    page.route("**/head", lambda route: route.abort())
    page.wait_for_selector("#notices p:has-text('does not answer')")


def test_rows_that_the_sample_lacks_are_shown_closer_and_followed(path, visit_live):
    page = visit_live(path, n_read=3, sample_rows=60)
    before = page.locator("#count").text_content()
    assert "here" not in before
    page.click("#closer")
    expect(page.locator("#count")).to_contain_text("here all")
    expect(page.locator("#since-count")).to_contain_text("here all")
    box = page.locator("#map").bounding_box()
    tip, name = page.locator("#tip"), ""
    for x, y in scan(box):
        page.mouse.move(x, y)
        settle(page)
        if tip.is_visible() and "windows" not in tip.text_content():
            expect(tip).to_contain_text("kind: ")
            name = tip.locator("b").text_content()
            page.mouse.click(x, y)
            break
    assert name.startswith("id ")
    expect(page.locator("#followed-name")).to_have_text(name)
    expect(page.locator("#followed")).to_contain_text("windows: w")


def scan(box):
    """Spots over the pane, as many as find one of a few hundred rows."""
    for k in range(400):
        yield box["x"] + box["width"] * (0.05 + 0.9 * (k * 0.618 % 1)), box["y"] + box["height"] * (0.2 + 0.7 * k / 400)


def test_an_id_outside_the_sample_is_found_and_followed(path, visit_live):
    page = visit_live(path, n_read=3, sample_rows=20)
    drawn = set(LiveWindows(open_store(path), 20).read(1).names)
    wanted = next(name for name in make_window(1).ids.tolist() if name not in drawn and name in make_window(0).ids)
    page.fill("#search", wanted)
    expect(page.locator("#found-list li")).to_have_text(f"{wanted} id")
    page.keyboard.press("Enter")
    expect(page.locator("#followed-name")).to_have_text(wanted)
    expect(page.locator("#followed")).to_contain_text("in 3 of 3 windows: w0 to w2")


def test_what_is_shown_of_a_row_is_asked_for(tmp_path, visit_live):
    window = make_window(0)
    links = np.array([f"https://example.org/{i}" for i in range(N_ROWS)])
    shown = window._replace(columns={**window.columns, "link": links, "note": np.array(["<b>bold</b>"] * N_ROWS)})
    make_small(tmp_path / "run.zarr", [shown], config={"source": {"show": ["link", "note"]}})
    page = visit_live(tmp_path / "run.zarr", n_read=1)
    page.fill("#search", "id 00007")
    page.keyboard.press("Enter")
    link = page.locator("#followed .detail a")
    expect(link).to_have_attribute("href", "https://example.org/7")
    expect(page.locator("#followed")).to_contain_text("<b>bold</b>")


def test_what_changed_is_said_of_the_rows_that_are_drawn(tmp_path, visit_live):
    plant(tmp_path / "run.zarr", "growth", 1, has_labels=True)
    page = visit_live(tmp_path / "run.zarr")
    page.wait_for_selector("html[data-compared='4']", state="attached")
    expect(page.locator("#answers")).to_be_visible()
    expect(page.locator("#answers-list")).not_to_contain_text("Measured on")
    buttons = page.locator("#answers-list button")
    expect(buttons.first).to_contain_text("group 1 grew from 20 to 60 rows")
    buttons.first.click()
    expect(page.locator("#selected-card")).to_be_visible()
    sampled = visit_live(tmp_path / "run.zarr", sample_rows=150, n_read=4)
    expect(sampled.locator("#answers-list")).to_contain_text("Measured on the rows that are drawn")
    expect(sampled.locator("#answers-list button").first).to_contain_text("group 1 grew from ")


def test_reasons_are_those_of_the_whole_page(tmp_path, visit_live):
    found = plant_reasons(tmp_path / "run.zarr", 0)
    page = visit_live(tmp_path / "run.zarr", n_read=4)
    expect(page.locator("#reasons-title")).to_have_text("More and less from w1 to w2")
    assert count_right(read_card(page), found) == (5, 4)
    expect(page.locator("#reasons .examples .detail").first).to_contain_text("<i>")
    page.locator("#reasons [data-kind=more] button").first.click()
    expect(page.locator("#reasons-title")).to_have_text("What sets the selection apart in w2")
    word = page.locator("#reasons [data-kind=more] .name").first.text_content()
    expect(page.locator("#selected-count")).to_contain_text(word)
    expect(page).to_have_url(re.compile("sel=word"))
    again = visit_live(tmp_path / "run.zarr", address=page.evaluate("location.hash"), n_read=4)
    expect(again.locator("#selected-count")).to_contain_text(word)
    press(again, "Escape")
    press(again, "Home")
    press(again, "ArrowRight")
    expect(again.locator("#reasons-title")).to_have_text("More and less from w0 to w1")
    expect(again.locator("#reasons")).to_contain_text("No word or column is clearly more or less.")
    again.fill("#search", word[:3])
    expect(again.locator("#found-list")).to_contain_text("word")


def test_clusters_get_names_and_labels_their_events(tmp_path, visit_live):
    make_talk(tmp_path / "run.zarr")
    page = visit_live(tmp_path / "run.zarr", n_read=3)
    page.wait_for_selector("html[data-compared='3']", state="attached")
    expect(page.locator("#legend")).to_contain_text("late")
    expect(page.locator("#legend")).to_contain_text("cluster even")
    expect(page.locator("#answers-list")).to_contain_text("Cluster late")
    expect(page.locator("#events")).to_contain_text("late")
    expect(page.locator("#events")).to_contain_text("appears")
    expect(page.locator("#movers-card")).to_be_visible()
    expect(page.locator("#movers tr").first).to_contain_text("July")
    page.locator("#answers-list button", has_text="late").first.click()
    expect(page.locator("#reasons [data-kind=more] .name").first).to_have_text("late")


def test_the_whole_page_of_a_small_store_shows_windows_of_an_ingest_too(tmp_path, visit_live):
    make_store(tmp_path / "days", tmp_path / "store")
    page = visit_live(tmp_path / "store", max_rows=10_000)
    page.select_option("#by", label="how far it moved")
    labels = page.locator("#grid button span")
    before = labels.count()
    page.keyboard.press("Home")
    wait_for_label(page, labels.first.text_content())
    page.wait_for_timeout(400)
    write_days(tmp_path / "days", range(6, 8))
    take_in(tmp_path)
    expect(labels).to_have_count(before + 1)
    wait_for_label(page, labels.first.text_content())
    expect(page.locator("#by option:checked")).to_have_text("how far it moved")
