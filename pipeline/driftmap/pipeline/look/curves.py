"""Curves in space: every entity's path over the map, with time as the third axis."""

from __future__ import annotations

import html
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.colours import INK, LINE, RAMP, SOFT, Colouring
from driftmap.pipeline.look.curves_image import draw_curves_image
from driftmap.pipeline.look.extras import load_extra
from driftmap.pipeline.look.picture_files import check_format, save_figure
from driftmap.pipeline.look.run_codes import EMPTY
from driftmap.pipeline.look.sequence import as_sequence
from driftmap.pipeline.look.text import shorten
from driftmap.pipeline.look.tracks import Track, Tracks, find_tracks
from driftmap.pipeline.store.disk.output_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline.look.sequence import MapSequence
    from driftmap.pipeline.store import Store

    Array = npt.NDArray[Any]

N_CURVES = 300
MAX_TICKS = 12
_BUTTONS = ["orbitRotation", "tableRotation", "pan3d", "zoom3d", "resetCameraDefault3d", "toImage"]
_CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtons": [_BUTTONS]}
"""Of plotly's page: none of its buttons sends anything anywhere."""

FORMATS = (".html", ".png", ".svg", ".pdf")


def plot_curves(
    maps: Store | MapSequence | AlignedUMAP | Sequence[npt.ArrayLike],
    path: str | Path | None = None,
    *,
    label: str | Sequence[npt.ArrayLike] | None = None,
    ids: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    n_curves: int = N_CURVES,
    title: str | None = None,
) -> Any:
    """Draw the paths of entities over the map, with the windows as the third axis.

    A path is smooth and goes through every place of its entity; where the entity is absent it is broken. Of many
    entities a sample is drawn, the same one every time, and the title says so.

    Parameters
    ----------
    maps
        An opened store, a fitted `AlignedUMAP`, or one (n_t, c) array per window. Of three axes and more, the first two
        are drawn.
    path
        A file to write as well: .html, a page that needs no network; or .png, .svg or .pdf, drawn by matplotlib.
    label
        What to colour by: of a store, the name of a label column, by default its first one; of a list, one array of
        labels or numbers per window. A curve has the label that its entity has most often.
    ids
        Of a list: entity ids, one array per window.
    names
        Names of the windows.
    n_curves
        Entities to draw at most; every label gets its share.
    title
        Heading of the figure.

    Returns
    -------
    Any
        Plotly.graph_objects.Figure, one trace per label.

    Raises
    ------
    PictureError
        When it cannot be drawn as asked, or no entity is in two consecutive windows.
    MissingExtraError
        When plotly is not installed.
    """
    target = None if path is None else check_format(path, FORMATS, "curves")
    sequence = as_sequence(maps, label, ids, names)
    if not isinstance(n_curves, int | np.integer) or n_curves < 1:
        raise PictureError(f"n_curves must be a whole number of at least 1, got {n_curves!r}")
    colouring = sequence.colouring()
    found = find_tracks(sequence, colouring, int(n_curves))
    heading = _head(title, found)
    figure = _draw_figure(sequence, colouring, found, heading)
    if target is not None and PurePath(target).suffix.lower() == ".html":
        with whole_file(target, makes_folder=True) as unfinished:
            figure.write_html(unfinished, include_plotlyjs=True, config=_CONFIG)
    elif target is not None:
        save_figure(draw_curves_image(sequence, colouring, found, heading), target)
    return figure


def _head(title: str | None, found: Tracks) -> str:
    n_drawn, n_entities = found.n_drawn, found.n_entities
    drawn = f"{n_drawn:,} entities" if n_drawn == n_entities else f"{n_drawn:,} of {n_entities:,} entities"
    return drawn if title is None else f"{title}: {drawn}"


def _draw_figure(sequence: MapSequence, colouring: Colouring, found: Tracks, heading: str) -> Any:
    graphs = load_extra("plotly.graph_objects", "drawing curves")
    figure = graphs.Figure()
    names = [*colouring.names, colouring.other or "no number"]
    codes = [*range(max(1, len(colouring.names))), -1]
    for code in codes:
        tracks = [track for track in found.tracks if track.code == code]
        if tracks:
            line = {"width": 3, **_paint(tracks, code, colouring)}
            style = {"name": _escape(names[code]) or EMPTY, "mode": "lines", "line": line, "opacity": 0.85}
            joined = _join_tracks(tracks, sequence.names, found.n_steps)
            figure.add_trace(graphs.Scatter3d(**joined, **style, hovertemplate="%{text}<extra></extra>"))
    figure.update_layout(
        template="none",
        title={"text": _escape(heading, 120), "x": 0.02, "xanchor": "left", "font": {"size": 17}},
        font={"family": "system-ui, Segoe UI, Roboto, Helvetica, Arial, sans-serif", "color": INK},
        scene=_plan_scene(sequence),
        legend={
            "title": {"text": _escape(colouring.column or "")},
            "itemsizing": "constant",
            "y": 0.95,
            "tracegroupgap": 0,
        },
        showlegend=colouring.kind == "category",
        margin={"l": 0, "r": 0, "t": 50, "b": 0},
        paper_bgcolor="white",
    )
    return figure


def _paint(tracks: list[Track], code: int, colouring: Colouring) -> dict[str, Any]:
    if colouring.kind != "number" or code < 0:
        return {"color": colouring.colours[code]}
    span = colouring.high - colouring.low
    values = [np.append(colouring.low + span * track.values, np.nan) for track in tracks]
    bar = {"title": {"text": _escape(colouring.column or "")}, "thickness": 14, "len": 0.6, "outlinewidth": 0}
    return {
        "color": np.nan_to_num(np.concatenate(values), nan=colouring.low).astype(np.float32),
        "colorscale": [[at / (len(RAMP) - 1), colour] for at, colour in enumerate(RAMP)],
        "cmin": colouring.low,
        "cmax": colouring.high if span else colouring.low + 1,
        "showscale": True,
        "colorbar": bar,
    }


def _join_tracks(tracks: list[Track], names: Sequence[str], n_steps: int) -> dict[str, Any]:
    """Put paths into one line, with a break after each."""
    gap = np.full((1, 3), np.nan, dtype=np.float32)
    line = np.concatenate([part for track in tracks for part in (track.path, gap)])
    texts: list[str] = []
    for track in tracks:
        name, first = _escape(track.name), round(float(track.path[0, 2]))
        for at in range(len(track.path)):
            window, is_between = divmod(at, n_steps)
            texts.append(name if is_between else f"{name}<br>{_escape(names[first + window])}")
        texts.append("")
    return {"x": line[:, 0], "y": line[:, 1], "z": line[:, 2], "text": texts, "connectgaps": False}


def _plan_scene(sequence: MapSequence) -> dict[str, Any]:
    n_windows = len(sequence.names)
    shown = np.unique(np.linspace(0, n_windows - 1, min(n_windows, MAX_TICKS)).round().astype(int)).tolist()
    low, high = sequence.bounds()
    span = (high - low).astype(np.float64)
    ratio = np.clip(span / max(float(span.max()), 1e-12), 0.3, 1)
    plain = {"showbackground": False, "gridcolor": LINE, "zeroline": False, "showspikes": False, "title": {"text": ""}}
    return {
        "xaxis": {**plain, "showticklabels": False},
        "yaxis": {**plain, "showticklabels": False},
        "zaxis": {
            **plain,
            "tickvals": shown,
            "ticktext": [_escape(sequence.names[window], 22) for window in shown],
            "tickfont": {"size": 11, "color": SOFT},
            "range": [-0.02 * n_windows, n_windows - 1 + 0.02 * n_windows],
        },
        "aspectmode": "manual",
        "aspectratio": {"x": float(ratio[0]), "y": float(ratio[1]), "z": 1.1},
        "camera": {"eye": {"x": 1.18, "y": -1.18, "z": 0.4}, "center": {"x": 0, "y": 0, "z": -0.08}},
    }


def _escape(text: str, most: int = 40) -> str:
    """Make plotly show a text as it is; it reads some HTML."""
    return html.escape(shorten(text, most), quote=False)
