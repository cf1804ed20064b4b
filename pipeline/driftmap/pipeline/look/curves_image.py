"""The curves as a still picture, by matplotlib: for papers, and where no browser is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.look.colours import INK, LINE, SOFT, Colouring, blend_ramp
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.grid_layout import EDGE, GridLayout, measure_legend
from driftmap.pipeline.look.legend import add_legend, add_text
from driftmap.pipeline.look.picture_files import make_figure
from driftmap.pipeline.look.text import clean_text, list_fonts

if TYPE_CHECKING:
    from driftmap.pipeline.look.sequence import MapSequence
    from driftmap.pipeline.look.tracks import Tracks

MAX_TICKS = 12
MAX_NAME = 22
_SIDE = 7.0  # inches


def draw_curves_image(sequence: MapSequence, colouring: Colouring, found: Tracks, heading: str) -> Any:
    """Draw paths as a matplotlib figure, seen from the side and a little from above."""
    lines = load_extra("mpl_toolkits.mplot3d.art3d", "a still picture of curves")
    legend, _ = measure_legend(colouring)
    room = 0.3 + 0.065 * min(MAX_NAME, max(map(len, sequence.names)))  # for the windows' names, right of the curves
    nowhere, size = np.zeros(2), (_SIDE + room + legend + 2 * EDGE, _SIDE + 0.4)
    layout = GridLayout([0], 1, (_SIDE, _SIDE), 0.7, legend, size, nowhere, nowhere, heading)
    figure = make_figure(size, "a still picture of curves")
    x, y, _, _ = layout.place(EDGE, EDGE + 0.12, 0, 0)
    add_text(figure, (x, y), clean_text(heading, 120), fontsize=13, fontweight="bold")
    axes = figure.add_axes(layout.place(0, 0.3, _SIDE, _SIDE), projection="3d")
    paths = [track.path for track in found.tracks]
    if colouring.kind == "number":  # every piece of a path has its own colour
        paths = [path[at : at + 2] for path in paths for at in range(len(path) - 1)]
    axes.add_collection3d(lines.Line3DCollection(paths, colors=_paint(found, colouring), linewidths=0.9, alpha=0.75))
    _dress(axes, sequence)
    add_legend(figure, layout, colouring)
    return figure


def _paint(found: Tracks, colouring: Colouring) -> Any:
    if colouring.kind != "number":
        return [colouring.colours[track.code] for track in found.tracks]
    values = [np.where(track.code < 0, np.nan, (track.values[:-1] + track.values[1:]) / 2) for track in found.tracks]
    return blend_ramp(np.concatenate(values))


def _dress(axes: Any, sequence: MapSequence) -> None:
    n_windows = len(sequence.names)
    shown = np.unique(np.linspace(0, n_windows - 1, min(n_windows, MAX_TICKS)).round().astype(int)).tolist()
    low, high = sequence.bounds()
    pad = np.maximum(0.02 * (high - low), 1e-6)
    (left, bottom), (right, top) = low - pad, high + pad
    axes.set(xlim=(left, right), ylim=(bottom, top), zlim=(0, n_windows - 1), xticklabels=[], yticklabels=[])
    names = [clean_text(sequence.names[window], MAX_NAME) for window in shown]
    axes.set_zticks(
        shown, names, fontfamily=list_fonts("".join(names)), fontsize=8, color=INK, ha="left", parse_math=False
    )
    span = np.clip((high - low) / max(float((high - low).max()), 1e-12), 0.3, 1)
    axes.set_box_aspect((float(span[0]), float(span[1]), 1.1), zoom=1.02)
    axes.view_init(elev=16, azim=-55)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(SOFT)
        # matplotlib has no other way to draw a thin grid and no ticks in space.
        axis._axinfo["grid"].update(color=LINE, linewidth=0.6)  # noqa: SLF001
        axis._axinfo["tick"].update(inward_factor=0, outward_factor=0)  # noqa: SLF001
