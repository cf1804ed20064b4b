"""Thumbnails of maps as SVG, and the estimator in a notebook."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import sklearn

from driftmap.engine import AlignedUMAP
from driftmap.engine.estimator.repr_html import MAX_MAPS, MAX_ROWS, choose_maps, draw_thumbnails

SVG = "{http://www.w3.org/2000/svg}"


def read_dots(text: str) -> list[dict[str, np.ndarray]]:
    """Per thumbnail, the places of its dots by colour."""
    cells = ET.fromstring(text).findall(f"{SVG}g")
    return [
        {
            path.get("stroke"): np.array(re.findall(r"M(-?\d+) (-?\d+)h0", path.get("d")), dtype=int)
            for path in cell.iter(f"{SVG}path")
        }
        for cell in cells
    ]


def test_dots_lie_as_the_rows_do():
    maps = [np.array([[0.0, 0], [1, 0], [np.nan, 3]]), np.array([[0.0, 0], [0, 1]])]
    codes = [np.array([0, 1, 1]), np.array([-1, 0])]
    first, second = read_dots(draw_thumbnails(maps, ["a", "b"], codes, ["red", "blue", "grey"]))
    assert set(first) == {"red", "blue"}
    assert set(second) == {"red", "grey"}
    across = first["blue"][0] - first["red"][0]
    up = second["red"][0] - second["grey"][0]
    assert across[0] > 500
    assert across[1] == 0
    assert up.tolist() == [0, -across[0]]  # one scale for both axes; SVG counts down
    np.testing.assert_array_equal(first["red"], second["grey"])  # and one for all maps
    for dots in (*first.values(), *second.values()):
        assert ((dots > 0) & (dots < 1000)).all()


def test_names_are_text():
    text = draw_thumbnails([np.zeros((2, 2))], ["<script>&" + "x" * 50])
    (cell,) = ET.fromstring(text).findall(f"{SVG}g")
    assert cell.find(f"{SVG}title").text == "<script>&" + "x" * 50
    assert cell.find(f"{SVG}text").text == "<script>&xxxxxxxxxx…"


@pytest.mark.parametrize(
    "maps", [[np.zeros((0, 2))], [np.full((3, 2), np.nan)], [np.arange(4.0)[:, None]], [np.ones((5, 3))] * 7]
)
def test_any_maps_make_a_picture(maps):
    dots = read_dots(draw_thumbnails(maps, [str(n) for n in range(len(maps))]))
    assert len(dots) == len(maps)


def test_large_models_have_small_pictures():
    rng = np.random.default_rng(0)
    assert choose_maps(3) == [0, 1, 2]
    chosen = choose_maps(70)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 69, MAX_MAPS)
    text = draw_thumbnails([rng.normal(size=(20_000, 2)) for _ in chosen], [str(n) for n in chosen])
    assert len(text) < 50_000
    assert all(len(dots) <= MAX_ROWS for cell in read_dots(text) for dots in cell.values())


def test_a_model_shows_its_maps_once_it_has_some():
    model = AlignedUMAP(n_epochs=2, random_state=0, n_neighbors=5)
    plain = model._repr_mimebundle_()["text/html"]
    assert "sk-" in plain  # scikit-learn's own
    assert "<svg" not in plain or "</svg>" in plain
    rows = np.random.default_rng(0).normal(size=(60, 4))
    model.fit([rows[:40], rows[20:]], ids=[np.arange(40), np.arange(20, 60)])
    shown = model._repr_mimebundle_()
    assert shown["text/plain"] == repr(model)
    assert shown["text/html"] == model._repr_html_()
    assert "2 maps, 80 rows" in shown["text/html"]
    assert sum(map(len, read_dots(re.search(r"<svg.*</svg>", shown["text/html"])[0])[0].values())) == 40
    with sklearn.config_context(display="text"):
        assert set(model._repr_mimebundle_()) == {"text/plain"}
        assert not hasattr(model, "_repr_html_")
