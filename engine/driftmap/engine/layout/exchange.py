"""Lay out blocks of windows in parallel: each moves by itself for a round of epochs, then sees its neighbours again.

A carry pass, short since nothing can run beside it, gives the start: every window from those before it. The joint pass
is then cut into rounds. In a round a block moves its own windows and reads those around it, the halo, where they stood
when the round began; so all blocks of a round can run at once, and where they run changes no byte.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.layout.block import BlockLayout, check_block, count_epochs, find_block_strengths
from driftmap.engine.layout.pace import N_EXCHANGES, PACE, Pace, plan_rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from driftmap.engine.layout.block import BlockWindow
    from driftmap.engine.layout.flatten import RelationMap
    from driftmap.engine.layout.optimiser import EpochCallback
    from driftmap.engine.settings import LayoutSettings
    from driftmap.engine.types import Float32Array


class ExchangeBlock:
    """One of several blocks that are laid out in parallel.

    Parameters
    ----------
    windows
        The windows it moves, its core, and the halo on both sides: fixed, and without positions.
    relations, settings, random_state
        As for `lay_out_block`.
    rounds
        Epochs of each round; the same for all blocks of a run.
    pace
        As for `lay_out_block`.
    """

    def __init__(
        self,
        windows: Sequence[BlockWindow],
        relations: RelationMap,
        settings: LayoutSettings,
        random_state: int,
        rounds: Sequence[range],
        pace: Pace = PACE,
    ) -> None:
        self._layout = BlockLayout(windows, relations, settings, random_state, pace)
        self._given = windows, relations, settings
        self._core = [place for place, window in enumerate(windows) if not _is_halo(window)]
        self._rounds = rounds
        self.n_carry_epochs = self._layout.n_carry_epochs
        self.n_bytes = self._layout.n_bytes

    def carry(
        self, before: Mapping[int, Float32Array], on_epoch: Callable[[int], None] | None = None
    ) -> list[Float32Array]:
        """Carry the core from the windows before it.

        Parameters
        ----------
        before
            Positions of the halo before the core, by places in the block.
        on_epoch
            Called with the number of epochs just done.

        Returns
        -------
        Positions of the core's windows.
        """
        self._place(before)
        self._layout.carry(on_epoch)
        return self._read()

    def find_strengths(self) -> list[float]:
        """Return the strength of the alignment in each window of the core; see `find_block_strengths`."""
        strengths = find_block_strengths(*self._given)
        return [strengths[place] for place in self._core]

    def move(
        self, number: int, positions: Mapping[int, Float32Array], on_epoch: Callable[[int], None] | None = None
    ) -> list[Float32Array]:
        """Move the core by one round.

        Parameters
        ----------
        number
            Of the round.
        positions
            Of all windows of the block as the round begins, by their places in it.
        on_epoch
            Called with the number of epochs just done.

        Returns
        -------
        Positions of the core's windows.
        """
        self._place(positions)
        self._layout.move(self._rounds[-1].stop, self._rounds[number], on_epoch)
        return self._read()

    def _place(self, positions: Mapping[int, Float32Array]) -> None:
        for place, there in positions.items():
            self._layout.place(place, there)

    def _read(self) -> list[Float32Array]:
        return [self._layout.read(place) for place in self._core]


def lay_out_in_exchange(
    windows: Sequence[BlockWindow],
    relations: RelationMap,
    settings: LayoutSettings,
    random_state: int,
    cores: Sequence[range],
    n_exchanges: int = N_EXCHANGES,
    on_epoch: EpochCallback | None = None,
    pace: Pace = PACE,
) -> list[Float32Array]:
    """Lay out blocks of windows as if in parallel, here one after the other: the serial twin of a cluster.

    Parameters
    ----------
    windows, relations, settings, random_state, on_epoch, pace
        As for `lay_out_block`; an epoch of one block counts as one.
    cores
        Windows of each block; together all windows, in order.
    n_exchanges
        Rounds of the joint pass.

    Returns
    -------
    list[Float32Array]
        As `lay_out_block`; with as many rounds as epochs also its bytes, at the same pace.

    Raises
    ------
    InvalidInputError
        When windows or cores cannot be used.
    """
    check_block(windows, settings.n_components)
    _check_cores(cores, len(windows))
    if not windows:
        return []
    rounds = plan_rounds(settings, [window.index for window in windows if not window.is_fixed], n_exchanges, pace)
    spans = [add_halo(core, len(windows), settings.alignment_window_size) for core in cores]
    blocks = [
        ExchangeBlock(
            [windows[t] if t in core else as_halo(windows[t]) for t in span],
            pick_relations(relations, core, span),
            settings,
            random_state,
            rounds,
            pace,
        )
        for core, span in zip(cores, spans, strict=True)
    ]
    total = sum(block.n_carry_epochs for block in blocks) + len(blocks) * rounds[-1].stop
    watch = count_epochs(on_epoch, total)
    maps: list[Float32Array] = []
    for core, span, block in zip(cores, spans, blocks, strict=True):
        maps += block.carry({t - span.start: maps[t] for t in range(span.start, core.start)}, watch)
    for number in range(len(rounds)):
        maps = [
            positions
            for span, block in zip(spans, blocks, strict=True)
            for positions in block.move(number, {t - span.start: maps[t] for t in span}, watch)
        ]
    return maps


def add_halo(core: range, n_windows: int, reach: int) -> range:
    """Return a block's windows: its core, and the halo of those within the alignment reach on both sides."""
    return range(max(0, core.start - reach), min(n_windows, core.stop + reach))


def as_halo(window: BlockWindow) -> BlockWindow:
    """Return a window as a block's halo has it: read where it stands at the time, never moved.

    Parameters
    ----------
    window
        A window of a block.

    Returns
    -------
    BlockWindow
        The same window, fixed.
    """
    return replace(window, positions=None, is_fixed=True, start=None)


def pick_relations(relations: RelationMap, core: range, span: range) -> RelationMap:
    """Return the relations that a block reads, by places in the block: of its core with all its windows."""
    return {
        (i - span.start, j - span.start): relation
        for (i, j), relation in relations.items()
        if (i in core and j in span) or (j in core and i in span)
    }


def _is_halo(window: BlockWindow) -> bool:
    return window.is_fixed and window.positions is None


def _check_cores(cores: Sequence[range], n_windows: int) -> None:
    if [t for core in cores for t in core] != list(range(n_windows)):
        msg = f"cores must hold the {n_windows} windows once each, in order, got {list(cores)}."
        raise InvalidInputError(msg)
