"""The map of one window: which one, its bounds and colours, and from what it is drawn."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pytest
from tests.pipeline.pictured import make_maps, write_maps

from driftmap.engine import AlignedUMAP
from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look import plot_grid, plot_points
from driftmap.pipeline.look.colours import OTHER, PALETTE

NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def made():
    return make_maps()


def drawn(axes) -> np.ndarray:
    return np.sort(np.asarray(axes.collections[0].get_offsets()), axis=0)


@pytest.mark.parametrize(("window", "index"), [("b", 1), (2, 2), (-1, 3), (np.int64(0), 0)])
def test_the_window_that_was_asked_for_fills_the_picture(made, window, index):
    axes = plot_points(made.maps, window=window, label=made.kinds, names=NAMES).axes[0]
    assert axes.get_title(loc="left") == NAMES[index]
    np.testing.assert_allclose(drawn(axes), np.sort(made.maps[index], axis=0))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    spans = np.ptp(made.maps[index], axis=0) / [right - left, top - bottom]
    assert 0.85 < spans.max() < 1
    assert axes.get_window_extent().width / (right - left) == pytest.approx(
        axes.get_window_extent().height / (top - bottom), rel=1e-3
    )


def test_a_store_gives_its_newest_map_in_the_colours_of_all(made, tmp_path):
    made.kinds[0][:] = "kind 0"
    store = write_maps(tmp_path / "run.zarr", made, NAMES)
    assert plot_points(store).axes[0].get_title(loc="left") == "d"
    figure = plot_points(store, tmp_path / "points.png", window="a", title="Rows of a")
    assert "Rows of a" in [text.get_text() for text in figure.texts]
    colours = {matplotlib.colors.to_hex(colour) for colour in figure.axes[0].collections[0].get_facecolors()}
    assert colours == {PALETTE[0]}
    assert [text.get_text() for text in figure.axes[1].texts] == ["kind 0", "kind 1", "kind 2"]
    assert (tmp_path / "points.png").stat().st_size > 10_000


def test_an_estimator_is_drawn_as_its_embeddings(made):
    rows = [np.random.default_rng(0).normal(size=(40, 4))] * 2
    model = AlignedUMAP(n_neighbors=5, n_epochs=5, random_state=0)
    with pytest.raises(PictureError, match=r"a fitted estimator or a list of embeddings, got AlignedUMAP"):
        plot_points(model)
    model.fit(rows, ids=[np.arange(40)] * 2)
    np.testing.assert_allclose(drawn(plot_points(model, window=0).axes[0]), np.sort(model.embeddings_[0], axis=0))
    assert len(plot_grid(model).axes) == 2


def test_rows_can_be_highlighted(made):
    figure = plot_points(made.maps, window=1, ids=made.ids, label=made.kinds, highlight=["entity 40"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["entity 40"]
    legend = figure.axes[1]
    assert legend.texts[-1].get_text() == "all others"
    figure.canvas.draw()
    assert legend.texts[-1].get_window_extent().x1 < figure.bbox.x1
    shared = plot_points(made.maps, window=1, ids=made.ids, highlight="shared").axes[0].collections[0]
    assert np.isclose(shared.get_facecolors()[:, :3], matplotlib.colors.to_rgb(OTHER)).all(axis=1).sum() == 30


@pytest.mark.parametrize("n_components", [1, 3])
def test_one_axis_and_three(n_components):
    made = make_maps(n_components=n_components)
    axes = plot_points(made.maps, ids=made.ids).axes[0]
    offsets = np.asarray(axes.collections[0].get_offsets())
    assert len(offsets) == 60
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert ((offsets > [left, bottom]) & (offsets < [right, top])).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": "z"}, r"no window 'z' with a map; there are '0', '1', '2' \.\.\. '3'"),
        ({"window": 4}, "window must be from -4 to 3, got 4"),
        ({"window": -5}, "window must be from -4 to 3, got -5"),
        ({"window": True}, "window must be the name or the number of one window, got True"),
        ({"window": [1, 2]}, r"window must be the name or the number of one window, got \[1, 2\]"),
        ({"path": "points.bmp"}, "a map cannot be written as 'points.bmp'; end its name in .png, .svg, .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_refused(made, given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PictureError, match=message):
        plot_points(made.maps, **given)
    assert not list(tmp_path.iterdir())
