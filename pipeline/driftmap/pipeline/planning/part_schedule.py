"""A block whose rows are shared out -> steps of work, and which of them need which (pure)."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class PartStep(NamedTuple):
    """One piece of work on a block: find its clusters, place a new window, move a part of rows by one epoch, write."""

    kind: Literal["cluster", "start", "carry", "move", "write"]
    place: int = -1
    """Place in the block of the new window that is placed or carried."""
    epoch: int = 0
    part: int = 0
    is_last: bool = False
    """Whether no part moves after this epoch."""


def plan_part_steps(
    n_parts: int, carried: Mapping[int, int], n_joint_epochs: int
) -> list[tuple[PartStep, tuple[int, ...]]]:
    """List all steps, each with the numbers of the earlier ones whose results it takes.

    A part moves by an epoch once all parts have moved by the one before. It also takes where the windows stand that do
    not move at the time, so that a worker which takes a part over needs nothing else.

    Parameters
    ----------
    n_parts
        Parts of every window's rows.
    carried
        Epochs of the carry pass of each new window, by its place in the block, in order; 0 where it is carried as it is
        placed.
    n_joint_epochs
        Epochs of the joint pass.
    """
    steps: list[tuple[PartStep, tuple[int, ...]]] = [(PartStep("cluster"), ())]
    standing: list[tuple[int, ...]] = []

    def add(kind: Literal["carry", "move"], place: int, n_epochs: int, last: tuple[int, ...]) -> tuple[int, ...]:
        beside = tuple(chain.from_iterable(standing)) if kind == "carry" else ()
        for epoch in range(n_epochs):
            is_last = kind == "move" and epoch == n_epochs - 1
            first = len(steps)
            steps.extend((PartStep(kind, place, epoch, part, is_last), (*beside, *last)) for part in range(n_parts))
            last = tuple(range(first, len(steps)))
        return last

    for place, n_epochs in carried.items():
        # Clusters first: they take the memory that parts are kept in later.
        steps.append((PartStep("start", place), tuple(chain.from_iterable(standing)) or (0,)))
        standing.append(add("carry", place, n_epochs, (len(steps) - 1,)))
    last = add("move", -1, n_joint_epochs, tuple(chain.from_iterable(standing)) or (0,))
    return [*steps, (PartStep("write"), (0, *last))]
