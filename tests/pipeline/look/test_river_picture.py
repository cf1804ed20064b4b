"""The river and two windows as pictures: bands as high as their rows, names and sentences in words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.look.planted import plant

from driftmap.pipeline.look import plot_change, plot_river
from driftmap.pipeline.look.river import stack_bands
from driftmap.pipeline.look.run_codes import Column

pytest.importorskip("matplotlib")


def list_texts(figure):
    own = [text.get_text() for text in figure.texts]
    return own + [text.get_text() for axes in figure.axes for text in axes.texts]


def test_bands_are_as_high_as_their_rows_and_lie_as_on_the_map():
    codes = [np.repeat([0, 1], [30, 10]), np.repeat([0, 1, 2], [10, 20, 10])]
    maps = [np.column_stack([np.zeros(40), np.choose(code, [0.0, 5.0, -3.0])]) for code in codes]
    column = Column("kind", "category", [code.astype(np.int32) for code in codes], ["low", "high", "lowest"])
    bands = stack_bands(column, maps)
    assert bands.codes == [1, 0, 2]
    np.testing.assert_allclose(bands.heights, [[0.25, 0.75, 0], [0.5, 0.25, 0.25]])
    assert np.isnan(bands.tops).tolist() == [[False, False, True], [False, False, False]]
    # none lies on another, and all of a window lie around its middle
    gaps = bands.tops[1, :-1] - bands.heights[1, :-1] - bands.tops[1, 1:]
    assert (gaps > 0.01).all()
    assert bands.tops[1, 0] == pytest.approx(-(bands.tops[1, 2] - bands.heights[1, 2]))


@pytest.mark.parametrize("has_labels", [True, False])
def test_the_river_names_its_groups(tmp_path, has_labels):
    planted = plant(tmp_path / "run.zarr", "birth", 0, has_labels=has_labels, n_rows=40)
    figure = plot_river(planted.store, tmp_path / "river.svg", title="Rows")
    assert figure._repr_png_().startswith(b"\x89PNG")  # in notebooks
    texts = list_texts(figure)
    names = {f"group {g}" if has_labels else f"cluster {g}" for g in range(5)}
    assert names | {"Rows", "kind" if has_labels else "cluster", "provisional"} <= set(texts)
    again = (tmp_path / "river.svg").read_bytes()
    plot_river(planted.store, tmp_path / "river.svg", title="Rows")
    assert (tmp_path / "river.svg").read_bytes() == again


def test_two_windows_stand_above_what_changed(tmp_path):
    planted = plant(tmp_path / "run.zarr", "birth", 0, has_labels=True, n_rows=40)
    figure = plot_change(planted.store, "w2", "w1", tmp_path / "change.pdf")
    texts = list_texts(figure)
    assert "What changed from w1 to w2" in texts
    assert "group 1 is new: 40 rows; 100% are new ids" in texts
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["w1", "w2"]
    assert [len(axes.collections[0].get_offsets()) for axes in figure.axes[:2]] == [160, 200]
    calm = list_texts(plot_change(planted.store, "w0", "w1"))
    assert "No group of rows changed unusually." in calm
