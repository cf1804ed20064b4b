"""What stands around the moving points of an animation: legend, names of the windows, and the bar of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.colours import INK, LINE, SOFT, Colouring, read_colours
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.grid_layout import EDGE, GridLayout, frame_maps, measure_legend
from driftmap.pipeline.look.legend import add_legend, add_text
from driftmap.pipeline.look.text import accept_any_weight, clean_text

if TYPE_CHECKING:
    from driftmap.pipeline.look.sequence import MapSequence

    Array = npt.NDArray[Any]
    Float32 = npt.NDArray[np.float32]

DPI = 100
MAX_TICKS = 60
"""Windows that the bar of time marks; of more it shows only how far it is."""

_HEAD, _FOOT = 0.36, 0.3
"""Room above the map for the window's name, and below it for the bar of time, in inches."""


class Stage(NamedTuple):
    """A frame without its points; lengths in pixels."""

    background: Float32
    """(height, width, 3) in [0, 1]: legend and border."""
    panel: tuple[slice, slice]
    """Lines and columns of the map."""
    names: list[Float32]
    """Pictures of the windows' names, (h, w, 3)."""
    name_corner: tuple[int, int]
    low: Array
    high: Array
    """Bounds of the map, (2,) each."""

    def place(self, plane: Float32) -> Float32:
        """Turn positions (n, 2) into pixels of the map, across and down."""
        lines, columns = self.panel
        size = np.array([columns.stop - columns.start, lines.stop - lines.start])
        placed: Float32 = ((plane - self.low) / (self.high - self.low) * size).astype(np.float32)
        placed[:, 1] = size[1] - placed[:, 1]
        return placed

    def dress(self, window: int, time: float) -> Float32:
        """Return a new frame: the name of a window, and the bar of time filled up to `time` in [0, 1]."""
        frame = self.background.copy()
        name = self.names[window]
        line, column = self.name_corner
        frame[line : line + name.shape[0], column : column + name.shape[1]] = name
        _fill_bar(frame, self.panel, time, len(self.names))
        return frame


def build_stage(sequence: MapSequence, colouring: Colouring, size: int) -> Stage:
    """Build the frame around a map.

    Parameters
    ----------
    sequence, colouring
        The maps and their colours.
    size
        Width and height of the map in pixels; the longer one, where it is not square.
    """
    low, high, aspect = frame_maps(sequence)
    legend, legend_height = measure_legend(colouring)
    width = size / DPI / max(1.0, aspect)
    layout = _plan(width, aspect, legend, legend_height)
    figure = _new_figure(layout.size)
    add_legend(figure, layout, colouring)
    left, bottom, across, high_share = layout.place_panel(0)
    background = _render(figure)
    n_lines, n_columns = background.shape[:2]
    lines = slice(round((1 - bottom - high_share) * n_lines), round((1 - bottom) * n_lines))
    columns = slice(round(left * n_columns), round((left + across) * n_columns))
    _draw_border(background, lines, columns)
    most = max(8, int(width * DPI / 9))
    # The same figure is used for every name: a new one takes five times as long.
    strip = _new_figure((width, _HEAD - 0.06))
    names = [_render_name(strip, clean_text(name, most)) for name in sequence.names]
    return Stage(background, (lines, columns), names, (lines.start - round(_HEAD * DPI) + 2, columns.start), low, high)


def _plan(width: float, aspect: float, legend: float, legend_height: float) -> GridLayout:
    panel, nowhere = (width, width * aspect), np.zeros(2)
    height = _HEAD + max(panel[1] + _FOOT, legend_height + EDGE)
    # Even numbers of pixels: video wants them.
    size = tuple(2 * round(length * DPI / 2) / DPI for length in (2 * EDGE + width + legend, height))
    return GridLayout([0], 1, panel, _HEAD, legend, (size[0], size[1]), nowhere, nowhere, "")


def _new_figure(size: tuple[float, float]) -> Any:
    figure = load_extra("matplotlib.figure", "an animation").Figure(figsize=size, dpi=DPI, facecolor="white")
    load_extra("matplotlib.backends.backend_agg", "an animation").FigureCanvasAgg(figure)
    return figure


def _render(figure: Any) -> Float32:
    with accept_any_weight():
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(np.float32) / np.float32(255)


def _render_name(figure: Any, text: str) -> Float32:
    figure.clear()
    add_text(figure, (0, 0.5), text, fontsize=12, fontweight="bold")
    return _render(figure)


def _draw_border(frame: Float32, lines: slice, columns: slice) -> None:
    colour = read_colours([LINE])[0]
    for line in (lines.start - 1, lines.stop):
        frame[line, columns.start - 1 : columns.stop + 1] = colour
    for column in (columns.start - 1, columns.stop):
        frame[lines.start - 1 : lines.stop + 1, column] = colour


def _fill_bar(frame: Float32, panel: tuple[slice, slice], time: float, n_windows: int) -> None:
    track, done, tick = read_colours([LINE, INK, SOFT])
    lines, columns = panel
    top, width = lines.stop + 11, columns.stop - columns.start
    frame[top : top + 4, columns] = track
    frame[top : top + 4, columns.start : columns.start + max(4, round(width * time))] = done
    if 1 < n_windows <= MAX_TICKS:
        for at in np.linspace(columns.start, columns.stop - 1, n_windows).round().astype(int):
            frame[top + 6 : top + 9, at] = tick
