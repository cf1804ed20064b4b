"""Where the panels of a grid stand: how many to a line, how large, with room for names and legend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from driftmap.pipeline.look.colours import Colouring
    from driftmap.pipeline.look.sequence import MapSequence

    Array = npt.NDArray[Any]

MAX_PANELS = 240
"""Of more windows, evenly chosen ones are drawn, and the heading says so."""

MAX_NAME = 26
"""Characters of a legend's entry."""

OUTSIDE, MIN_GAIN = 0.005, 1.25
"""Share of the rows that may lie outside panels, and how much smaller the frame has to be for it. As on the page."""

EDGE_MARK = 0.02
"""How far from the edge the marks of rows outside stand, as a share of the panel."""

EDGE, GAP, LEGEND_LINE = 0.15, 0.1, 0.2
_WIDTH, _PANEL, _HEADING = 15.0, 2.5, 0.36


@dataclass(frozen=True)
class GridLayout:
    """A figure of panels; lengths in inches."""

    windows: list[int]
    n_columns: int
    panel: tuple[float, float]
    top: float
    """Where the first line of panels begins."""
    legend: float
    """Width of the legend; 0 without one."""
    size: tuple[float, float]
    low: Array
    high: Array
    """Bounds of every panel, (2,) each."""
    heading: str

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Bounds as matplotlib wants them: left, right, bottom, top."""
        return float(self.low[0]), float(self.high[0]), float(self.low[1]), float(self.high[1])

    @property
    def font_size(self) -> float:
        """Of the windows' names, in points."""
        return _font_size(self.panel[0])

    @property
    def most(self) -> int:
        """Characters of a window's name that fit above its panel."""
        return max(4, int(self.panel[0] * 72 / (0.62 * self.font_size)))

    def place_panel(self, cell: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a panel, as shares of the figure."""
        line, column = divmod(cell, self.n_columns)
        width, height = self.panel
        left = EDGE + column * (width + GAP)
        top = self.top + line * (height + _strip(width) + GAP)
        return self.place(left, top, width, height)

    def place(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Turn inches from the upper left corner into shares of the figure from the lower left one."""
        across, high = self.size
        return left / across, 1 - (top + height) / high, width / across, height / high

    @property
    def legend_corner(self) -> tuple[float, float]:
        """Left and top of the legend, in inches."""
        return self.size[0] - EDGE - self.legend + 0.15, self.top


def plan_grid(sequence: MapSequence, colouring: Colouring, title: str | None) -> GridLayout:
    """Choose the panels' size and number to a line.

    Panels have the shape of the maps, within reason, and one scale for both axes. Two hundred windows make a figure
    no wider than ten do: with smaller panels.
    """
    n_windows = len(sequence.names)
    windows = list(range(n_windows))
    heading = title or ""
    if n_windows > MAX_PANELS:
        windows = np.unique(np.linspace(0, n_windows - 1, MAX_PANELS).round().astype(int)).tolist()
        heading = f"{heading}  {len(windows)} of {n_windows} windows".strip()
    low, high, aspect = frame_maps(sequence, is_robust=True)
    legend, legend_height = measure_legend(colouring)
    n_columns = _choose_columns(len(windows), aspect)
    width = min(_PANEL * max(1.0, 2 / math.sqrt(n_columns)), (_WIDTH - legend) / n_columns - GAP)
    n_lines = math.ceil(len(windows) / n_columns)
    top = EDGE + (_HEADING if heading else 0.0) + _strip(width)
    height = max(n_lines * (width * aspect + _strip(width) + GAP) - _strip(width) - GAP, legend_height)
    across = 2 * EDGE + n_columns * (width + GAP) - GAP + legend
    size = (max(across, 0.11 * len(heading) + 2 * EDGE), top + height + EDGE)
    return GridLayout(windows, n_columns, (width, width * aspect), top, legend, size, low, high, heading)


def frame_maps(sequence: MapSequence, *, is_robust: bool = False) -> tuple[Array, Array, float]:
    """Lower left and upper right corner of the picture of a map, with one scale for both axes; height over width.

    Parameters
    ----------
    sequence
        The maps.
    is_robust
        Whether a few rows far away may lie outside, where the others would be small otherwise.
    """
    low, high = find_core(sequence) if is_robust else sequence.bounds()
    span = np.maximum((high - low).astype(np.float64), 1e-6 * max(1.0, float(np.abs(high).max())))
    aspect = float(np.clip(span[1] / span[0], 0.2 if sequence.n_components == 1 else 0.5, 1.6))
    half = 0.54 * max(float(span[0]), float(span[1]) / aspect) * np.array([1.0, aspect])
    middle = (low.astype(np.float64) + high) / 2
    return middle - half, middle + half, aspect


def find_core(sequence: MapSequence) -> tuple[Array, Array]:
    """Corners of all rows but the outermost ones of each axis, where that is much smaller; else of all rows."""
    low, high = sequence.bounds()
    rows = np.concatenate([plane[np.isfinite(plane[:, 0])] for plane in sequence.planes()])
    if len(rows) * OUTSIDE < 2:
        return low, high
    core_low, core_high = np.quantile(rows, [OUTSIDE / 2, 1 - OUTSIDE / 2], axis=0)
    is_smaller = float((core_high - core_low).max()) * MIN_GAIN <= float((high - low).max())
    return (core_low, core_high) if is_smaller else (low, high)


def find_outside(plane: Array, layout: GridLayout) -> npt.NDArray[np.intp]:
    """Find the rows with a place that lie outside the panels."""
    with np.errstate(invalid="ignore"):
        is_outside = ((plane < layout.low) | (plane > layout.high)).any(axis=1)
    return np.flatnonzero(is_outside)


def keep_inside(plane: Array, layout: GridLayout) -> Array:
    """Move the rows that lie outside the panels to the nearest point of the edge."""
    margin = EDGE_MARK * (layout.high - layout.low)
    return np.clip(plane, layout.low + margin, layout.high - margin)


def _choose_columns(n: int, aspect: float) -> int:
    if n <= 3:
        return n
    # Full lines look best; then a figure about twice as wide as high.
    ideal = math.sqrt(n * 2 * aspect)
    tried = range(max(2, math.floor(ideal * 0.6)), math.ceil(ideal * 1.6) + 1)
    return min(tried, key=lambda columns: (2 * (-n % columns) / n + abs(math.log(columns / ideal)), columns))


def measure_legend(colouring: Colouring) -> tuple[float, float]:
    """Width and height of the legend, in inches."""
    if colouring.kind == "none":
        return 0.0, 0.0
    if colouring.kind == "number":
        return 0.95, 2.0
    longest = max(len(name) for name in (*colouring.names, colouring.other, colouring.column or ""))
    n_lines = len(colouring.names) + bool(colouring.other) + (colouring.column is not None)
    return 0.55 + 0.075 * min(MAX_NAME, longest), LEGEND_LINE * n_lines


def _font_size(width: float) -> float:
    return max(4.5, min(9.0, 4.0 * width + 1))


def _strip(width: float) -> float:
    return _font_size(width) * 1.7 / 72
