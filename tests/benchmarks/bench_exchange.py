"""Blocks in parallel: quality against the number of exchanges, speed on workers, and what more workers would bring."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks.bench_quality import mean_and_spread
from tests.benchmarks.data_sets import load
from tests.benchmarks.measures import measure
from tests.benchmarks.tables import figure, format_table

from driftmap.engine import BlockWindow, GraphSettings, LayoutSettings, build_window_graph, lay_out_block
from driftmap.engine.estimator.window_relations import WindowRelations
from driftmap.engine.layout.exchange import lay_out_in_exchange
from driftmap.engine.layout.pace import PACE, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.data_sets import DataSet

DATA = ("house_votes", "gapminder", "numpy_commits")
EXCHANGES = (5, 10, 20, 40, 80)
SHOWN = ("trust", "neighbours", "drift1", "drift5")
BAR = 0.03
"""How much worse than the joint layout a figure may be."""


def trace_exchanges(
    names: Sequence[str],
    seeds: Sequence[int],
    exchanges: Sequence[int] = EXCHANGES,
    block_windows: int = 4,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure blocks in parallel, for several numbers of exchanges, beside the joint layout of all windows."""
    results: dict[str, Any] = {}
    for name in names:
        data = load(name)
        work = Prepared(data, block_windows)
        found = {"joint": [measure(data, work.lay_out_jointly(seed)) for seed in seeds]}
        for n_exchanges in exchanges:
            found[str(n_exchanges)] = [measure(data, work.lay_out_in_exchange(seed, n_exchanges)) for seed in seeds]
        results[name] = found
        say(format_exchanges(data, found, block_windows) + "\n")
    return results


def format_exchanges(data: DataSet, found: dict[str, list[dict[str, float]]], block_windows: int) -> str:
    """Return a table: for each number of exchanges, means with the spread over seeds, and the worst loss."""
    joint = {shown: mean_and_spread(found["joint"], shown)[0] for shown in SHOWN}
    rows = []
    for way, runs in found.items():
        means = {shown: mean_and_spread(runs, shown) for shown in SHOWN}
        losses = {shown: find_loss(shown, means[shown][0], joint[shown]) for shown in SHOWN}
        worst = max(losses, key=lambda shown: losses[shown])
        cells = [f"{figure(mean)} ± {figure(spread)}" for mean, spread in means.values()]
        rows.append([way, *cells, f"{losses[worst]:+.1%} ({worst})"])
    title = f"{data.name}, {len(data)} windows in blocks of {block_windows}, {len(found['joint'])} seeds: exchanges"
    return format_table([title, *SHOWN, "worst beside joint"], rows)


def find_loss(shown: str, value: float, joint: float) -> float:
    """Tell by what share a figure is worse than the joint layout's; below 0 where it is better, 0 where none is."""
    if np.isnan(value):
        return 0.0
    return (value / joint - 1) * (1 if shown.startswith("drift") else -1)


class Prepared:
    """Graphs and relations of a data set, built once: they depend on no seed below the size of approximate search."""

    def __init__(self, data: DataSet, block_windows: int = 4) -> None:
        self._settings = LayoutSettings()
        reach, n = self._settings.alignment_window_size, len(data)
        graphs = [build_window_graph(rows, GraphSettings()).fuzzy for rows in data.windows]
        self._windows = [BlockWindow(graph, index) for index, graph in enumerate(graphs)]
        related = WindowRelations.of([len(rows) for rows in data.windows], data.relations, None)
        pairs = ((i, j) for j in range(n) for i in range(max(0, j - reach), j))
        self._relations = {(i, j): related.relate(i, j) for i, j in pairs}
        n_blocks = -(-n // block_windows)
        self._cores = [range(*ends) for ends in pairwise(number * n // n_blocks for number in range(n_blocks + 1))]

    def lay_out_jointly(self, seed: int, pace: Pace = PACE) -> list[Any]:
        return lay_out_block(self._windows, self._relations, self._settings, seed, pace=pace)

    def lay_out_in_exchange(self, seed: int, n_exchanges: int) -> list[Any]:
        return lay_out_in_exchange(self._windows, self._relations, self._settings, seed, self._cores, n_exchanges)
