"""The river as a picture: rows of each label or cluster through time, and rows that change theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import relate_ids
from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.colours import INK, LINE, OTHER, PALETTE, SOFT
from driftmap.pipeline.look.group_column import choose_column
from driftmap.pipeline.look.picture_files import check_format, make_figure, save_figure
from driftmap.pipeline.look.run_codes import EMPTY, read_run
from driftmap.pipeline.look.text import clean_text, list_fonts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftmap.pipeline.look.run_codes import Column, Run
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

FORMATS = (".png", ".svg", ".pdf")
MAX_BANDS = 60
"""Groups that have a band, the largest ones."""
LEAST_THREAD = 0.004
"""Share of a window's rows from which those that change their group from one to another are drawn."""
MAX_NAME = 26
_SIZE, _GAP, _STEPS, _MAX_TICKS = (11.0, 4.6), 0.02, 16, 24


class Bands(NamedTuple):
    """Where the bands of a river lie; heights in shares of the largest window's rows."""

    codes: list[int]
    """Groups, from the top down."""
    heights: Array
    """(t, g) rows of each."""
    tops: Array
    """(t, g); NaN where a group has no rows."""


def plot_river(
    store: Store, path: str | Path | None = None, *, label: str | None = None, title: str | None = None
) -> Any:
    """Draw the rows of each label, or cluster, in every window as a band, and those that change theirs as threads.

    Bands lie in the order in which their rows lie on the maps, from top to bottom.

    Parameters
    ----------
    store
        An opened store.
    path
        A .png, .svg or .pdf file to write as well.
    label
        Name of a label column, or "cluster"; by default the first column of labels, or the clusters.
    title
        Heading of the figure.

    Returns
    -------
    Any
        Matplotlib.figure.Figure, unknown to pyplot; it shows itself in notebooks.

    Raises
    ------
    PictureError
        When it cannot be drawn as asked.
    MissingExtraError
        When matplotlib is not installed.
    """
    target = None if path is None else check_format(path, FORMATS, "a river")
    run = read_run(store)
    if len(run.facts) < 2:
        raise PictureError(f"a river needs two windows with maps; {store.path} has {len(run.facts)}")
    column = choose_column(store, run, label)
    bands = stack_bands(column, [store.positions(fact.index) for fact in run.facts])
    figure = make_figure(_SIZE, "drawing a river")
    axes = figure.add_axes((0.015, 0.13, 0.80, 0.85 - (0.08 if title else 0.0)), frame_on=False)
    _draw_threads(axes, run, column, bands)
    for at, code in enumerate(bands.codes):
        _draw_band(axes, bands, at, _paint(code))
    _mark_windows(axes, run, bands)
    _name_bands(figure, column, bands)
    if title:
        style = {"fontsize": 13, "fontweight": "bold", "color": INK, "va": "top", "parse_math": False}
        text = clean_text(title, 90)
        figure.text(0.015, 0.975, text, fontfamily=list_fonts(text), **style)
    if target is not None:
        save_figure(figure, target)
    return figure


def stack_bands(column: Column, maps: Sequence[Array]) -> Bands:
    """Stack the groups of every window around its middle, in the order of their mean height on the maps.

    Parameters
    ----------
    column
        The groups.
    maps
        Positions of the same windows.
    """
    n_groups = len(column.values)
    counts = np.array([np.bincount(codes, minlength=n_groups)[:n_groups] for codes in column.codes], dtype=np.float64)
    sums, known = np.zeros(n_groups), np.zeros(n_groups)
    for codes, places in zip(column.codes, maps, strict=True):
        height = places[:, min(1, places.shape[1] - 1)].astype(np.float64)
        is_placed = np.isfinite(height)
        sums += np.bincount(codes[is_placed], weights=height[is_placed], minlength=n_groups)
        known += np.bincount(codes[is_placed], minlength=n_groups)
    largest = np.argsort(-counts.sum(axis=0), kind="stable")[:MAX_BANDS]
    largest = largest[counts[:, largest].sum(axis=0) > 0]
    order = largest[np.argsort(-sums[largest] / np.maximum(known[largest], 1), kind="stable")]
    heights = counts[:, order] / counts.sum(axis=1).max()
    is_there = heights > 0
    gaps = _GAP * (np.cumsum(is_there, axis=1) - is_there)
    total = heights.sum(axis=1) + _GAP * np.maximum(is_there.sum(axis=1) - 1, 0)
    tops = total[:, None] / 2 - (np.cumsum(heights, axis=1) - heights) - gaps
    return Bands(order.tolist(), heights, np.where(is_there, tops, np.nan))


def _draw_band(axes: Any, bands: Bands, at: int, colour: str) -> None:
    """Draw one group: as high as its rows; where it comes or goes, it ends between two windows."""
    tops, bases = bands.tops[:, at], bands.tops[:, at] - np.maximum(bands.heights[:, at], 0.002)
    here = np.flatnonzero(np.isfinite(tops))
    for spell in np.split(here, np.flatnonzero(np.diff(here) > 1) + 1):
        t = np.concatenate(
            [[spell[0] - 0.3], *[_ease(k)[0] for k in spell[:-1].tolist()], [spell[-1], spell[-1] + 0.3]]
        )
        top, base = (
            np.concatenate([[v[spell[0]]], *[_blend(v, k) for k in spell[:-1].tolist()], [v[spell[-1]]] * 2])
            for v in (tops, bases)
        )
        axes.fill_between(t, base, top, color=colour, linewidth=0, zorder=3)


def _ease(t: int) -> tuple[Array, Array]:
    part = np.arange(_STEPS) / _STEPS
    return t + part, part * part * (3 - 2 * part)


def _blend(values: Array, t: int) -> Array:
    return np.asarray(values[t] + (values[t + 1] - values[t]) * _ease(t)[1])


def _draw_threads(axes: Any, run: Run, column: Column, bands: Bands) -> None:
    """Draw the rows of one group that have another in the next window, as curves as thick as they are many."""
    slots = {code: at for at, code in enumerate(bands.codes)}
    points = 72 * _SIZE[1] * 0.85 / max(0.1, float(np.nanmax(bands.tops)) * 2)
    largest = max(len(codes) for codes in column.codes)
    for t in range(len(run.facts) - 1):
        relation = relate_ids(run.entities[t], run.entities[t + 1])
        rows = np.flatnonzero(relation >= 0)
        ends = np.column_stack([column.codes[t][rows], column.codes[t + 1][relation[rows]]])
        pairs, counts = np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0, return_counts=True)
        for (old, new), n_rows in zip(pairs.tolist(), counts.tolist(), strict=True):
            if n_rows < max(2, LEAST_THREAD * len(column.codes[t])) or old not in slots or new not in slots:
                continue
            middles = [
                bands.tops[t + k, slots[c]] - bands.heights[t + k, slots[c]] / 2 for k, c in enumerate((old, new))
            ]
            time, part = _ease(t)
            curve = middles[0] + (middles[1] - middles[0]) * np.append(part, 1)
            width = max(0.6, points * n_rows / largest)
            axes.plot(np.append(time, t + 1), curve, color=_paint(new), linewidth=width, alpha=0.35, zorder=2)


def _paint(code: int) -> str:
    return PALETTE[code] if code < len(PALETTE) else OTHER


def _mark_windows(axes: Any, run: Run, bands: Bands) -> None:
    n_windows = len(run.facts)
    step = -(-n_windows // _MAX_TICKS)
    ticks = list(range(0, n_windows, step))
    most = max(4, int(150 / len(ticks)))
    names = [clean_text(run.facts[t].label, most) for t in ticks]
    edge = float(np.nanmax(bands.tops)) * 1.04
    axes.set(xlim=(-0.35, n_windows - 0.65), ylim=(-edge, edge), yticks=[], xticks=ticks)
    is_tilted = max(len(name) for name in names) * len(ticks) > 130
    axes.set_xticklabels(
        names, fontsize=8, color=INK, rotation=40 if is_tilted else 0, ha="right" if is_tilted else "center"
    )
    for text, name in zip(axes.get_xticklabels(), names, strict=True):
        text.set(fontfamily=list_fonts(name), parse_math=False)
    axes.tick_params(length=3, color=LINE)
    first = next((t for t, fact in enumerate(run.facts) if fact.status == "provisional"), None)
    if first is not None:
        axes.axvspan(first - 0.5, n_windows - 0.5, color=LINE, alpha=0.5, linewidth=0, zorder=0)
        axes.text(n_windows - 0.67, -edge, "provisional", fontsize=7, color=SOFT, ha="right", va="bottom", zorder=4)


def _name_bands(figure: Any, column: Column, bands: Bands) -> None:
    """Name the groups that have a colour, in the order of their bands; the others by their number."""
    axes = figure.add_axes((0.835, 0.02, 0.16, 0.94), frame_on=False)
    coloured = [code for code in bands.codes if code < len(PALETTE)]
    entries = [(clean_text(column.values[code], MAX_NAME) or EMPTY, PALETTE[code]) for code in coloured]
    n_others = len(column.values) - len(coloured)
    if n_others:
        entries.append((f"{n_others} others", OTHER))
    axes.set(xlim=(0, 1), ylim=(max(16, len(entries) + 1.5), 0), xticks=[], yticks=[])
    name = clean_text(column.name, MAX_NAME)
    axes.text(0.0, 0.6, name, fontsize=9, fontweight="bold", color=INK, fontfamily=list_fonts(name), parse_math=False)
    for line, (text, colour) in enumerate(entries, start=1):
        axes.scatter([0.03], [line + 0.5], s=36, c=[colour], linewidths=0)
        style = {"fontsize": 8.5, "color": INK, "va": "center", "parse_math": False}
        axes.text(0.09, line + 0.5, text, fontfamily=list_fonts(text), **style)
