"""Clusters of a run's windows, as the store has them; of a store of an older driftmap they are found here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine import Clustered
from driftmap.pipeline.layout.clusters import Follower, load_rows, read_record
from driftmap.pipeline.look.cluster_names import find_names
from driftmap.pipeline.look.run_codes import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.pipeline.look.run_codes import Run
    from driftmap.pipeline.store import Store


MAX_NAMED = 200
"""Clusters of a run that have names on the page; the smallest share one."""


class FoundClusters(NamedTuple):
    """Clusters of a run."""

    windows: list[Clustered]
    """Of every window of the run."""
    names: dict[int, str]
    """Of those that have one, by the words of their rows."""

    def name(self, cluster: int) -> str:
        """Name a cluster by its words, or its number."""
        return f"cluster {self.names.get(cluster, cluster)}"


def read_clusters(store: Store, run: Run) -> FoundClusters:
    """Read the clusters of a run's windows, or find them, and name them where the store has words of rows."""
    windows = list(list_clusters(store, run))
    return FoundClusters(windows, find_names(store, run, windows))


def make_column(run: Run, found: FoundClusters) -> Column | None:
    """Make a label column of the clusters of every window, the largest first; None where there are none."""
    clusters = found.windows
    counts = np.zeros(max(found.n_known for found in clusters) + 1, dtype=np.int64)
    for one in clusters:
        counts += np.bincount(one.of_row + 1, minlength=len(counts))
    named = [number for number in np.argsort(-counts[1:], kind="stable").tolist() if counts[number + 1]][:MAX_NAMED]
    if not named:
        return None
    values = [found.name(number) for number in named]
    rest = np.full(len(counts), len(values), dtype=np.int32)
    rest[np.array(named) + 1] = np.arange(len(named))
    codes = [rest[one.of_row + 1] for one in clusters]
    if any((code == len(named)).any() for code in codes):
        values.append("no cluster")
    taken = {column.name for column in run.columns}
    return Column("found cluster" if "cluster" in taken else "cluster", "category", codes, values)


def list_clusters(store: Store, run: Run) -> Iterator[Clustered]:
    """Give the clusters of each window; where one has none in the store, all are found again from the graphs.

    Windows without a graph then have no clusters, and the next one begins with new numbers.
    """
    if all(fact.clusters is not None for fact in run.facts):
        for fact in run.facts:
            yield read_record(store, fact.index, fact.clusters or {})
        return
    follower = Follower(int(store.config.get("random_state") or 0), store.read_relations())
    n_known = 0
    for fact in run.facts:
        if fact.pruned:
            yield Clustered(np.full(fact.n_rows, -1, dtype=np.int32), n_known, [])
            continue
        is_first = not follower.is_at(fact.index - 1)
        found = follower.follow(fact.index, load_rows(store, fact.index))
        if is_first and n_known:
            of_row = np.where(found.of_row >= 0, found.of_row + n_known, -1).astype(np.int32)
            found = Clustered(of_row, found.n_known + n_known, [])
            follower.start_after(fact.index, load_rows(store, fact.index), found)
        n_known = found.n_known
        yield found
