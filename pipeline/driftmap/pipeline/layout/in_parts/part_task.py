"""One step of a block whose rows are shared out, as a plain function; no Dask."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from driftmap.engine import (
    BlockPart,
    RowShare,
    WindowKind,
    find_graph_strengths,
    join_parts,
    place_window,
    start_bytes,
)
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.layout.clusters import find_missing, open_rows
from driftmap.pipeline.layout.in_parts.part_job import Found, Moved, PartJob, PartsWritten, Placed
from driftmap.pipeline.layout.publish import name_strengths
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import new_attempt, write_positions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine.types import Coupling, Float32Array, ReadableGraph, Relation
    from driftmap.pipeline.planning.part_schedule import PartStep
    from driftmap.pipeline.store.log.windows import WindowState


def run_part_step(job: PartJob, step: PartStep, *needed: Any) -> Found | Placed | Moved | PartsWritten:
    """Run one step.

    Parameters
    ----------
    job
        Of the block.
    step
        What to do; its part is made of the store's graphs where this process does not have it.
    *needed
        Results of the steps that it needs, in the order of `plan_part_steps`.
    """
    run = _open_run(job)
    if step.kind == "cluster":
        store, block = run.store, job.block
        windows = (*block.core, *block.lookahead)
        return Found(find_missing(store, windows, job.random_state, lambda index: open_rows(store, index)))
    if step.kind == "start":
        return run.start(step.place, run.read_known() | run.join(needed))
    made = run.write(needed) if step.kind == "write" else run.move(step, needed)
    if not run.kept and (step.is_last or step.kind == "write"):
        _open_run.cache_clear()  # nothing of the block stays in the worker
    return made


@dataclass
class _Run:
    """What a process has of the block that it works for."""

    job: PartJob
    store: Store
    kinds: list[WindowKind]
    relations: Mapping[tuple[int, int], Relation | Coupling]
    graphs: Sequence[ReadableGraph]
    kept: dict[int, tuple[BlockPart, tuple[str, int, int]]] = field(default_factory=dict)
    """Parts, each with the kind, place and epoch of the step that it is ready for."""

    def read_known(self) -> dict[int, Float32Array]:
        """Read where the windows stand that have positions in the store."""
        known = [place for place, kind in enumerate(self.kinds) if not kind.is_new]
        return {place: self.store.positions(self.kinds[place].number) for place in known}

    def start(self, place: int, before: Mapping[int, Float32Array]) -> Placed:
        self._make_room(place)
        given = (self.kinds, self.relations, place, before, self.job.settings, self.job.random_state)
        positions = place_window(self.graphs, *given)
        self._rest()
        return Placed(place, positions)

    def join(self, needed: tuple[Any, ...]) -> dict[int, Float32Array]:
        """Join the parts of every window that is among results."""
        joined = {each.place: each.positions for each in needed if isinstance(each, Placed)}
        parts: dict[int, list[Float32Array]] = {}
        for moved in needed:
            for place, positions in moved.positions.items() if isinstance(moved, Moved) else ():
                parts.setdefault(place, []).append(positions)
        for place, several in parts.items():
            number = self.kinds[place].number
            joined[place] = join_parts(self.graphs[place], number, self.job.random_state, several)
        self._rest()
        return joined

    def move(self, step: PartStep, needed: tuple[Any, ...]) -> Moved:
        part, is_ready = self._take(step)
        moving = [step.place] if step.kind == "carry" else self._list_free()
        if is_ready:
            # What does not move is there, and so are the part's own rows.
            for moved in needed:
                for place in moving if isinstance(moved, Moved) and moved.part != step.part else ():
                    if place in moved.positions:
                        part.place_part(place, moved.part, moved.positions[place])
        else:
            self._place_all(part, needed)
        carries = step.kind == "carry"
        now = {step.place: part.carry(step.place, step.epoch)} if carries else part.move(step.epoch)
        held = sum(other.n_bytes for other, _ in self.kept.values())
        if not step.is_last and held + part.n_bytes <= self.job.kept_bytes:
            self.kept[step.part] = part, (step.kind, step.place, step.epoch + 1)
        return Moved(step.part, now)

    def write(self, needed: tuple[Any, ...]) -> PartsWritten:
        attempt = new_attempt()
        places = self.read_known() | self.join(needed)
        for place in self._list_free():
            write_positions(self.store.new_attempt(self.kinds[place].number, attempt), places[place])
        numbers = [kind.number for kind in self.kinds]
        strengths = find_graph_strengths(self.graphs, numbers, self.relations, self.job.settings)
        self._rest()
        clusters = next(each.records for each in needed if isinstance(each, Found))
        return PartsWritten(attempt, name_strengths(numbers, strengths), clusters)

    def _list_free(self) -> list[int]:
        return [place for place, kind in enumerate(self.kinds) if not kind.is_fixed]

    def _take(self, step: PartStep) -> tuple[BlockPart, bool]:
        """Take the part of a step out of what is kept, or make it; and tell whether it is ready for the step."""
        part, ready_for = self.kept.pop(step.part, (None, ("", -1, -1)))
        if part is None:
            release_memory()
            share = RowShare(step.part, self.job.n_parts)
            given = (self.kinds, self.relations, self.job.settings, self.job.random_state, share)
            part = BlockPart(self.graphs, *given)
            self._rest()
        return part, ready_for == (step.kind, step.place, step.epoch)

    def _place_all(self, part: BlockPart, needed: tuple[Any, ...]) -> None:
        """Place all windows that have positions, and order their rows by them."""
        whole = self.read_known() | {each.place: each.positions for each in needed if isinstance(each, Placed)}
        for place, positions in whole.items():
            part.place(place, positions)
        placed = set(whole)
        for moved in needed:
            for place, positions in moved.positions.items() if isinstance(moved, Moved) else ():
                part.place_part(place, moved.part, positions)
                placed.add(place)
        for place in sorted(placed):
            part.order(place)

    def _make_room(self, place: int) -> None:
        """Let go of parts that are kept where there is no room for them beside the start of a window."""
        graph = self.graphs[place]
        n_edges = int(graph.indptr[-1]) // max(1, graph.n_rows) + 1
        held = sum(part.n_bytes for part, _ in self.kept.values())
        if held + start_bytes(graph.n_rows, n_edges) + 8 * int(graph.indptr[-1]) > self.job.kept_bytes:
            self.kept.clear()
            release_memory()

    def _rest(self) -> None:
        """Give back what was needed of graphs."""
        release_memory()


@lru_cache(maxsize=1)
def _open_run(job: PartJob) -> _Run:
    store, block = Store.open(job.store), job.block
    states = store.state()
    kinds = [_describe(store, states[i], is_fixed=i in block.halo) for i in block.windows]
    ids, labels = [store.window_keys(i) for i in block.windows], [store.labels[i] for i in block.windows]
    moved = range(len(block.halo), len(block.windows))
    outside = store.read_relations()
    return _Run(
        job=job,
        store=store,
        kinds=kinds,
        relations=relate_windows(ids, job.settings.alignment_window_size, moved, labels, outside),
        graphs=[store.open_graph(kind.number) for kind in kinds],
    )


def _describe(store: Store, state: WindowState, *, is_fixed: bool) -> WindowKind:
    """Say what becomes of a window; of one that is laid out for the first time with its mid-near rows."""
    is_new = state.layout_attempt is None
    mid_near = store.read_mid_near(state.index) if is_new and not is_fixed else None
    return WindowKind(state.index, is_new, is_fixed, mid_near)
