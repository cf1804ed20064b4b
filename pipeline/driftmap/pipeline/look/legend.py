"""The legend of a matplotlib figure: dots and names, or a bar of colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.look.colours import INK, SOFT, Colouring, blend_ramp
from driftmap.pipeline.look.grid_layout import LEGEND_LINE, MAX_NAME
from driftmap.pipeline.look.run_codes import EMPTY
from driftmap.pipeline.look.text import clean_text, list_fonts

if TYPE_CHECKING:
    from driftmap.pipeline.look.grid_layout import GridLayout


def add_legend(figure: Any, layout: GridLayout, colouring: Colouring) -> None:
    """Draw the legend to the right of the panels, where rows have labels."""
    if colouring.kind == "category":
        _add_names(figure, layout, colouring)
    elif colouring.kind == "number":
        _add_bar(figure, layout, colouring)


def add_text(figure: Any, place: tuple[float, float], text: str, **style: Any) -> None:
    """Write a text as it is: no formulae in it, in the first font that has its characters."""
    figure.text(*place, text, parse_math=False, fontfamily=list_fonts(text), **{"color": INK, "va": "center", **style})


def _add_names(figure: Any, layout: GridLayout, colouring: Colouring) -> None:
    entries = list(zip(colouring.names, colouring.colours, strict=False))
    if colouring.other:
        entries.append((colouring.other, colouring.colours[-1]))
    left, top = layout.legend_corner
    if colouring.column is not None:
        x, y, _, _ = layout.place(left, top + LEGEND_LINE / 2, 0, 0)
        add_text(figure, (x, y), clean_text(colouring.column, MAX_NAME), fontsize=9, fontweight="bold")
        top += LEGEND_LINE
    height = LEGEND_LINE * len(entries)
    axes = figure.add_axes(layout.place(left, top, layout.legend, height), frame_on=False)
    axes.set(xticks=[], yticks=[], xlim=(0, layout.legend), ylim=(height, 0))
    lines = LEGEND_LINE * (np.arange(len(entries)) + 0.5)
    axes.scatter(np.full(len(entries), 0.06), lines, s=36, c=[colour for _, colour in entries], linewidths=0)
    for line, (name, _) in zip(lines, entries, strict=True):
        text = clean_text(name, MAX_NAME) or EMPTY
        style = {"fontsize": 8.5, "color": INK, "va": "center", "fontfamily": list_fonts(text)}
        axes.text(0.18, line, text, parse_math=False, **style)


def _add_bar(figure: Any, layout: GridLayout, colouring: Colouring) -> None:
    left, top = layout.legend_corner
    if colouring.column is not None:
        x, y, _, _ = layout.place(left, top + LEGEND_LINE / 2, 0, 0)
        add_text(figure, (x, y), clean_text(colouring.column, 12), fontsize=9, fontweight="bold")
        top += 1.3 * LEGEND_LINE
    axes = figure.add_axes(layout.place(left, top, 0.16, 1.6))
    steps = blend_ramp(np.linspace(0, 1, 128))[:, None]
    high = colouring.high if colouring.high > colouring.low else colouring.low + 1
    axes.imshow(steps, aspect="auto", origin="lower", extent=(0, 1, colouring.low, high))
    axes.yaxis.tick_right()
    axes.set(xticks=[])
    axes.tick_params(labelsize=8, length=2, color=SOFT, labelcolor=INK)
    axes.ticklabel_format(useOffset=False)
    axes.spines[:].set_visible(False)
