"""Two windows as a picture: both maps on common axes, and what changed between them in words."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.answers import compare_windows
from driftmap.pipeline.look.colours import INK, SOFT, colour_rows
from driftmap.pipeline.look.grid import FORMATS, MAX_SHAPES, add_panel, draw_points, new_figure
from driftmap.pipeline.look.grid_layout import EDGE, keep_inside, plan_grid
from driftmap.pipeline.look.group_column import choose_column
from driftmap.pipeline.look.legend import add_legend, add_text
from driftmap.pipeline.look.page_data import measure_frame
from driftmap.pipeline.look.picture_files import check_format, save_figure
from driftmap.pipeline.look.run_codes import read_run
from driftmap.pipeline.look.sentences import N_NAMED
from driftmap.pipeline.look.sequence import MapSequence
from driftmap.pipeline.look.text import clean_text, list_fonts

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.look.grid_layout import GridLayout
    from driftmap.pipeline.look.run_codes import Run
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

_LINE, _FONT = 0.21, 9.5


def plot_change(
    store: Store,
    a: str,
    b: str,
    path: str | Path | None = None,
    *,
    label: str | None = None,
    title: str | None = None,
) -> Any:
    """Draw two windows of a store beside each other, above the sentences about what changed.

    Parameters
    ----------
    store
        An opened store.
    a, b
        Labels of the windows; the older one is drawn first.
    path
        A .png, .svg or .pdf file to write as well.
    label
        Name of a label column, or "cluster"; by default the first column of labels, or the clusters.
    title
        Heading of the figure.

    Returns
    -------
    Any
        Matplotlib.figure.Figure, unknown to pyplot.

    Raises
    ------
    PictureError
        When there is no such window or column, or both windows are one.
    MissingExtraError
        When matplotlib is not installed.
    """
    target = None if path is None else check_format(path, FORMATS, "a change")
    run = read_run(store)
    windows = _find_windows(store, run, a, b)
    column = choose_column(store, run, label)
    said = compare_windows(store, run, measure_frame(store, run).spread, windows)
    values = [np.array(column.values, dtype=object)[codes].astype(str) for codes in column.codes]
    # colours are those of all windows, so that a label has the same one in every picture of the run
    colouring = colour_rows(values, [len(one) for one in values], column.name)
    names = [run.facts[t].label for t in windows]
    maps = MapSequence(names, [store.positions(run.facts[t].index) for t in windows], None, None)
    layout = plan_grid(maps, colouring, title)
    lines = _wrap([one.text for one in said] or ["No group of rows changed unusually."], layout)
    top = layout.size[1]
    layout = replace(layout, size=(layout.size[0], top + _LINE * (len(lines) + 1)))
    figure = new_figure(layout)
    planes = maps.planes()
    is_picture = sum(map(len, planes)) > MAX_SHAPES
    for cell, (t, plane) in enumerate(zip(windows, planes, strict=True)):
        axes = add_panel(figure, layout, cell, clean_text(names[cell], layout.most))
        draw_points(axes, plane, colouring.paint(t), colouring.codes[t] < 0, layout, is_picture=is_picture)
        _mark_strays(
            axes,
            run,
            t,
            keep_inside(plane, layout),
            [entity for one in said for entity in one.entities[:N_NAMED].tolist()],
        )
    add_legend(figure, layout, colouring)
    heading = f"What changed from {clean_text(names[0], 30)} to {clean_text(names[1], 30)}"
    for at, (text, style) in enumerate([(heading, {"fontweight": "bold"}), *((line, {}) for line in lines)]):
        x, y, _, _ = layout.place(EDGE, top + _LINE * (at + 0.2), 0, 0)
        add_text(figure, (x, y), text, fontsize=_FONT, color=INK if said or at == 0 else SOFT, **style)
    if target is not None:
        save_figure(figure, target)
    return figure


def _mark_strays(axes: Any, run: Run, t: int, plane: Array, entities: list[int]) -> None:
    """Ring and name the single rows that sentences are about."""
    for row in np.flatnonzero(np.isin(run.entities[t], entities) & np.isfinite(plane[:, 0])).tolist():
        name = clean_text(run.names[run.entities[t][row]], 20)
        axes.scatter(*plane[row], s=42, facecolors="none", edgecolors=INK, linewidths=1.1, zorder=5)
        style = {"fontsize": 8, "color": INK, "fontfamily": list_fonts(name), "parse_math": False, "zorder": 6}
        axes.annotate(name, plane[row], xytext=(5, 4), textcoords="offset points", **style)


def _find_windows(store: Store, run: Run, a: str, b: str) -> tuple[int, int]:
    known = [fact.label for fact in run.facts]
    for label in (a, b):
        if label not in known:
            shown = ", ".join(map(repr, known[:3])) + (f" ... {known[-1]!r}" if len(known) > 3 else "")
            raise PictureError(f"the store {store.path} has no window {label!r} with a map; it has {shown}")
    if a == b:
        raise PictureError(f"A and B are both the window {a!r}; give two different ones")
    first, second = sorted((known.index(a), known.index(b)))
    return first, second


def _wrap(sentences: list[str], layout: GridLayout) -> list[str]:
    most = max(30, int((layout.size[0] - 2 * EDGE) * 72 / (0.56 * _FONT)))
    return [line for text in sentences for line in textwrap.wrap(clean_text(text, 300), most)]
