"""The map of one window with the edges of its graph: what `umap.plot.connectivity` draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.colours import SOFT, read_colours
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.grid import FORMATS, MAX_SHAPES, draw_points, dress_rows
from driftmap.pipeline.look.one_map.points import close_figure, open_figure, set_stage
from driftmap.pipeline.look.picture_files import DPI, check_format
from driftmap.pipeline.look.run_codes import list_laid_out
from driftmap.pipeline.look.sequence import as_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.look.one_map.points import OneMap
    from driftmap.pipeline.look.sequence import MapSequence
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

MAX_LINES = 60_000
"""Edges that are drawn one by one; of more, their density is drawn."""

FAINTEST, FULLEST = 0.06, 0.5
"""Opacity of the weakest and of the strongest edge."""


def plot_connectivity(
    maps: Store | MapSequence | AlignedUMAP | Sequence[npt.ArrayLike],
    path: str | Path | None = None,
    *,
    window: str | int = -1,
    graphs: Sequence[Any] | None = None,
    label: str | Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    title: str | None = None,
    has_points: bool = True,
) -> Any:
    """Draw the map of one window above the edges of its fuzzy graph; the stronger an edge, the darker.

    Long edges join rows that are neighbours in the data and lie apart on the map: there it is torn.

    Parameters
    ----------
    maps
        An opened store, a fitted `AlignedUMAP`, or one (n_t, c) array per window.
    path
        A .png, .svg or .pdf file to write as well.
    window
        As for `plot_points`.
    graphs
        Of arrays: one graph per window, a `FuzzyGraph` or a sparse matrix (n_t, n_t).
    label, names, title
        As for `plot_grid`.
    has_points
        Whether rows are drawn on the edges.

    Returns
    -------
    Any
        Matplotlib.figure.Figure, unknown to pyplot.

    Raises
    ------
    PictureError
        When there is no such window or no graph of it.
    StoreError
        When the store has no graph of the window, as after `driftmap prune`.
    MissingExtraError
        When matplotlib is not installed.
    """
    target = None if path is None else check_format(path, FORMATS, "a graph")
    sequence = as_sequence(maps, label, None, names)
    stage = set_stage(sequence, sequence.colouring(), window, title)
    edges = _read_edges(_find_graph(maps, graphs, len(sequence.names), stage.window), stage)
    figure, axes = open_figure(stage)
    _draw_edges(axes, edges, stage)
    if has_points:
        colours, is_behind = dress_rows(stage.colouring, None, stage.window)
        draw_points(axes, stage.plane, colours, is_behind, stage.layout, is_picture=len(stage.plane) > MAX_SHAPES)
    return close_figure(figure, stage, target)


class Edges(NamedTuple):
    """Edges of a map, each once, the weakest first."""

    ends: Array
    """(e, 2, 2): both ends of each, x and y."""
    weights: Array
    """(e,) in (0, 1]; 1 is the strongest of them."""


def _find_graph(maps: Any, graphs: Sequence[Any] | None, n_windows: int, index: int) -> Any:
    own = getattr(maps, "graphs_", None)
    if hasattr(maps, "fuzzy_graph") or own is not None:
        if graphs is not None:
            raise PictureError("graphs belong to a list of embeddings; a store and an estimator have their own")
        if own is not None:
            return own[index]
        return maps.fuzzy_graph(list_laid_out(maps)[index].index)
    if graphs is None:
        raise PictureError("edges need graphs; give a store, a fitted estimator, or graphs=, one for each window")
    if len(graphs) != n_windows:
        raise PictureError(f"graphs has {len(graphs)} entries for {n_windows} windows; give one for each")
    return graphs[index]


def _read_edges(graph: Any, stage: OneMap) -> Edges:
    rows_of = graph.tocsr() if hasattr(graph, "tocsr") else graph
    if not all(hasattr(rows_of, name) for name in ("indptr", "indices", "data")):
        raise PictureError(
            f"graphs[{stage.window}] must be a FuzzyGraph or a sparse matrix, got {type(graph).__name__}"
        )
    n_rows = len(stage.plane)
    if len(rows_of.indptr) != n_rows + 1:
        n_own = len(rows_of.indptr) - 1
        raise PictureError(f"graphs[{stage.window}] has {n_own} rows for a map of {n_rows}; give the graph of that map")
    old = np.repeat(np.arange(n_rows), np.diff(rows_of.indptr))
    new, weights = np.asarray(rows_of.indices), np.asarray(rows_of.data, dtype=np.float32)
    has_place = np.isfinite(stage.plane[:, 0])
    kept = np.flatnonzero((old < new) & has_place[old] & has_place[new] & (weights > 0))
    kept = kept[np.argsort(weights[kept], kind="stable")]
    strengths = weights[kept] / (weights[kept[-1]] if len(kept) else 1)
    return Edges(np.stack([stage.plane[old[kept]], stage.plane[new[kept]]], axis=1), strengths)


def _draw_edges(axes: Any, edges: Edges, stage: OneMap) -> None:
    if len(edges.weights) > MAX_LINES:
        shaded = _shade_edges(edges, stage)
        axes.imshow(shaded, extent=stage.layout.extent, aspect="auto", interpolation="nearest", zorder=0.5)
        return
    lines = load_extra("matplotlib.collections", "drawing edges")
    colours = np.empty((len(edges.weights), 4), dtype=np.float32)
    colours[:, :3] = read_colours([SOFT])[0]
    colours[:, 3] = FAINTEST + (FULLEST - FAINTEST) * edges.weights
    is_picture = len(edges.weights) > MAX_SHAPES
    drawn = lines.LineCollection(edges.ends, colors=colours, linewidths=0.5, rasterized=is_picture, zorder=0.5)
    axes.add_collection(drawn, autolim=False)


def _shade_edges(edges: Edges, stage: OneMap) -> Array:
    """Draw edges as a picture whose pixels are the fuller the more strength goes through them, (height, width, 4)."""
    datashader = load_extra("datashader", "drawing very many edges")
    pandas = load_extra("pandas", "drawing very many edges")
    (left, right, bottom, top), panel = stage.layout.extent, stage.layout.panel
    size = round(panel[0] * DPI), round(panel[1] * DPI)
    canvas = datashader.Canvas(*size, x_range=(left, right), y_range=(bottom, top))
    columns = {f"{axis}{end}": edges.ends[:, end, at] for at, axis in enumerate("xy") for end in (0, 1)}
    frame = pandas.DataFrame({**columns, "weight": edges.weights})
    through = canvas.line(frame, ["x0", "x1"], ["y0", "y1"], axis=1, agg=datashader.sum("weight")).to_numpy()
    through = np.log1p(np.nan_to_num(through))[::-1]
    shaded = np.empty((*through.shape, 4), dtype=np.float32)
    shaded[..., :3] = read_colours([SOFT])[0]
    fullest = max(float(np.quantile(through[through > 0], 0.99)) if (through > 0).any() else 1.0, 1e-6)
    shaded[..., 3] = np.where(through > 0, FAINTEST + (0.9 - FAINTEST) * np.clip(through / fullest, 0, 1), 0)
    return shaded
