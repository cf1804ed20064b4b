"""What a caller hands to the estimator, checked and turned into graphs and relations."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.core.seeds import START_STREAM, make_graph_seed, make_seed
from driftmap.engine.core.validation import describe_rows, refuse_masked
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.window_graph import build_window_graph
from driftmap.engine.neighbours.distance_matrix import check_distances
from driftmap.engine.neighbours.rows import is_sparse, measure_pairs, read_rows
from driftmap.engine.relations.relations import invert_relation
from driftmap.engine.settings import PRECOMPUTED
from driftmap.engine.types import Coupling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine.estimator.window_relations import WindowRelations
    from driftmap.engine.graph.supervise import Target
    from driftmap.engine.neighbours.rows import Rows
    from driftmap.engine.settings import GraphSettings
    from driftmap.engine.types import Float32Array, FuzzyGraph, KnnGraph, Relation, WindowGraph


def build_graph(
    rows: Rows, index: int, settings: GraphSettings, seed: int, knn: KnnGraph | None, target: Target | None
) -> WindowGraph:
    """Build the graphs of a window; one with too few rows has all its rows as neighbours, as in umap-learn."""
    n = rows.shape[0]
    if settings.n_neighbors > n:
        message = f"window {index} has {n} rows, fewer than n_neighbors={settings.n_neighbors}: {n} are used."
        warnings.warn(message, UserWarning, stacklevel=4)
        settings = settings.for_rows(n)
    try:
        built = build_window_graph(rows, settings, make_graph_seed(seed, index), knn=knn, target=target)
    except InvalidInputError as error:
        msg = f"window {index}: {error}"
        raise type(error)(msg) from error
    lone = np.flatnonzero(np.diff(built.fuzzy.indptr) == 0)
    if len(lone) == n:
        why = _explain_lone(settings, target)
        msg = f"window {index}: no row has a neighbour, so that there is nothing to lay out; {why}."
        raise InvalidInputError(msg)
    if len(lone):
        message = (
            f"window {index}: {describe_rows(lone)} of {n} without neighbours, with NaN for a position; "
            f"{_explain_lone(settings, target)}."
        )
        warnings.warn(message, UserWarning, stacklevel=4)
    return built


def _explain_lone(settings: GraphSettings, target: Target | None) -> str:
    if target is not None and target.settings.weight == 1.0:
        return "target_weight=1 leaves only edges that the target (y) agrees with; lower it, or change y of these rows"
    if settings.set_op_mix_ratio < 1.0:
        return "raise set_op_mix_ratio, which drops edges of one direction alone, or n_neighbors"
    return "give finite distances to some rows, or leave these rows out"


def check_list(X: Any) -> int:
    """Return how many windows X holds; refuse what is no list of at least one window."""
    if is_sparse(X):
        msg = f"X must be a list of windows, one (rows, features) matrix each, got one sparse matrix {X.shape}."
        raise InvalidInputError(msg)
    if isinstance(X, np.ndarray) and X.ndim != 3:
        msg = f"X must be a list of windows, one (rows, features) array each, got one array of shape {X.shape}."
        raise InvalidInputError(msg)
    if not hasattr(X, "__len__") or isinstance(X, str | bytes | dict):
        msg = f"X must be a list of windows, one (rows, features) array each, got {type(X).__name__}."
        raise InvalidInputError(msg)
    if not len(X):
        msg = "X holds no windows; give at least one."
        raise InvalidInputError(msg)
    return len(X)


def read_window(given: Any, metric: Any, name: str) -> Rows:
    """Return a window's rows as `read_rows` makes them, and the model's own; of distances refuse what cannot be any."""
    rows = read_rows(given, metric, name)
    if isinstance(metric, str) and metric == PRECOMPUTED:
        check_distances(rows, name)
    return _make_own(rows, given)


def _make_own(rows: Rows, given: Any) -> Rows:
    """Copy rows that the caller may write to: they are read again by `update`, `transform` and `quality_`.

    A read-only memory map stays one: what is larger than memory is not to be loaded for it.
    """
    if is_sparse(rows):
        stored = getattr(given, "data", None)
        return rows.copy() if isinstance(stored, np.ndarray) and np.may_share_memory(rows.data, stored) else rows
    is_own = rows is not given and rows.flags.owndata
    is_mapped = isinstance(given, np.memmap) and not given.flags.writeable
    return rows if is_own or is_mapped else rows.copy()


def check_windows(X: Any, settings: Sequence[GraphSettings]) -> list[Rows]:
    """Return the windows as `read_rows` makes them; refuse one of fewer than two rows."""
    windows = [read_window(rows, settings[index].metric, f"X[{index}]") for index, rows in enumerate(X)]
    for index, rows in enumerate(windows):
        refuse_few_rows(rows, f"X[{index}]")
    return windows


def refuse_few_rows(rows: Rows, name: str) -> None:
    """Refuse a window of fewer than two rows, which has no neighbours."""
    n = rows.shape[0]
    if n < 2:
        msg = f"{name} has {n} {'row' if n == 1 else 'rows'}; a window needs at least 2 (and better n_neighbors)."
        raise InvalidInputError(msg)


def relate_pairs(
    related: WindowRelations, first: int, last: int, reach: int, first_free: int = 0
) -> dict[tuple[int, int], Relation | Coupling]:
    """Relations of all pairs within reach of the windows [first, last), by their places from `first` on.

    Windows before `first_free` do not move, and are not related to each other.
    """
    return {
        (i - first, j - first): related.relate(i, j)
        for i in range(first, last)
        for j in range(max(i + 1, first_free), min(i + reach, last - 1) + 1)
    }


def warn_of_inverse(old_rows: Rows, new_rows: Rows, relation: Relation, metric: Any) -> None:
    """Warn when the rows say that a relation was given new -> old: turned round it joins far more alike rows."""
    if old_rows.shape[1] != new_rows.shape[1] or (isinstance(metric, str) and metric == PRECOMPUTED):
        return
    old = np.flatnonzero(relation >= 0)
    inverse = invert_relation(relation, new_rows.shape[0])[: old_rows.shape[0]]
    turned = np.flatnonzero((inverse >= 0) & (inverse < new_rows.shape[0]))
    if not len(old) or not len(turned):
        return
    given = measure_pairs(old_rows[old], new_rows[relation[old]]).mean()
    if len(turned) == len(old) and measure_pairs(old_rows[turned], new_rows[inverse[turned]]).mean() < given / 2:
        message = (
            "relations seem to run from new row to old row: turned round they join rows that are much more alike."
            " driftmap takes old row -> new row in fit and update alike; pass {old: new}."
        )
        warnings.warn(message, UserWarning, stacklevel=4)


def warn_of_unrelated(pairs: Mapping[tuple[int, int], Relation | Coupling], windows: range, n_fixed: int = 0) -> None:
    """Warn of windows that no pair of rows relates to the others, neither directly nor through windows between.

    Parameters
    ----------
    pairs
        Relations of all pairs within reach, by their places in the block.
    windows
        Numbers of the block's windows.
    n_fixed
        How many of the first of these are related already.
    """
    group = [max(place, n_fixed - 1) for place in range(len(windows))]
    for (old, new), relation in pairs.items():
        if len(relation.weights) if isinstance(relation, Coupling) else (relation >= 0).any():
            group = [group[old] if number == group[new] else number for number in group]
    apart = [[t for t, own in zip(windows, group, strict=True) if own == number] for number in dict.fromkeys(group)]
    if len(apart) < 2:
        return
    named = "; ".join(_name_windows(own) for own in apart[:5]) + ("; ..." if len(apart) > 5 else "")
    message = (
        f"windows fall into {len(apart)} groups that nothing relates, so their maps are not aligned, and positions"
        f" cannot be compared between them ({named}): no row has a partner in another group within"
        " alignment_window_size. Give ids that come again in later windows, or relations with pairs of rows (old row ->"
        " new row)."
    )
    warnings.warn(message, UserWarning, stacklevel=4)


def _name_windows(numbers: list[int]) -> str:
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


INITS = ("previous", "spectral", "pca", "random")


def read_init(init: Any, windows: list[Rows], n_components: int, metrics: Sequence[Any]) -> str | list[Float32Array]:
    """Check the `init` parameter, before any work: one of the names, or the windows' own starts.

    Raises
    ------
    InvalidInputError
        When `init` is none of the names and no list of one (n_t, c) array per window.
    """
    if isinstance(init, str) and init in INITS:
        if init == "pca":
            _check_features(windows, metrics)
        return init
    if isinstance(init, str) or not hasattr(init, "__len__") or len(init) != len(windows):
        what = repr(init) if isinstance(init, str) else f"{type(init).__name__}"
        msg = f"init must be one of {', '.join(INITS)}, or a list of {len(windows)} arrays, one per window; got {what}."
        raise InvalidInputError(msg)
    return [
        _check_start(_check_positions(start, rows.shape[0], n_components, f"init[{t}]"), f"init[{t}]")
        for t, (start, rows) in enumerate(zip(init, windows, strict=True))
    ]


def find_starts(
    init: str | list[Float32Array],
    windows: list[Rows],
    graphs: list[FuzzyGraph],
    n_components: int,
    random_state: int,
) -> Sequence[Float32Array | None]:
    """Return each window's own start by what `read_init` gave; None where it starts from the window before it."""
    from driftmap.engine.layout.start.initialise import pca_start, random_start, spectral_start

    seeds = [make_seed(random_state, index, START_STREAM) for index in range(len(windows))]
    if init == "previous":
        return [None] * len(windows)
    if init == "spectral":
        return [spectral_start(graph, n_components, seed) for graph, seed in zip(graphs, seeds, strict=True)]
    if init == "pca":
        return [pca_start(rows, n_components, seed) for rows, seed in zip(windows, seeds, strict=True)]
    if init == "random":
        return [random_start(rows.shape[0], n_components, seed) for rows, seed in zip(windows, seeds, strict=True)]
    return [start for start in init if not isinstance(start, str)]


WIDEST_START = 1000.0
"""Where 300 rows start on PCA's axes over more than this, the layout changes nothing that trustworthiness sees (.977 at
2,800, .973 from 28,000 on, where .9875 at 240 and below); umap-learn brings starts to 10."""


def _check_start(start: Float32Array, name: str) -> Float32Array:
    """Refuse a start that no layout can spread, and warn of one that none can change."""
    widest = float(np.ptp(start.astype(np.float64), axis=0).max(initial=0.0))
    if widest == 0.0 and len(start) > 1:
        msg = f"{name} puts all rows at one position, where nothing moves them apart; give a position to each."
        raise InvalidInputError(msg)
    if widest > WIDEST_START:
        message = (
            f"{name} spans {widest:g}, so far that the layout leaves rows nearly where they start; divide it so that "
            "it spans about 10."
        )
        warnings.warn(message, UserWarning, stacklevel=6)
    return start


def _check_features(windows: list[Rows], metrics: Sequence[Any]) -> None:
    for index, (rows, metric) in enumerate(zip(windows, metrics, strict=True)):
        if is_sparse(rows) or (isinstance(metric, str) and metric == PRECOMPUTED):
            what = "is sparse" if is_sparse(rows) else "holds distances"
            msg = f"init='pca' needs dense rows of features, X[{index}] {what}; take init='spectral' or 'previous'."
            raise InvalidInputError(msg)


def check_reference(reference: Any, sizes: list[int], n_components: int) -> list[Float32Array | None]:
    """Return the `reference` argument as one (n_t, c) array or None per window; NaN where nothing is known."""
    is_list = isinstance(reference, list | tuple) or (isinstance(reference, np.ndarray) and reference.ndim > 0)
    is_single = isinstance(reference, np.ndarray) and reference.ndim == 2 and reference.dtype != object
    if not is_list or is_single or len(reference) != len(sizes):
        got = f"{len(reference)} entries" if is_list else f"one {type(reference).__name__}"
        got = f"one array of shape {reference.shape}" if is_single else got
        msg = (
            f"reference must be a list of {len(sizes)} entries, one (rows, components) array or None per window; "
            f"got {got}."
        )
        raise InvalidInputError(msg)
    return [
        None if given is None else _check_positions(given, n, n_components, f"reference[{t}]", allow_nan=True)
        for t, (given, n) in enumerate(zip(reference, sizes, strict=True))
    ]


MOST_POSITION = 1e30
"""Positions are float32, and squares of their differences are taken in float64."""


def _check_positions(given: Any, n_rows: int, n_components: int, name: str, *, allow_nan: bool = False) -> Float32Array:
    refuse_masked(given, name)
    try:
        wide = np.asarray(given, dtype=np.float64)
        with np.errstate(over="ignore"):
            positions = wide.astype(np.float32)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be an array of positions: {error}"
        raise InvalidInputError(msg) from error
    if positions.shape != (n_rows, n_components):
        msg = f"{name} must have shape {(n_rows, n_components)}, one position per row, got {positions.shape}."
        raise InvalidInputError(msg)
    largest = float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0))
    if largest > MOST_POSITION:
        msg = f"{name} holds positions as large as {largest:g}; divide them so that none is beyond {MOST_POSITION:g}."
        raise InvalidInputError(msg)
    if not allow_nan and not np.isfinite(positions).all():
        msg = f"{name} holds NaN or infinity; give a finite position for every row."
        raise InvalidInputError(msg)
    return positions
