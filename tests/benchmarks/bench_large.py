"""Time of a row in an epoch of the layout, in windows of very different sizes: one thread, two related windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree
from tests.benchmarks.clock import clock
from tests.benchmarks.tables import format_table

from driftmap.engine import BlockWindow, LayoutSettings, build_fuzzy_graph, limit_threads
from driftmap.engine.layout.block import BlockLayout
from driftmap.engine.layout.pace import PACE
from driftmap.engine.types import KnnGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (2_000, 30_000, 100_000, 1_000_000)
N_NEIGHBORS = 15
N_MOVES, LEAST_EPOCHS = 4_000_000, 20
"""Rows of a window times epochs, about, and fewest epochs."""
BAR, AIM = 1.3, 1.1
"""Most that a row of the largest windows may take, over one of the smallest."""


def time_rows(sizes: Sequence[int] = SIZES, say: Callable[[str], None] = print) -> dict[int, float]:
    """Give CPU ns of a row in an epoch in two windows of each size, whose rows lie where their neighbours are."""
    _time_size(100)  # kernels are loaded
    found = {n_rows: _time_size(n_rows) for n_rows in sizes}
    least = found[min(found)]
    rows = [[f"{n:,}", f"{ns:.0f}", f"{ns / least:.2f}x"] for n, ns in found.items()]
    say(format_table(["rows a window", "CPU ns a row and epoch", "ratio"], rows))
    say(f"bar {BAR}x, aim {AIM}x")
    return found


def _time_size(n_rows: int) -> float:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(n_rows, 2)) * 10
    windows = []
    for index in range(2):
        positions = (first + 0.05 * rng.normal(size=first.shape)).astype(np.float32)
        distances, indices = cKDTree(positions).query(positions, N_NEIGHBORS)
        graph = build_fuzzy_graph(KnnGraph(indices.astype(np.int32), distances.astype(np.float32)))
        windows.append(BlockWindow(graph, index, positions))
    relations = {(0, 1): np.arange(n_rows, dtype=np.int32)}
    n_epochs = max(LEAST_EPOCHS, N_MOVES // n_rows)
    layout = BlockLayout(windows, relations, LayoutSettings(n_epochs=n_epochs), 0)
    layout.carry()
    n = layout.n_joint_epochs
    with limit_threads(1):
        taken, _ = clock(lambda: layout.move(n, range(n)))
    n_moves = len(windows) * n_rows * PACE.count_own_epochs(n_epochs, fresh=0.0)
    return taken.cpu_seconds / n_moves * 1e9
