"""Lay out one block of windows: carry the new ones from those before, then all together at a lower learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine.core.seeds import EPOCH_STREAM, SHUFFLE_STREAM, START_STREAM, make_seed
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.layout.curve import fit_curve
from driftmap.engine.layout.flatten import RelationMap, Shuffle, flatten_block
from driftmap.engine.layout.fresh import find_fresh_shares
from driftmap.engine.layout.kernels.arrays import WindowForces
from driftmap.engine.layout.loss import measure_loss
from driftmap.engine.layout.optimiser import EpochCallback, Optimiser
from driftmap.engine.layout.pace import PACE, Pace
from driftmap.engine.layout.procrustes import fit_similarity
from driftmap.engine.layout.schedule import Schedule
from driftmap.engine.layout.start.initialise import DENSE_ROWS, geodesic_start, spectral_start, start_from_previous
from driftmap.engine.layout.strength import find_strengths
from driftmap.engine.relations.couplings import average_partners
from driftmap.engine.relations.relations import invert_relation
from driftmap.engine.settings import AUTO, DEFAULT_N_EPOCHS, LayoutSettings, pick_value
from driftmap.engine.types import Coupling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Float32Array, FuzzyGraph, Relation


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


class WindowValues(NamedTuple):
    """Layout settings of one window, as the optimiser takes them; the last six are the fields of `WindowForces`."""

    n_epochs: int
    learning_rate: float
    a: float
    b: float
    repulsion_strength: float
    negative_sample_rate: float
    alignment_regularisation: float
    moves_freely: float


def window_values(settings: LayoutSettings, index: int) -> WindowValues:
    """Pick the layout settings of one window of the run.

    Parameters
    ----------
    settings
        Of the layout.
    index
        Number of the window.

    Returns
    -------
    WindowValues
        With the curve's parameters fitted where they were not given.
    """

    def of(value: Any) -> Any:
        return pick_value(value, index)

    if settings.a is not None and settings.b is not None:
        a, b = settings.a, settings.b
    else:
        a, b = fit_curve(float(of(settings.min_dist)), float(of(settings.spread)))
    n_epochs, strength = of(settings.n_epochs), of(settings.alignment_regularisation)
    return WindowValues(
        n_epochs=DEFAULT_N_EPOCHS if n_epochs is None else int(n_epochs),
        learning_rate=float(of(settings.learning_rate)),
        a=a,
        b=b,
        repulsion_strength=float(of(settings.repulsion_strength)),
        negative_sample_rate=float(of(settings.negative_sample_rate)),
        # "auto": the weights of related rows have the strength in them
        alignment_regularisation=1.0 if strength == AUTO else float(strength),
        moves_freely=float(strength == AUTO),
    )


def join_forces(values: Sequence[WindowValues]) -> WindowForces:
    """Join what the kernels take of several windows' values, in their order."""
    return WindowForces(
        **{name: np.array([getattr(each, name) for each in values], np.float32) for name in WindowForces._fields}
    )


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
    values = [window_values(settings, window.index) for window in windows]
    given = [AUTO if value.moves_freely else value.alignment_regularisation for value in values]
    return find_strengths([window.graph for window in windows], relations, given)


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
        values = self._values = [window_values(settings, window.index) for window in windows]
        n_epochs = [value.n_epochs for value in values]
        is_fixed = [window.is_fixed for window in windows]
        is_new = [window.positions is None and not window.is_fixed for window in windows]
        rates = [value.learning_rate for value in values]
        graphs = [window.graph for window in windows]
        fresh = find_fresh_shares(graphs, relations)
        self._schedule = Schedule(n_epochs, rates, is_new, is_fixed, fresh, pace)
        self.n_carry_epochs = self._schedule.n_carry_epochs
        self.n_joint_epochs = self._schedule.n_joint_epochs
        seeds = [make_seed(random_state, window.index, SHUFFLE_STREAM) for window in windows]
        self._shuffles = [Shuffle(window.graph, seed) for window, seed in zip(windows, seeds, strict=True)]
        # A fixed window moves in no epoch, so none of its edges is kept.
        n_moves = [0 if fixed else n for n, fixed in zip(n_epochs, is_fixed, strict=True)]
        is_auto = [value.moves_freely > 0 for value in values]
        arrays = flatten_block(graphs, relations, self._shuffles, n_moves, is_auto)
        forces = join_forces(values)
        epoch_seeds = [make_seed(random_state, window.index, EPOCH_STREAM) for window in windows]
        self._optimiser = Optimiser(arrays, forces, epoch_seeds, settings.n_components, may_order=True)
        held = [*arrays, *(array for window in windows for array in window.graph)]
        self.n_bytes = self._optimiser.n_bytes + sum(array.nbytes for array in held)
        """Memory that the block takes."""

    def carry(self, on_epoch: Callable[[int], None] | None = None) -> None:
        """Place the windows that have positions, and carry the new ones from those before them, in order."""
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
        active = self._optimiser.get_positions(place)
        _refuse_overflow(window.index, active[: shuffle.n_active])
        positions = active[shuffle.places]
        positions[shuffle.places >= shuffle.n_active] = np.nan
        return positions

    def _carry_one(self, place: int, on_epoch: Callable[[int], None] | None) -> None:
        """Start a new window and let it settle; a small one that stands alone from two starts, the better one kept.

        What the first window's arrangement is, those that follow inherit. On un_votes (53 rows in the first window) the
        trustworthiness of all maps varied over seeds by .004 from spectral starts alone, and by .0005 with the choice.
        """
        window, values = self._windows[place], self._values[place]
        seed, stage = make_seed(self._random_state, window.index, START_STREAM), self._schedule.carry(place)
        is_alone = self._start(place, seed)
        self._optimiser.run(stage, on_epoch)
        if not (is_alone and values.moves_freely and window.graph.n_rows <= DENSE_ROWS and stage.n_epochs):
            return
        first = self.read(place)
        self.place(place, geodesic_start(window.graph, self._optimiser.n_components, seed))
        self._optimiser.run(stage)
        losses = [sum(measure_loss(window.graph, y, values.a, values.b)) for y in (first, self.read(place))]
        if losses[0] <= losses[1]:
            self.place(place, first)

    def _start(self, place: int, seed: int) -> bool:
        """Start a new window from related rows of the windows before it, or by its own spectrum if they have none.

        Returns
        -------
        bool
            Whether it was the spectrum.
        """
        graph, n_components = self._windows[place].graph, self._optimiser.n_components
        known = np.full((graph.n_rows, n_components), np.nan, dtype=np.float32)
        fallback = None
        for earlier in range(place - 1, -1, -1):
            relation = self._relations.get((earlier, place))
            if relation is None or not self._is_placed[earlier]:
                continue
            positions = self.read(earlier)
            _fill_known(known, positions, relation)
            if fallback is None:
                fallback = positions[np.isfinite(positions).all(axis=1)]
        known[np.diff(graph.indptr) == 0] = np.nan
        n_known = int(np.isfinite(known[:, 0]).sum())
        own = self._windows[place].start
        if own is not None:
            self.place(place, fit_similarity(own, known, with_scale=False).apply(own))
        elif fallback is None or not len(fallback) or n_known <= n_components:
            self.place(place, spectral_start(graph, n_components, seed))
            return True
        else:
            self.place(place, start_from_previous(graph, known, fallback, seed))
        return False


def _refuse_overflow(index: int, positions: Float32Array) -> None:
    """Refuse positions that are not finite, of rows that have edges: such a map shows nothing."""
    n_lost = len(positions) - int(np.count_nonzero(np.isfinite(positions).all(axis=1)))
    if n_lost:
        msg = (
            f"the layout of window {index} (counted from 0) overflows: {n_lost:,} of {len(positions):,} rows that have "
            "neighbours got positions that are not finite; lower learning_rate, repulsion_strength or "
            "negative_sample_rate, raise min_dist, or leave out a and b."
        )
        raise InvalidInputError(msg)


def _fill_known(known: Float32Array, positions: Float32Array, relation: Relation | Coupling) -> None:
    """Take over positions of related rows of an earlier window where none is known yet."""
    if isinstance(relation, Coupling):
        means = average_partners(relation, positions, len(known))
        rows = np.flatnonzero(np.isnan(known[:, 0]))
        known[rows] = means[rows]
        return
    back = invert_relation(relation, len(known))
    rows = np.flatnonzero((back >= 0) & np.isnan(known[:, 0]))
    known[rows] = positions[back[rows]]


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
    """Refuse fixed windows without positions, and positions or starts that do not fit their graph."""
    for place, window in enumerate(windows):
        if window.positions is None and window.is_fixed:
            msg = f"windows[{place}] is fixed but has no positions; give the positions it stands at."
            raise InvalidInputError(msg)
        expected = (window.graph.n_rows, n_components)
        for name, given in (("positions", window.positions), ("start", window.start)):
            if given is not None and given.shape != expected:
                msg = f"windows[{place}].{name} must have shape {expected} by its graph, got {given.shape}."
                raise InvalidInputError(msg)
