"""The graph of one ingested window as a plain function: read its rows wherever they lie, build, write. No Dask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftmap.engine import build_window_graph
from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.ingestion.source_parts import read_pieces
from driftmap.pipeline.sources.row_digest import digest_rows
from driftmap.pipeline.store.attempts import Attempt, GraphReceipt, new_attempt, write_graph

if TYPE_CHECKING:
    from driftmap.engine.settings import GraphSettings
    from driftmap.pipeline.ingestion.source_parts import Piece
    from driftmap.pipeline.store.location import Location


@dataclass(frozen=True)
class Refusal:
    """Why the rows of a window cannot be used: given back, not raised, so that the windows before it are kept."""

    index: int
    reason: str


@dataclass(frozen=True, eq=False)
class GraphOrder:
    """What to build."""

    index: int
    label: str
    pieces: list[Piece]
    has_ids: bool


def build_rows_task(store: Location, order: GraphOrder, settings: GraphSettings, seed: int) -> GraphReceipt | Refusal:
    """Build the graph of a window and write it to the store; nothing counts before a commit names it.

    Parameters
    ----------
    store
        Where the store lies.
    order
        The window, and where its rows are.
    settings, seed
        Passed to the engine.

    Returns
    -------
    A small receipt, or the reason why there is none.
    """
    started = time.perf_counter()
    try:
        vectors, ids, labels = read_pieces(order.pieces)
        graph = build_window_graph(vectors, settings.for_rows(len(vectors)), seed)
    except DriftmapError as error:
        return Refusal(order.index, str(error))
    except Exception as error:
        error.add_note(f"while the graph of window {order.label!r} was built")
        raise
    attempt = Attempt(store, order.index, new_attempt(), order.label)
    n_bytes = write_graph(attempt, ids, labels, graph)
    return GraphReceipt(
        index=order.index,
        label=order.label,
        attempt=attempt.name,
        n_rows=len(ids),
        n_edges=len(graph.fuzzy.indices),
        has_ids=order.has_ids,
        label_columns=list(labels),
        seconds=round(time.perf_counter() - started, 6),
        bytes=n_bytes,
        rows_digest=digest_rows(vectors, ids, labels),
    )
