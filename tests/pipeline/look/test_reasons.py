"""The card of reasons: what is more and less between two windows, and what sets selected rows apart."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.browsing import MARKS, press, settle
from tests.pipeline.look.planted_reasons import count_right, plant_reasons, read_card
from tests.pipeline.small_stores import SmallWindow, make_store, read_page_header

from driftmap.pipeline.look.page_data import read_page
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.look.report import write_report


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reasons")
    found = plant_reasons(folder / "run.zarr", 0)
    return found, write_report(found.store, folder / "page.html")


def test_a_page_without_words_and_columns_has_nothing_of_them(tmp_path):
    rng = np.random.default_rng(0)
    window = SmallWindow("w", np.arange(40), rng.normal(size=(40, 2)))
    path = write_report(make_store(tmp_path / "s", [window, window._replace(label="x")]), tmp_path / "page.html")
    header = read_page_header(path)
    assert header["reasons"]["words"] == header["reasons"]["columns"] == header["details"] == []
    text = path.read_text(encoding="utf-8")
    assert "img-src http" not in text
    assert 'id="details"' not in text


def test_details_beyond_the_budget_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("driftmap.pipeline.look.reasons.MAX_DETAIL_BYTES", 10_000)
    rng = np.random.default_rng(0)
    titles = np.array([f"title {rng.integers(1 << 60)}" for _ in range(2_000)])
    window = SmallWindow("w", np.arange(2_000), rng.normal(size=(2_000, 2)), {"title": titles})
    store = make_store(tmp_path / "s", [window], config={"source": {"show": ["title"]}}, n_provisional=0)
    page = read_page(store, measure_windows(store))
    assert 0 < len(page.details) <= 10_000
    header = read_page_header(write_report(store, tmp_path / "page.html"))
    assert header["details"] == [{"name": "title", "n_values": 512, "n_all": 2_000, "first": 0}]


class TestInABrowser:
    pytestmark = MARKS

    def test_both_windows_a_sentence_and_the_river_have_the_planted_reasons(self, planted, visit):
        found, path = planted
        page = visit(path, first=False)
        assert page.locator("#reasons-title").inner_text() == "More and less from w1 to w2"
        assert count_right(read_card(page), found) == (5, 4)
        page.locator("#answers-list button").first.click()
        settle(page)
        assert page.locator("#reasons-title").inner_text() == "What sets the selection apart in w2"
        words, columns = count_right(read_card(page), found)
        assert words == 5
        assert columns >= 3
        press(page, "Escape")
        assert page.locator("#reasons-title").inner_text() == "More and less from w1 to w2"
        page.locator(".river-band").first.dispatch_event("click")
        assert page.locator("#reasons-title").inner_text().startswith("What sets the selection apart")

    def test_a_word_selects_its_rows_in_all_windows_with_their_count_over_time(self, planted, visit):
        found, path = planted
        page = visit(path, first=False)
        page.locator("#reasons [data-kind=more] button").first.click()
        assert page.locator("#selected-count").inner_text().split(": ")[1] in found.words
        label = page.locator("svg.counts").get_attribute("aria-label")
        counts = [int(n) for n in label.split(": ")[1].split(", ")]
        assert len(counts) == 4
        assert counts[2] > counts[1]

    def test_markup_is_text_and_only_web_addresses_are_links_and_nothing_is_fetched(self, planted, visit):
        _, path = planted
        page = visit(path, first=False)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.locator("#answers-list button").first.click()
        page.locator(".examples .detail").first.wait_for()
        assert "<i>" in page.locator(".examples").inner_text()
        assert page.locator(".examples i").count() == 0
        for row in page.locator(".examples li").all():
            text, links = row.inner_text(), row.locator("a")
            assert links.count() == ("https://" in text)
            assert all(link.get_attribute("rel") == "noopener noreferrer" for link in links.all())
        assert page.locator("a[href^=javascript]").count() == 0
        assert page.locator("img").count() == 0
        assert asked == []
        page.route("https://example.org/**", lambda route: route.fulfill(content_type="image/png", body="no picture"))
        page.get_by_text("show picture").first.click()
        page.get_by_text("this picture cannot be fetched").wait_for()
        assert len(asked) == 1
        assert asked[0].endswith(".png")
