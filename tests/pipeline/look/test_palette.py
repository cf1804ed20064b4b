"""The colours of labels and clusters: distinct, and seen on their background, in light and in dark."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from driftmap.pipeline.look import colours

TEMPLATES = Path(colours.__file__).parent / "templates"
N_COLOURS = 10

# How the three dichromacies see linear RGB: Machado, Oliveira, Fernandes 2009, severity 1.
DICHROMACIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def read_palette(theme: str) -> list[str]:
    script = (TEMPLATES / "colours.js").read_text(encoding="utf-8")
    return re.findall(r"#\w{6}", re.search(rf"const PALETTES = .*?{theme}: (\[.*?\])", script, re.DOTALL)[1])


def read_variable(theme: str, name: str) -> str:
    """A colour of the style sheet."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    start = ':root[data-theme="dark"] {' if theme == "dark" else ":root {"
    block = style[style.index(start) :]
    return re.search(rf"--{name}: (#\w{{6}})", block[: block.index("}")])[1]


def to_linear(names: list[str]) -> np.ndarray:
    rgb = colours.read_colours(names).astype(float)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def to_oklab(linear: np.ndarray) -> np.ndarray:
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(np.clip(linear, 0, 1) @ np.transpose(cones)) @ np.transpose(lab)


def measure_contrast(names: list[str], background: str) -> np.ndarray:
    """WCAG 2: of each colour against the background."""
    luminance = to_linear([*names, background]) @ [0.2126, 0.7152, 0.0722]
    light, dark = np.maximum(luminance[:-1], luminance[-1]), np.minimum(luminance[:-1], luminance[-1])
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_definition():
    assert measure_contrast(["#000000", "#ffffff", "#767676"], "#ffffff") == pytest.approx([21, 1, 4.54], abs=0.005)


@pytest.mark.parametrize("vision", ["full", *DICHROMACIES])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_any_two_colours_are_told_apart(theme, vision):
    names = read_palette(theme)
    assert len(names) == N_COLOURS
    linear = to_linear([*names, read_variable(theme, "other")])
    seen = to_oklab(linear if vision == "full" else linear @ np.transpose(DICHROMACIES[vision]))
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + np.eye(N_COLOURS + 1)
    assert distances[:-1, :-1].min() > 0.1
    assert distances[-1].min() > 0.09


@pytest.mark.parametrize("background", ["card", "page"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_stands_out_from_its_background(theme, background):
    names = [*read_palette(theme), read_variable(theme, "other")]
    assert measure_contrast(names, read_variable(theme, background)).min() >= 3


def read_ramp(theme: str, kind: str) -> np.ndarray:
    script = (TEMPLATES / "colours.js").read_text(encoding="utf-8")
    ramps = re.search(r"const RAMPS = \{(.*?)\n\};", script, re.DOTALL)[1]
    found = re.search(rf"{theme}: .*?{kind}: (\[\[.*?\]\])", ramps)[1]
    return np.array(json.loads(found))


def blend_steps(ramp: np.ndarray) -> list[str]:
    """The colours of a ramp's 64 steps, as the page paints them."""
    at = np.linspace(0, len(ramp) - 1, 64)
    steps = [np.interp(at, np.arange(len(ramp)), ramp[:, axis]) for axis in range(3)]
    return ["#{:02x}{:02x}{:02x}".format(*step) for step in np.rint(steps).astype(int).T.tolist()]


@pytest.mark.parametrize("kind", ["number", "moved"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_step_of_a_ramp_stands_out_and_differs_in_lightness(theme, kind):
    steps = blend_steps(read_ramp(theme, kind))
    for background in ("card", "page"):
        assert measure_contrast(steps, read_variable(theme, background)).min() >= 3
    lightness = to_oklab(to_linear(steps))[:, 0]
    change = np.diff(lightness) * np.sign(lightness[-1] - lightness[0])
    assert change.min() > -0.003  # of rounding to whole numbers
    assert abs(lightness[-1] - lightness[0]) > 0.3


def test_pictures_have_the_colours_of_the_light_page():
    assert read_palette("light") == list(colours.PALETTE)
    assert ["#{:02x}{:02x}{:02x}".format(*stop) for stop in read_ramp("light", "number").tolist()] == list(colours.RAMP)
    assert read_variable("light", "other") == colours.OTHER
