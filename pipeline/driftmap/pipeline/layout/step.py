"""A step of an ingest's layout: which windows it looks at, and what it takes; loads no kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from driftmap.pipeline.planning.blocks import block_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.settings import LayoutSettings
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import BuiltWindow


class StepSettings(NamedTuple):
    """How steps are laid out."""

    layout: LayoutSettings
    lookahead: int
    random_state: int


class StepWindows(NamedTuple):
    """Numbers of the windows of a step."""

    halo: range
    """Final ones that are read."""
    free: range
    """Those that move: provisional ones, and new ones after them."""


def choose_windows(store: Store, reach: int, built: Sequence[BuiltWindow]) -> StepWindows:
    """Choose the windows of a step.

    Parameters
    ----------
    store
        As of the step before.
    reach
        How far the alignment reaches.
    built
        Windows whose graphs are built: new ones, or provisional ones that changed.
    """
    stop = max([store.n_windows, *(window["receipt"]["index"] + 1 for window in built)])
    states = store.state()
    first_free = len(states)
    while first_free and states[first_free - 1].status != "final":
        first_free -= 1
    first_free = min(first_free, stop)
    return StepWindows(range(max(0, first_free - reach), first_free), range(first_free, stop))


def size_step(
    store: Store, settings: StepSettings, built: Sequence[BuiltWindow], n_neighbors: int, id_bytes: int
) -> int:
    """Bound what a step takes at its peak, as `block_bytes` does for a block of a run.

    Parameters
    ----------
    store, built
        As for `choose_windows`.
    settings
        Of the layout.
    n_neighbors, id_bytes
        As for `block_bytes`.
    """
    reach = settings.layout.alignment_window_size
    windows = choose_windows(store, reach, built)
    n_rows = {state.index: state.n_rows for state in store.state()}
    n_rows |= {window["receipt"]["index"]: window["receipt"]["n_rows"] for window in built}
    sizes = [n_rows[index] for index in (*windows.halo, *windows.free)]
    shape = {"n_neighbors": n_neighbors, "n_components": settings.layout.n_components, "reach": reach}
    return block_bytes(sum(sizes), max(sizes, default=0), len(sizes), id_bytes=id_bytes, **shape)
