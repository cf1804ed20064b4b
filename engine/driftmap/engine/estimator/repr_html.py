"""Maps -> one small SVG of all of them, for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

MAX_MAPS = 12
"""Maps in one picture; of more, evenly chosen ones."""

MAX_ROWS = 250
"""Rows of a map that are drawn; of more, evenly chosen ones. A picture then has at most some 30 kB."""

COLOUR = "#2c8686"

_SIDE, _GAP, _NAME, _PER_LINE = 1000, 90, 190, 6  # units of the picture; a thumbnail is about 100 pixels wide


def choose_maps(n_maps: int) -> list[int]:
    """Choose the maps that are drawn.

    Parameters
    ----------
    n_maps
        Maps there are.

    Returns
    -------
    list of int
        Indices of the maps, ascending.
    """
    chosen: list[int] = np.unique(np.linspace(0, n_maps - 1, min(n_maps, MAX_MAPS)).round().astype(int)).tolist()
    return chosen


def draw_thumbnails(
    maps: Sequence[Array],
    names: Sequence[str],
    codes: Sequence[Array] | None = None,
    colours: Sequence[str] = (COLOUR,),
) -> str:
    """Draw maps next to each other, in common bounds, as an SVG.

    Parameters
    ----------
    maps
        (n_t, c) positions; the first two axes are drawn, and rows with NaN left out.
    names
        One per map.
    codes
        Per map, (n_t,) numbers of colours; the first colour everywhere when left out. -1 is the last colour.
    colours
        As SVG writes them.

    Returns
    -------
    str
        The `<svg>` element; it names nothing outside itself.
    """
    planes = [_as_plane(np.asarray(one, dtype=np.float64)) for one in maps]
    low, scale = _frame(planes)
    n_lines = -(-len(maps) // _PER_LINE)
    n_columns = min(len(maps), _PER_LINE)
    width, height = n_columns * (_SIDE + _GAP) + _GAP, n_lines * (_SIDE + _NAME + _GAP) + _GAP
    cells = []
    for index, plane in enumerate(planes):
        line, column = divmod(index, _PER_LINE)
        corner = _GAP + column * (_SIDE + _GAP), _GAP + line * (_SIDE + _NAME + _GAP)
        own = np.zeros(len(plane), dtype=np.intp) if codes is None else np.asarray(codes[index])
        cells.append(_draw_cell((plane - low) * scale, own, colours, names[index], corner))
    style = f"max-width:{width // 10}px;width:100%;height:auto;background:#fff;border-radius:6px"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="{style}" role="img">'
        f"{''.join(cells)}</svg>"
    )


def describe_maps(text: str, maps: Sequence[Array]) -> str:
    """Show a fitted model as HTML: how many maps and rows, small maps, and `text`, its parameters."""
    chosen = choose_maps(len(maps))
    n_rows = sum(len(one) for one in maps)
    drawn = "" if len(chosen) == len(maps) else f", {len(chosen)} of them drawn"
    picture = draw_thumbnails([maps[index] for index in chosen], [str(index) for index in chosen])
    return f"<div>{len(maps):,} maps{drawn}, {n_rows:,} rows</div>{picture}<pre>{html.escape(text)}</pre>"


def _draw_cell(plane: Array, codes: Array, colours: Sequence[str], name: str, corner: tuple[int, int]) -> str:
    rows = np.flatnonzero(np.isfinite(plane).all(axis=1))
    rows = rows[np.unique(np.linspace(0, max(0, len(rows) - 1), min(len(rows), MAX_ROWS)).astype(int))]
    x, y = np.rint(plane[rows].T).astype(int)
    drawn = codes[rows] % len(colours)
    # A line of no length with round ends is a dot: the shortest there is.
    dot = round(float(np.clip(600 / np.sqrt(max(1, len(rows))), 26, 48)))
    paths = []
    for code in np.unique(drawn).tolist():
        here = drawn == code
        dots = "".join(f"M{a} {_SIDE - b}h0" for a, b in zip(x[here].tolist(), y[here].tolist(), strict=True))
        paths.append(f'<path d="{dots}" stroke="{html.escape(colours[code])}"/>')
    short = name if len(name) <= 20 else f"{name[:19]}…"
    return (
        f'<g transform="translate({corner[0]} {corner[1]})"><title>{html.escape(name)}</title>'
        f'<rect width="{_SIDE}" height="{_SIDE}" fill="#fff" stroke="#dfe3e8" stroke-width="10"/>'
        f'<g fill="none" stroke-width="{dot}" stroke-linecap="round" stroke-opacity=".85">{"".join(paths)}</g>'
        f'<text y="{_SIDE + 130}" font-size="105" font-family="system-ui,sans-serif" fill="#5d6673">'
        f"{html.escape(short)}</text></g>"
    )


def _as_plane(places: Array) -> Array:
    return places[:, :2] if places.shape[1] > 1 else np.column_stack([places[:, 0], np.zeros(len(places))])


def _frame(planes: Sequence[Array]) -> tuple[Array, float]:
    """Corner and scale that put all maps into the square of a thumbnail, with a margin."""
    everything = np.concatenate(planes)
    everything = everything[np.isfinite(everything).all(axis=1)]
    if len(everything) == 0:
        return np.zeros(2), 1.0
    low, high = everything.min(axis=0), everything.max(axis=0)
    half = max(float((high - low).max()) / 2, 1e-12) * 1.08
    return (low + high) / 2 - half, _SIDE / (2 * half)
