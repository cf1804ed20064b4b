"""One window's rows to its graphs: the work of a graph task, before any layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.engine.fuzzy import build_fuzzy_graph
from driftmap.engine.knn import build_knn_graph
from driftmap.engine.settings import GraphSettings
from driftmap.engine.types import WindowGraph

if TYPE_CHECKING:
    from driftmap.engine.rows import Rows
    from driftmap.engine.supervise import Target
    from driftmap.engine.types import KnnGraph


def build_window_graph(
    rows: Rows,
    settings: GraphSettings | None = None,
    seed: int = 0,
    *,
    knn: KnnGraph | None = None,
    target: Target | None = None,
) -> WindowGraph:
    """Build the kNN graph and the fuzzy graph of one window.

    Parameters
    ----------
    rows
        As `build_knn_graph` takes them, at least `settings.n_neighbors`.
    settings
        How; the defaults are `GraphSettings()`.
    seed
        Of the approximate neighbour search that large windows use.
    knn
        The kNN graph, where it is known already; the rows are not looked at then. `precomputed.read_knn` makes it.
    target
        Labels or values that draw the fuzzy graph towards them; `supervise.read_target` makes it.

    Raises
    ------
    InvalidInputError
        When the rows or a setting cannot be used; rows that hold NaN or infinity are named.
    """
    settings = GraphSettings() if settings is None else settings
    if knn is None:
        knn = build_knn_graph(rows, settings.n_neighbors, settings.metric, settings.metric_kwds, seed)
    fuzzy = build_fuzzy_graph(
        knn, set_op_mix_ratio=settings.set_op_mix_ratio, local_connectivity=settings.local_connectivity
    )
    if target is not None:
        from driftmap.engine.supervise import supervise_graph

        fuzzy = supervise_graph(fuzzy, target, settings.n_neighbors, seed)
    return WindowGraph(knn, fuzzy)
