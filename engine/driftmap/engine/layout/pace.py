"""How long the passes of a layout are, how fast, and in how many rounds; loads no kernels."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.sizes import LARGE_ROWS, SMALL_ROWS
from driftmap.engine.settings import DEFAULT_N_EPOCHS, pick_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from driftmap.engine.settings import LayoutSettings


class Pace(NamedTuple):
    """How long the two passes of a layout are, and how fast."""

    carry_share: float = 0.1
    """Epochs in which a new window is carried from those before it, as a share of n_epochs."""
    large_first_share: float = 0.25
    """The same of the first window, which else has n_epochs to unfold, where it has more than LARGE_ROWS rows: groups
    of its rows are placed before. With 1, .5 and .25 maps of 29,565 texts have a trustworthiness of .8607, .8594 and
    .8612, of 200,000 rows of groups .9569, .9572 and .9575; as many neighbours are kept (three seeds)."""
    drawn_share: float = 0.6
    """Epochs in which mid-near rows attract, as a share of those in which a window is carried."""
    small_first_drawn_share: float = 0.75
    """The same of a small first window (SMALL_ROWS). With .5 distances on the maps of Gapminder's countries correlate
    by .608 (spread .015) with those in the data, and with this by .624 (.005)."""
    first_drawn_share: float = 0.5
    """The same of a larger one. With .75 MNIST's digits, 14,000 in one window, have a trustworthiness of .957, and .959
    with this (.961 without, where distances correlate by .26 and not by .44)."""
    joint_share: float = 1.1
    """Epochs in which a window moves together with the others, as a share of n_epochs."""
    fresh_share: float = 0.8
    """What is added to that where no row is related to a window before: its rows have yet to find their positions."""
    joint_learning_rate: float = 0.7
    """Where the joint pass's rate starts, as a share of learning_rate: cool keeps more neighbours."""
    joint_decay: float = 2.0
    """Power with which the joint pass's rate falls to 0: most epochs are cool."""
    hot_rate: float = 0.175
    """Rate of the joint pass, as a share of learning_rate, above which half of the negative samples do: that of its
    middle. With .08 un_votes and counties keep .001 fewer neighbours (`tests.benchmarks quality`, five seeds)."""

    @property
    def usual_joint_share(self) -> float:
        """What `joint_share` and `fresh_share` come to where a quarter of the rows is new, for estimates of time."""
        return self.joint_share + self.fresh_share / 4

    def pick_carry_share(self, n_rows: int, *, is_first: bool) -> float:
        """Pick the share of n_epochs in which a new window of so many rows is carried; the first of a run unfolds."""
        if not is_first:
            return self.carry_share
        return self.large_first_share if n_rows > LARGE_ROWS else 1.0

    def count_carry_epochs(self, n_epochs: int, n_rows: int, *, is_first: bool) -> int:
        """Count the epochs in which a new window of so many rows is carried."""
        return round(self.pick_carry_share(n_rows, is_first=is_first) * n_epochs)

    def count_drawn_epochs(self, n_carry_epochs: int, n_rows: int, *, is_first: bool) -> int:
        """Count the epochs of a carry pass of so many, of a window of so many rows, in which mid-near rows attract."""
        of_first = self.small_first_drawn_share if n_rows <= SMALL_ROWS else self.first_drawn_share
        return round((of_first if is_first else self.drawn_share) * n_carry_epochs)

    def count_joint_epochs(self, n_epochs: Sequence[int]) -> int:
        """Count the epochs of the joint pass of windows, in which each moves in its own share of them."""
        return max((self.count_own_epochs(n, 1.0) for n in n_epochs), default=0)

    def count_own_epochs(self, n_epochs: int, fresh: float) -> int:
        """Count the epochs of the joint pass in which a window moves.

        Parameters
        ----------
        n_epochs
            Of the window.
        fresh
            Share of its rows that no window before it has.
        """
        return round((self.joint_share + self.fresh_share * fresh) * n_epochs)


PACE = Pace()
"""The pace of every layout. With 1.9 of the epochs for every window and a rate that falls evenly from .3, all sets keep
the same within the spread of seeds for 1.2 to 1.5 times the CPU. With .95 for every window NumPy's commits, half of
whose rows are new, lose .0015 of trust, all of it in windows after the first. With .75, and .6 more for such windows,
trust and neighbours are kept for less, but the arrangement of far groups is not: distances on Gapminder's countries
correlate by .586 with those in the data instead of .606 (`tests.benchmarks pace` and `quality`)."""

N_EXCHANGES = 40
"""Rounds of the joint pass. With 5, 10, 20, 40 and 80 of them house_votes in blocks of 4 windows drifts 4.6, 3.3, 1.9,
1.0 and .6 % more over one window than one joint layout, and gapminder keeps .4, .3, .1, .1 and 0 % fewer neighbours
(means of 3 seeds, `tests.benchmarks exchange`); with more, rounds become short tasks."""


def plan_rounds(
    settings: LayoutSettings, indices: Iterable[int], n_exchanges: int = N_EXCHANGES, pace: Pace = PACE
) -> list[range]:
    """Cut the joint pass of a run into rounds.

    Parameters
    ----------
    settings
        Layout settings.
    indices
        Numbers of the windows that move, of all blocks.
    n_exchanges
        Rounds of the joint pass.
    pace
        How long it is.

    Returns
    -------
    list of range
        Epochs of each round.
    """
    given = [pick_value(settings.n_epochs, index) for index in indices]
    n_epochs = [DEFAULT_N_EPOCHS if value is None else int(value) for value in given]
    return cut_rounds(pace.count_joint_epochs(n_epochs), n_exchanges)


def cut_rounds(n_epochs: int, n_rounds: int) -> list[range]:
    """Cut epochs into consecutive rounds of even length, one at least; no more rounds than epochs."""
    wanted = max(1, min(n_rounds, n_epochs))
    bounds = np.linspace(0, n_epochs, wanted + 1).round().astype(int).tolist()
    return [range(first, last) for first, last in pairwise(bounds)]
