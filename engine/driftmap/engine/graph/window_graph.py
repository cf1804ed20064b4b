"""One window's rows to its graphs: the work of a graph task, before any layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.engine.graph.fuzzy import build_fuzzy_graph
from driftmap.engine.neighbours.blocked import find_in_row_blocks, refuse_blocks
from driftmap.engine.neighbours.mid_near import are_rows_of, find_mid_near, find_mid_near_in_blocks
from driftmap.engine.neighbours.search import build_knn_graph
from driftmap.engine.settings import GraphSettings
from driftmap.engine.types import WindowGraph

if TYPE_CHECKING:
    from driftmap.engine.graph.supervise import Target
    from driftmap.engine.neighbours.blocked import ReadRows
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.types import FuzzyGraph, KnnGraph


def build_window_graph(
    rows: Rows | None,
    settings: GraphSettings | None = None,
    seed: int = 0,
    *,
    knn: KnnGraph | None = None,
    target: Target | None = None,
) -> WindowGraph:
    """Build the kNN graph and the fuzzy graph of one window, and find its mid-near rows.

    Parameters
    ----------
    rows
        As `build_knn_graph` takes them, at least `settings.n_neighbors`.
    settings
        How; the defaults are `GraphSettings()`.
    seed
        Of the approximate neighbour search that large windows use.
    knn
        The kNN graph, where it is known already; `build_knn_graph` and `precomputed.read_knn` make it. The rows may be
        None then, and are only looked at for mid-near rows, where they give the graph's distances.
    target
        Labels or values that draw the fuzzy graph towards them; `supervise.read_target` makes it.

    Returns
    -------
    WindowGraph
        The kNN graph and the fuzzy graph, of n rows each, and mid-near rows, where there are rows to compare.

    Raises
    ------
    InvalidInputError
        When the rows or a setting cannot be used; rows that hold NaN or infinity are named.
    """
    settings = GraphSettings() if settings is None else settings
    has_rows = knn is None or (rows is not None and are_rows_of(knn, rows, settings))
    if knn is None:
        knn = build_knn_graph(
            rows, settings.n_neighbors, settings.metric, settings.metric_kwds, seed, settings.knn_recall
        )
    fuzzy = _weigh(knn, settings)
    if target is not None:
        from driftmap.engine.graph.supervise import supervise_graph

        fuzzy = supervise_graph(fuzzy, target, settings.n_neighbors, seed)
    mid_near = find_mid_near(rows, settings) if has_rows else None
    return WindowGraph(knn, fuzzy, mid_near)


def build_window_graph_from_blocks(
    read_rows: ReadRows, n_rows: int, settings: GraphSettings, block_rows: int
) -> WindowGraph:
    """Build the graphs of a window that does not fit the memory: two blocks of its rows at a time are in there.

    Parameters
    ----------
    read_rows
        Gives the rows [first, last), dense and finite, the same ones at every call.
    n_rows
        Rows of the window.
    settings
        How; the metric is one that inner products give (`knn.BLAS_METRICS`).
    block_rows
        Rows of a block; `footprint.choose_block_rows` finds how many fit.

    Returns
    -------
    WindowGraph
        The bytes of `build_window_graph` with `knn_recall=1`, whatever the blocks: in blocks the search is exact.

    Raises
    ------
    InvalidInputError
        When the metric cannot be searched in blocks, or the rows or a setting cannot be used.
    """
    refuse_blocks(settings)
    knn = find_in_row_blocks(read_rows, n_rows, settings.n_neighbors, str(settings.metric), block_rows)
    mid_near = find_mid_near_in_blocks(read_rows, n_rows, settings, block_rows)
    return WindowGraph(knn, _weigh(knn, settings), mid_near)


def _weigh(knn: KnnGraph, settings: GraphSettings) -> FuzzyGraph:
    return build_fuzzy_graph(
        knn, set_op_mix_ratio=settings.set_op_mix_ratio, local_connectivity=settings.local_connectivity
    )
