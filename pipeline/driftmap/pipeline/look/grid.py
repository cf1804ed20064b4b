"""Small multiples: the maps of all windows next to each other, on common axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.colours import INK, LINE, OTHER, Colouring, read_colours
from driftmap.pipeline.look.density import shade_points
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.grid_layout import EDGE, find_outside, keep_inside, plan_grid
from driftmap.pipeline.look.highlight import Highlight, find_highlight
from driftmap.pipeline.look.legend import add_legend, add_text
from driftmap.pipeline.look.picture_files import DPI, check_format, make_figure, save_figure
from driftmap.pipeline.look.sequence import as_sequence
from driftmap.pipeline.look.text import clean_text, list_fonts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.look.grid_layout import GridLayout
    from driftmap.pipeline.look.sequence import MapSequence
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

MAX_POINTS = 50_000
"""Rows of a panel that are drawn one by one; of more, their density is drawn."""

MAX_SHAPES = 20_000
"""Points of an SVG or PDF that are drawn as shapes; of more, the panels are pictures inside it."""

N_MARKS = 24
"""Most marks of rows outside, along one side of a panel."""

FORMATS = (".png", ".svg", ".pdf")


def plot_grid(
    maps: Store | MapSequence | AlignedUMAP | Sequence[npt.ArrayLike],
    path: str | Path | None = None,
    *,
    label: str | Sequence[npt.ArrayLike] | None = None,
    ids: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    highlight: str | Sequence[object] | None = None,
    title: str | None = None,
) -> Any:
    """Draw the maps of all windows next to each other, with the same bounds.

    Parameters
    ----------
    maps
        An opened store, a fitted `AlignedUMAP`, or one (n_t, c) array per window. Of three axes and more, the first two
        are drawn.
    path
        A .png, .svg or .pdf file to write as well.
    label
        What to colour by: of a store, the name of a label column, by default its first one; of a list, one array of
        labels or numbers per window.
    ids
        Of a list: entity ids, one array per window. Only `highlight` asks for them.
    names
        Names of the windows.
    highlight
        Ids to mark and name in every window; or "shared", which greys out what was not in the window before (in the
        first window, what does not stay for the second).
    title
        Heading of the figure.

    Returns
    -------
    Any
        Matplotlib.figure.Figure, unknown to pyplot: it shows itself in notebooks, and `savefig` writes it.

    Raises
    ------
    PictureError
        When it cannot be drawn as asked.
    MissingExtraError
        When matplotlib is not installed.
    """
    target = None if path is None else check_format(path, FORMATS, "a grid")
    sequence = as_sequence(maps, label, ids, names)
    marked = find_highlight(sequence, highlight)
    colouring = name_others(sequence.colouring(), marked)
    layout = plan_grid(sequence, colouring, title)
    figure = new_figure(layout)
    planes = sequence.planes()
    is_picture = sum(len(planes[index]) for index in layout.windows) > MAX_SHAPES
    for cell, index in enumerate(layout.windows):
        axes = add_panel(figure, layout, cell, clean_text(sequence.names[index], layout.most))
        colours, is_behind = dress_rows(colouring, marked, index)
        draw_points(axes, planes[index], colours, is_behind, layout, is_picture=is_picture)
        if marked is not None and marked.is_ringed:
            ring_rows(axes, planes[index], colours, marked, index, layout)
    add_legend(figure, layout, colouring)
    if target is not None:
        save_figure(figure, target)
    return figure


def new_figure(layout: GridLayout) -> Any:
    """Make the figure of a layout, with its heading."""
    figure = make_figure(layout.size, "drawing a grid")
    if layout.heading:
        x, y, _, _ = layout.place(EDGE, EDGE + 0.12, 0, 0)
        add_text(figure, (x, y), clean_text(layout.heading, 120), fontsize=13, fontweight="bold")
    return figure


def add_panel(figure: Any, layout: GridLayout, cell: int, name: str) -> Any:
    """Add the axes of one map, under its name."""
    axes = figure.add_axes(layout.place_panel(cell))
    left, right, bottom, top = layout.extent
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axes.spines[:].set(color=LINE, linewidth=0.8)
    style = {"fontsize": layout.font_size, "color": INK, "fontfamily": list_fonts(name), "parse_math": False}
    axes.set_title(name, loc="left", pad=0.3 * layout.font_size, **style)
    return axes


def name_others(colouring: Colouring, marked: Highlight | None) -> Colouring:
    """Give the rows that are not highlighted their name in the legend."""
    if marked is None:
        return colouring
    return colouring._replace(other="all others" if marked.is_ringed else "new in the window")


def dress_rows(colouring: Colouring, marked: Highlight | None, index: int) -> tuple[Array, Array]:
    """Choose the colours of a window's rows, (n, 3), and which of them lie below the others, (n,)."""
    colours = colouring.paint(index)
    if marked is None:
        codes = colouring.codes[index]
        return colours, np.isnan(codes) if colouring.kind == "number" else codes < 0
    is_behind = ~marked.is_shown[index]
    return np.where(is_behind[:, None], read_colours([OTHER])[0], colours), is_behind


def draw_points(
    axes: Any, plane: Array, colours: Array, is_behind: Array, layout: GridLayout, *, is_picture: bool
) -> None:
    """Draw the rows of a map; those behind lie below all others, in grey. Arrows point to rows outside the panel."""
    if len(plane) > MAX_POINTS:
        size = (round(layout.panel[0] * DPI), round(layout.panel[1] * DPI))
        shaded = shade_points(plane, colours, layout.low, layout.high, size)
        axes.imshow(shaded, extent=layout.extent, aspect="auto", interpolation="nearest")
    else:
        _scatter(axes, plane, colours, is_behind, layout, is_picture=is_picture)
    _point_outside(axes, plane, colours, layout)


def _scatter(
    axes: Any, plane: Array, colours: Array, is_behind: Array, layout: GridLayout, *, is_picture: bool
) -> None:
    # In a shuffled order no label lies on top of the others; what is grey lies below all.
    order = np.random.default_rng(0).permutation(len(plane))
    order = order[np.argsort(~is_behind[order], kind="stable")]
    order = order[np.isfinite(plane[order, 0])]
    side = 72 * np.sqrt(layout.panel[0] * layout.panel[1])
    radius = max(0.4, min(2.2, side / 90, 0.14 * side / np.sqrt(max(1, len(order)))))
    alpha = np.where(is_behind[order], 0.6, 0.9)
    painted = np.column_stack([colours[order], alpha])
    axes.scatter(*plane[order].T, s=(2 * radius) ** 2, c=painted, linewidths=0, rasterized=is_picture)


def _point_outside(axes: Any, plane: Array, colours: Array, layout: GridLayout) -> None:
    rows = find_outside(plane, layout)
    # one for all rows that lie in the same direction
    cells = (keep_inside(plane[rows], layout) - layout.low) / (layout.high - layout.low) * N_MARKS
    rows = rows[np.unique(cells.astype(np.int64), axis=0, return_index=True)[1]]
    marks = keep_inside(plane[rows], layout)
    away = (plane[rows] - marks) / (layout.high - layout.low)
    angles = np.rint(np.degrees(np.arctan2(away[:, 1], away[:, 0])) / 45) * 45
    for angle in np.unique(angles).tolist():
        # of three corners and a rotation; the first corner looks up
        some, marker = angles == angle, (3, 0, angle - 90)
        axes.scatter(*marks[some].T, s=22, marker=marker, c=colours[rows[some]], linewidths=0, zorder=3)


def ring_rows(axes: Any, plane: Array, colours: Array, marked: Highlight, index: int, layout: GridLayout) -> None:
    """Ring and name the rows of a map that are highlighted."""
    rows = np.flatnonzero(marked.is_shown[index] & np.isfinite(plane[:, 0]))
    plane = keep_inside(plane, layout)
    axes.scatter(*plane[rows].T, s=26, c=colours[rows], edgecolors=INK, linewidths=0.9, zorder=5)
    size = 0.85 * layout.font_size
    points = (plane - layout.low) / (layout.high - layout.low) * np.array(layout.panel) * 72
    named = [row for row in rows[np.argsort(-points[rows, 1])].tolist() if row in marked.names[index]]
    heights = spread_names(points[named], 1.15 * size, [0.62 * size * len(marked.names[index][row]) for row in named])
    effects = load_extra("matplotlib.patheffects", "naming points")
    halo = [effects.withStroke(linewidth=2, foreground="white")]
    for row, height in zip(named, heights, strict=True):
        name = clean_text(marked.names[index][row], 20)
        fonts = list_fonts(name)
        style = {"fontsize": size, "color": INK, "fontfamily": fonts, "parse_math": False, "path_effects": halo}
        offset = {"xytext": (5, height - points[row, 1]), "textcoords": "offset points", "va": "center", "zorder": 4}
        axes.annotate(name, plane[row], **style, **offset)


def spread_names(points: Array, line: float, widths: Sequence[float]) -> list[float]:
    """Say how high names stand that begin beside their points, so that none lies on another.

    Parameters
    ----------
    points
        (n, 2), from the top down.
    line
        Height of a name.
    widths
        Of the names.
    """
    heights: list[float] = []
    for at, (x, y) in enumerate(points.tolist()):
        near = [k for k in range(at) if points[k, 0] - widths[at] < x < points[k, 0] + widths[k]]
        heights.append(min([y, *(heights[k] - line for k in near)]))
    return heights
