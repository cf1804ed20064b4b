"""What drift costs: drift over one window against trustworthiness as the alignment grows stronger, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
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
    is_fresh: bool = False,
    n_epochs: int = 200,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure ours (mean over seeds) and the peer's at each strength of the alignment."""
    results: dict[str, Any] = {}
    for name in names:
        data = load(name)
        curves: dict[str, list[dict[str, float]]] = {"driftmap": []}
        for value in (*LAMBDAS, AUTO):
            runs = fit_ours(data, seeds, alignment_regularisation=value, n_epochs=n_epochs)
            means = {shown: mean_and_spread(runs, shown)[0] for shown in SHOWN}
            curves["driftmap"].append({"alignment_regularisation": value, **means})
        if has_peer:
            curves[peer.NAME] = [_measure_peer(data, value, n_epochs, is_fresh) for value in LAMBDAS]
        results[name] = curves
        say(format_curves(name, curves) + "\n")
    return results


def _measure_peer(data: Any, value: float, n_epochs: int, is_fresh: bool) -> dict[str, float]:
    # its default is left out of the settings, so that the maps kept for the quality table serve here too
    settings = {} if value == DEFAULTS[peer.NAME] else {"alignment_regularisation": value}
    found = peer.find_maps(data, is_fresh=is_fresh, n_epochs=n_epochs, **settings)
    figures = measure(data, found.maps)
    return {"alignment_regularisation": value, **{shown: figures[shown] for shown in SHOWN}}


def format_curves(name: str, curves: dict[str, list[dict[str, float]]]) -> str:
    """Table of one data set: a row per strength."""
    header = [f"{name}: lambda", *(f"{who} {shown}" for who in curves for shown in SHOWN)]
    rows = []
    for index, value in enumerate((*LAMBDAS, AUTO)):  # umap-learn has no such word
        points = [curve[index] if index < len(curve) else {} for curve in curves.values()]
        cells = [figure(point[shown]) if point else "" for point in points for shown in SHOWN]
        rows.append([str(value), *cells])
    return format_table(header, rows)


def draw_curves(results: dict[str, Any], path: Path) -> None:
    """Write the figure: a panel per data set, a line per implementation, a ring at the default."""
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
    drifts, trusts = (np.array([point[shown] for point in curve]) for shown in ("drift1", "trust"))
    n = len(LAMBDAS)
    panel.plot(drifts[:n], trusts[:n], "o-", color=COLOURS[who], markersize=3, linewidth=1.3, label=who)
    for index in (0, n - 1):
        text = f"{curve[index]['alignment_regularisation']:g}"
        place = (drifts[index], trusts[index])
        panel.annotate(text, place, (4, -9), textcoords="offset points", fontsize=7, color=COLOURS[who])
    at = [index for index, point in enumerate(curve) if point["alignment_regularisation"] == DEFAULTS[who]]
    panel.plot(drifts[at], trusts[at], "o", color=COLOURS[who], markersize=9, fillstyle="none")
