"""Which windows of a block move in which epochs, and at what learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.layout.optimiser import Stage
from driftmap.engine.layout.pace import PACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.layout.pace import Pace

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
    fresh
        Share of each window's rows that no window before it has.
    n_rows
        Of each window.
    pace
        Lengths and rates of the passes.
    """

    def __init__(
        self,
        n_epochs: Sequence[int],
        learning_rates: Sequence[float],
        is_new: Sequence[bool],
        is_fixed: Sequence[bool],
        fresh: Sequence[float],
        n_rows: Sequence[int],
        pace: Pace = PACE,
    ) -> None:
        self._n_epochs = n_epochs
        self._learning_rates = learning_rates
        self._n_rows = n_rows
        self._pace = pace
        self._free = [place for place, fixed in enumerate(is_fixed) if not fixed]
        self._is_first = is_new[0] and not is_fixed[0]
        self.n_carry_epochs = sum(self._count_carry_epochs(place) for place, new in enumerate(is_new) if new)
        """Epochs of all carry stages."""
        self.n_joint_epochs = pace.count_joint_epochs([n_epochs[place] for place in self._free])
        """Epochs of the joint stage, where no other windows move with these."""
        self._own = [pace.count_own_epochs(n, share) for n, share in zip(n_epochs, fresh, strict=True)]

    def carry(self, place: int) -> Stage:
        """One new window alone, its learning rate falling to 0."""
        n = self._count_carry_epochs(place)
        rates = np.zeros((n, len(self._n_epochs)), dtype=np.float32)
        rates[:, place] = self._learning_rates[place] * (1 - np.arange(n) / max(n, 1))
        n_drawn = self._pace.count_drawn_epochs(n, self._n_rows[place], is_first=self._is_unfolded(place))
        return Stage([place], n, rates, 0, place + 1, n_drawn=n_drawn)

    def joint(self, n: int, epochs: range) -> Stage:
        """All free windows in some of `n` joint epochs, each in as many of them as it has, evenly spaced."""
        rates = np.zeros((n, len(self._n_epochs)), dtype=np.float32)
        falling = self._pace.joint_learning_rate * (1 - np.arange(n) / max(n, 1)) ** self._pace.joint_decay
        for place in self._free:
            own = min(self._own[place], n)
            moves = (np.arange(1, n + 1) * own) // max(n, 1) > (np.arange(n) * own) // max(n, 1)
            rates[:, place] = np.where(moves, falling * self._learning_rates[place], 0)
        first = _JOINT_FIRST_EPOCH + epochs.start
        hot = np.array(self._learning_rates, dtype=np.float32) * np.float32(self._pace.hot_rate)
        return Stage(self._free, len(epochs), rates[epochs.start : epochs.stop], first, len(self._n_epochs), hot)

    def _count_carry_epochs(self, place: int) -> int:
        return self._pace.count_carry_epochs(
            self._n_epochs[place], self._n_rows[place], is_first=self._is_unfolded(place)
        )

    def _is_unfolded(self, place: int) -> bool:
        """Tell whether a window is a run's first."""
        return place == 0 and self._is_first
