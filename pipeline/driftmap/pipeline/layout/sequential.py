"""Walk the blocks of a store: lay each out with what is already final, publish it, carry it to the next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.engine import BlockWindow, find_block_strengths, lay_out_block
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.layout.clusters import Rows, find_missing, load_rows
from driftmap.pipeline.layout.publish import describe_layout, name_strengths
from driftmap.pipeline.layout.relate import NO_RELATIONS, relate_windows
from driftmap.pipeline.store.attempts import new_attempt, write_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np

    from driftmap.engine.settings import LayoutSettings
    from driftmap.engine.types import Float32Array, FuzzyGraph
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import ClusterRecord
    from driftmap.pipeline.store.relation_book import OutsideRelations


class LayoutJob(NamedTuple):
    """Parameters of a layout, besides the store."""

    blocks: Sequence[Block]
    settings: LayoutSettings
    lookahead: int
    random_state: int
    is_exchanged: bool = False
    """Whether the blocks are laid out in parallel, each again and again, not one after the other."""
    outside: OutsideRelations = NO_RELATIONS
    """Relations from outside."""


class LaidOut(NamedTuple):
    """Maps of a block's windows, and the strength of the alignment that made them."""

    positions: dict[int, Float32Array]
    strengths: dict[str, float]
    """By the window's number; windows without related rows have none."""


class Loaded(NamedTuple):
    """What a layout reads of a window besides its positions."""

    graph: FuzzyGraph
    ids: np.ndarray[Any, Any]
    label: str = ""


def lay_out_store(
    store: Store,
    job: LayoutJob,
    on_progress: Callable[[int, int], None],
    wait_for: Callable[[Iterable[int]], None] | None = None,
) -> None:
    """Lay out every block that the store does not have yet.

    Only one block is held in memory. Positions are carried through the store, so a layout that is stopped and begun
    again goes on from the very same bytes.

    Parameters
    ----------
    store
        Opened for writing.
    job
        Blocks and settings.
    on_progress
        Called with the windows whose core is laid out, and the rows that this call has laid out; a block at work
        counts by its epochs.
    wait_for
        Called with the windows of a block before it is begun, and returns when their graphs are in the store. None:
        they all are.
    """
    loaded: dict[int, Loaded] = {}
    n_rows_done = 0
    while (number := store.n_blocks_done) < len(job.blocks):
        block = job.blocks[number]
        if wait_for is not None:
            wait_for(block.windows)
        for index in set(loaded).difference(block.windows):
            del loaded[index]
        release_memory()
        for index in set(block.windows).difference(loaded):
            loaded[index] = load_window(store, index)
        n_core_rows = sum(len(loaded[index].ids) for index in block.core)

        def on_epoch(
            done: int, total: int, start: int = block.core.start, before: int = n_rows_done, rows: int = n_core_rows
        ) -> None:
            on_progress(start, before + rows * done // max(1, total))

        started = time.perf_counter()
        clusters = find_missing(
            store, (*block.core, *block.lookahead), job.random_state, lambda index: _as_rows(store, index, loaded)
        )
        release_memory()
        laid_out = lay_out_one(
            job,
            block,
            loaded,
            lambda index: _read_positions(store, index),
            on_epoch,
        )
        _publish(store, job, number, laid_out, clusters, time.perf_counter() - started)
        del laid_out  # before the next block is read
        n_rows_done += n_core_rows
        on_progress(block.core.stop, n_rows_done)


def load_window(store: Store, index: int) -> Loaded:
    """Read a window's graph and ids."""
    return Loaded(store.fuzzy_graph(index), store.window_keys(index), store.labels[index])


def lay_out_one(
    job: LayoutJob,
    block: Block,
    loaded: Mapping[int, Loaded],
    read_positions: Callable[[int], Float32Array | None],
    on_epoch: Callable[[int, int], None] | None = None,
) -> LaidOut:
    """Lay out one block.

    Parameters
    ----------
    job, block
        What is laid out, and how.
    loaded
        Every window of the block.
    read_positions
        Gives the positions that a window has before; None where it has none.
    on_epoch
        Called with the epochs that are done, and all there are.

    Returns
    -------
    LaidOut
        Of every window of the block.
    """
    windows = [
        BlockWindow(
            graph=loaded[index].graph,
            index=index,
            positions=read_positions(index),
            is_fixed=index in block.halo,
        )
        for index in block.windows
    ]
    moved = range(len(block.halo), len(block.windows))
    ids, labels = ([getattr(loaded[index], name) for index in block.windows] for name in ("ids", "label"))
    relations = relate_windows(ids, job.settings.alignment_window_size, moved, labels, job.outside)
    places = lay_out_block(windows, relations, job.settings, job.random_state, on_epoch)
    strengths = name_strengths(block.windows, find_block_strengths(windows, relations, job.settings))
    return LaidOut(dict(zip(block.windows, places, strict=True)), strengths)


def _as_rows(store: Store, index: int, loaded: Mapping[int, Loaded]) -> Rows:
    known = loaded.get(index)
    return load_rows(store, index) if known is None else Rows(known.graph, known.ids, known.label)


def _publish(
    store: Store,
    job: LayoutJob,
    number: int,
    laid_out: LaidOut,
    clusters: Mapping[str, ClusterRecord],
    seconds: float,
) -> None:
    block = job.blocks[number]
    attempt = new_attempt()
    for index in (*block.core, *block.lookahead):
        write_positions(store.new_attempt(index, attempt), laid_out.positions[index])
    described = describe_layout(
        number,
        attempt,
        block.core,
        block.lookahead,
        n_windows=store.n_windows,
        lookahead=job.lookahead,
        strengths=laid_out.strengths,
        seconds=seconds,
    )
    store.commit_layout({**described, "clusters": dict(clusters)})


def _read_positions(store: Store, index: int) -> Float32Array | None:
    return store.positions(index) if store.state()[index].layout_attempt is not None else None
