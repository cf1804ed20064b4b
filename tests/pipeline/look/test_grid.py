"""The grid: panels, their bounds, colours and names, and what it is written to."""

from __future__ import annotations

import sys

import matplotlib.colors
import numpy as np
import pytest
from PIL import Image
from tests.pipeline.damage import limit_files
from tests.pipeline.pictured import make_maps

from driftmap.pipeline.errors import MissingExtraError, PictureError
from driftmap.pipeline.look import animate, plot_curves, plot_grid, text
from driftmap.pipeline.look.colours import OTHER, PALETTE
from driftmap.pipeline.look.density import shade_points
from driftmap.pipeline.look.grid import spread_names
from driftmap.pipeline.look.grid_layout import MAX_PANELS
from driftmap.pipeline.look.picture_files import save_figure
from driftmap.pipeline.look.text import clean_text

ODD_NAMES = ["x" * 300, "שלום עולם", "مرحبا", "😀🧑‍🚀 emoji", "$x^2$ _under", "<b>&", "", "线 한"]


@pytest.fixture
def made():
    return make_maps()


def panels(figure) -> list:
    """Axes of the maps: those with a frame; the legend's have none."""
    return [axes for axes in figure.axes if axes.get_title(loc="left") or axes.get_frame_on()]


def names(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [t.get_text() for t in figure.texts]


def test_every_window_has_a_panel_with_the_same_bounds(made):
    figure = plot_grid(made.maps, label=made.kinds, names=["a", "b", "c", "d"], title="All four")
    found = panels(figure)[:4]
    assert [axes.get_title(loc="left") for axes in found] == ["a", "b", "c", "d"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in found}) == 1
    for axes, places in zip(found, made.maps, strict=True):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert ((places > [left, bottom]) & (places < [right, top])).all()
        drawn = axes.collections[0].get_offsets()
        np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(places, axis=0))
    box = found[0].get_window_extent()
    (left, right), (bottom, top) = found[0].get_xlim(), found[0].get_ylim()
    assert box.width / (right - left) == pytest.approx(box.height / (top - bottom), rel=1e-3)
    assert {"All four", "kind 0", "kind 1", "kind 2"} <= set(names(figure))


def test_colours_follow_the_labels(made):
    figure = plot_grid(made.maps, label=made.kinds)
    for axes, places, kinds in zip(panels(figure), made.maps, made.kinds, strict=False):
        drawn, colours = axes.collections[0].get_offsets(), axes.collections[0].get_facecolors()[:, :3]
        for place, colour in zip(drawn, colours, strict=True):
            kind = kinds[np.linalg.norm(places - place, axis=1).argmin()]
            assert matplotlib.colors.to_hex(colour) == PALETTE[int(kind.split()[1])]


def test_a_few_rows_far_away_do_not_make_the_others_small(made):
    maps = [np.vstack([places] * 20) for places in made.maps]
    near = plot_grid(maps).axes[0]
    maps[1][0], maps[1][1] = (500, 0), (0, -900)
    figure = plot_grid(maps)
    assert figure.axes[0].get_xlim() == pytest.approx(near.get_xlim(), abs=0.15 * np.ptp(near.get_xlim()))
    assert len(figure.axes[0].collections) == len(near.collections)
    (left, right), (bottom, top) = figure.axes[1].get_xlim(), figure.axes[1].get_ylim()
    marks = np.concatenate([marks.get_offsets() for marks in figure.axes[1].collections[1:]])
    assert ((marks > [left, bottom]) & (marks < [right, top])).all()
    assert marks[:, 0].max() > right - 0.05 * (right - left)
    assert marks[:, 1].min() < bottom + 0.05 * (top - bottom)


def test_a_marked_row_far_away_keeps_its_name(made):
    maps, ids = [np.vstack([made.maps[0]] * 20)], [np.arange(1200)]
    maps[0][3] = (500, 0)
    axes = plot_grid(maps, ids=ids, highlight=[3]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["3"]
    assert axes.get_xlim()[0] < axes.texts[0].xy[0] < axes.get_xlim()[1] < 500


def test_numbers_have_a_bar(made):
    figure = plot_grid(made.maps, label=[np.linspace(3, 7, 60)] * 4)
    bar = figure.axes[-1]
    assert bar.get_ylim() == (3, 7)


def test_without_labels_there_is_one_colour_and_no_legend(made):
    figure = plot_grid(made.maps)
    assert len(figure.axes) == 4
    colours = np.concatenate([axes.collections[0].get_facecolors() for axes in figure.axes])
    assert {matplotlib.colors.to_hex(colour) for colour in colours} == {PALETTE[0]}


def test_ids_can_be_highlighted(made):
    figure = plot_grid(made.maps, ids=made.ids, label=made.kinds, highlight=["entity 40", "entity 70"])
    shown = [[text.get_text() for text in axes.texts] for axes in panels(figure)[:4]]
    assert shown == [["entity 40"], ["entity 40", "entity 70"], ["entity 70"], []]
    colours = panels(figure)[1].collections[0].get_facecolors()
    grey = np.isclose(colours[:, :3], matplotlib.colors.to_rgb(OTHER)).all(axis=1)
    assert (~grey).sum() == 2
    assert not grey[-2:].any()  # what is marked lies on top


def test_names_of_points_do_not_lie_on_each_other():
    points = np.array([[10.0, 50], [12, 49], [11, 30], [200, 48.5], [13, 29]])
    heights = spread_names(points, 8, [60] * 5)
    assert heights == [50, 42, 30, 48.5, 22]


def test_shared_rows_can_be_highlighted(made):
    figure = plot_grid(made.maps, ids=made.ids, highlight="shared")
    for axes in figure.axes[:4]:
        colours = axes.collections[0].get_facecolors()
        assert np.isclose(colours[:, :3], matplotlib.colors.to_rgb(OTHER)).all(axis=1).sum() == 30


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"highlight": "entity 1"}, "for one id: \\['entity 1'\\]"),
        ({"highlight": ["nobody"]}, "no window has the ids 'nobody'"),
        ({"path": "grid.bmp"}, "end its name in .png, .svg, .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_refused(made, given, message, tmp_path):
    if "path" in given:
        given = {"path": tmp_path / given["path"]}
    with pytest.raises(PictureError, match=message):
        plot_grid(made.maps, ids=made.ids, **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files_come_out_and_the_same_maps_give_the_same_bytes(made, tmp_path, ending):
    paths = [tmp_path / "deep" / f"{copy}.{ending}" for copy in "ab"]
    for path in paths:
        plot_grid(made.maps, path, label=made.kinds, names=ODD_NAMES[:4])
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert len(first) > 5_000
    if ending == "png":
        with Image.open(paths[0]) as picture:
            assert picture.width > 500


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_that_the_disk_has_no_room_for_leaves_what_was_there(made, tmp_path, ending):
    path = tmp_path / f"grid.{ending}"
    path.write_bytes(b"old")
    with limit_files(1000), pytest.raises(OSError, match="File too large"):
        plot_grid(made.maps, path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(path.name, b"old")]


@pytest.mark.parametrize("n_windows", [1, 2, 30, MAX_PANELS + 60])
def test_any_number_of_windows_fits(n_windows):
    made = make_maps(n_windows, n_rows=6)
    figure = plot_grid(made.maps, label=made.kinds)
    n_panels = min(n_windows, MAX_PANELS)
    found = figure.axes[:n_panels]
    assert all(axes.get_title(loc="left") for axes in found)
    width, height = figure.get_size_inches()
    assert 2 < height < width * 1.6 < 40
    boxes = np.array([axes.get_position().extents for axes in found])
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    if n_windows > MAX_PANELS:
        assert f"{MAX_PANELS} of {n_windows} windows" in names(figure)


def test_odd_labels_and_names_are_drawn_as_they_are(made, tmp_path):
    labels = [np.array([ODD_NAMES[row % len(ODD_NAMES)] for row in range(60)])] * 4
    figure = plot_grid(made.maps, tmp_path / "odd.png", label=labels, names=ODD_NAMES[:4], title="$not maths$ 😀")
    assert {"$x^2$ _under", "<b>&", "(empty)"} <= set(names(figure))


def test_no_character_is_left_that_no_font_has():
    assert clean_text("a\x07 \n b\ue000\U000f0000") == "a b□□"
    assert len(clean_text("x" * 300, 20)) == 20


def test_any_font_of_the_machine_serves_that_has_a_character(monkeypatch):
    caches = text._list_usual, text._list_usual_characters, text._find_family
    monkeypatch.setattr(text, "_FAMILIES", ("STIXSizeOneSym",))  # matplotlib ships it, with few letters
    for cached in caches:
        cached.cache_clear()
    try:
        assert text.clean_text("é") == "é"
        usual, other = text.list_fonts("é")
        assert usual == "STIXSizeOneSym"
        assert ord("é") in text._list_characters(other)
    finally:
        for cached in caches:
            cached.cache_clear()


def test_a_font_of_another_weight_is_taken_without_a_line_on_the_terminal(made, caplog, tmp_path):
    figure = plot_grid(made.maps)
    figure.text(0.5, 0.5, "a", fontfamily="DejaVu Sans", fontweight=317)
    save_figure(figure, tmp_path / "grid.png")
    text._list_characters.cache_clear()
    for family in text._load_manager().get_font_names():
        text._list_characters(family)
    assert caplog.messages == []


@pytest.mark.parametrize("n_components", [1, 3])
def test_one_axis_and_three(n_components):
    made = make_maps(n_components=n_components)
    figure = plot_grid(made.maps, label=made.kinds)
    assert all(len(axes.collections[0].get_offsets()) == 60 for axes in figure.axes[:4])


def test_rows_without_a_place_are_left_out(made):
    made.maps[1][:10] = np.nan
    made.maps[2][:] = np.nan
    figure = plot_grid(made.maps, label=made.kinds)
    assert [len(axes.collections[0].get_offsets()) for axes in figure.axes[:4]] == [60, 50, 0, 60]


@pytest.mark.slow
def test_density_of_very_many_points(tmp_path):
    rng = np.random.default_rng(0)
    places = rng.normal(size=(60_000, 2)).astype(np.float32)
    places[:2] = [[3.5, 3.5], [np.nan, 0]]
    colours = np.where(places[:, :1] > 0, [1.0, 0, 0], [0, 0, 1.0]).astype(np.float32)
    low, high = np.array([-4, -4]), np.array([4, 4])
    shaded = shade_points(places, colours, low, high, (80, 80))
    assert shaded[5:40, 45:75, 0].max() == 1  # red to the right
    assert shaded[40, 39, 2] > 0.9  # blue to the left of the middle
    column, line = int((3.5 + 4) * 10), 79 - int((3.5 + 4) * 10)
    assert 0.2 < shaded[line, column, 3] < 0.5  # one point is faint, up is up
    assert shaded[..., 3].max() == 1
    figure = plot_grid([places], tmp_path / "many.png", label=[np.where(places[:, 0] > 0, "right", "left")])
    assert len(figure.axes[0].images) == 1
    assert sum(len(marks.get_offsets()) for marks in figure.axes[0].collections) < 4 * 24  # of rows outside only


def test_a_figure_shows_itself_in_notebooks(made):
    assert plot_grid(made.maps)._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("missing", ["matplotlib", "PIL", "plotly"])
def test_a_missing_library_is_named(made, monkeypatch, missing, tmp_path):
    for name in list(sys.modules):
        if name.partition(".")[0] == missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    draw, ending = {"matplotlib": (plot_grid, "png"), "PIL": (animate, "gif"), "plotly": (plot_curves, "html")}[missing]
    with pytest.raises(MissingExtraError, match=r"pip install 'driftmap\[plot\]'"):
        draw(made.maps, tmp_path / f"picture.{ending}", ids=made.ids)
    assert not list(tmp_path.iterdir())
