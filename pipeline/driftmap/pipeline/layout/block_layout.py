"""One block in this process: its windows are laid out with what is already final, and written."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.engine import BlockWindow, count_threads, find_block_strengths, lay_out_block
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.layout.clusters import Rows, find_missing, give_neighbours, load_rows
from driftmap.pipeline.layout.job import WrittenBlock
from driftmap.pipeline.layout.publish import name_strengths
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.planning.blocks import BESIDE_ROWS
from driftmap.pipeline.store.attempts import new_attempt, write_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array
    from driftmap.pipeline.layout.job import LayoutJob
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import ClusterRecord


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
    neighbours: Int32Array | None = None
    """Nearest rows of each row, until clusters are found, where they came with the graph."""
    mid_near: Int32Array | None = None
    """Mid-near rows of each row; None where it has none."""


class BlockLayout:
    """Lays out one block after the other in this process; windows that the next one needs too are held for it.

    Parameters
    ----------
    store
        The graphs of each block's windows are there, and the blocks before it are committed.
    job
        Settings; its blocks are not looked at.
    """

    def __init__(self, store: Store, job: LayoutJob) -> None:
        self._store = store
        self._job = job
        self._loaded: dict[int, Loaded] = {}

    def lay_out(self, block: Block, on_epoch: Callable[[int, int], None] | None = None) -> WrittenBlock:
        """Lay out a block, find the clusters of its windows, and write both."""
        store, loaded = self._store, self._loaded
        for index in set(loaded).difference(block.windows):
            del loaded[index]
        release_memory()
        for index in set(block.windows).difference(loaded):
            loaded[index] = load_window(store, index)
        started = time.perf_counter()
        moved = (*block.core, *block.lookahead)
        unsynced: list[str] = []  # synced in one go: all of it counts from the same commit on
        laid_out, clusters = self._lay_out_and_follow(block, on_epoch, unsynced)
        attempt = new_attempt()
        for index in moved:
            write_positions(store.new_attempt(index, attempt), laid_out.positions[index], unsynced)
        store.location.sync(unsynced)
        return WrittenBlock(attempt, laid_out.strengths, clusters, time.perf_counter() - started)

    def _lay_out_and_follow(
        self, block: Block, on_epoch: Callable[[int, int], None] | None, unsynced: list[str]
    ) -> tuple[LaidOut, dict[str, ClusterRecord]]:
        """Lay out a block and find the clusters of its windows, which no map is needed for.

        Those of all but small windows are found beside the layout, if it may use several threads: it leaves cores free
        while it sets the block up and places the first window. Two windows of 1,000,000 rows take 78 s so on two cores,
        and 87 s where clusters wait until all windows have a place.
        """
        store, job, loaded = self._store, self._job, self._loaded
        moved, is_stopped = (*block.core, *block.lookahead), threading.Event()

        def load(index: int) -> Rows:
            if is_stopped.is_set():
                raise CancelledError
            return _as_rows(store, index, loaded)

        find = partial(find_missing, store, moved, job.random_state, load, unsynced=unsynced)
        lay_out = partial(lay_out_one, job, block, loaded, partial(_read_positions, store), on_epoch)
        if count_threads() == 1 or max(loaded[index].graph.n_rows for index in moved) <= BESIDE_ROWS:
            clusters = find()
            for index, window in loaded.items():
                loaded[index] = window._replace(neighbours=None)
            release_memory()
            return lay_out(), clusters
        with ThreadPoolExecutor(1, "driftmap-clusters") as pool:
            try:
                finding = pool.submit(find)
                return lay_out(), finding.result()
            finally:
                is_stopped.set()


def load_window(store: Store, index: int) -> Loaded:
    """Read a window's graph and ids, and its nearest rows where they come with them."""
    given = store.read_layout_input(index)
    return Loaded(given.graph, given.ids, store.labels[index], given.neighbours, given.mid_near)


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
        As for `lay_out_block`.

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
            mid_near=loaded[index].mid_near,
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
    if known is None:
        return load_rows(store, index)
    return Rows(known.graph, known.ids, known.label, give_neighbours(store, index, known.neighbours))


def _read_positions(store: Store, index: int) -> Float32Array | None:
    return store.positions(index) if store.state()[index].layout_attempt is not None else None
