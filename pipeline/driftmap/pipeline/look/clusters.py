"""Clusters of a run's windows, as the store has them; of a store of an older driftmap they are found here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine import Clustered
from driftmap.pipeline.layout.clusters import Follower, load_rows, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.pipeline.look.run_codes import Run
    from driftmap.pipeline.store import Store


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
