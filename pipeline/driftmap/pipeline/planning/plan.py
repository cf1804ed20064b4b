"""What a run would do: its windows, its blocks, and what they take."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from math import isinf
from typing import TYPE_CHECKING

from driftmap.engine.settings import check_together
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.executors.base import COORDINATOR_SHARE
from driftmap.pipeline.executors.machine import count_memory_bytes, read_size
from driftmap.pipeline.planning.blocks import (
    MAX_CORE_WINDOWS,
    choose_block_windows,
    choose_exchange_core,
    plan_blocks,
    plan_exchange_blocks,
)
from driftmap.pipeline.planning.column_checks import (
    check_columns,
    describe_lone_rows,
    describe_order,
    describe_rounding,
    describe_times,
    refuse_sparse_settings,
    refuse_unfit_metrics,
    refuse_unfit_rows,
)
from driftmap.pipeline.planning.cuts import LEAST_ROWS
from driftmap.pipeline.planning.estimates.layout_choice import estimate_layout
from driftmap.pipeline.planning.estimates.memory import (
    choose_parts,
    estimate_plan,
    explain_layout_here,
    explain_parts,
    share_block_bytes,
    size_largest_block,
)
from driftmap.pipeline.planning.estimates.reading import plan_reading
from driftmap.pipeline.planning.row_lines import (
    describe_reasons,
    describe_repulsion,
    describe_rows,
    describe_scale,
    describe_target,
)
from driftmap.pipeline.planning.windows import plan_windows
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.store.shared_rows import digest_bad_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.executors.base import WorkerLimit
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.estimates.memory import Estimate
    from driftmap.pipeline.planning.estimates.reading import Reading
    from driftmap.pipeline.planning.estimates.run_time import Duration
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source

_CHOSEN_SHARE = 0.9
"""Part of a worker's room for a block that the choice of its length fills: ids and labels come on top."""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    config: RunConfig
    windows: list[WindowPlan]
    blocks: list[Block]
    estimate: Estimate
    duration: Duration | None = None
    """Where it was asked for."""
    skipped: tuple[str, ...] = ()
    """Labels of windows that are left out, since they have fewer than two rows."""
    doubts: tuple[str, ...] = ()
    """What metadata say against the columns: missing values in rows of no window, spreads that differ widely."""
    bad_rows: Int64Array | None = field(default=None, compare=False, repr=False)
    """Numbers of the rows of the source that are dropped; None where such rows are refused."""
    placing: str = ""
    """Why a cluster's workers do not lay the blocks out, where they do not."""
    reading: Reading | None = None
    """How rows are read; None where any rows are picked at the same cost."""
    in_parallel: str = ""
    """Why blocks are laid out in order or in parallel, where that was chosen."""
    rounding: str = ""
    """What float32 rounds away of the vectors, where that matters."""

    @property
    def n_shared(self) -> int:
        """Rows that the window before has too, by their ids where there are some."""
        return sum(window.n_shared for window in self.windows)

    @property
    def n_rows(self) -> int:
        """Rows of all windows; a row counts in every window that has it."""
        return sum(window.n_rows for window in self.windows)

    @property
    def rule(self) -> str:
        """How windows follow each other: by whose clock, or in which order of a column's values."""
        rule = self.config.windows
        if rule.window is not None:
            return f"Windows begin by the clock of {rule.timezone or 'UTC'} (timezone)"
        if rule.by is None:
            return "Windows are rows in the order of the source"
        if isinstance(rule.order, tuple):
            return f"Windows are in the order of {rule.by!r}: {name_some(list(rule.order))}"
        return f"Windows are in {rule.order or 'text'} order of {rule.by!r} (order)"

    @property
    def columns(self) -> list[str]:
        """Which columns make up the vectors, and what is to be known of them: a line for each."""
        pin = self.config.source.pin
        source = self.config.source
        rows = describe_rows(source.on_bad_rows, source.duplicates, source.id is not None, self.windows)
        scale = describe_scale(self.config.scale, self.config.scaling)
        reading = [] if self.reading is None else self.reading.describe()
        reasons = describe_reasons(source.text, source.show)
        target = describe_target(source.target, dict(self.config.target))
        return [*(() if pin is None else pin.describe()), *target, *reasons, *scale, *rows, *self.doubts, *reading]

    @property
    def repulsion(self) -> list[str]:
        """How strong the repulsion is: a line, or none."""
        return describe_repulsion(self.config.layout.repulsion_strength, self.windows)

    @property
    def notes(self) -> list[str]:
        """What was decided for the user, one sentence each: how dates are read, windows left out or small, rounding."""
        k = self.config.graph.n_neighbors
        small = [f"{window.label!r} ({window.n_rows} rows)" for window in self.windows if window.n_rows < k]
        notes = describe_order(self.config.windows, [*(window.label for window in self.windows), *self.skipped])
        if self.skipped:
            notes.append(
                f"{_count(list(map(repr, self.skipped)))} left out, with fewer than {LEAST_ROWS} rows (on_empty)"
            )
        if small:
            notes.append(f"{_count(small)} smaller than n_neighbors ({k}): all rows of such a window are neighbours")
        if self.in_parallel:
            notes.append(self.in_parallel)
        if self.placing:
            notes.append(self.placing)
        if self.rounding:
            notes.append(self.rounding)
        return notes

    def __str__(self) -> str:
        lines = [f"{len(self.windows)} windows, {self.n_rows:,} rows, {len(self.blocks)} blocks", *self.columns]
        lines += [f"  {window.label}: {window.n_rows:,} rows" for window in self.windows]
        return "\n".join(lines)


def make_plan(
    source: Source,
    config: RunConfig,
    memory_limit: int | str | None,
    limit: WorkerLimit | None = None,
    bad_rows: Int64Array | None = None,
    *,
    is_cluster: bool = False,
) -> Plan:
    """Cut a source into windows and blocks, and estimate what they take; see `coordinator.plan`.

    Parameters
    ----------
    source, config, memory_limit
        Of the run.
    limit
        What workers have: those that lay blocks out are to have room for them.
    bad_rows
        Numbers of the rows that are dropped; None where such rows are refused.
    is_cluster
        Whether workers are elsewhere: they lay blocks out, where they have room for them.
    """
    refuse_sparse_settings(source, config.graph.metric, config.scale)
    reach = config.layout.alignment_window_size
    windows, skipped = plan_windows(
        source, config.window_rule, config.graph.n_neighbors, reach=reach, bad_rows=bad_rows
    )
    refuse_unfit_metrics(source, windows, config.graph.metric, config.target.target_metric)
    refuse_unfit_rows(source, windows, config.graph.metric)
    digest = None if bad_rows is None else digest_bad_rows(bad_rows)
    config = config.model_copy(update={"bad_rows": digest, "left_out": tuple(skipped)})
    check_together(dict(config.layout), len(windows))
    most = None if memory_limit is None else read_size(memory_limit, "memory_limit")
    config, in_parallel = _settle_layout(config, windows, most, limit, is_cluster=is_cluster)
    config, blocks, n_parts = _cut_blocks(source, config, windows, most, limit, is_cluster=is_cluster)
    estimate = estimate_plan(source, config, windows, blocks, n_parts=n_parts)
    doubts = (*check_columns(source, windows, config.scale), *describe_times(source, config.windows))
    doubts = (*doubts, *describe_lone_rows(config.graph.set_op_mix_ratio))
    size = size_largest_block(source.estimate_read(0), config, windows, blocks)
    placing = explain_layout_here(size, limit) if is_cluster and not n_parts else ""
    if n_parts > 1 and limit is not None:
        placing = explain_parts(size, n_parts, limit)
    reading = plan_reading(source, [window.runs for window in windows])
    rounding = describe_rounding(source, config.scale)
    notes = (doubts, bad_rows, placing, reading, in_parallel, rounding)
    return Plan(config, windows, blocks, estimate, None, tuple(skipped), *notes)


def _count(names: list[str]) -> str:
    return f"window {names[0]} is" if len(names) == 1 else f"{len(names)} windows ({name_some(names)}) are"


def _settle_layout(
    config: RunConfig,
    windows: Sequence[WindowPlan],
    memory_limit: int | None,
    limit: WorkerLimit | None,
    *,
    is_cluster: bool,
) -> tuple[RunConfig, str]:
    """Choose between blocks in order and in parallel where that is open, and say why; on this machine in order."""
    if config.layout.layout != "auto":
        return config, ""
    in_order, in_parallel = (
        config.model_copy(update={"layout": config.layout.model_copy(update={"layout": layout})})
        for layout in ("carry", "exchange")
    )
    if not is_cluster:
        return in_order, ""
    with suppress(PlanError):  # a block does not fit beside others
        _, blocks = _cut(in_parallel, windows, _find_room(memory_limit, limit, is_exchanged=True))
        seconds = estimate_layout(in_parallel, windows, len(blocks))
        if seconds.is_exchange_worth_it:
            return in_parallel, (
                f"blocks are laid out in parallel, which changes maps a little ({seconds}); layout='carry' lays them "
                "out in order"
            )
    return in_order, ""


def _find_room(memory_limit: int | None, limit: WorkerLimit | None, *, is_exchanged: bool) -> int:
    """Find what a block may take on a worker."""
    here = int(COORDINATOR_SHARE * count_memory_bytes()) if memory_limit is None else memory_limit
    room = share_block_bytes(limit, is_exchanged=is_exchanged)
    return here if memory_limit is not None or isinf(room) or not room else int(_CHOSEN_SHARE * room)


def _cut_blocks(
    source: Source,
    config: RunConfig,
    windows: Sequence[WindowPlan],
    memory_limit: int | None,
    limit: WorkerLimit | None,
    *,
    is_cluster: bool,
) -> tuple[RunConfig, list[Block], int]:
    """Choose the length of blocks where it is not given, and how many workers share one; 0: it is laid out here.

    Blocks of a cluster are those that this machine would choose, so that maps are the same, unless no worker has room.
    """
    here = int(COORDINATOR_SHARE * count_memory_bytes()) if memory_limit is None else memory_limit
    there = _find_room(memory_limit, limit, is_exchanged=config.is_exchanged)
    if config.is_exchanged:
        return *_cut(config, windows, there), 1
    n_slots = 1 if limit is None else limit.n_workers * limit.n_threads
    tried = ((here, 1, 1), (there, 1, 1), (here, 1, n_slots), (there, n_slots, n_slots))
    for share, n_sharing, most_parts in tried if is_cluster else ():
        with suppress(PlanError):  # said below, where the others do not fit either
            chosen, blocks = _cut(config, windows, share, n_sharing)
            n_parts = choose_parts(source.estimate_read(0), chosen, windows, blocks, limit)
            if 0 < n_parts <= most_parts:
                return chosen, blocks, n_parts
    return *_cut(config, windows, here), 0


def _cut(
    config: RunConfig, windows: Sequence[WindowPlan], max_bytes: int, n_parts: int = 1
) -> tuple[RunConfig, list[Block]]:
    """Cut windows into blocks of which a part takes so many bytes, or as long ones as were asked for."""
    reach = config.layout.alignment_window_size
    if config.block_windows is None:
        block_windows = choose_block_windows(
            [window.n_rows for window in windows],
            max_bytes,
            n_neighbors=config.graph.n_neighbors,
            n_components=config.layout.n_components,
            lookahead=reach if config.is_exchanged else config.lookahead,
            reach=reach,
            at_most=choose_exchange_core(len(windows)) if config.is_exchanged else MAX_CORE_WINDOWS,
            n_parts=n_parts,
        )
        config = config.model_copy(update={"block_windows": block_windows})
    length = config.block_windows or 1
    if config.is_exchanged:
        return config, plan_exchange_blocks(len(windows), length, reach)
    return config, plan_blocks(len(windows), length, config.lookahead, reach)
