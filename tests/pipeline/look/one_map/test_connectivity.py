"""The edges of a window's graph: which are drawn, how dark, and where graphs come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from tests.pipeline.pictured import make_maps, write_maps

from driftmap.engine import AlignedUMAP, FuzzyGraph
from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look import plot_connectivity
from driftmap.pipeline.look.one_map import connectivity
from driftmap.pipeline.look.one_map.connectivity import FAINTEST, FULLEST

CORNERS = np.array([[0, 0], [4, 0], [4, 3], [0, 3], [np.nan, np.nan]], dtype=np.float32)
EDGES = {(0, 1): 0.5, (1, 2): 0.25, (0, 2): 0.125, (3, 4): 0.5}
"""The last one leads to a row without a position."""


def make_graph() -> sparse.csr_matrix:
    (old, new), weights = np.array(list(EDGES)).T, list(EDGES.values())
    upper = sparse.coo_matrix((weights, (old, new)), shape=(5, 5))
    return (upper + upper.T).tocsr()


def test_every_edge_is_drawn_once_the_strongest_darkest_and_on_top():
    figure = plot_connectivity([CORNERS], graphs=[make_graph()])
    lines, points = figure.axes[0].collections
    assert [segment.tolist() for segment in lines.get_segments()] == [
        [CORNERS[old].tolist(), CORNERS[new].tolist()] for old, new in ((0, 2), (1, 2), (0, 1))
    ]
    expected = [FAINTEST + (FULLEST - FAINTEST) * share for share in (0.25, 0.5, 1)]
    assert lines.get_colors()[:, 3] == pytest.approx(expected)
    assert lines.get_zorder() < points.get_zorder()
    assert len(points.get_offsets()) == 4
    bare = plot_connectivity([CORNERS], graphs=[make_graph()], has_points=False)
    assert len(bare.axes[0].collections) == 1


def test_an_estimator_brings_its_graphs(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 4))
    model = AlignedUMAP(n_neighbors=5, n_epochs=5, random_state=0).fit([rows[:40], rows[20:]], relations=[{20: 0}])
    figure = plot_connectivity(model, tmp_path / "edges.svg", window=0, label=[np.arange(40), np.arange(40)])
    graph = model.graphs_[0]
    assert len(figure.axes[0].collections[0].get_segments()) == len(graph.data) // 2
    assert (tmp_path / "edges.svg").read_text(encoding="utf-8").count("<path") > len(graph.data) // 2
    as_arrays = plot_connectivity(model.embeddings_, window=0, graphs=model.graphs_)
    assert len(as_arrays.axes[0].collections[0].get_segments()) == len(graph.data) // 2


def test_a_store_brings_its_graphs_and_one_without_edges_is_drawn(tmp_path):
    store = write_maps(tmp_path / "run.zarr", make_maps(), ["a", "b", "c", "d"])
    figure = plot_connectivity(store, window="b")
    lines, points = figure.axes[0].collections
    assert figure.axes[0].get_title(loc="left") == "b"
    assert lines.get_segments() == []
    assert len(points.get_offsets()) == 60


@pytest.mark.slow
def test_very_many_edges_are_a_picture(monkeypatch):
    monkeypatch.setattr(connectivity, "MAX_LINES", 2)
    figure = plot_connectivity([CORNERS], graphs=[make_graph()])
    (shaded,) = figure.axes[0].images
    picture = np.asarray(shaded.get_array())
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    height, width = picture.shape[:2]

    def look(x: float, y: float) -> float:
        column, line = int((x - left) / (right - left) * width), int((top - y) / (top - bottom) * height)
        return float(picture[line - 2 : line + 3, column - 2 : column + 3, 3].max())

    assert look(2, 0) > look(4, 1.5) > look(2, 1.5) > 0  # by their strengths
    assert look(0, 1.5) == look(2, 3) == 0


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        (None, "edges need graphs; give a store, a fitted estimator, or graphs="),
        ([], "graphs has 0 entries for 1 windows"),
        ([sparse.eye(4).tocsr()], r"graphs\[0\] has 4 rows for a map of 5"),
        ([np.zeros((5, 5))], r"graphs\[0\] must be a FuzzyGraph or a sparse matrix, got ndarray"),
    ],
)
def test_wrong_graphs_are_named(graphs, message):
    with pytest.raises(PictureError, match=message):
        plot_connectivity([CORNERS], graphs=graphs)


def test_a_store_and_an_estimator_take_no_other_graphs(tmp_path):
    store = write_maps(tmp_path / "run.zarr", make_maps(), ["a", "b", "c", "d"])
    nothing = FuzzyGraph(np.zeros(61, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    with pytest.raises(PictureError, match="a store and an estimator have their own"):
        plot_connectivity(store, graphs=[nothing] * 4)
