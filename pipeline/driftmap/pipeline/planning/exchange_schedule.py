"""Blocks in parallel -> steps of work, which of them need which, and in what order they are best sent (pure)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from driftmap.engine import PACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.planning.blocks import Block

_READ_AHEAD = 2
"""How many blocks before its turn to be carried a block is read: the carry pass, which is sequential, never waits."""


_GROUPS_A_SLOT = 2
"""While the positions of one group go to other workers, its own moves the other."""

_HALVES = 2
"""So many workers hold a run of consecutive groups each, so that one boundary of all is between them: 40 windows of
5,000 rows took 5 % less time. Over more workers groups alternate: while late ones are carried, all workers move."""


class Step(NamedTuple):
    """One piece of work on one block: read it, find pieces, then clusters, carry it, move it by one round, write."""

    kind: Literal["read", "pieces", "cluster", "carry", "move", "write"]
    block: int
    round: int = 0
    n_blocks: int = 1
    """Of a move: so many blocks from `block` on are moved, each by itself."""

    @property
    def blocks(self) -> range:
        """Numbers of its blocks."""
        return range(self.block, self.block + self.n_blocks)


def group_blocks(n_blocks: int, n_slots: int) -> list[range]:
    """Cut blocks into groups of consecutive ones, each of which is moved by one task a round; the bytes stay the same.

    A task costs the scheduler, the workers' event loops and the client 10 ms of CPU together, a fifth of what it takes
    to move five windows of 5,000 rows by one round.

    Parameters
    ----------
    n_blocks
        Blocks that are laid out in parallel.
    n_slots
        Tasks that run at a time.

    Returns
    -------
    list of range
        Two groups a slot or more; so many that the rounds of the last group, which begin when all blocks are carried,
        last no longer than the slots take for all blocks.
    """
    carry, joint = PACE.carry_share, PACE.usual_joint_share
    at_most = n_blocks * ((carry + joint) / n_slots - carry) / joint
    size = max(1, min(n_blocks // (_GROUPS_A_SLOT * n_slots), int(at_most)))
    n_groups = -(-n_blocks // size)
    bounds = [number * n_blocks // max(1, n_groups) for number in range(n_groups + 1)]
    return [range(first, last) for first, last in pairwise(bounds)]


def place_step(step: Step, groups: Sequence[range], n_workers: int) -> int:
    """Return the place that a step runs at: that of its group, or for clusters the next, which is less at work then.

    Parameters
    ----------
    step
        From `plan_steps`.
    groups
        That it was planned with.
    n_workers
        That there are places on, each with the slots that it has.
    """
    number = next(number for number, group in enumerate(groups) if step.block in group)
    place = number * n_workers // len(groups) if n_workers == _HALVES else number
    return place + (step.kind in {"pieces", "cluster"})


def plan_steps(
    blocks: Sequence[Block],
    n_rounds: int,
    n_blocks_done: int = 0,
    *,
    groups: Sequence[range] | None = None,
    is_written: bool = True,
) -> list[tuple[Step, tuple[int, ...]]]:
    """List all steps, each with the numbers of the earlier ones whose results it takes.

    Blocks are read, and cut into pieces, by themselves; their clusters are found and they are carried in order; a group
    of blocks moves in a round when it and those around it have moved in the round before. Steps that can run at the
    same time stand together, so that the early blocks already move while the late ones are carried.

    Parameters
    ----------
    blocks
        From `plan_exchange_blocks`.
    n_rounds
        Rounds of the joint pass, one at least.
    n_blocks_done
        Blocks, from the first, whose last round is not needed any more.
    groups
        From `group_blocks`; each block by itself when left out.
    is_written
        Whether the maps are written; else where they stand after the last round is what comes of it.
    """
    around = [_find_neighbours(blocks, number) for number in range(len(blocks))]
    groups = [range(number, number + 1) for number in range(len(blocks))] if groups is None else groups
    needs: dict[Step, list[Step]] = {}
    level: dict[Step, int] = {}
    for number in range(len(blocks)):
        needs[Step("read", number)] = []
        level[Step("read", number)] = max(0, number - _READ_AHEAD)
    for number in range(len(blocks)):
        before = [Step("carry", other) for other in around[number] if other < number]
        needs[Step("carry", number)] = [Step("read", number), *before]
    moved = _add_moves(needs, groups, around, n_rounds, n_blocks_done)
    for number in range(n_blocks_done, len(blocks) if is_written else 0):
        before = [Step("cluster", number - 1)] if number > n_blocks_done else []
        needs[Step("pieces", number)] = []
        needs[Step("cluster", number)] = [Step("pieces", number), *before]
        level[Step("pieces", number)] = level[Step("cluster", number)] = max(0, number - _READ_AHEAD)
        needs[Step("write", number)] = [moved[number], Step("cluster", number)]
    for step, needed in needs.items():
        if step.kind not in {"read", "pieces", "cluster"}:
            level[step] = 1 + max(level[other] for other in needed)
    order = sorted(needs, key=lambda step: (level[step], step.kind in {"move", "write"}, step.block))
    number_of = {step: number for number, step in enumerate(order)}
    return [(step, tuple(number_of[other] for other in needs[step])) for step in order]


def _add_moves(
    needs: dict[Step, list[Step]],
    groups: Sequence[range],
    around: Sequence[Sequence[int]],
    n_rounds: int,
    n_blocks_done: int,
) -> dict[int, Step]:
    """Add the moves of all rounds to what needs what; returns the last one of each block."""
    before = {number: Step("carry", number) for number in range(len(around))}
    for round_number in range(n_rounds):
        now = dict(before)
        for group in groups:
            if round_number == n_rounds - 1 and group.stop <= n_blocks_done:
                continue
            step = Step("move", group.start, round_number, len(group))
            seen = sorted({other for number in group for other in around[number]})
            needs[step] = list(dict.fromkeys(before[other] for other in seen))
            now |= dict.fromkeys(group, step)
        before = now
    return before


def _find_neighbours(blocks: Sequence[Block], number: int) -> list[int]:
    """Return the blocks that hold windows of a block: itself and those with windows of its halo, in order."""
    windows = blocks[number].windows
    first = last = number
    while first > 0 and blocks[first].core.start > windows.start:
        first -= 1
    while last + 1 < len(blocks) and blocks[last].core.stop < windows.stop:
        last += 1
    return list(range(first, last + 1))
