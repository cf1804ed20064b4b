"""The figures of "How it works": windows, relations, blocks with lookahead, strength, final and provisional.

`python deploy/site/figures.py` draws them again into `examples/guide`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

BLUE, ORANGE, GREEN, GREY, PALE = "#2f6f9f", "#d9822b", "#3a8f5c", "#8a8f98", "#dfe6ee"


def draw_figures(folder: Path) -> None:
    """Write all figures as SVG, the same bytes each time."""
    mpl.rcParams.update({"svg.hashsalt": "driftmap", "svg.fonttype": "none", "font.size": 11})
    drawn = {
        "windows": draw_windows,
        "relations": draw_relations,
        "blocks": draw_blocks,
        "strength": draw_strength,
        "final": draw_final,
    }
    for name, draw in drawn.items():
        figure, axes = plt.subplots(figsize=(8, 2.9), layout="constrained")
        draw(axes)
        axes.set_axis_off()
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def draw_windows(axes: Any) -> None:
    """Rows on a line of time, and windows of 30 days, a new one every 7, above it."""
    days = np.sort(np.random.default_rng(3).uniform(0, 58, 90))
    axes.scatter(days, np.zeros_like(days), s=14, color=GREY)
    axes.annotate("", (61, 0), (-1, 0), arrowprops={"arrowstyle": "->", "color": GREY})
    axes.text(61.5, 0, "time", va="center", color=GREY)
    for index in range(5):
        start, height = 7 * index, 1.0 + 0.9 * index
        axes.add_patch(Rectangle((start, height), 30, 0.6, color=BLUE if index % 2 == 0 else ORANGE))
        axes.text(start + 15, height + 0.3, f"window {index + 1}", ha="center", va="center", color="white")
    _measure(axes, 0, 30, 6.1, "window = 30D")
    _measure(axes, 28, 35, 0.55, "stride = 7D", above=False)
    axes.set(xlim=(-2, 66), ylim=(-0.6, 6.9))


def _measure(axes: Any, start: float, end: float, height: float, text: str, *, above: bool = True) -> None:
    axes.annotate("", (end, height), (start, height), arrowprops={"arrowstyle": "<->", "color": "black"})
    x, align = ((start + end) / 2, "center") if above else (end + 1, "left")
    axes.text(x, height + (0.2 if above else 0), text, ha=align, va="bottom" if above else "center")


def draw_relations(axes: Any) -> None:
    """Rows of three windows; equal ids are joined, also over a window that lacks one."""
    columns = (["ann", "bob", "cy", "dan"], ["ann", "cy", "dan", "eve"], ["bob", "cy", "eve", "fay"])
    where: dict[tuple[int, str], tuple[float, float]] = {}
    for index, names in enumerate(columns):
        axes.add_patch(Rectangle((3.4 * index - 0.75, -0.5), 1.5, 4.4, color=PALE, zorder=0))
        axes.text(3.4 * index, 4.15, f"window {index + 1}", ha="center")
        for row, name in enumerate(names):
            where[index, name] = (3.4 * index, 3.3 - row)
            axes.text(*where[index, name], name, ha="center", va="center", zorder=3)
    for (index, name), start in where.items():
        later = [there for there in range(index + 1, 3) if (there, name) in where]
        if later:
            _join(axes, start, where[later[0], name], is_bridge=later[0] - index > 1)
    axes.text(3.4, -1.15, "bob is missing in window 2: bridged, within the alignment reach", ha="center", color=ORANGE)
    axes.set(xlim=(-2.2, 9), ylim=(-1.5, 4.7))


def _join(axes: Any, start: tuple[float, float], end: tuple[float, float], *, is_bridge: bool) -> None:
    style = {"color": ORANGE, "linestyle": "--"} if is_bridge else {"color": BLUE}
    bend = "arc3,rad=.25" if is_bridge else "arc3"
    ends = (start[0] + 0.5, start[1]), (end[0] - 0.5, end[1])
    axes.add_patch(FancyArrowPatch(*ends, connectionstyle=bend, arrowstyle="-", linewidth=1.8, zorder=2, **style))


def draw_blocks(axes: Any) -> None:
    """Two blocks of four windows, each with its halo behind and its lookahead in front."""
    for row, first in enumerate((4, 8)):
        for window in range(first - 3, first + 7):
            kind = "halo" if window < first else "core" if window < first + 4 else "lookahead"
            colour = {"halo": GREY, "core": BLUE, "lookahead": ORANGE}[kind]
            axes.add_patch(Rectangle((window, 1.6 * (1 - row)), 0.9, 1, color=colour))
            axes.text(window + 0.45, 1.6 * (1 - row) + 0.5, str(window), ha="center", va="center", color="white")
        axes.text(0.6, 1.6 * (1 - row) + 0.5, f"block {row + 1}", ha="right", va="center")
    notes = (
        (1, GREY, "halo: final, read only"),
        (5.6, BLUE, "core: becomes final"),
        (10.1, ORANGE, "lookahead: again next"),
    )
    for x, colour, text in notes:
        axes.text(x, 3.0, text, color=colour)
    axes.set(xlim=(-1.3, 15.3), ylim=(-0.2, 3.5))


def draw_strength(axes: Any) -> None:
    """Draw the same two maps under a weak, an automatic and a strong pull."""
    generator = np.random.default_rng(5)
    still, moved = generator.normal((0, 0), 0.3, (14, 2)), generator.normal((0, 0), 0.3, (6, 2))
    panels = (
        ("weak: maps wander", 0.9, 1.0),
        ('"auto": what changed moves', 0.12, 1.0),
        ("strong: change is hidden", 0.04, 0.2),
    )
    for index, (title, wander, change) in enumerate(panels):
        left = np.array([4.6 * index, 0.0])
        shift = np.array([wander, -wander / 2])
        _arrows(axes, left + still, left + still + shift, BLUE)
        _arrows(axes, left + moved + (0.4, 0), left + moved + (0.4, 0) + shift + (1.5 * change, change), ORANGE)
        axes.text(left[0] + 0.8, 2.2, title, ha="center")
    axes.text(5.4, -1.5, "blue: neighbourhood as before    orange: new neighbours", ha="center", color=GREY)
    axes.set(xlim=(-1.2, 12.2), ylim=(-1.8, 2.6), aspect="equal")


def _arrows(axes: Any, start: Any, end: Any, colour: str) -> None:
    axes.scatter(*end.T, s=16, color=colour, zorder=3)
    axes.quiver(
        *start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1, width=0.002, color=colour, alpha=0.6
    )


def draw_final(axes: Any) -> None:
    """Draw a store that two ingests grow: provisional windows are laid out again, final ones stay."""
    rows = (("run", 5), ("ingest", 6), ("ingest", 7))
    for row, (name, n) in enumerate(rows):
        y = 2.4 - 1.2 * row
        axes.text(0.3, y + 0.4, name, ha="right", va="center")
        for window in range(1, n + 1):
            is_final, is_new = window <= n - 3, row > 0 and window == n
            axes.add_patch(
                Rectangle((window, y), 0.9, 0.8, facecolor=BLUE if is_final else GREEN if is_new else ORANGE)
            )
            axes.text(window + 0.45, y + 0.4, str(window), ha="center", va="center", color="white")
    for index, (colour, text) in enumerate(
        ((BLUE, "final: never moves again"), (ORANGE, "provisional: laid out again"), (GREEN, "new, provisional"))
    ):
        axes.text(8.6, 2.7 - 1.2 * index, text, color=colour, va="center")
    axes.set(xlim=(-0.8, 12.5), ylim=(-0.2, 3.5))


if __name__ == "__main__":
    draw_figures(Path(__file__).resolve().parents[2] / "examples/guide")
