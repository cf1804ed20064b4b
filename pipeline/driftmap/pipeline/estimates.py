"""What a plan will take: memory of a graph task and of the coordinator, bytes in the store. Known before anything runs.

Bounds from above, at most twice what is measured (tests/pipeline/test_estimates.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftmap.engine.footprint import graph_bytes
from driftmap.pipeline.blocks import row_bytes
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.machine import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.blocks import Block
    from driftmap.pipeline.config import RunConfig
    from driftmap.pipeline.execution import WorkerLimit
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.sources.protocol import ReadEstimate
    from driftmap.pipeline.windows import WindowPlan

WORKER_BYTES = 340 * 2**20
"""A worker process that has built small graphs: Python, Dask, Arrow, Zarr and the kernels."""
COORDINATOR_BYTES = 400 * 2**20
"""The coordinator's process beside its block: the same, the layout's kernels, and a scheduler."""
LIMIT_SHARE = 0.9
"""Part of a worker's memory that tasks may fill: at 95 % Dask ends the process."""

_KEY_BYTES = 64
"""Per row of the source, while windows are planned: keys as read, joined and numbered, and the order of rows."""
_EDGES_PER_NEIGHBOUR = 1.7
"""Stored edges of a symmetric graph; 1.3 where neighbours are mutual, 1.9 with many features."""
_STORED_SHARE = 0.8
"""What compression leaves of graphs."""
_WINDOW_BYTES = 16 * 2**10
"""Metadata of a window's arrays, and its commits."""


@dataclass(frozen=True)
class Estimate:
    """What a plan takes, in bytes."""

    task_bytes: int
    """Of the largest graph task at its peak, its process not counted."""
    task_window: str
    """Its window."""
    worker_bytes: int
    """Of a worker process that builds that graph."""
    coordinator_bytes: int
    """Of the coordinator's process at its peak."""
    store_bytes: int


def estimate_plan(
    source: Source, config: RunConfig, windows: Sequence[WindowPlan], blocks: Sequence[Block]
) -> Estimate:
    """Estimate what a run takes; no vectors are read."""
    largest = max(windows, key=lambda window: window.n_rows)
    read = source.estimate_read(largest.n_rows)
    task_bytes = _task_bytes(read, largest.n_rows, config)
    return Estimate(
        task_bytes=task_bytes,
        task_window=largest.label,
        worker_bytes=WORKER_BYTES + task_bytes,
        coordinator_bytes=COORDINATOR_BYTES
        + max(_KEY_BYTES * source.n_rows, _block_bytes(read, config, windows, blocks)),
        store_bytes=_store_bytes(read, config, windows),
    )


def refuse_large_tasks(estimate: Estimate, limit: WorkerLimit | None) -> None:
    """Refuse a plan whose largest graph task does not fit a worker.

    Raises
    ------
    PlanError
        Saying what it takes, what a worker has, and what to change.
    """
    if limit is None:
        return
    need = WORKER_BYTES + limit.n_threads * estimate.task_bytes
    if need <= LIMIT_SHARE * limit.n_bytes:
        return
    several = f" ({limit.n_threads} tasks at once)" if limit.n_threads > 1 else ""
    raise PlanError(
        f"the graph of window {estimate.task_window!r} takes {format_size(need)} in a worker{several}, which has "
        f"{format_size(limit.n_bytes)} and may fill {LIMIT_SHARE:.0%} of it; {limit.cure}, or make windows smaller"
    )


def _task_bytes(read: ReadEstimate, n_rows: int, config: RunConfig) -> int:
    beside = n_rows * 2 * read.row_bytes
    return max(read.peak_bytes, graph_bytes(n_rows, read.n_features, config.graph_settings()) + beside)


def _block_bytes(read: ReadEstimate, config: RunConfig, windows: Sequence[WindowPlan], blocks: Sequence[Block]) -> int:
    reach = config.layout.alignment_window_size
    width = row_bytes(config.graph.n_neighbors, config.layout.n_components, reach) + 4 * read.row_bytes
    return max(sum(windows[index].n_rows for index in block.windows) for block in blocks) * width


def _store_bytes(read: ReadEstimate, config: RunConfig, windows: Sequence[WindowPlan]) -> int:
    k = config.graph.n_neighbors
    graph = 8 * k + 8 * int(_EDGES_PER_NEIGHBOUR * (k - 1)) + 8
    width = _STORED_SHARE * (graph + 8 + read.row_bytes) + 4 * config.layout.n_components
    return int(sum(window.n_rows for window in windows) * width) + len(windows) * _WINDOW_BYTES
