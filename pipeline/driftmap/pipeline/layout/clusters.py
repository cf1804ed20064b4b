"""Clusters and turnover of windows, each against the one before: once for each graph, whatever the layout does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import (
    CLUSTER_STREAM,
    Clustered,
    Passage,
    find_pieces,
    find_strongest,
    follow_clusters,
    make_seed,
    turnover,
)
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.store.attempts import name_small_attempt, write_clusters
from driftmap.pipeline.store.log.layouts import ClusterRecord
from driftmap.pipeline.store.turnover_codes import encode_turnover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from driftmap.engine.types import Int32Array, ReadableGraph
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.relation_book import OutsideRelations
    from driftmap.pipeline.store.turnover_codes import UInt8Array


class Rows(NamedTuple):
    """What clusters are found from: a window's graph, and what relates its rows to others."""

    graph: ReadableGraph
    ids: np.ndarray[Any, Any]
    label: str
    read_neighbours: Callable[[], Int32Array]
    """Reads the nearest rows of each row, (n, k)."""


class _Pair(NamedTuple):
    """Two consecutive windows."""

    old: Callable[[], Int32Array]
    new: Callable[[], Int32Array]
    relation: Int32Array


class Follower:
    """Finds the clusters of one window after the other; the last one is held for the next.

    Parameters
    ----------
    random_state
        Of the run.
    outside
        Relations from outside.
    """

    def __init__(self, random_state: int, outside: OutsideRelations) -> None:
        self._random_state, self._outside = random_state, outside
        self._last: tuple[Rows, Clustered] | None = None
        self._last_index = -1
        self._pair: _Pair | None = None

    def start_after(self, index: int, rows: Rows, clusters: Clustered) -> None:
        """Go on from a window whose clusters are known."""
        self._last_index, self._last = index, (rows, clusters)

    def is_at(self, index: int) -> bool:
        """Whether the window was the last one."""
        return self._last is not None and self._last_index == index

    def find_pieces(self, index: int, graph: ReadableGraph) -> Int32Array:
        """Find what `follow` takes of a window and no other one is needed for."""
        return find_pieces(graph, self._seed(index))

    def follow(self, index: int, rows: Rows, pieces: Int32Array | None = None) -> Clustered:
        """Find the clusters of a window; without the one before, it is taken as the first."""
        seed = self._seed(index)
        if self._last is None or self._last_index != index - 1:
            found, self._pair = follow_clusters(rows.graph, seed), None
        else:
            old, clusters = self._last
            relation = relate_two(old, rows, self._outside)
            found = follow_clusters(rows.graph, seed, old.graph, clusters, relation, pieces)
            self._pair = _Pair(old.read_neighbours, rows.read_neighbours, relation)
        self.start_after(index, rows, found)
        return found

    def _seed(self, index: int) -> int:
        return make_seed(self._random_state, index, CLUSTER_STREAM)

    def measure_turnover(self) -> UInt8Array | None:
        """Measure the turnover of the rows of the window followed last; None where the one before is not known."""
        if self._pair is None:
            return None
        old, new, relation = self._pair.old(), self._pair.new(), self._pair.relation
        return encode_turnover(turnover(old, new, relation), relation, len(new))


def relate_two(old: Rows, new: Rows, outside: OutsideRelations) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Relate the rows of two consecutive windows one to one, by equal ids and by relations from outside."""
    relations = relate_windows([old.ids, new.ids], 1, range(1, 2), [old.label, new.label], outside)
    return find_strongest(relations[0, 1], len(old.ids))


def find_missing(
    store: Store,
    windows: Iterable[int],
    random_state: int,
    load: Callable[[int], Rows],
    changed: Iterable[int] = (),
    unsynced: list[str] | None = None,
) -> dict[str, ClusterRecord]:
    """Find and write the clusters of those windows that have none, or follow one whose clusters are found here.

    Parameters
    ----------
    store
        Opened for writing.
    windows
        Consecutive ones, by number.
    random_state
        Of the run.
    load
        Gives a window's rows.
    changed
        Windows whose graphs are new, so that what the store has of them counts no longer.
    unsynced
        As for `write_arrays`.

    Returns
    -------
    dict
        By the window's number, what the log is to say.
    """
    records: dict[str, ClusterRecord] = {}
    follower, states, rebuilt = Follower(random_state, store.read_relations()), store.state(), set(changed)
    for index in windows:
        known = states[index].clusters if index < len(states) and index not in rebuilt else None
        if known is not None and str(index - 1) not in records:
            continue
        before = index - 1
        if before >= 0 and not follower.is_at(before) and (record := states[before].clusters) is not None:
            follower.start_after(before, load(before), read_record(store, before, record))
        records[str(index)] = follow_and_write(store, follower, index, load(index), unsynced=unsynced)
    return records


def follow_and_write(
    store: Store,
    follower: Follower,
    index: int,
    rows: Rows,
    pieces: Int32Array | None = None,
    unsynced: list[str] | None = None,
) -> ClusterRecord:
    """Find and write a window's clusters and its turnover, and give what the log is to say of them.

    `unsynced` is as for `write_arrays`.
    """
    found = follower.follow(index, rows, pieces)
    codes = follower.measure_turnover()
    arrays: list[np.ndarray[Any, Any]] = [found.of_row] if codes is None else [found.of_row, codes]
    attempt = name_small_attempt(arrays, may_pack=store.may_pack)
    write_clusters(store.make_attempt(index, attempt), found.of_row, codes, unsynced)
    return ClusterRecord(
        attempt=attempt,
        n_clusters=len(np.unique(found.of_row[found.of_row >= 0])),
        n_known=found.n_known,
        passages=[list(passage) for passage in found.passages],
        has_turnover=codes is not None,
    )


def read_record(store: Store, index: int, record: Mapping[str, Any]) -> Clustered:
    """Read the clusters that a record names, whether it is in the log yet or not."""
    of_row = store.make_attempt(index, record["attempt"]).read("clusters")
    return Clustered(of_row, record["n_known"], [Passage(*passage) for passage in record["passages"]])


def load_rows(store: Store, index: int) -> Rows:
    """Read a window's graph and ids."""
    given = store.read_layout_input(index)
    return Rows(given.graph, given.ids, store.labels[index], give_neighbours(store, index, given.neighbours))


def open_rows(store: Store, index: int) -> Rows:
    """Do as `load_rows`, with a graph whose rows are read as they are needed."""
    graph, ids = store.open_graph(index), store.window_keys(index)
    return Rows(graph, ids, store.labels[index], partial(store.read_neighbours, index))


def give_neighbours(store: Store, index: int, known: Int32Array | None) -> Callable[[], Int32Array]:
    """Make what gives the nearest rows of each row of a window: those that are known, or else it reads them."""
    return partial(store.read_neighbours, index) if known is None else lambda: known
