"""Curves: whose they are, where they break, and the pages and pictures they are written to."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.pipeline.pictured import make_maps

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look import plot_curves
from driftmap.pipeline.look.sequence import as_sequence
from driftmap.pipeline.look.tracks import MAX_STEPS, MAX_VERTICES, find_tracks

EVIL = "<b>bold</b></script><img src=x onerror=alert(1)>"


@pytest.fixture
def made():
    return make_maps()


def pieces(trace) -> list[np.ndarray]:
    """The unbroken lines of a trace, (k, 3) each."""
    line = np.column_stack([trace.x, trace.y, trace.z])
    breaks = np.flatnonzero(np.isnan(line[:, 0]))
    return [part[~np.isnan(part[:, 0])] for part in np.split(line, breaks + 1) if len(part)]


def test_there_is_one_trace_per_label_and_one_line_per_entity(made):
    figure = plot_curves(made.maps, ids=made.ids, label=made.kinds)
    assert [trace.name for trace in figure.data] == ["kind 0", "kind 1", "kind 2"]
    # Entities 30 to 149 are in two windows each, the others in one.
    assert sum(len(pieces(trace)) for trace in figure.data) == 90
    assert figure.layout.title.text == "90 entities"


def test_a_line_goes_through_its_entitys_places(made):
    figure = plot_curves(made.maps, ids=made.ids, names=["a", "b", "c", "d"])
    (trace,) = figure.data
    at = trace.text.index("entity 31<br>a")
    assert (trace.x[at], trace.y[at], trace.z[at]) == pytest.approx([*made.maps[0][31], 0], abs=1e-5)
    assert trace.text[at + 1] == "entity 31"
    at = trace.text.index("entity 31<br>b")
    assert (trace.x[at], trace.y[at], trace.z[at]) == pytest.approx([*made.maps[1][1], 1], abs=1e-5)
    assert list(figure.layout.scene.zaxis.ticktext) == ["a", "b", "c", "d"]


def test_lines_break_where_the_entity_is_absent_or_has_no_place():
    maps = [np.full((2, 2), float(window)) for window in range(6)]
    ids = [["x", "y"], ["x", "y"], ["z", "y"], ["x", "y"], ["x", "y"], ["z", "y"]]
    maps[2][1] = np.nan
    (trace,) = plot_curves(maps, ids=ids).data
    spans = sorted((float(part[0, 2]), float(part[-1, 2])) for part in pieces(trace))
    assert spans == [(0, 1), (0, 1), (3, 4), (3, 5)]


def test_of_many_entities_every_label_has_its_share_and_the_title_says_so():
    rng = np.random.default_rng(0)
    kinds = np.repeat(["many", "some", "few"], [900, 90, 10])
    maps = [rng.normal(size=(1000, 2)) for _ in range(3)]
    given = {"ids": [np.arange(1000)] * 3, "label": [kinds] * 3, "n_curves": 100, "title": "Sampled"}
    figure = plot_curves(maps, **given)
    assert figure.layout.title.text == "Sampled: 100 of 1,000 entities"
    assert {trace.name: len(pieces(trace)) for trace in figure.data} == {"many": 90, "some": 9, "few": 1}
    assert figure.to_json() == plot_curves(maps, **given).to_json()


def test_a_curve_has_the_label_its_entity_has_most_often():
    maps = [np.zeros((1, 2))] * 3
    figure = plot_curves(maps, ids=[["x"]] * 3, label=[["b"], ["a"], ["b"]])
    assert [trace.name for trace in figure.data] == ["b"]


def test_numbers_colour_along_the_line():
    maps = [np.full((2, 2), float(window)) for window in range(3)]
    weights = [[1.0, np.nan], [5.0, np.nan], [3.0, np.nan]]
    scale, grey = plot_curves(maps, ids=[["x", "y"]] * 3, label=weights).data
    assert (scale.line.cmin, scale.line.cmax) == (1, 5)
    at = [scale.text.index(f"x<br>{window}") for window in range(3)]
    np.testing.assert_allclose(np.array(scale.line.color)[at], [1, 5, 3], atol=1e-5)
    assert grey.name == "no number"


def test_long_runs_have_fewer_points_between_windows():
    maps = [np.random.default_rng(window).normal(size=(300, 2)) for window in range(200)]
    sequence = as_sequence(maps, ids=[np.arange(300)] * 200)
    found = find_tracks(sequence, sequence.colouring(), 300)
    assert 1 <= found.n_steps < MAX_STEPS
    assert sum(len(track.path) for track in found.tracks) < 1.1 * MAX_VERTICES
    assert len(plot_curves(sequence).layout.scene.zaxis.ticktext) <= 12


def test_a_page_needs_no_network_and_shows_labels_as_they_are(made, tmp_path):
    labels = [np.where(kinds == "kind 1", EVIL, kinds) for kinds in made.kinds]
    path = tmp_path / "deep" / "curves.html"
    figure = plot_curves(made.maps, path, ids=made.ids, label=labels, names=[EVIL, "$x$", "שלום", "😀"], title=EVIL)
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]*\b(src|href)=", text)
    assert EVIL not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in "".join(trace.name for trace in figure.data)
    assert figure.layout.title.text.startswith("&lt;b&gt;")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_still_pictures(made, tmp_path, ending):
    path = tmp_path / f"curves.{ending}"
    label = [np.linspace(0, 1, 60)] * 4 if ending == "svg" else made.kinds
    plot_curves(made.maps, path, ids=made.ids, label=label, names=["x" * 200, "$x$", "שלום", "😀"])
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize("n_components", [1, 3])
def test_one_axis_and_three(n_components, tmp_path):
    made = make_maps(n_components=n_components)
    assert len(plot_curves(made.maps, tmp_path / "curves.png", ids=made.ids).data) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ids": None}, "give ids, one array per window"),
        ({"path": "curves.jpg"}, "end its name in .html"),
        ({"n_curves": 0}, "n_curves must be"),
    ],
)
def test_what_cannot_be_drawn_is_refused(made, given, message):
    with pytest.raises(PictureError, match=message):
        plot_curves(made.maps, **{"ids": made.ids, **given})


def test_one_window_has_no_paths():
    with pytest.raises(PictureError, match="two consecutive windows"):
        plot_curves([np.zeros((3, 2))], ids=[[1, 2, 3]])
