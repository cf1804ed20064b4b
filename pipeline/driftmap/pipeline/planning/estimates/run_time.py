"""How long a run will take, roughly: from a few graphs and a small layout, made here and now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from driftmap.engine import PACE, BlockWindow, build_window_graph, lay_out_block
from driftmap.engine.settings import DEFAULT_N_EPOCHS, pick_value
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.sources.protocol import Rows

_Result = TypeVar("_Result")

GRAPH_ROWS = 8_000
"""Rows of the largest graph that is built to measure; that of a window with more is estimated from it."""
LAYOUT_ROWS = 2_000
"""Rows of each of two windows that are laid out."""
START_SECONDS = 5.0
"""Until the workers have started and loaded their kernels."""
WINDOW_SECONDS = 0.02
"""What a window costs besides its rows: a task, its arrays' files, a commit."""


class Duration(NamedTuple):
    """Seconds that the stages of a run will take; graphs and layout overlap in part."""

    graphs: float
    layout: float


def estimate_duration(
    source: Source, config: RunConfig, windows: Sequence[WindowPlan], blocks: Sequence[Block], n_at_once: int
) -> Duration:
    """Measure on some rows of the source, and estimate for the whole.

    Parameters
    ----------
    source, config, windows, blocks
        Of the plan.
    n_at_once
        Graph tasks that run at a time.
    """
    counts = np.array([window.n_rows for window in windows], dtype=np.float64)
    largest = max(windows, key=lambda window: window.n_rows)
    runs = rows_to_runs(runs_to_rows(largest.runs)[:GRAPH_ROWS])
    reading, rows = _clock(lambda: source.read_rows(runs).vectors)
    if rows is None:
        raise SourceError(f"{config.source.path} has no vectors to measure with")
    settings = config.graph_settings()
    build_window_graph(rows[: 2 * settings.n_neighbors], settings, 0)  # compiles
    n = rows.shape[0]
    whole, _ = _clock(lambda: build_window_graph(rows, settings, 0))
    half, _ = _clock(lambda: build_window_graph(rows[: n // 2 + settings.n_neighbors], settings, 0))
    # Of the seconds, a share goes with the square of the rows, and the rest with their number.
    square = min(max(2 * (whole - 2 * half), 0.0), whole) / n**2
    linear = (whole - square * n**2 + reading) / n
    graphs = float((square * counts**2 + linear * counts + WINDOW_SECONDS).sum()) / n_at_once
    layout = _measure_layout(rows, config) * _count_moves(config, windows, blocks)
    return Duration(START_SECONDS + graphs, layout)


def _measure_layout(rows: Rows, config: RunConfig) -> float:
    """Lay out two small windows, and give the seconds for a row in an epoch."""
    n = min(int(rows.shape[0]), LAYOUT_ROWS)
    graph = build_window_graph(rows[:n], config.graph_settings(), 0).fuzzy
    settings = config.layout_settings()
    relations = {(0, 1): np.arange(n, dtype=np.int32)}

    def lay_out(n_windows: int) -> object:
        windows = [BlockWindow(graph, index) for index in range(n_windows)]
        return lay_out_block(windows, relations if n_windows > 1 else {}, settings, 0)

    lay_out(1)  # compiles
    seconds, _ = _clock(lambda: lay_out(2))
    # Rows of both windows are the same, so none is fresh.
    n_moves = n * (1 + PACE.carry_share + 2 * PACE.joint_share) * _count_epochs(config, 0)
    return seconds / max(1.0, n_moves)


def _count_moves(config: RunConfig, windows: Sequence[WindowPlan], blocks: Sequence[Block]) -> float:
    """Count rows times epochs of a whole layout."""
    n_moves, n_placed = 0.0, 0
    for block in blocks:
        for index in (*block.core, *block.lookahead):
            n_rows, share = windows[index].n_rows, PACE.usual_joint_share
            if index >= n_placed:
                share += PACE.pick_carry_share(n_rows, is_first=index == 0)
            n_moves += n_rows * share * _count_epochs(config, index)
        n_placed = max(n_placed, block.lookahead.stop)
    return n_moves


def _count_epochs(config: RunConfig, index: int) -> int:
    n_epochs = pick_value(config.layout.n_epochs, index)
    return DEFAULT_N_EPOCHS if n_epochs is None else int(n_epochs)


def _clock(call: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result
