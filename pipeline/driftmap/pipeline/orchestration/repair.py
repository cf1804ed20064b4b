"""Make damaged arrays of a store again: only them, and with the same bytes, or not at all.

A graph is built again from the source. A map is laid out again with its block, from the positions that the log says its
windows had before; where those are lost too, the block that they come from is laid out again in memory first. Maps
that were made later stay as they are, which is right only where the new map equals the lost one: its digest is
compared, and where that is lost too, the maps that were made together with it. Of blocks that were laid out in
parallel all are laid out again. Clusters are found again from the graph, and from those of the window before.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.graphs.build_graph import build_graph_task, refuse_other_rows, warm_up
from driftmap.pipeline.graphs.stage import STAGE, make_orders, make_tasks
from driftmap.pipeline.layout.block_layout import lay_out_one, load_window
from driftmap.pipeline.layout.clusters import find_missing, load_rows
from driftmap.pipeline.layout.exchange import lay_out_again
from driftmap.pipeline.layout.on_worker import do_on_worker
from driftmap.pipeline.planning.estimates.memory import share_task_bytes
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import Attempt, name_group, new_attempt, write_positions
from driftmap.pipeline.store.disk.arrays import digest_values
from driftmap.pipeline.store.disk.checks import read_values_digests
from driftmap.pipeline.store.log.commits import CommitLog
from driftmap.pipeline.store.relation_book import NO_RELATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.config.run_config import RunConfig
    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.layout.job import LayoutJob
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.layouts import ClusterRecord, GraphReceipt
    from driftmap.pipeline.store.verify import Damage

ADVICE = "restore the store from a copy, or make it again under another name"


def build_again(
    store: Store,
    config: RunConfig,
    windows: Sequence[WindowPlan],
    place: Workplace,
) -> Iterator[GraphReceipt]:
    """Build the graphs of some windows, and give their receipts without committing them."""
    max_bytes = share_task_bytes(place.find_limit())
    with place.start(len(windows), warm_up) as executor:
        tasks = make_tasks(store, config, make_orders(store, config, windows), max_bytes)
        yield from executor.map_unordered(build_graph_task, tasks, STAGE)


def repair_graphs(store: Store, damaged: Sequence[Damage], receipts: Iterable[GraphReceipt]) -> None:
    """Put graphs that were built again in the place of damaged ones.

    Parameters
    ----------
    store
        Held and opened for writing.
    damaged
        What `find_damage` found.
    receipts
        Of the graphs that were built again.

    Raises
    ------
    DriftmapError
        When rows of the source are others now, or a graph that maps were made of does not come out as it was.
    """
    lost = {damage.number: damage for damage in damaged if damage.part == "graph"}
    for receipt in receipts:
        index = receipt["index"]
        try:
            refuse_other_rows(store.state()[index].rows_digest, receipt["rows_digest"])
        except SourceError as error:
            raise SourceError(f"{lost[index]}. It cannot be built again: {error}") from error
        group, old = name_group(index, receipt["attempt"]), name_group(index, lost[index].attempt)
        known, now = read_values_digests(store.location, old), read_values_digests(store.location, group)
        changed = [array for array, digest in known.items() if now.get(array) != digest]
        if changed and store.state()[index].layout_attempt is not None:
            raise StoreError(
                f"{lost[index]}. Built again, {', '.join(changed)} came out otherwise than before, on another machine "
                f"or with other versions of numpy or numba; the maps were made of what is lost: {ADVICE}"
            )
        store.commit_repair("rebuilt", {"receipt": receipt, "replaces": {str(index): lost[index].attempt}})


class Remade(NamedTuple):
    """Maps that were made again."""

    payloads: list[dict[str, Any]]
    """What to commit, one for each attempt."""
    error: str | None
    """Why the next one could not be made."""


def repair_maps(store: Store, damaged: Sequence[Damage], job: LayoutJob, executor: Executor | None = None) -> None:
    """Lay the maps that are damaged out again; graphs are whole.

    Parameters
    ----------
    store
        Held and opened for writing.
    damaged
        What `find_damage` found.
    job
        Blocks and settings of the run.
    executor
        Whose workers lay them out, one at a time; None: this process.

    Raises
    ------
    StoreError
        When a map cannot be made again as it was.
    """
    lost = [damage for damage in damaged if damage.part == "map"]
    if not lost:
        return
    if executor is None:
        remade = remake_maps(store, lost, job)
    else:
        sent = job._replace(outside=NO_RELATIONS)
        remade = do_on_worker(executor, "lost maps", remake_maps_task, store.location, lost, sent, executor.kept_bytes)
    for payload in remade.payloads:
        store.commit_repair("relaid", payload)
    if remade.error is not None:
        raise StoreError(remade.error)


def remake_maps_task(location: Location, damaged: Sequence[Damage], job: LayoutJob, kept_bytes: int) -> Remade:
    """Do as `remake_maps` in a worker's process, which keeps so much of blocks laid out in parallel."""
    store = Store.open(location)
    return remake_maps(store, damaged, job._replace(outside=store.read_relations()), kept_bytes)


def remake_maps(store: Store, damaged: Sequence[Damage], job: LayoutJob, kept_bytes: int | None = None) -> Remade:
    """Lay damaged maps out again and write them, up to the first that does not come out as it was."""
    lost = {damage.number: damage for damage in damaged}
    layouts = _Layouts(store, job, kept_bytes)
    payloads: list[dict[str, Any]] = []
    for name in dict.fromkeys(damage.attempt for damage in damaged):
        started = time.perf_counter()
        windows = [index for index, damage in lost.items() if damage.attempt == name]
        try:
            places = layouts.make(name)
            layouts.refuse_changes(name, places, set(windows))
        except DriftmapError as error:
            return Remade(payloads, f"{lost[windows[0]]}. It cannot be made again: {error}; {ADVICE}")
        attempt = new_attempt()
        for index in windows:
            write_positions(store.new_attempt(index, attempt), places[index])
        payload = {"attempt": attempt, "windows": windows, "replaces": {str(index): name for index in windows}}
        payloads.append({**payload, "seconds": round(time.perf_counter() - started, 6)})
    return Remade(payloads, None)


def repair_clusters(
    store: Store, damaged: Sequence[Damage], random_state: int, executor: Executor | None = None
) -> None:
    """Find clusters that are damaged again, from the graphs and the window before; graphs are whole.

    Parameters
    ----------
    store, executor
        As for `repair_maps`.
    damaged
        What `find_damage` found.
    random_state
        Of the run.

    Raises
    ------
    StoreError
        When a window's clusters do not come out as they were, or its graph was removed.
    """
    lost = {damage.number: damage for damage in damaged if damage.part == "clusters"}
    for index in sorted(lost):
        old = store.state()[index].clusters or {}
        try:
            if executor is None:
                record = find_clusters_again(store, index, random_state)
            else:
                record = do_on_worker(
                    executor, "lost clusters", find_clusters_task, store.location, index, random_state
                )
        except DriftmapError as error:
            raise StoreError(f"{lost[index]}. It cannot be made again: {error}; {ADVICE}") from error
        groups = (name_group(index, attempt) for attempt in (lost[index].attempt, record["attempt"]))
        known, now = (read_values_digests(store.location, group).get("clusters") for group in groups)
        if known not in (None, now) or record["n_known"] != old.get("n_known"):
            raise StoreError(
                f"{lost[index]}. Found again, the clusters come out otherwise than before, with another version of "
                f"graspologic-native or numpy: {ADVICE}"
            )
        payload = {"clusters": {str(index): record}, "replaces": {str(index): lost[index].attempt}}
        store.commit_repair("reclustered", payload)


def find_clusters_task(location: Location, index: int, random_state: int) -> ClusterRecord:
    """Do as `find_clusters_again` in a worker's process."""
    return find_clusters_again(Store.open(location), index, random_state)


def find_clusters_again(store: Store, index: int, random_state: int) -> ClusterRecord:
    """Find and write the clusters of one window, which goes on from what the store has of the one before."""
    return find_missing(store, [index], random_state, partial(load_rows, store), changed=[index])[str(index)]


class _Made(NamedTuple):
    """One layout of the log."""

    block: int
    moved: tuple[int, ...]
    before: dict[int, str]
    """Attempts at the positions that windows had before it."""


class _Layouts:
    """The layouts that the log names, each of which can be made again from those before."""

    def __init__(self, store: Store, job: LayoutJob, kept_bytes: int | None) -> None:
        self._store = store
        self._job = job
        self._kept_bytes = kept_bytes
        self._made: dict[str, _Made] = {}
        self._others: dict[str, str] = {}
        """Attempts that are made in other ways, and the kinds of their commits."""
        self._places: dict[str, dict[int, Float32Array]] = {}
        current: dict[int, str] = {}
        for commit in CommitLog(store.location).read_range(range(store.n_commits)):
            payload = commit.payload
            if commit.kind == "layout":
                block = job.blocks[payload["block"]]
                before = {index: current[index] for index in block.windows if index in current}
                moved = (*payload["final"], *payload["provisional"])
                self._made[payload["attempt"]] = _Made(payload["block"], moved, before)
                current |= dict.fromkeys(moved, payload["attempt"])
            elif commit.kind == "relaid":
                old = {int(index): name for index, name in payload["replaces"].items()}
                # What was made again is the same: whoever needs it may take either.
                self._made[payload["attempt"]] = self._made[old[payload["windows"][0]]]
                current |= dict.fromkeys(payload["windows"], payload["attempt"])
            elif commit.kind == "ingest":
                self._others[payload["attempt"]] = commit.kind

    def make(self, name: str) -> Mapping[int, Float32Array]:
        """Lay out again what an attempt holds, or held; the last few are remembered."""
        if name in self._places:
            return self._places[name]
        if name not in self._made:
            raise StoreError(f"it was made by an {self._others.get(name, 'unknown')}, which looked at other windows")
        if self._job.is_exchanged:
            places = lay_out_again(self._store, self._job, self._kept_bytes)
            self._places = dict.fromkeys(self._made, places)
            return places
        made = self._made[name]
        block = self._job.blocks[made.block]
        loaded = {index: load_window(self._store, index) for index in block.windows}
        places = lay_out_one(
            self._job, block, loaded, lambda index: self._read(index, made.before.get(index))
        ).positions
        while len(self._places) >= 2:
            del self._places[next(iter(self._places))]
        self._places[name] = places
        return places

    def refuse_changes(self, name: str, places: Mapping[int, Float32Array], lost: set[int]) -> None:
        """Refuse positions that are not those that the attempt held, as far as anything tells."""
        labels = self._store.labels
        for index in self._made[name].moved:
            if index in lost:
                known = read_values_digests(self._store.location, name_group(index, name)).get("positions")
                is_same = known in (None, digest_values(places[index]))
            else:
                try:
                    is_same = self._attempt(index, name).read("positions").tobytes() == places[index].tobytes()
                except StoreError:
                    continue
            if not is_same:
                raise StoreError(
                    f"laid out again, the map of window {labels[index]!r} comes out otherwise than before, on another "
                    "machine or with other versions of numpy or numba, and later maps were made from it"
                )

    def _read(self, index: int, name: str | None) -> Float32Array | None:
        if name is None:
            return None
        try:
            return self._attempt(index, name).read("positions")
        except StoreError:
            return self.make(name)[index]

    def _attempt(self, index: int, name: str) -> Attempt:
        return self._store.new_attempt(index, name)
