"""One of several equal parts of a block's rows, laid out by itself: the others' positions come in after every epoch.

A row reads all positions as of an epoch's start, so the bytes are those of the whole block in one process, whatever the
number of parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.seeds import START_STREAM, make_seed
from driftmap.engine.layout.block import (
    BlockLayout,
    BlockSettings,
    BlockWindow,
    WindowKind,
    read_window,
    set_up_block,
    shuffle_window,
)
from driftmap.engine.layout.pace import PACE, Pace
from driftmap.engine.layout.row_share import LEAST_SHARED_ROWS
from driftmap.engine.layout.start.place_new import place_new

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from driftmap.engine.layout.flatten import RelationMap
    from driftmap.engine.layout.optimiser import Stage
    from driftmap.engine.layout.row_share import RowShare
    from driftmap.engine.settings import LayoutSettings
    from driftmap.engine.types import Float32Array, ReadableGraph


class BlockPart:
    """A part of the rows of every window of a block: what moves them, and where all rows are.

    Parameters
    ----------
    graphs
        Of each window.
    kinds
        What becomes of each window.
    relations, settings, random_state, pace
        As for `lay_out_block`.
    share
        Which part this is.
    """

    def __init__(
        self,
        graphs: Sequence[ReadableGraph],
        kinds: Sequence[WindowKind],
        relations: RelationMap,
        settings: LayoutSettings,
        random_state: int,
        share: RowShare,
        pace: Pace = PACE,
    ) -> None:
        self._shuffles = [shuffle_window(graphs[place], random_state, kind.number) for place, kind in enumerate(kinds)]
        settled = BlockSettings(settings, random_state, pace)
        self._schedule, self._optimiser, arrays = set_up_block(graphs, kinds, relations, self._shuffles, settled, share)
        self._free = [place for place, kind in enumerate(kinds) if not kind.is_fixed]
        shuffled = [array for shuffle in self._shuffles for array in (shuffle.rows, shuffle.places)]
        held: list[npt.NDArray[Any]] = [*arrays, *shuffled]
        self.n_bytes = self._optimiser.n_bytes + sum(array.nbytes for array in held)
        """Memory that the part takes."""

    def place(self, place: int, positions: Float32Array) -> None:
        """Place a window, its rows in their own order, float32 (n, c)."""
        self._optimiser.set_positions(place, positions[self._shuffles[place].rows])

    def place_part(self, place: int, part: int, positions: Float32Array) -> None:
        """Place one part of a window's rows as `carry` or `move` returned it."""
        self._optimiser.set_part(place, part, positions)

    def order(self, place: int) -> None:
        """Order a placed window's rows by where they lie: it changes no byte, only the speed."""
        self._optimiser.order(place)

    def carry(self, place: int, epoch: int) -> Float32Array:
        """Move this part of a new window by one epoch of its carry pass; where its rows are then, float32 (m, c)."""
        self._run(self._schedule.carry(place), epoch)
        return self._optimiser.get_own(place)

    def move(self, epoch: int) -> dict[int, Float32Array]:
        """Move this part of all windows that are not fixed by one epoch of the joint pass; the same, by their place."""
        n = self._schedule.n_joint_epochs
        self._run(self._schedule.joint(n, range(n)), epoch)
        return {place: self._optimiser.get_own(place) for place in self._free}

    def _run(self, stage: Stage, epoch: int) -> None:
        rates, n_drawn = stage.learning_rates[epoch : epoch + 1], stage.n_drawn - epoch
        one = stage._replace(n_epochs=1, learning_rates=rates, first_epoch=stage.first_epoch + epoch, n_drawn=n_drawn)
        self._optimiser.run(one)


def place_window(
    graphs: Sequence[ReadableGraph],
    kinds: Sequence[WindowKind],
    relations: RelationMap,
    place: int,
    before: Mapping[int, Float32Array],
    settings: LayoutSettings,
    random_state: int,
    pace: Pace = PACE,
) -> Float32Array:
    """Place a new window where its carry pass begins, or, a small one, where that ends.

    Parameters
    ----------
    graphs, kinds, relations, settings, random_state, pace
        As for `BlockPart`.
    place
        Of the window in the block.
    before
        Positions of all windows before it, by their places.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, c), the rows in their own order.
    """
    index = kinds[place].number
    if graphs[place].n_rows < LEAST_SHARED_ROWS:
        windows = [
            BlockWindow(graphs[each].load(), kinds[each].number, before[each], is_fixed=True) for each in range(place)
        ]
        known = {pair: relation for pair, relation in relations.items() if pair[1] <= place}
        new = BlockWindow(graphs[place].load(), index, mid_near=kinds[place].mid_near)
        layout = BlockLayout([*windows, new], known, settings, random_state, pace)
        layout.carry()
        return layout.read(place)
    related = [
        (before[earlier], relation)
        for earlier in range(place - 1, -1, -1)
        if (relation := relations.get((earlier, place))) is not None
    ]
    seed = make_seed(random_state, index, START_STREAM)
    return place_new(graphs[place], related, settings.n_components, seed)


def join_parts(graph: ReadableGraph, index: int, random_state: int, parts: Sequence[Float32Array]) -> Float32Array:
    """Join the parts of a window, in their order.

    Parameters
    ----------
    graph
        Of the window.
    index
        Its number in the run.
    random_state
        Of the run.
    parts
        Positions as `BlockPart.carry` or `move` returned them.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, c), the rows in their own order; NaN for rows without an edge.

    Raises
    ------
    InvalidInputError
        When rows that have edges have no position: the settings made them overflow.
    """
    return read_window(np.concatenate(parts), shuffle_window(graph, random_state, index), index)
