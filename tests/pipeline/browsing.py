"""What a person does on a page in headless Chromium; the fixtures `browser` and `visit` are in conftest."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
WIDE = {"width": 1200, "height": 900}
NARROW = {"width": 420, "height": 860}

MARKS = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]


def settle(page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def press(page, key: str) -> None:
    page.keyboard.press(key)
    settle(page)


def see(page, x: float, y: float) -> np.ndarray:
    """The colour of the screen at a pixel, without what a pointer leaves there."""
    from PIL import Image

    page.mouse.move(2, 2)
    settle(page)
    shot = page.screenshot(clip={"x": round(x), "y": round(y), "width": 1, "height": 1})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=int)[0, 0]


def set_time(page, time: float) -> None:
    page.locator("#time").evaluate(
        "(slider, time) => { slider.value = time; slider.dispatchEvent(new Event('input')); }", time
    )


def wait_for_label(page, text) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#now")).to_have_text(text, timeout=30_000)
