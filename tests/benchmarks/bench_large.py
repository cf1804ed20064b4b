"""Time of large windows on one thread: of a row in an epoch of the layout, and of an update beside a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import make_stream
from tests.benchmarks.tables import format_table

from driftmap.engine import AlignedUMAP, BlockWindow, LayoutSettings, build_fuzzy_graph, limit_threads
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
UPDATED_ROWS = 100_000


def time_rows(sizes: Sequence[int] = SIZES, say: Callable[[str], None] = print) -> dict[int, float]:
    """Give CPU ns of a row in an epoch in two windows of each size, whose rows lie where their neighbours are."""
    _time_size(100)  # kernels are loaded
    found = {n_rows: _time_size(n_rows) for n_rows in sizes}
    least = found[min(found)]
    rows = [[f"{n:,}", f"{ns:.0f}", f"{ns / least:.2f}x"] for n, ns in found.items()]
    say(format_table(["rows a window", "CPU ns a row and epoch", "ratio"], rows))
    say(f"bar {BAR}x, aim {AIM}x")
    return found


def time_update(n_rows: int = UPDATED_ROWS, say: Callable[[str], None] = print) -> dict[str, float]:
    """Give the CPU seconds of a fit of two windows of 64 features, and of an update by a third.

    Each window has half of its rows from the one before. The update is to take no longer than a window of the fit.
    """
    rows, _ = make_stream(3, n_rows, n_rows // 2)
    spans = [np.arange(start, start + n_rows) for start in range(0, 3 * (n_rows // 2), n_rows // 2)]
    with limit_threads(1):
        few = spans[0][:7_000]
        AlignedUMAP(random_state=0, n_epochs=2).fit([rows[few]] * 2, ids=[few] * 2)  # kernels are loaded
        model = AlignedUMAP(random_state=0)
        fitted, _ = clock(lambda: model.fit([rows[span] for span in spans[:2]], ids=spans[:2]))
        updated, _ = clock(lambda: model.update(rows[spans[2]], ids=spans[2]))
    found = {"fit": fitted.cpu_seconds, "update": updated.cpu_seconds}
    ratio = found["update"] / (found["fit"] / 2)
    header = [f"windows of {n_rows:,} rows", "fit of 2, CPU s", "update, CPU s", "update over a window of the fit"]
    say(format_table(header, [["", f"{found['fit']:.2f}", f"{found['update']:.2f}", f"{ratio:.2f}x"]]))
    say("bar 1x")
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
