"""The map of one window, large: what `umap.plot.points` draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.grid import (
    FORMATS,
    MAX_SHAPES,
    add_panel,
    draw_points,
    dress_rows,
    name_others,
    new_figure,
    ring_rows,
)
from driftmap.pipeline.look.grid_layout import EDGE, GridLayout, frame_maps, measure_legend
from driftmap.pipeline.look.highlight import find_highlight
from driftmap.pipeline.look.legend import add_legend
from driftmap.pipeline.look.picture_files import check_format, save_figure
from driftmap.pipeline.look.sequence import MapSequence, as_sequence
from driftmap.pipeline.look.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.look.colours import Colouring
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

_SIDE, _HEADING, _STRIP = 7.0, 0.36, 0.22
"""The longer side of the map, its heading and the line of the window's name, in inches."""


def plot_points(
    maps: Store | MapSequence | AlignedUMAP | Sequence[npt.ArrayLike],
    path: str | Path | None = None,
    *,
    window: str | int = -1,
    label: str | Sequence[npt.ArrayLike] | None = None,
    ids: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    highlight: str | Sequence[object] | None = None,
    title: str | None = None,
) -> Any:
    """Draw the map of one window.

    Colours are those of all windows, bounds those of this one; `plot_grid` draws several in common bounds.

    Parameters
    ----------
    maps
        An opened store, a fitted `AlignedUMAP`, or one (n_t, c) array per window.
    path
        A .png, .svg or .pdf file to write as well.
    window
        Which window: its name, or its number among those with a map; -1 is the newest.
    label, ids, names, highlight, title
        As for `plot_grid`.

    Returns
    -------
    Any
        Matplotlib.figure.Figure, unknown to pyplot.

    Raises
    ------
    PictureError
        When there is no such window, or it cannot be drawn as asked.
    MissingExtraError
        When matplotlib is not installed.
    """
    target = None if path is None else check_format(path, FORMATS, "a map")
    sequence = as_sequence(maps, label, ids, names)
    marked = find_highlight(sequence, highlight)
    stage = set_stage(sequence, name_others(sequence.colouring(), marked), window, title)
    figure, axes = open_figure(stage)
    colours, is_behind = dress_rows(stage.colouring, marked, stage.window)
    draw_points(axes, stage.plane, colours, is_behind, stage.layout, is_picture=len(stage.plane) > MAX_SHAPES)
    if marked is not None and marked.is_ringed:
        ring_rows(axes, stage.plane, colours, marked, stage.window, stage.layout)
    return close_figure(figure, stage, target)


class OneMap(NamedTuple):
    """A window among all that were read, and how its picture is laid out."""

    name: str
    window: int
    plane: Array
    """(n, 2) positions of its rows."""
    colouring: Colouring
    layout: GridLayout


def set_stage(sequence: MapSequence, colouring: Colouring, window: str | int, title: str | None) -> OneMap:
    """Find the window and lay its picture out.

    Raises
    ------
    PictureError
        When there is no such window.
    """
    index = _find_window(sequence.names, window)
    ids = None if sequence.ids is None else [sequence.ids[index]]
    alone = MapSequence([sequence.names[index]], [sequence.places[index]], ids, None)
    low, high, aspect = frame_maps(alone, is_robust=True)
    legend, legend_height = measure_legend(colouring)
    width = _SIDE / max(1.0, aspect)
    top = EDGE + (_HEADING if title else 0.0) + _STRIP
    size = (2 * EDGE + width + legend, top + max(width * aspect, legend_height) + EDGE)
    layout = GridLayout([index], 1, (width, width * aspect), top, legend, size, low, high, title or "")
    return OneMap(alone.names[0], index, alone.planes()[0], colouring, layout)


def open_figure(stage: OneMap) -> tuple[Any, Any]:
    """Make the figure, and the axes of the map under the window's name."""
    figure = new_figure(stage.layout)
    return figure, add_panel(figure, stage.layout, 0, clean_text(stage.name, stage.layout.most))


def close_figure(figure: Any, stage: OneMap, target: Path | str | None) -> Any:
    """Add the legend, write the figure where it is to be written, and return it."""
    add_legend(figure, stage.layout, stage.colouring)
    if target is not None:
        save_figure(figure, target)
    return figure


def _find_window(names: list[str], window: str | int) -> int:
    if isinstance(window, str):
        if window in names:
            return names.index(window)
        shown = ", ".join(map(repr, names[:3])) + (f" ... {names[-1]!r}" if len(names) > 3 else "")
        raise PictureError(f"no window {window!r} with a map; there are {shown}")
    if isinstance(window, bool) or not isinstance(window, int | np.integer):
        raise PictureError(f"window must be the name or the number of one window, got {window!r}")
    if not -len(names) <= window < len(names):
        raise PictureError(f"window must be from {-len(names)} to {len(names) - 1}, got {window}")
    return int(window) % len(names)
