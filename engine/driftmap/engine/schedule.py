"""Which windows of a block move in which epochs, and at what learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.optimise import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

CARRY_SHARE = 0.5
"""Epochs in which a new window finds its place after those before it, as a share of n_epochs."""
JOINT_SHARE = 1.5
"""Epochs in which all windows of a block move together, as a share of n_epochs."""
JOINT_LEARNING_RATE = 0.3
"""Where the falling learning rate of the joint pass starts, as a share of learning_rate: cool keeps more neighbours."""

_JOINT_FIRST_EPOCH = 1_000_000
"""Where the random numbers of the joint pass start: out of the way of any carry pass."""


class Schedule:
    """Stages of a block: a carry pass for each new window, then one joint pass of all that are free to move.

    Parameters
    ----------
    n_epochs, learning_rates
        One value per window.
    is_new
        Windows that have no positions yet.
    is_fixed
        Halo windows.
    """

    def __init__(
        self,
        n_epochs: Sequence[int],
        learning_rates: Sequence[float],
        is_new: Sequence[bool],
        is_fixed: Sequence[bool],
    ) -> None:
        self._n_epochs = n_epochs
        self._learning_rates = learning_rates
        self._is_first = all(is_new)
        self._free = [place for place, fixed in enumerate(is_fixed) if not fixed]
        self._n_joint = max((round(JOINT_SHARE * n_epochs[place]) for place in self._free), default=0)
        self.n_epochs = self._n_joint + sum(self._n_carry(place) for place, new in enumerate(is_new) if new)
        """Epochs of all stages."""

    def carry(self, place: int) -> Stage:
        """One new window alone, its learning rate falling to 0."""
        n = self._n_carry(place)
        rates = np.zeros((n, len(self._n_epochs)), dtype=np.float32)
        rates[:, place] = self._learning_rates[place] * (1 - np.arange(n) / max(n, 1))
        return Stage([place], n, rates, 0, place + 1)

    def joint(self) -> Stage:
        """All windows that are not fixed; one with fewer epochs than the most moves in evenly spaced epochs."""
        n = self._n_joint
        rates = np.zeros((n, len(self._n_epochs)), dtype=np.float32)
        falling = JOINT_LEARNING_RATE * (1 - np.arange(n) / max(n, 1))
        for place in self._free:
            own = round(JOINT_SHARE * self._n_epochs[place])
            moves = (np.arange(1, n + 1) * own) // max(n, 1) > (np.arange(n) * own) // max(n, 1)
            rates[:, place] = np.where(moves, falling * self._learning_rates[place], 0)
        return Stage(self._free, n, rates, _JOINT_FIRST_EPOCH, len(self._n_epochs))

    def _n_carry(self, place: int) -> int:
        """Count the epochs of one new window; the first of a run has all epochs to unfold."""
        return self._n_epochs[place] if place == 0 and self._is_first else round(CARRY_SHARE * self._n_epochs[place])
