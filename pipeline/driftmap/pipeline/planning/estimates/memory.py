"""What a plan will take: memory of a graph task and of the coordinator, bytes in the store. Known before anything runs.

Bounds from above, at most twice what is measured (tests/pipeline/planning/estimates/test_memory.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf
from typing import TYPE_CHECKING

from driftmap.engine import BLAS_METRICS, LEAST_BLOCK_ROWS, can_search_blocks
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.executors.base import KEPT_SHARE
from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.planning.blocks import block_bytes
from driftmap.pipeline.planning.estimates.task_size import WindowReads, size_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.executors.base import WorkerLimit
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.estimates.task_size import Readable, TaskSize
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.sources.protocol import ReadEstimate

WORKER_BYTES = 430 * 2**20
"""A worker process that has built small graphs: Python, Dask, Arrow and the kernels. 298 MiB, 335 where it compiled
them; and up to 90 more of libraries, by how their files came into the system's page cache, which Dask counts too."""
COORDINATOR_BYTES = 500 * 2**20
"""The coordinator's process beside its block: the same, the layout's kernels, and a scheduler. Some 155 MiB of it are
what compiling those takes; a process that finds them compiled loads no compiler."""
LAYOUT_WORKER_BYTES = 560 * 2**20
"""A worker process that lays blocks out, beside its blocks, where it compiles the kernels: up to 524 MiB, on
one machine 25 more."""
AFAR_BYTES = 350 * 2**20
"""A coordinator whose workers, elsewhere, do all the work."""
KEY_BYTES = 112
"""Per row of the source, while windows are planned: keys as read, joined and numbered, and the order of rows. Of
4,000,000 integer ids of which 2,400,000 differ."""
USUAL_PARTS = 8
"""Parts of a block whose rows are shared out, where these fit and there are workers for them. After every epoch each
part receives where all others are, so messages grow by the square of them."""
LIMIT_SHARE = 0.9
"""Part of a worker's memory that tasks may fill: at 95 % Dask ends the process."""

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
    """Of a worker process that builds that graph, and lays out that block."""
    coordinator_bytes: int
    """Of the coordinator's process at its peak."""
    store_bytes: int
    block_bytes: int = 0
    """Of the largest block, where workers lay blocks out; else the coordinator has it."""
    windows_in_blocks: int = 0
    """Windows that do not fit a worker: their neighbours are searched in blocks of rows read from the source."""
    row_blocks: int = 0
    """Blocks of all these windows."""
    n_parts: int = 1
    """Parts in which workers share the rows of a block that fits none of them; `block_bytes` is then what one takes."""


def estimate_plan(
    source: Source, config: RunConfig, windows: Sequence[WindowPlan], blocks: Sequence[Block], *, n_parts: int
) -> Estimate:
    """Estimate what a run takes; no vectors are read.

    Parameters
    ----------
    source, config, windows, blocks
        Of the plan.
    n_parts
        Workers that share a block's rows; 0 where blocks are laid out in this process.
    """
    on_workers = n_parts > 0
    most_rows, most_read = (max(windows, key=key) for key in (lambda w: w.n_rows, lambda w: w.n_read))
    sizes = [_size(source, window, config).n_bytes for window in (most_rows, most_read)]
    task_bytes, largest = (sizes[0], most_rows) if sizes[0] >= sizes[1] else (sizes[1], most_read)
    read = source.estimate_read(largest.n_rows)
    block_bytes = size_largest_block(read, config, windows, blocks, max(1, n_parts))
    there, here = (block_bytes, 0) if on_workers else (0, block_bytes)
    coordinator_bytes = AFAR_BYTES if on_workers and not config.is_exchanged else COORDINATOR_BYTES
    return Estimate(
        task_bytes=task_bytes,
        task_window=largest.label,
        worker_bytes=_worker_bytes(task_bytes, there),
        coordinator_bytes=coordinator_bytes + max(KEY_BYTES * source.n_rows, here),
        store_bytes=_store_bytes(read, config, windows),
        block_bytes=there,
        n_parts=max(1, n_parts),
    )


def share_block_bytes(limit: WorkerLimit | None, *, is_exchanged: bool = False) -> float:
    """Return what a block that a worker lays out may take; infinite where workers have no limit.

    In an exchange the worker keeps others beside it (`KEPT_SHARE`).
    """
    if limit is None:
        return inf
    share = LIMIT_SHARE - (KEPT_SHARE if is_exchanged else 0)
    return max(0, int((share * limit.n_bytes - LAYOUT_WORKER_BYTES) / limit.n_threads))


def choose_parts(
    read: ReadEstimate,
    config: RunConfig,
    windows: Sequence[WindowPlan],
    blocks: Sequence[Block],
    limit: WorkerLimit | None,
) -> int:
    """Choose in how many parts workers share the rows of a block: one where it fits; 0 where not even a part fits.

    Parameters
    ----------
    read
        What reading no rows takes.
    config, windows, blocks
        Of the plan.
    limit
        What workers have; None: anything.
    """
    n_slots = 1 if limit is None else limit.n_workers * limit.n_threads
    tried = [1, *(min(n_slots, USUAL_PARTS << step) for step in range(max(1, n_slots).bit_length()))]
    for n_parts in tried:
        if size_largest_block(read, config, windows, blocks, n_parts) <= share_block_bytes(limit):
            return n_parts
    return 0


def explain_layout_here(block_bytes: int, limit: WorkerLimit | None) -> str:
    """Say why blocks are laid out in the calling process, not on workers elsewhere."""
    room = "" if limit is None else f", which has room for {format_size(int(share_block_bytes(limit)))}; {limit.remedy}"
    return f"blocks are laid out in this process: the largest takes {format_size(block_bytes)} in a worker{room}"


def explain_parts(block_bytes: int, n_parts: int, limit: WorkerLimit) -> str:
    """Say why the rows of a block are shared out."""
    room = format_size(int(share_block_bytes(limit)))
    return (
        f"the rows of each window are shared out over the workers in {n_parts} parts while they are laid out, which "
        f"changes no byte: the largest block takes {format_size(block_bytes)}, and a worker has room for {room}"
    )


def share_task_bytes(limit: WorkerLimit | None) -> int | None:
    """Return what a task may take of a worker's memory; None: anything."""
    return None if limit is None else int((LIMIT_SHARE * limit.n_bytes - WORKER_BYTES) / limit.n_threads)


def fit_tasks(
    estimate: Estimate, source: Source, config: RunConfig, windows: Sequence[WindowPlan], limit: WorkerLimit | None
) -> Estimate:
    """Apply the workers' memory limit: what does not fit is searched in blocks of rows, or refused.

    Parameters
    ----------
    estimate, source, config, windows
        Of the plan, or of those of its windows (if any) whose graphs are to be built; `estimate` as `estimate_plan`
        made it.
    limit
        What workers have; None: no task is too large.

    Raises
    ------
    PlanError
        Saying what a task, or a block that a worker lays out, takes, what a worker has, and what to change.
    """
    max_bytes = share_task_bytes(limit)
    if limit is not None:
        _refuse_large_block(estimate, config, limit)
    if limit is None or max_bytes is None or not windows or estimate.task_bytes <= max_bytes:
        return estimate
    by_shape = {(window.n_rows, window.n_read): window for window in windows}
    sizes = {shape: _size(source, window, config, max_bytes) for shape, window in sorted(by_shape.items())}
    shapes = [(window.n_rows, window.n_read) for window in windows]
    longest = max(windows, key=lambda window: window.n_rows)
    if (n_bytes := sizes[longest.n_rows, longest.n_read].n_bytes) > max_bytes:
        raise PlanError(_explain_large_task(longest.label, longest.n_rows, n_bytes, limit, config))
    largest = max(windows, key=lambda window: sizes[window.n_rows, window.n_read].n_bytes)
    task_bytes = sizes[largest.n_rows, largest.n_read].n_bytes
    if task_bytes > max_bytes:
        raise PlanError(_explain_large_task(largest.label, largest.n_rows, task_bytes, limit, config))
    blocked = [(shape[0], size) for shape in shapes if (size := sizes[shape].block_rows) is not None]
    return replace(
        estimate,
        task_bytes=task_bytes,
        task_window=largest.label,
        worker_bytes=_worker_bytes(task_bytes, estimate.block_bytes),
        windows_in_blocks=len(blocked),
        row_blocks=sum(ceil(n_rows / block_rows) for n_rows, block_rows in blocked),
    )


def _size(source: Source, window: WindowPlan, config: RunConfig, max_bytes: int | None = None) -> TaskSize:
    reads = WindowReads(source, window.n_rows, window.n_read)
    return size_task(reads, window.n_rows, config.graph_settings(), max_bytes, config.target_settings())


def refuse_large_task(source: Readable, label: str, n_rows: int, config: RunConfig, limit: WorkerLimit | None) -> None:
    """Refuse a window whose graph fits no worker, whole or in blocks of rows, as `fit_tasks` does for a run.

    Raises
    ------
    PlanError
        Saying what the task takes, what a worker has, and what to change.
    """
    max_bytes = share_task_bytes(limit)
    if limit is None or max_bytes is None:
        return
    settings = config.graph_settings().for_rows(n_rows)
    n_bytes = size_task(source, n_rows, settings, max_bytes, config.target_settings()).n_bytes
    if n_bytes > max_bytes:
        raise PlanError(_explain_large_task(label, n_rows, n_bytes, limit, config))


def _worker_bytes(task_bytes: int, block_bytes: int) -> int:
    return max(WORKER_BYTES + task_bytes, LAYOUT_WORKER_BYTES + block_bytes if block_bytes else 0)


def _refuse_large_block(estimate: Estimate, config: RunConfig, limit: WorkerLimit) -> None:
    if not config.is_exchanged or estimate.block_bytes <= share_block_bytes(limit, is_exchanged=True):
        return
    need = LAYOUT_WORKER_BYTES + limit.n_threads * estimate.block_bytes
    several = f" ({limit.n_threads} at once)" if limit.n_threads > 1 else ""
    fewer = f"block_windows, {config.block_windows} now" if (config.block_windows or 1) > 1 else "the windows' rows"
    raise PlanError(
        f"the largest block takes {format_size(need)} in a worker{several}, which has {format_size(limit.n_bytes)} and "
        f"may fill {LIMIT_SHARE - KEPT_SHARE:.0%} of it with what it works on; lower {fewer}, or {limit.remedy}"
    )


def _explain_large_task(label: str, n_rows: int, n_bytes: int, limit: WorkerLimit, config: RunConfig) -> str:
    need = WORKER_BYTES + limit.n_threads * n_bytes
    several = f" ({limit.n_threads} tasks at once)" if limit.n_threads > 1 else ""
    known = ", ".join(BLAS_METRICS)
    if config.source.pin is not None and config.source.pin.is_sparse:
        why = "; sparse rows are searched as a whole"
    elif not can_search_blocks(config.graph_settings()):
        why = f"; metric {config.graph.metric!r} cannot be searched in blocks of rows, as {known} can"
    elif n_rows > LEAST_BLOCK_ROWS:
        why = f"; nor does it fit in blocks of {LEAST_BLOCK_ROWS:,} rows read from the source"
    else:
        why = ""
    return (
        f"the graph of window {label!r} takes {format_size(need)} in a worker{several}, which has "
        f"{format_size(limit.n_bytes)} and may fill {LIMIT_SHARE:.0%} of it{why}; {limit.remedy}, or make windows "
        "smaller"
    )


def size_largest_block(
    read: ReadEstimate, config: RunConfig, windows: Sequence[WindowPlan], blocks: Sequence[Block], n_parts: int = 1
) -> int:
    """Estimate what the largest block takes while it is laid out, or one of several parts of it."""
    n_rows, n_windows = max(
        (sum(windows[index].n_rows for index in block.windows), len(block.windows)) for block in blocks
    )
    return block_bytes(
        n_rows,
        max(window.n_rows for window in windows),
        n_windows,
        n_neighbors=config.graph.n_neighbors,
        n_components=config.layout.n_components,
        reach=config.layout.alignment_window_size,
        id_bytes=4 * (read.row_bytes - read.label_bytes),
        n_parts=n_parts,
    )


def maps_bytes(windows: Sequence[WindowPlan], config: RunConfig) -> int:
    """Estimate what the positions of all windows take, before and after a round of blocks in parallel."""
    return 2 * 4 * config.layout.n_components * sum(window.n_rows for window in windows)


def _store_bytes(read: ReadEstimate, config: RunConfig, windows: Sequence[WindowPlan]) -> int:
    k = config.graph.n_neighbors
    graph = 8 * k + 8 * int(_EDGES_PER_NEIGHBOUR * (k - 1)) + 8
    width = _STORED_SHARE * (graph + 8 + read.row_bytes) + 4 * config.layout.n_components
    return int(sum(window.n_rows for window in windows) * width) + len(windows) * _WINDOW_BYTES
