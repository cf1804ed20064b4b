"""One step of one block of those that are laid out in parallel, as a plain function; no Dask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap import engine
from driftmap.engine.settings import LayoutSettings
from driftmap.engine.types import FuzzyGraph
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.graphs import build_graph as tasks
from driftmap.pipeline.layout.clusters import Follower, follow_and_write, load_rows, read_record
from driftmap.pipeline.layout.publish import name_strengths
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.planning.blocks import plan_exchange_blocks
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import new_attempt, write_positions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from driftmap.engine import ExchangeBlock
    from driftmap.engine.types import Float32Array, Int32Array
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.exchange_schedule import Step
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.layouts import ClusterRecord


class Job(NamedTuple):
    """Parameters of every task of one layout."""

    store: Location
    run: str
    """A name of its own for this call: what an earlier one left in a worker's memory is not taken for this one's."""
    kept_bytes: int
    """How much a worker keeps of blocks that it has read; what does not fit is read again in every round."""


class Pieces(NamedTuple):
    """What clusters of a block's core are found from and no window before is needed for."""

    of_row: dict[int, Int32Array]
    """By the windows' numbers in the run."""
    seconds: float


class Found(NamedTuple):
    """Clusters of a block's core, written by a worker."""

    records: dict[str, ClusterRecord]
    """By the windows' numbers."""
    seconds: float


class Placed(NamedTuple):
    """Where the windows of a block's core stand after a step, and the seconds that the block took so far."""

    positions: dict[int, Float32Array]
    """By the windows' numbers in the run."""
    strengths: dict[str, float]
    """Of the alignment, by the windows' numbers."""
    read_seconds: float
    carry_seconds: float
    move_seconds: float


class BlockReceipt(NamedTuple):
    """What a worker says of the block whose maps it wrote; becomes true when the coordinator commits it."""

    block: int
    attempt: str
    strengths: dict[str, float]
    read_seconds: float
    carry_seconds: float
    move_seconds: float
    write_seconds: float
    clusters: dict[str, ClusterRecord]
    """Of the windows of its core."""


def run_step(job: Job, step: Step, *needed: Any) -> float | Pieces | Found | list[Placed] | BlockReceipt:
    """Run one step.

    Parameters
    ----------
    job
        Of the layout.
    step
        What to do; its block is read from the store where this process does not have it.
    *needed
        Results of the steps that it needs, in the order of `plan_steps`.

    Returns
    -------
    Of reading, its seconds; of pieces, these; of clusters, what the log is to say; of carrying and moving, where the
    core of each of its blocks stands; of writing, a receipt.
    """
    started = time.perf_counter()
    run = _open_run(job)
    if step.kind == "write":
        return _write(run, step, *needed)
    if step.kind == "pieces":
        return _find_pieces(run, step)
    if step.kind == "cluster":
        return _find_clusters(run, step, *needed)
    if step.kind == "move":
        return _move(run, step, *needed)
    block = run.take(step.block)
    made = [_carry(run, step, block, *needed)] if step.kind == "carry" else time.perf_counter() - started
    run.keep(step.block, block)
    return made


def warm_up() -> None:
    """Load, or compile, the kernels of graphs and of the layout."""
    tasks.warm_up()
    ring = np.arange(8)
    graph = FuzzyGraph(
        indptr=np.arange(0, 17, 2, dtype=np.int64),
        indices=np.sort(np.stack([(ring - 1) % 8, (ring + 1) % 8], axis=1)).ravel().astype(np.int32),
        data=np.ones(16, dtype=np.float32),
    )
    relation = ring.astype(np.int32)
    settings = LayoutSettings(n_epochs=2)
    windows = [engine.BlockWindow(graph, index) for index in range(2)]
    engine.lay_out_in_exchange(windows, {(0, 1): relation}, settings, 0, [range(2)])


def _find_pieces(run: _Run, step: Step) -> Pieces:
    started, store = time.perf_counter(), run.store
    follower = Follower(run.config.random_state, store.read_relations())
    followed = [index for index in run.blocks[step.block].core if index]  # the first window follows none
    of_row = {index: follower.find_pieces(index, store.fuzzy_graph(index)) for index in followed}
    return Pieces(of_row, time.perf_counter() - started)


def _find_clusters(run: _Run, step: Step, pieces: Pieces, before: Found | None = None) -> Found:
    started, store, core = time.perf_counter(), run.store, run.blocks[step.block].core
    states, last = store.state(), core.start - 1
    follower = Follower(run.config.random_state, store.read_relations())
    record = states[last].clusters if last >= 0 and before is None else before and before.records.get(str(last))
    if record:
        follower.start_after(last, load_rows(store, last), read_record(store, last, record))
    unsynced: list[str] = []
    records = {}
    for index in core:
        found = pieces.of_row.get(index)
        records[str(index)] = follow_and_write(store, follower, index, load_rows(store, index), found, unsynced)
    store.location.sync(unsynced)
    return Found(records, time.perf_counter() - started + pieces.seconds)


def _carry(run: _Run, step: Step, block: ExchangeBlock, read_seconds: float, *before: list[Placed]) -> Placed:
    started = time.perf_counter()
    core, first = run.blocks[step.block].core, run.blocks[step.block].windows.start
    there = _join(before)
    halo = {index - first: there[index] for index in range(first, core.start)}
    positions = dict(zip(core, block.carry(halo), strict=True))
    strengths = name_strengths(core, block.find_strengths())
    return Placed(positions, strengths, read_seconds, time.perf_counter() - started, 0.0)


def _move(run: _Run, step: Step, *around: list[Placed]) -> list[Placed]:
    there, is_last = _join(around), step.round + 1 == len(run.rounds)
    moved = []
    for number in step.blocks:
        block, started = run.take(number), time.perf_counter()
        windows, core = run.blocks[number].windows, run.blocks[number].core
        positions = block.move(step.round, {index - windows.start: there[index] for index in windows})
        own = _find_block(around, core)
        seconds = own.move_seconds + time.perf_counter() - started
        moved.append(own._replace(positions=dict(zip(core, positions, strict=True)), move_seconds=seconds))
        if not is_last:
            run.keep(number, block)
    return moved


def _write(run: _Run, step: Step, moved: list[Placed], found: Found) -> BlockReceipt:
    started, placed = time.perf_counter(), _find_block([moved], run.blocks[step.block].core)
    attempt = new_attempt()
    unsynced: list[str] = []
    for index, positions in placed.positions.items():
        write_positions(run.store.new_attempt(index, attempt), positions, unsynced)
    run.store.location.sync(unsynced)
    seconds = time.perf_counter() - started + found.seconds
    return BlockReceipt(step.block, attempt, *placed[1:], seconds, found.records)


def _join(around: Iterable[list[Placed]]) -> dict[int, Float32Array]:
    return {index: positions for made in around for placed in made for index, positions in placed.positions.items()}


def _find_block(around: Iterable[list[Placed]], core: range) -> Placed:
    return next(placed for made in around for placed in made if core.start in placed.positions)


@dataclass
class _Run:
    """What a process has of the layout that it works for."""

    store: Store
    config: RunConfig
    blocks: list[Block]
    rounds: list[range]
    free_bytes: int
    kept: dict[int, ExchangeBlock]

    def take(self, number: int) -> ExchangeBlock:
        """Take a block out of what is kept, or read it: a second task meanwhile would find none, and read its own."""
        block = self.kept.pop(number, None)
        if block is None:
            return self._read(number)
        self.free_bytes += block.n_bytes
        return block

    def keep(self, number: int, block: ExchangeBlock) -> None:
        """Keep a block for its next step, if there is room. Those kept before stay: each comes up once a round."""
        if block.n_bytes <= self.free_bytes and number not in self.kept:
            self.kept[number] = block
            self.free_bytes -= block.n_bytes

    def _read(self, number: int) -> ExchangeBlock:
        block = self.blocks[number]
        settings = self.config.layout_settings()
        given = [self.store.read_layout_input(index) for index in block.windows]
        ids = [each.ids for each in given]
        labels = [self.store.labels[index] for index in block.windows]
        windows = [
            engine.BlockWindow(each.graph, index, mid_near=each.mid_near)
            for index, each in zip(block.windows, given, strict=True)
        ]
        moved = range(len(block.halo), len(block.halo) + len(block.core))
        return engine.ExchangeBlock(
            [window if window.index in block.core else engine.as_halo(window) for window in windows],
            relate_windows(ids, settings.alignment_window_size, moved, labels, self.store.read_relations()),
            settings,
            self.config.random_state,
            self.rounds,
        )


@lru_cache(maxsize=1)
def _open_run(job: Job) -> _Run:
    store = Store.open(job.store)
    config = RunConfig.from_json(store.config)
    settings = config.layout_settings()
    return _Run(
        store=store,
        config=config,
        blocks=plan_exchange_blocks(store.n_windows, config.block_windows or 1, settings.alignment_window_size),
        rounds=engine.plan_rounds(settings, range(store.n_windows)),
        free_bytes=job.kept_bytes,
        kept={},
    )
