"""What drift costs: drift over one window against trustworthiness as the alignment grows stronger, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.benchmarks import peer
from tests.benchmarks.bench_quality import fit_ours, mean_and_spread
from tests.benchmarks.data_sets import load
from tests.benchmarks.measures import measure
from tests.benchmarks.tables import figure, format_table

from driftmap.engine import LayoutSettings
from driftmap.engine.settings import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DATA = ("digits", "gapminder", "house_votes")
LAMBDAS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.1, 0.25)
DEFAULTS = {"driftmap": LayoutSettings().alignment_regularisation, peer.NAME: 0.01}
COLOURS = {"driftmap": "#1f6fb4", peer.NAME: "#c8553d"}
SHOWN = ("drift1", "trust", "neighbours")


def trace_curves(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    has_peer: bool = True,
    is_only_kept: bool = False,
    is_fresh: bool = False,
    n_epochs: int = 200,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure ours (mean over seeds) and the peer's at each strength; `is_only_kept`: where its maps are kept."""
    results: dict[str, Any] = {}
    for name in names:
        data = load(name)
        curves: dict[str, list[dict[str, float]]] = {"driftmap": []}
        for value in (*LAMBDAS, AUTO):
            runs = fit_ours(data, seeds, alignment_regularisation=value, n_epochs=n_epochs)
            means = {shown: mean_and_spread(runs, shown)[0] for shown in SHOWN}
            curves["driftmap"].append({"alignment_regularisation": value, **means})
        if has_peer:
            asked = [
                value for value in LAMBDAS if not is_only_kept or peer.is_kept(data, **_peer_settings(value, n_epochs))
            ]
            curves[peer.NAME] = [_measure_peer(data, value, n_epochs, is_fresh) for value in asked]
        results[name] = curves
        say(format_curves(name, curves) + "\n")
    return results


def _measure_peer(data: Any, value: float, n_epochs: int, is_fresh: bool) -> dict[str, float]:
    found = peer.find_maps(data, is_fresh=is_fresh, **_peer_settings(value, n_epochs))
    figures = measure(data, found.maps)
    return {"alignment_regularisation": value, **{shown: figures[shown] for shown in SHOWN}}


def _peer_settings(value: float, n_epochs: int) -> dict[str, Any]:
    # its default is left out, so that the maps kept for the quality table serve here too
    return {"n_epochs": n_epochs, **({} if value == DEFAULTS[peer.NAME] else {"alignment_regularisation": value})}


def format_curves(name: str, curves: dict[str, list[dict[str, float]]]) -> str:
    """Table of one data set: a row per strength."""
    header = [f"{name}: lambda", *(f"{who} {shown}" for who in curves for shown in SHOWN)]
    rows = []
    for value in (*LAMBDAS, AUTO):  # umap-learn has no such word, and may lack others
        points = [
            next((point for point in curve if point["alignment_regularisation"] == value), {})
            for curve in curves.values()
        ]
        cells = [figure(point[shown]) if point else "" for point in points for shown in SHOWN]
        rows.append([str(value), *cells])
    return format_table(header, rows)


def draw_curves(results: dict[str, Any], path: Path) -> None:
    """Write the figure: a panel per data set, a line per implementation, a ring at the default; ours is "auto"."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(3.6 * len(results), 3.4), layout="constrained")
    panels = canvas.subplots(1, len(results), squeeze=False)[0]
    for panel, (name, curves) in zip(panels, results.items(), strict=True):
        for who, curve in curves.items():
            _draw_curve(panel, who, curve)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("drift over one window")
        panel.set_xlim(left=0)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("trustworthiness")
    panels[0].legend(frameon=False, fontsize=9)
    canvas.savefig(path, dpi=110)


def _draw_curve(panel: Any, who: str, curve: list[dict[str, float]]) -> None:
    line = [point for point in curve if point["alignment_regularisation"] != AUTO]
    panel.plot(*_read_axes(line), "o-", color=COLOURS[who], markersize=3, linewidth=1.3, label=who)
    default = [point for point in curve if point["alignment_regularisation"] == DEFAULTS[who]]
    panel.plot(*_read_axes(default), "o", color=COLOURS[who], markersize=9, fillstyle="none")
    named = [*line[:1], *line[1:][-1:], *(point for point in default if point not in line)]
    for point in named:
        value = point["alignment_regularisation"]
        text = value if value == AUTO else f"{value:g}"
        position = (point["drift1"], point["trust"])
        below = 3 if point is line[-1] and len(line) > 1 else -10  # the strongest lies at the bottom
        panel.annotate(text, position, (6, below), textcoords="offset points", fontsize=7, color=COLOURS[who])


def _read_axes(points: list[dict[str, float]]) -> tuple[list[float], list[float]]:
    return [point["drift1"] for point in points], [point["trust"] for point in points]
