"""Blocks in parallel -> steps of work, which of them need which, and in what order they are best sent (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.planning.blocks import Block

_READ_AHEAD = 2
"""How many blocks before its turn to be carried a block is read: the carry pass, which is sequential, never waits."""


class Step(NamedTuple):
    """One piece of work on one block: read it, find pieces, then clusters, carry it, move it by one round, write."""

    kind: Literal["read", "pieces", "cluster", "carry", "move", "write"]
    block: int
    round: int = 0


def plan_steps(
    blocks: Sequence[Block], n_rounds: int, n_blocks_done: int = 0, *, is_written: bool = True
) -> list[tuple[Step, tuple[int, ...]]]:
    """List all steps, each with the numbers of the earlier ones whose results it takes.

    Blocks are read, and cut into pieces, by themselves; their clusters are found and they are carried in order; a block
    moves in a round when it and those around it have moved in the round before. Steps that can run at the same time
    stand together, so that the early blocks already move while the late ones are carried.

    Parameters
    ----------
    blocks
        From `plan_exchange_blocks`.
    n_rounds
        Rounds of the joint pass, one at least.
    n_blocks_done
        Blocks, from the first, whose last round is not needed any more.
    is_written
        Whether the maps are written; else where they stand after the last round is what comes of it.
    """
    around = [_find_neighbours(blocks, number) for number in range(len(blocks))]
    needs: dict[Step, list[Step]] = {}
    level: dict[Step, int] = {}
    for number in range(len(blocks)):
        needs[Step("read", number)] = []
        level[Step("read", number)] = max(0, number - _READ_AHEAD)
    for number in range(len(blocks)):
        before = [Step("carry", other) for other in around[number] if other < number]
        needs[Step("carry", number)] = [Step("read", number), *before]
    for round_number in range(n_rounds):
        for number in range(n_blocks_done if round_number == n_rounds - 1 else 0, len(blocks)):
            needs[Step("move", number, round_number)] = [
                Step("move", other, round_number - 1) if round_number else Step("carry", other)
                for other in around[number]
            ]
    for number in range(n_blocks_done, len(blocks) if is_written else 0):
        before = [Step("cluster", number - 1)] if number > n_blocks_done else []
        needs[Step("pieces", number)] = []
        needs[Step("cluster", number)] = [Step("pieces", number), *before]
        level[Step("pieces", number)] = level[Step("cluster", number)] = max(0, number - _READ_AHEAD)
        needs[Step("write", number)] = [Step("move", number, n_rounds - 1), Step("cluster", number)]
    for step, needed in needs.items():
        if step.kind not in {"read", "pieces", "cluster"}:
            level[step] = 1 + max(level[other] for other in needed)
    order = sorted(needs, key=lambda step: (level[step], step.kind in {"move", "write"}, step.block))
    number_of = {step: number for number, step in enumerate(order)}
    return [(step, tuple(number_of[other] for other in needs[step])) for step in order]


def _find_neighbours(blocks: Sequence[Block], number: int) -> list[int]:
    """Return the blocks that hold windows of a block: itself and those with windows of its halo, in order."""
    windows = blocks[number].windows
    first = last = number
    while first > 0 and blocks[first].core.start > windows.start:
        first -= 1
    while last + 1 < len(blocks) and blocks[last].core.stop < windows.stop:
        last += 1
    return list(range(first, last + 1))
