"""What `fit` and `update` are given: checked, and made ready to be laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.engine.core.threads import limit_small_blas
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.estimator.checks import (
    build_graph,
    check_list,
    check_reference,
    check_windows,
    find_starts,
    read_init,
    read_window,
    refuse_few_rows,
    relate_pairs,
    warn_of_inverse,
    warn_of_unrelated,
)
from driftmap.engine.estimator.parameters import (
    check_parameters,
    read_graph_settings,
    read_layout_settings,
    read_random_state,
    read_target_settings,
)
from driftmap.engine.estimator.window_relations import WindowRelations
from driftmap.engine.graph.supervise import read_target, read_targets
from driftmap.engine.layout.block import BlockWindow
from driftmap.engine.neighbours.incremental import find_in_sequence
from driftmap.engine.neighbours.precomputed import read_knn, read_knns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from driftmap.engine.layout.flatten import RelationMap
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.settings import LayoutSettings
    from driftmap.engine.types import Float32Array, FuzzyGraph, KnnGraph, WindowGraph


class Model(NamedTuple):
    """The windows of a model; `maps` as the layout has them, before they are turned to a reference."""

    rows: list[Rows]
    knn: list[KnnGraph]
    graphs: list[FuzzyGraph]
    maps: list[Float32Array]
    related: WindowRelations
    seed: int


class Prepared(NamedTuple):
    """Windows that are ready to be laid out together."""

    model: Model
    """With the new windows, which have no maps yet."""
    block: list[BlockWindow]
    relations: RelationMap
    """By places in the block."""
    layout: LayoutSettings
    first: int
    """Number of the block's first window."""
    reference: list[Float32Array | None] | None = None
    """What the maps are turned to."""


def prepare_fit(
    parameters: dict[str, Any],
    X: Sequence[Any],
    y: Sequence[npt.ArrayLike | None] | None,
    *,
    relations: Sequence[Any] | None,
    ids: Sequence[npt.ArrayLike] | None,
    knn: Sequence[Any] | None,
    reference: Sequence[npt.ArrayLike | None] | None,
) -> Prepared:
    """Prepare a sequence of windows; see `AlignedUMAP.fit`."""
    n_windows = check_list(X)
    values = check_parameters(parameters, n_windows)
    layout = read_layout_settings(values)
    settings = [read_graph_settings(values, index) for index in range(n_windows)]
    rows = check_windows(X, settings)
    seed = read_random_state(parameters["random_state"])
    sizes = [window.shape[0] for window in rows]
    related = WindowRelations.of(sizes, relations, ids)
    init = read_init(parameters["init"], rows, layout.n_components, [s.metric for s in settings])
    turned_to = None if reference is None else check_reference(reference, sizes, layout.n_components)
    known: Iterable[KnnGraph | None] = read_knns(knn, sizes, [s.n_neighbors for s in settings])
    targets = read_targets(y, sizes, [read_target_settings(values, t) for t in range(n_windows)])
    if knn is None:
        known = find_in_sequence(rows, related.steps(), settings)
    built: list[WindowGraph] = []
    with limit_small_blas(sizes):
        for index, found in enumerate(known):  # warnings of `build_graph` name the line that called `fit`
            built.append(build_graph(rows[index], index, settings[index], seed, found, targets[index]))
    graphs = [window.fuzzy for window in built]
    starts = find_starts(init, rows, graphs, layout.n_components, seed)
    block = [
        BlockWindow(window.fuzzy, t, start=start, mid_near=window.mid_near)
        for t, (window, start) in enumerate(zip(built, starts, strict=True))
    ]
    pairs = relate_pairs(related, 0, n_windows, layout.alignment_window_size)
    warn_of_unrelated(pairs, range(n_windows))
    return Prepared(
        Model(rows, [window.knn for window in built], graphs, [], related, seed), block, pairs, layout, 0, turned_to
    )


def prepare_update(
    model: Model,
    parameters: dict[str, Any],
    X: Any,
    *,
    relations: Any,
    ids: npt.ArrayLike | None,
    y: npt.ArrayLike | None,
    knn: Any,
    lookahead: int,
) -> Prepared:
    """Prepare one window more, with those before it that it is related to; see `AlignedUMAP.update`.

    Parameters
    ----------
    model
        Windows so far; it stays as it is.
    parameters
        With a value for the new window where there is one for each.
    X, relations, ids, y, knn, lookahead
        As `update` has them.
    """
    index = len(model.graphs)
    values = check_parameters(parameters, index + 1)
    layout = read_layout_settings(values)
    settings = read_graph_settings(values, index)
    rows = read_window(X, settings.metric, "X")
    refuse_few_rows(rows, "X")
    n, axes = rows.shape[0], model.maps[-1].shape[1]
    if layout.n_components != axes:
        msg = f"n_components is {layout.n_components}, but the model's maps have {axes} axes; fit it again."
        raise InvalidInputError(msg)
    related = model.related.copy()
    related.add(n, relations, ids)
    known = read_knn(knn, n, min(settings.n_neighbors, n))
    target = read_target(y, n, read_target_settings(values, index), "y")
    if relations is not None:
        warn_of_inverse(model.rows[-1], rows, related.steps()[-1], settings.metric)
    knn, graph, mid_near = build_graph(rows, index, settings, model.seed, known, target)
    reach = layout.alignment_window_size
    first_free = max(index - lookahead, 0)
    first = max(first_free - reach, 0)
    before = [BlockWindow(model.graphs[t], t, model.maps[t], is_fixed=t < first_free) for t in range(first, index)]
    extended = Model([*model.rows, rows], [*model.knn, knn], [*model.graphs, graph], model.maps, related, model.seed)
    pairs = relate_pairs(related, first, index + 1, reach, first_free)
    warn_of_unrelated(pairs, range(first, index + 1), n_fixed=index - first)
    return Prepared(extended, [*before, BlockWindow(graph, index, mid_near=mid_near)], pairs, layout, first)
