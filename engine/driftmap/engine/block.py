"""Lay out one block of windows: carry the new ones from those before, then all together at a lower learning rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.curve import fit_curve
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.flatten import RelationMap, Shuffle, flatten_block
from driftmap.engine.initialise import spectral_start, start_from_previous
from driftmap.engine.kernels import WindowForces
from driftmap.engine.optimise import EpochCallback, Optimiser
from driftmap.engine.register import fit_similarity
from driftmap.engine.relations import invert_relation
from driftmap.engine.schedule import Schedule
from driftmap.engine.seeds import EPOCH_STREAM, SHUFFLE_STREAM, START_STREAM, make_seed
from driftmap.engine.settings import DEFAULT_N_EPOCHS, LayoutSettings

if TYPE_CHECKING:
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
) -> list[Float32Array]:
    """Lay out the windows of one block.

    Windows without positions are carried first, in order: each starts from the windows before it and settles while they
    stand still. Then every window that is not fixed moves at once, at a low learning rate.

    Parameters
    ----------
    windows
        The block's windows in order of time: halo, provisional and new ones. Every fixed window has positions.
    relations
        Relations by pairs of places (i, j) in `windows`, i < j, no farther apart than the alignment reach: rows of i to
        rows of j, int32 (n_i,) with -1.
    settings
        What the layout is told. A sequence holds one value per window of the run.
    random_state
        Seed of the run.
    on_epoch
        Called after every epoch with (epochs done, epochs in all).

    Returns
    -------
    One float32 (n, c) per window. Fixed windows come back as they were given. Rows without an edge are NaN.

    Raises
    ------
    InvalidInputError
        When a fixed window has no positions, or positions do not fit their graph.

    Notes
    -----
    Same input, same bytes on any number of threads of one kind of processor.
    """
    _check_windows(windows, settings.n_components)
    if not windows:
        return []
    values = [window_values(settings, window.index) for window in windows]
    seeds = [make_seed(random_state, window.index, SHUFFLE_STREAM) for window in windows]
    shuffles = [Shuffle(window.graph, seed) for window, seed in zip(windows, seeds, strict=True)]
    n_epochs = [int(value["n_epochs"]) for value in values]
    arrays = flatten_block([window.graph for window in windows], relations, shuffles, n_epochs)
    forces = WindowForces(
        **{name: np.array([value[name] for value in values], dtype=np.float32) for name in WindowForces._fields}
    )
    epoch_seeds = [make_seed(random_state, window.index, EPOCH_STREAM) for window in windows]
    optimiser = Optimiser(arrays, forces, epoch_seeds, settings.n_components)
    is_new = [window.positions is None for window in windows]
    rates = [float(value["learning_rate"]) for value in values]
    schedule = Schedule(n_epochs, rates, is_new, [window.is_fixed for window in windows])
    watch = _count_epochs(on_epoch, schedule.n_epochs)
    placing = _Placing(windows, relations, shuffles, optimiser)
    for place, window in enumerate(windows):
        if window.positions is None:
            placing.start(place, make_seed(random_state, window.index, START_STREAM))
            optimiser.run(schedule.carry(place), watch)
        else:
            placing.set(place, window.positions)
    optimiser.run(schedule.joint(), watch)
    return [placing.get(place) for place in range(len(windows))]


def window_values(settings: LayoutSettings, index: int) -> dict[str, Any]:
    """Return the layout values of one window of the run: n_epochs, learning_rate, and the fields of WindowForces."""

    def of(value: Any) -> Any:
        return value[index] if isinstance(value, Sequence | np.ndarray) else value

    if settings.a is not None and settings.b is not None:
        a, b = settings.a, settings.b
    else:
        a, b = fit_curve(float(of(settings.min_dist)), float(of(settings.spread)))
    n_epochs = of(settings.n_epochs)
    return {
        "n_epochs": DEFAULT_N_EPOCHS if n_epochs is None else int(n_epochs),
        "learning_rate": float(of(settings.learning_rate)),
        "a": a,
        "b": b,
        "repulsion_strength": float(of(settings.repulsion_strength)),
        "negative_sample_rate": float(of(settings.negative_sample_rate)),
        "alignment_regularisation": float(of(settings.alignment_regularisation)),
    }


class _Placing:
    """Positions of the windows of a block, in each window's own order of rows."""

    def __init__(
        self,
        windows: Sequence[BlockWindow],
        relations: RelationMap,
        shuffles: Sequence[Shuffle],
        optimiser: Optimiser,
    ) -> None:
        self._windows = windows
        self._relations = relations
        self._shuffles = shuffles
        self._optimiser = optimiser
        self._is_placed = [False] * len(windows)

    def set(self, place: int, positions: Float32Array) -> None:
        """Place a window."""
        self._optimiser.set_positions(place, positions[self._shuffles[place].rows])
        self._is_placed[place] = True

    def get(self, place: int) -> Float32Array:
        """Return a window's positions; rows without an edge are NaN, fixed windows are as they were given."""
        window, shuffle = self._windows[place], self._shuffles[place]
        if window.is_fixed and window.positions is not None:
            return window.positions
        positions = self._optimiser.get_positions(place)[shuffle.places]
        positions[shuffle.places >= shuffle.n_active] = np.nan
        return positions

    def start(self, place: int, seed: int) -> None:
        """Start a new window from related rows of the windows before it, or by its own spectrum if they have none."""
        graph, n_components = self._windows[place].graph, self._optimiser.n_components
        known = np.full((graph.n_rows, n_components), np.nan, dtype=np.float32)
        fallback = None
        for earlier in range(place - 1, -1, -1):
            relation = self._relations.get((earlier, place))
            if relation is None or not self._is_placed[earlier]:
                continue
            positions = self.get(earlier)
            _fill_known(known, positions, relation)
            if fallback is None:
                fallback = positions[np.isfinite(positions).all(axis=1)]
        known[np.diff(graph.indptr) == 0] = np.nan
        n_known = int(np.isfinite(known[:, 0]).sum())
        own = self._windows[place].start
        if own is not None:
            self.set(place, fit_similarity(own, known, with_scale=False).apply(own))
        elif fallback is None or not len(fallback) or n_known <= n_components:
            self.set(place, spectral_start(graph, n_components, seed))
        else:
            self.set(place, start_from_previous(graph, known, fallback, seed))


def _fill_known(known: Float32Array, positions: Float32Array, relation: Relation) -> None:
    """Take over positions of related rows of an earlier window where none is known yet."""
    back = invert_relation(relation, len(known))
    rows = np.flatnonzero((back >= 0) & np.isnan(known[:, 0]))
    known[rows] = positions[back[rows]]


def _count_epochs(on_epoch: EpochCallback | None, total: int) -> Callable[[int], None] | None:
    """Turn a callback on (done, total) into one on the epochs of a call."""
    if on_epoch is None:
        return None
    done = 0

    def watch(n: int) -> None:
        nonlocal done
        done += n
        on_epoch(done, total)

    return watch


def _check_windows(windows: Sequence[BlockWindow], n_components: int) -> None:
    for place, window in enumerate(windows):
        if window.positions is None and window.is_fixed:
            msg = f"windows[{place}] is fixed but has no positions; give the positions it stands at."
            raise InvalidInputError(msg)
        expected = (window.graph.n_rows, n_components)
        for name, given in (("positions", window.positions), ("start", window.start)):
            if given is not None and given.shape != expected:
                msg = f"windows[{place}].{name} must have shape {expected} by its graph, got {given.shape}."
                raise InvalidInputError(msg)
