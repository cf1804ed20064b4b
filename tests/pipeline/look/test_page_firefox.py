"""The page's main interactions in Firefox."""

from __future__ import annotations

import pytest
from tests.pipeline.look.firefox import FIREFOX, Firefox
from tests.pipeline.look.planted import plant

from driftmap.pipeline.look.report import write_report

pytestmark = [pytest.mark.long, pytest.mark.skipif(FIREFOX is None, reason="needs firefox")]


def text_of(firefox, selector):
    return firefox.evaluate(f"document.querySelector({selector!r}).innerText")


def test_sentences_windows_lasso_hover_search_and_theme_work(tmp_path):
    planted = plant(tmp_path / "run.zarr", "birth", 0, has_labels=True, n_rows=40, n_windows=5)
    path = write_report(planted.store, tmp_path / "page.html")
    profile = tmp_path / "profile"
    profile.mkdir()
    with Firefox(profile) as firefox:
        firefox.visit(path.as_uri(), 1200, 900)
        assert text_of(firefox, "#answers-list .what") == "group 1 is new: 40 rows; 100% are new ids"
        assert text_of(firefox, "#now") == "w3"
        firefox.evaluate("document.querySelector('#answers-list button').click()")
        assert text_of(firefox, "#selected-count") == "40 selected"
        firefox.press("\ue00c")  # Escape
        box = firefox.evaluate("document.querySelector('#since-map').getBoundingClientRect()")
        corners = [(0.004, 0.004), (0.996, 0.004), (0.996, 0.996), (0.004, 0.996)]
        firefox.press("l")
        firefox.drag([(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners])
        assert text_of(firefox, "#selected-count") == "160 selected"
        firefox.press("\ue00c")
        dark = firefox.evaluate("document.documentElement.dataset.theme")
        firefox.press("d")
        assert firefox.evaluate("document.documentElement.dataset.theme") != dark
        middle = box["y"] + box["height"] / 2
        seen = set()
        for k in range(40):
            firefox.drag([(box["x"] + box["width"] * (0.1 + 0.02 * k), middle)], is_held=False)
            seen.add(
                firefox.evaluate(
                    "document.querySelector('#tip').hidden ? '' : document.querySelector('#tip b').innerText"
                )
            )
        assert any(name.startswith("id ") for name in seen)
        firefox.visit(path.as_uri() + "?again#w=w4&a=w1", 390, 844)
        assert text_of(firefox, "#now") == "w4"
        assert text_of(firefox, "#since-now") == "w1"
    assert firefox.complaints == []
    assert all(url.startswith("file:") for url in firefox.requests)
