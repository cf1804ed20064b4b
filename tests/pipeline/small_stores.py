"""Stores made by hand, window by window, for what looks at them."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from driftmap.engine import count_terms
from driftmap.engine.types import FuzzyGraph, KnnGraph, WindowGraph
from driftmap.pipeline.look.page_codec import decode_page
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import write_graph, write_positions
from driftmap.pipeline.store.row_traits import NumberCoder, pack_terms

N_NEIGHBORS = 5


class SmallWindow(NamedTuple):
    label: str
    ids: np.ndarray
    positions: np.ndarray
    columns: dict = {}  # noqa: RUF012 - never changed
    texts: list | None = None
    """Of the rows, whose words are kept."""
    numbers: dict = {}  # noqa: RUF012 - never changed
    """Columns of numbers, which are kept in one byte."""


def make_store(
    path,
    windows: list[SmallWindow],
    *,
    config: dict | None = None,
    n_provisional: int = 1,
    strengths: dict[str, float] | None = None,
) -> Store:
    """A store whose maps are the data themselves: their graphs join the nearest places."""
    planned = [{"label": w.label, "n_rows": len(w.ids), "start": None, "end": None, "digest": "d"} for w in windows]
    store = Store.create(path, config=config or {}, windows=planned, fingerprint={})
    for index, window in enumerate(windows):
        add_graph(store, index, window)
    add_maps(store, [window.positions for window in windows], n_provisional, strengths)
    return store


def add_graph(store: Store, index: int, window: SmallWindow, knn: KnnGraph | None = None) -> None:
    attempt = store.new_attempt(index)
    knn = nearest(window.positions) if knn is None else knn
    traits = {} if window.texts is None else pack_terms(count_terms(window.texts))
    if window.numbers:
        rows = np.column_stack(list(window.numbers.values()))
        coder = NumberCoder(rows)
        traits |= {"numbers": coder.encode(rows), "number_scale": coder.scale}
    n_bytes = write_graph(attempt, window.ids, window.columns, WindowGraph(knn, to_fuzzy(knn)), traits)
    store.commit_graph(
        {
            "index": index,
            "label": attempt.label,
            "attempt": attempt.name,
            "n_rows": len(window.ids),
            "n_edges": 0,
            "has_ids": True,
            "label_columns": list(window.columns),
            "seconds": 0.1,
            "bytes": n_bytes,
            "traits": {"has_terms": window.texts is not None, "columns": list(window.numbers)} if traits else None,
        }
    )


def add_maps(
    store: Store, maps: list[np.ndarray], n_provisional: int = 1, strengths: dict[str, float] | None = None
) -> None:
    for index, positions in enumerate(maps):
        write_positions(store.new_attempt(index, "one"), positions.astype(np.float32))
    numbers, n_final = [*range(len(maps))], len(maps) - n_provisional
    payload = {"block": 0, "attempt": "one", "seconds": 1.0, "strengths": strengths or {}}
    store.commit_layout({**payload, "final": numbers[:n_final], "provisional": numbers[n_final:]})


def nearest(rows: np.ndarray) -> KnnGraph:
    """Of small windows few neighbours, of large ones as many as a run has by default."""
    n, k = len(rows), min(N_NEIGHBORS, len(rows))
    if n > 2000:
        lengths, order = cKDTree(rows).query(rows, 15)
        return KnnGraph(order.astype(np.int32), lengths.astype(np.float32))
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    np.fill_diagonal(distances, -1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    lengths = np.linalg.norm(rows[:, None] - rows[order], axis=-1)
    return KnnGraph(order.astype(np.int32), lengths.astype(np.float32))


def to_fuzzy(knn: KnnGraph) -> FuzzyGraph:
    """The symmetric graph that joins each row to its neighbours."""
    n, k = knn.indices.shape
    rows, columns = np.repeat(np.arange(n), max(0, k - 1)), knn.indices[:, 1:].ravel()
    graph = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, n))
    both = graph.maximum(graph.T).tocsr()
    both.sort_indices()
    return FuzzyGraph(both.indptr.astype(np.int64), both.indices.astype(np.int32), both.data)


def read_page_header(path) -> dict:
    """What a page says: its windows, ids and columns."""
    packed = re.search(r'id="data">([^<]*)<', path.read_text(encoding="utf-8"))[1]
    return decode_page(packed)[0]
