"""Lay out one block of windows: carry the new ones from those before, then all together at a lower learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.core.seeds import EPOCH_STREAM, SHUFFLE_STREAM, START_STREAM, make_seed
from driftmap.engine.core.threads import limit_small_blas
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.layout.flatten import RelationMap, Shuffle, flatten_block
from driftmap.engine.layout.fresh import find_fresh_shares
from driftmap.engine.layout.loss import measure_losses
from driftmap.engine.layout.optimiser import EpochCallback, Optimiser
from driftmap.engine.layout.pace import PACE, Pace
from driftmap.engine.layout.row_share import WHOLE, RowShare
from driftmap.engine.layout.schedule import Schedule
from driftmap.engine.layout.start.place_new import place_new, place_otherwise
from driftmap.engine.layout.strength import find_strengths
from driftmap.engine.layout.window_values import join_forces, window_values
from driftmap.engine.settings import LayoutSettings, pick_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.layout.kernels.arrays import BlockArrays
    from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array, ReadableGraph


_LEAST_SETTLED = 10
"""Epochs of a carry pass from which its end tells how well a start fits. After 2 of them (`n_epochs=20`) related rows
of noise lie .85 as far from their partners as from others with several starts, .75 without; after 20 .86 and .84."""


@dataclass(frozen=True, eq=False)
class BlockWindow:
    """One window of a block."""

    graph: FuzzyGraph
    index: int
    """The window's number in the whole run; with random_state it alone decides on the window's random numbers."""
    positions: Float32Array | None = None
    """float32 (n, c) where the window lies so far; None where it has yet to be placed."""
    is_fixed: bool = False
    """True for a halo window: read by the alignment, never moved."""
    start: Float32Array | None = None
    """float32 (n, c) where a window without positions should start, registered to those before it; None: from them."""
    mid_near: Int32Array | None = None
    """int32 (n, m) rows that a window without positions is drawn by at first, see `WindowGraph`; None: by none."""


def lay_out_block(
    windows: Sequence[BlockWindow],
    relations: RelationMap,
    settings: LayoutSettings,
    random_state: int,
    on_epoch: EpochCallback | None = None,
    pace: Pace = PACE,
) -> list[Float32Array]:
    """Lay out the windows of one block.

    Windows without positions are carried first, in order: each starts from the windows before it and settles while they
    stand still. Then every window that is not fixed moves at once, at a low learning rate.

    Parameters
    ----------
    windows
        The block's windows in order of time: halo, provisional and new ones. Every fixed window has positions.
    relations
        Relations or couplings by pairs of places (i, j) in `windows`, i < j, no farther apart than the alignment reach:
        rows of i to rows of j, int32 (n_i,) with -1; or pairs of them with weights.
    settings
        Layout settings. A sequence holds one value per window of the run.
    random_state
        Seed of the run.
    on_epoch
        Called after every epoch with (epochs done, epochs in all). One in which several windows move counts as often,
        so that these tell what share of the work is done.
    pace
        How long both passes are, and how fast.

    Returns
    -------
    list[Float32Array]
        One float32 (n, c) per window. Fixed windows come back as they were given. Rows without an edge are NaN.

    Raises
    ------
    InvalidInputError
        When a fixed window has no positions, positions do not fit their graph, or the settings make positions overflow.

    Notes
    -----
    Same input, same bytes on any number of threads of one kind of processor.
    """
    check_block(windows, settings.n_components)
    if not windows:
        return []
    layout = BlockLayout(windows, relations, settings, random_state, pace)
    n, n_free = layout.n_joint_epochs, sum(not window.is_fixed for window in windows)
    watch = count_epochs(on_epoch, layout.n_carry_epochs + n * n_free)
    layout.carry(watch)
    layout.move(n, range(n), None if watch is None else lambda n_epochs: watch(n_epochs * n_free))
    return [layout.read(place) for place in range(len(windows))]


def find_block_strengths(
    windows: Sequence[BlockWindow], relations: RelationMap, settings: LayoutSettings
) -> list[float]:
    """Find the strength of the alignment in each window of a block, as `lay_out_block` has it; see `layout.strength`.

    Parameters
    ----------
    windows, relations, settings
        As for `lay_out_block`.

    Returns
    -------
    list of float
        One per window; NaN where it is left to the data and no row is related.
    """
    return find_graph_strengths(
        [window.graph for window in windows], [window.index for window in windows], relations, settings
    )


def find_graph_strengths(
    graphs: Sequence[ReadableGraph], numbers: Sequence[int], relations: RelationMap, settings: LayoutSettings
) -> list[float]:
    """Do as `find_block_strengths`, with graphs that are read as they are looked at, two at a time, where need be.

    Parameters
    ----------
    graphs, numbers
        Of each window; its number in the whole run.
    relations, settings
        As for `lay_out_block`.

    Returns
    -------
    list of float
        As `find_block_strengths`.
    """
    given = [pick_value(settings.alignment_regularisation, number) for number in numbers]
    return find_strengths(graphs, relations, given)


class WindowKind(NamedTuple):
    """What becomes of a window of a block."""

    number: int
    """In the whole run."""
    is_new: bool
    """It has no positions yet."""
    is_fixed: bool
    mid_near: Int32Array | None = None
    """As `BlockWindow` has them."""


class BlockSettings(NamedTuple):
    """How a block is laid out; see `lay_out_block`."""

    layout: LayoutSettings
    random_state: int
    pace: Pace


def shuffle_window(graph: ReadableGraph, random_state: int, index: int) -> Shuffle:
    """Put the rows of a window of the run into their random order."""
    return Shuffle(graph, make_seed(random_state, index, SHUFFLE_STREAM))


def set_up_block(
    graphs: Sequence[ReadableGraph],
    kinds: Sequence[WindowKind],
    relations: RelationMap,
    shuffles: Sequence[Shuffle],
    settings: BlockSettings,
    share: RowShare = WHOLE,
) -> tuple[Schedule, Optimiser, BlockArrays]:
    """Prepare the layout of a block, or of a share of its rows.

    Parameters
    ----------
    graphs
        Of each window; read again and again where they are not held.
    kinds, shuffles
        Of each window.
    relations
        As for `lay_out_block`.
    settings
        How it is laid out.
    share
        The rows that are moved; only their edges are held.

    Returns
    -------
    tuple
        When which window moves, what moves them, and the arrays that it moves them by.
    """
    numbers, sizes = [kind.number for kind in kinds], [graph.n_rows for graph in graphs]
    values = [window_values(settings.layout, number, n) for number, n in zip(numbers, sizes, strict=True)]
    n_epochs = [value.n_epochs for value in values]
    is_fixed = [kind.is_fixed for kind in kinds]
    is_new = [kind.is_new and not kind.is_fixed for kind in kinds]
    rates = [value.learning_rate for value in values]
    fresh = find_fresh_shares([shuffle.has_edge for shuffle in shuffles], relations)
    schedule = Schedule(n_epochs, rates, is_new, is_fixed, fresh, sizes, settings.pace)
    # A fixed window moves in no epoch, so none of its edges is kept.
    n_moves = [0 if fixed else n for n, fixed in zip(n_epochs, is_fixed, strict=True)]
    is_auto = [value.moves_freely > 0 for value in values]
    own = [share.own(shuffle.n_active) for shuffle in shuffles]
    drawn = [kind.mid_near if new else None for kind, new in zip(kinds, is_new, strict=True)]
    arrays = flatten_block(graphs, relations, shuffles, n_moves, is_auto, None if share == WHOLE else own, drawn)
    seeds = [make_seed(settings.random_state, number, EPOCH_STREAM) for number in numbers]
    n_components = settings.layout.n_components
    optimiser = Optimiser(arrays, join_forces(values), seeds, n_components, may_order=True, share=share)
    return schedule, optimiser, arrays


class BlockLayout:
    """The windows of a block while they are laid out: carried, moved, stopped at any epoch and moved on.

    Parameters
    ----------
    windows, relations, settings, random_state, pace
        As for `lay_out_block`. A fixed window's positions may also come later, by `place`.
    """

    def __init__(
        self,
        windows: Sequence[BlockWindow],
        relations: RelationMap,
        settings: LayoutSettings,
        random_state: int,
        pace: Pace = PACE,
    ) -> None:
        self._windows = windows
        self._relations = relations
        self._random_state = random_state
        self._is_placed = [False] * len(windows)
        self._values = [window_values(settings, window.index, window.graph.n_rows) for window in windows]
        graphs = [window.graph for window in windows]
        self._shuffles = [shuffle_window(window.graph, random_state, window.index) for window in windows]
        kinds = [WindowKind(w.index, w.positions is None, w.is_fixed, w.mid_near) for w in windows]
        settled = BlockSettings(settings, random_state, pace)
        self._schedule, self._optimiser, arrays = set_up_block(graphs, kinds, relations, self._shuffles, settled)
        self.n_carry_epochs = self._schedule.n_carry_epochs
        self.n_joint_epochs = self._schedule.n_joint_epochs
        held = [*arrays, *(array for window in windows for array in window.graph)]
        self.n_bytes = self._optimiser.n_bytes + sum(array.nbytes for array in held)
        """Memory that the block takes."""

    def carry(self, on_epoch: Callable[[int], None] | None = None) -> None:
        """Place the windows that have positions, and carry the new ones from those before them, in order."""
        with limit_small_blas(window.graph.n_rows for window in self._windows):
            for place, window in enumerate(self._windows):
                if window.positions is not None:
                    self.place(place, window.positions)
                elif not window.is_fixed:
                    self._carry_one(place, on_epoch)
                    self._optimiser.order(place)

    def move(self, n_epochs: int, epochs: range, on_epoch: Callable[[int], None] | None = None) -> None:
        """Move all windows that are not fixed in some of the `n_epochs` epochs of a joint pass."""
        self._optimiser.run(self._schedule.joint(n_epochs, epochs), on_epoch)

    def place(self, place: int, positions: Float32Array) -> None:
        """Place a window, its rows in their own order."""
        self._optimiser.set_positions(place, positions[self._shuffles[place].rows])
        if not self._is_placed[place]:
            self._optimiser.order(place)
        self._is_placed[place] = True

    def read(self, place: int) -> Float32Array:
        """Return a window's positions; rows without an edge are NaN, fixed windows are as they were given.

        Raises
        ------
        InvalidInputError
            When rows that have edges have no position: the settings made them overflow.
        """
        window, shuffle = self._windows[place], self._shuffles[place]
        if window.is_fixed and window.positions is not None:
            return window.positions
        return read_window(self._optimiser.get_positions(place), shuffle, window.index)

    def _carry_one(self, place: int, on_epoch: Callable[[int], None] | None) -> None:
        """Start a new window and let it settle; a small one from other starts too, of which the best one is kept.

        What the first window's arrangement is, those that follow inherit. On un_votes (53 rows in the first window) the
        trustworthiness of all maps varied over seeds by .004 from spectral starts alone, and by .0005 with the choice.
        """
        window, values, n_components = self._windows[place], self._values[place], self._optimiser.n_components
        seed, stage = make_seed(self._random_state, window.index, START_STREAM), self._schedule.carry(place)
        before = [
            (self.read(earlier), relation)
            for earlier in range(place - 1, -1, -1)
            if self._is_placed[earlier] and (relation := self._relations.get((earlier, place))) is not None
        ]
        self.place(place, place_new(window.graph, before, n_components, seed, window.start))
        self._optimiser.run(stage, on_epoch)
        if window.start is not None or stage.n_epochs < (_LEAST_SETTLED if before else 1):
            return
        others = place_otherwise(window.graph, before, n_components, seed)
        if not others:
            return
        settled = [self.read(place)]
        for start in others:
            self.place(place, start)
            self._optimiser.run(stage)
            settled.append(self.read(place))
        losses = [sum(terms) for terms in measure_losses(window.graph, settled, values.a, values.b)]
        self.place(place, settled[losses.index(min(losses))])


def read_window(active: Float32Array, shuffle: Shuffle, index: int) -> Float32Array:
    """Put positions in random order, (n, c) or of rows that have edges alone, into that of the window; NaN for others.

    Raises
    ------
    InvalidInputError
        When rows that have edges have no position: the settings made them overflow.
    """
    _refuse_overflow(index, active[: shuffle.n_active])
    has_edge = shuffle.places < shuffle.n_active
    positions = np.full((len(shuffle.places), active.shape[1]), np.nan, dtype=np.float32)
    positions[has_edge] = active[shuffle.places[has_edge]]
    return positions


def _refuse_overflow(index: int, positions: Float32Array) -> None:
    """Refuse positions that are not finite, of rows that have edges: such a map shows nothing."""
    is_finite = np.isfinite(positions)
    if not is_finite.all():
        n_lost = len(positions) - int(np.count_nonzero(is_finite.all(axis=1)))
        msg = (
            f"the layout of window {index} (counted from 0) overflows: {n_lost:,} of {len(positions):,} rows that have "
            "neighbours got positions that are not finite; lower learning_rate, repulsion_strength or "
            "negative_sample_rate, raise min_dist, or leave out a and b."
        )
        raise InvalidInputError(msg)


def count_epochs(on_epoch: EpochCallback | None, total: int) -> Callable[[int], None] | None:
    """Turn a callback on (done, total) into one on the epochs of a call."""
    if on_epoch is None:
        return None
    done = 0

    def watch(n: int) -> None:
        nonlocal done
        done += n
        on_epoch(done, total)

    return watch


def check_block(windows: Sequence[BlockWindow], n_components: int) -> None:
    """Refuse fixed windows without positions, and positions, starts or mid-near rows that do not fit their graph."""
    for place, window in enumerate(windows):
        if window.positions is None and window.is_fixed:
            msg = f"windows[{place}] is fixed but has no positions; give the positions it stands at."
            raise InvalidInputError(msg)
        expected = (window.graph.n_rows, n_components)
        for name, given in (("positions", window.positions), ("start", window.start)):
            if given is not None and given.shape != expected:
                msg = f"windows[{place}].{name} must have shape {expected} by its graph, got {given.shape}."
                raise InvalidInputError(msg)
        _check_mid_near(window, place)


def _check_mid_near(window: BlockWindow, place: int) -> None:
    given, n = window.mid_near, window.graph.n_rows
    if given is None or (
        given.ndim == 2
        and given.dtype.kind in "iu"
        and len(given) == n
        and (not given.size or (given.min() >= -1 and given.max() < n))
    ):
        return
    msg = (
        f"windows[{place}].mid_near must hold numbers of its graph's rows, -1 to {n - 1}, in shape ({n}, m), got "
        f"{given.dtype} of shape {given.shape}; give those of `find_mid_near`, or None."
    )
    raise InvalidInputError(msg)
