"""How long the passes of a layout are, how fast, and in how many rounds; imports nothing of weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Pace(NamedTuple):
    """How long the two passes of a layout are, and how fast."""

    carry_share: float = 0.1
    """Epochs in which a new window finds its place after those before it, as a share of n_epochs."""
    joint_share: float = 1.9
    """Epochs in which all windows move together, as a share of n_epochs."""
    joint_learning_rate: float = 0.3
    """Where the joint pass's falling rate starts, as a share of learning_rate: cool keeps more neighbours."""

    def count_joint_epochs(self, n_epochs: Sequence[int]) -> int:
        """Count the epochs of the joint pass of windows with so many epochs each."""
        return max((round(self.joint_share * n) for n in n_epochs), default=0)


PACE = Pace()
"""The pace of every layout. As many epochs with a carry pass of .5 and a joint one of 1.5 leave more drift: over one
window .61 of umap-learn's against .59 on house_votes, .53 against .49 on digits, at the same trustworthiness. With a
carry pass of .025, blocks in parallel drift 3.8 % more than one joint layout, with .1 .5 % (numpy_commits)."""

N_EXCHANGES = 40
"""Rounds of the joint pass. With 5, 10, 20, 40 and 80 of them house_votes in blocks of 4 windows drifts 2.5, 1.6, 1.0,
.7 and .3 % more over one window than one joint layout, and gapminder keeps 1.0, .7, .4, .2 and .1 % fewer neighbours
(means of 5 seeds, `tests.benchmarks exchange`); with more, rounds become short tasks."""
