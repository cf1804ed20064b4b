"""How often the page's card names planted reasons: three of the right five words, and columns, among its first five."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.pipeline.browsing import CHROMIUM, FLAGS, WIDE, settle
from tests.pipeline.look.planted_reasons import count_right, plant_reasons, read_card

from driftmap.pipeline.look.report import write_report

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"growth": "more", "birth": "more", "shrinkage": "less", "death": "less"}
"""Kinds of change, and whether the words of the group are more or less after it."""
LEAST = 3


def count_reasons(n_stores: int, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Plant reasons of each kind in `n_stores` stores, and read the cards of A and B, and of the group's sentence."""
    from playwright.sync_api import sync_playwright  # late: other benchmarks go without a browser

    found: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for kind, listed in KINDS.items():
            named = {"words, A to B": 0, "columns, A to B": 0, "words, group": 0, "columns, group": 0}
            for seed in range(n_stores):
                with tempfile.TemporaryDirectory() as folder:
                    planted = plant_reasons(Path(folder) / "run.zarr", seed, kind, n_rows=40 + 5 * seed % 60)
                    page = browser.new_page(viewport=WIDE)
                    page.goto(write_report(planted.store, Path(folder) / "page.html").as_uri())
                    page.wait_for_selector("html[data-ready]", state="attached")
                    settle(page)
                    right = [*count_right(read_card(page, listed), planted)]
                    sentence = page.locator(f"#answers-list button[data-kind={kind}]")
                    if sentence.count():
                        sentence.first.click()
                        settle(page)
                        right += count_right(read_card(page), planted)
                    page.close()
                for what, n_right in zip(named, right, strict=False):
                    named[what] += n_right >= LEAST
            found[kind] = {**named, "stores": n_stores}
            say(f"{kind:10} of {n_stores}: {', '.join(f'{what} {count}' for what, count in named.items())}")
        browser.close()
    return found
