"""What a run would do: its windows, its blocks, and what they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftmap.pipeline.blocks import (
    MAX_CORE_WINDOWS,
    MAX_SIDE_CORE_WINDOWS,
    choose_block_windows,
    plan_blocks,
    plan_side_blocks,
)
from driftmap.pipeline.estimates import estimate_plan
from driftmap.pipeline.execution import COORDINATOR_SHARE
from driftmap.pipeline.machine import count_memory_bytes, read_size
from driftmap.pipeline.windows import plan_windows

if TYPE_CHECKING:
    from driftmap.pipeline.blocks import Block
    from driftmap.pipeline.calibration import Duration
    from driftmap.pipeline.config import RunConfig
    from driftmap.pipeline.estimates import Estimate
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.windows import WindowPlan


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    config: RunConfig
    windows: list[WindowPlan]
    blocks: list[Block]
    estimate: Estimate
    duration: Duration | None = None
    """Where it was asked for."""

    @property
    def n_shared(self) -> int:
        """Rows that the window before has too, by their ids where there are some."""
        return sum(window.n_shared for window in self.windows)

    @property
    def n_rows(self) -> int:
        """Rows of all windows; a row counts in every window that has it."""
        return sum(window.n_rows for window in self.windows)

    def __str__(self) -> str:
        lines = [f"{len(self.windows)} windows, {self.n_rows:,} rows, {len(self.blocks)} blocks"]
        lines += [f"  {window.label}: {window.n_rows:,} rows" for window in self.windows]
        return "\n".join(lines)


def make_plan(source: Source, config: RunConfig, memory_limit: int | str | None) -> Plan:
    """Cut a source into windows and blocks, and reckon what they take; see `coordinator.plan`."""
    reach = config.layout.alignment_window_size
    windows = plan_windows(source, config.windows, config.graph.n_neighbors, reach=reach)
    if config.block_windows is None:
        block_windows = choose_block_windows(
            [window.n_rows for window in windows],
            read_size(memory_limit, "memory_limit") if memory_limit is not None else _share_of_block(),
            n_neighbors=config.graph.n_neighbors,
            n_components=config.layout.n_components,
            lookahead=reach if config.is_exchanged else config.lookahead,
            reach=reach,
            at_most=MAX_SIDE_CORE_WINDOWS if config.is_exchanged else MAX_CORE_WINDOWS,
        )
        config = config.model_copy(update={"block_windows": block_windows})
    if config.is_exchanged:
        blocks = plan_side_blocks(len(windows), config.block_windows or 1, reach)
    else:
        blocks = plan_blocks(len(windows), config.block_windows or 1, config.lookahead, reach)
    return Plan(config, windows, blocks, estimate_plan(source, config, windows, blocks))


def _share_of_block() -> int:
    return int(COORDINATOR_SHARE * count_memory_bytes())
