"""Clusters of windows, each following the window before; found once for each graph, whatever the layout does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import (
    CLUSTER_STREAM,
    Clustered,
    Passage,
    find_strongest,
    follow_clusters,
    make_seed,
)
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.store.attempts import name_small_attempt, write_clusters
from driftmap.pipeline.store.log.layouts import ClusterRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from driftmap.engine.types import FuzzyGraph
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.relation_book import OutsideRelations


class Rows(NamedTuple):
    """What clusters are found from: a window's graph, and what relates its rows to others."""

    graph: FuzzyGraph
    ids: np.ndarray[Any, Any]
    label: str


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

    def start_after(self, index: int, rows: Rows, clusters: Clustered) -> None:
        """Go on from a window whose clusters are known."""
        self._last_index, self._last = index, (rows, clusters)

    def is_at(self, index: int) -> bool:
        """Whether the window was the last one."""
        return self._last is not None and self._last_index == index

    def follow(self, index: int, rows: Rows) -> Clustered:
        """Find the clusters of a window; without the one before, it is taken as the first."""
        seed = make_seed(self._random_state, index, CLUSTER_STREAM)
        if self._last is None or self._last_index != index - 1:
            found = follow_clusters(rows.graph, seed)
        else:
            old, clusters = self._last
            relation = relate_two(old, rows, self._outside)
            found = follow_clusters(rows.graph, seed, old.graph, clusters, relation)
        self.start_after(index, rows, found)
        return found


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
        records[str(index)] = write_found(store, index, follower.follow(index, load(index)))
    return records


def write_found(store: Store, index: int, found: Clustered) -> ClusterRecord:
    """Write a window's clusters, and give what the log is to say of them."""
    attempt = name_small_attempt([found.of_row], may_pack=store.may_pack)
    write_clusters(store.make_attempt(index, attempt), found.of_row)
    return ClusterRecord(
        attempt=attempt,
        n_clusters=len(np.unique(found.of_row[found.of_row >= 0])),
        n_known=found.n_known,
        passages=[list(passage) for passage in found.passages],
    )


def read_record(store: Store, index: int, record: Mapping[str, Any]) -> Clustered:
    """Read the clusters that a record names, whether it is in the log yet or not."""
    of_row = store.make_attempt(index, record["attempt"]).read("clusters")
    return Clustered(of_row, record["n_known"], [Passage(*passage) for passage in record["passages"]])


def load_rows(store: Store, index: int) -> Rows:
    """Read a window's graph and ids."""
    return Rows(*store.read_layout_input(index), store.labels[index])
