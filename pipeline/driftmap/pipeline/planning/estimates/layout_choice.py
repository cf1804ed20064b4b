"""Carry or exchange: how long each layout takes on a cluster, by a model of measured parts, and which one is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from driftmap.engine import N_EXCHANGES, PACE
from driftmap.engine.settings import DEFAULT_N_EPOCHS, pick_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.planning.windows import WindowPlan

_MOVE_SECONDS = 1.5e-7
"""One row in one epoch, tied to windows around it, of one core: `python -m tests.benchmarks large`."""

_ROW_SECONDS = 2.3e-5
"""One row's share of reading and writing its window, and of finding its clusters."""

_STEP_SECONDS = 0.01
"""What one block costs in one round besides its moves: a task, and positions that go from worker to worker."""

_LEAST_WORKERS = 2
"""The model is asked for two workers, the fewest that can gain: by their real number, maps would depend on it."""

_LEAST_GAIN_SECONDS = 4
"""Less is not worth that a layout which is killed in an exchange begins again."""


class LayoutSeconds(NamedTuple):
    """How long a layout takes on two workers of a cluster."""

    carry: float
    exchange: float

    @property
    def is_exchange_worth_it(self) -> bool:
        """Whether blocks should be laid out in parallel."""
        return self.carry - self.exchange >= _LEAST_GAIN_SECONDS

    def __str__(self) -> str:
        return f"roughly {self.carry:,.0f} s in order, {self.exchange:,.0f} s in parallel on two workers"


def estimate_layout(config: RunConfig, windows: Sequence[WindowPlan], n_blocks: int) -> LayoutSeconds:
    """Estimate both layouts of a run.

    Parameters
    ----------
    config, windows
        Of the plan.
    n_blocks
        Blocks in an exchange.
    """
    moves = sum(window.n_rows * _count_epochs(config, window.index) for window in windows) * _MOVE_SECONDS
    carry = (PACE.carry_share + PACE.usual_joint_share) * moves
    beside = sum(window.n_rows for window in windows) * _ROW_SECONDS
    shared = beside * -(-n_blocks // _LEAST_WORKERS) / max(1, n_blocks)
    return LayoutSeconds(carry + beside, share_layout(carry, n_blocks, _LEAST_WORKERS) + shared)


def share_layout(carry_seconds: float, n_blocks: int, n_workers: int) -> float:
    """Return the seconds that moves in parallel take on some workers, by those that they take in order on one."""
    n_turns = -(-n_blocks // n_workers)
    moves = carry_seconds / (PACE.carry_share + PACE.usual_joint_share)
    joint = PACE.usual_joint_share * moves * n_turns / n_blocks + N_EXCHANGES * n_turns * _STEP_SECONDS
    return PACE.carry_share * moves + joint


def _count_epochs(config: RunConfig, index: int) -> int:
    n_epochs = pick_value(config.layout.n_epochs, index)
    return DEFAULT_N_EPOCHS if n_epochs is None else int(n_epochs)
