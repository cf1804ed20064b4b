"""Maps to draw in tests: made ones, as lists and as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.types import FuzzyGraph, KnnGraph, WindowGraph
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import write_graph, write_positions

if TYPE_CHECKING:
    from pathlib import Path


class Pictured(NamedTuple):
    """Maps whose entities move on by half a window each, every kind in a cluster of its own."""

    maps: list[np.ndarray]
    ids: list[np.ndarray]
    kinds: list[np.ndarray]


def make_maps(n_windows: int = 4, n_rows: int = 60, n_kinds: int = 3, n_components: int = 2) -> Pictured:
    rng = np.random.default_rng(0)
    n_entities = n_rows + n_rows // 2 * n_windows
    kinds = rng.integers(0, n_kinds, n_entities)
    places = 5 * rng.normal(size=(n_kinds, n_components))[kinds] + rng.normal(size=(n_entities, n_components))
    rows = [np.arange(n_rows) + n_rows // 2 * window for window in range(n_windows)]
    return Pictured(
        [(places[one] + 0.2 * window).astype(np.float32) for window, one in enumerate(rows)],
        [np.array([f"entity {row}" for row in one]) for one in rows],
        [np.array([f"kind {kind}" for kind in kinds[one]]) for one in rows],
    )


def write_maps(path: Path, made: Pictured, names: list[str]) -> Store:
    """Write maps as a run would leave them, with the columns `kind` and `weight`; every row has one neighbour."""
    windows = [
        {"label": name, "n_rows": len(one), "start": None, "end": None, "digest": name}
        for name, one in zip(names, made.maps, strict=True)
    ]
    store = Store.create(path, config={}, windows=windows, fingerprint={})
    for index, (positions, ids, kinds) in enumerate(zip(*made, strict=True)):
        n = len(ids)
        attempt = store.new_attempt(index)
        rows = np.arange(n, dtype=np.int32)
        knn = KnnGraph(np.column_stack([rows, np.roll(rows, 1)]), np.zeros((n, 2), np.float32))
        fuzzy = FuzzyGraph(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
        labels = {"kind": kinds, "weight": np.linspace(0, 1, n)}
        n_bytes = write_graph(attempt, ids, labels, WindowGraph(knn, fuzzy))
        facts = {"index": index, "label": attempt.label, "attempt": attempt.name, "n_rows": n, "n_edges": 0}
        told = {"has_ids": True, "label_columns": list(labels), "seconds": 0.1, "bytes": n_bytes}
        store.commit_graph({**facts, **told})
        write_positions(store.new_attempt(index, "one"), positions)
    final = [*range(len(names) - 1)]
    layout = {"block": 0, "attempt": "one", "final": final, "provisional": [len(final)], "seconds": 1.0}
    store.commit_layout(layout)
    return store
