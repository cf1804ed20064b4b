"""Labels or values of a window's rows, and what they do to its fuzzy graph.

Dimensions: n rows; q values per row; e edges.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.validation import check_matrix, check_rows, describe_rows, refuse_masked
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.fuzzy import build_fuzzy_graph, merge_directions
from driftmap.engine.neighbours.rows import read_window_rows
from driftmap.engine.neighbours.search import build_knn_graph, find_named_function
from driftmap.engine.settings import BLAS_METRICS, BOOLEAN_METRICS, PAIRWISE_METRICS
from driftmap.engine.types import Float32Array, FuzzyGraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.settings import TargetSettings

UNKNOWN = -1
"""The label of a row that has none."""
_BLOCK_ROWS = 20_000
"""Rows whose edges are weakened at a time."""
UNKNOWN_DISTANCE = 1.0
"""How far a row without a label is taken to be from every other; an edge's strength falls by exp of it."""
FAR_DISTANCE = 2.5
"""How far different labels are apart at target weight 0, and `1 / (1 - weight)` times as much above."""
# Strengths that stand for "no edge" where only one of two graphs has it: half the graph's least, within these bounds.
LEAST_STRENGTH = 1e-8
MOST_TARGET_STRENGTH = 1e-4
SHIFTABLE = ("euclidean", "l2", "sqeuclidean", "manhattan", "taxicab", "l1", "chebyshev", "linfinity", "linfty", "linf")
"""Metrics that do not change when all values are moved."""


class Target(NamedTuple):
    """A checked target of one window."""

    values: npt.NDArray[Any]
    """int64 (n,) labels, -1 unknown; or float32 (n, q) values."""
    settings: TargetSettings


def read_target(y: Any, n_rows: int, settings: TargetSettings, name: str) -> Target | None:
    """Check a window's target.

    Parameters
    ----------
    y
        None for a window without a target. With `metric="categorical"`, (n,) labels: integers with -1 for unknown, or
        bools or strings, all known; in an array of objects too. With any other metric, (n,) or (n, q) finite numbers.
    n_rows
        Rows of the window.
    settings
        How it will be used.
    name
        How messages call it.

    Returns
    -------
    Target or None
        What `supervise_graph` takes; None for None.

    Raises
    ------
    InvalidInputError
        When `y` has another length, or holds what the metric cannot compare, or the metric is not known.
    """
    if y is None:
        return None
    refuse_masked(y, name)
    if isinstance(y, list | tuple):
        _refuse_mixed_texts(y, name)
    try:
        given = np.asarray(y)
    except ValueError as error:
        msg = f"{name} must be an array with one label or value per row, got rows of unequal length: {error}"
        raise InvalidInputError(msg) from error
    if given.ndim == 0 or len(given) != n_rows:
        got = f"one {type(y).__name__}" if given.ndim == 0 else f"{len(given)} entries"
        msg = f"{name} must hold one label or value for each of the window's {n_rows} rows, got {got}."
        raise InvalidInputError(msg)
    if settings.metric == "categorical":
        return Target(_read_labels(given, name), settings)
    return Target(_read_values(given, settings.metric, name), settings)


def read_targets(
    y: Any, sizes: Sequence[int], settings: Sequence[TargetSettings], name: str = "y"
) -> list[Target | None]:
    """Check the `y` of `fit`: None, or one entry per window; errors as in `read_target`."""
    if y is None:
        return [None] * len(sizes)
    is_list = hasattr(y, "__len__") and not isinstance(y, str | bytes | Mapping)
    if not is_list or len(y) != len(sizes):
        got = f"{len(y)} entries" if is_list else f"one {type(y).__name__}"
        msg = f"{name} must be a list of {len(sizes)} entries, an array of labels or None for each window; got {got}."
        raise InvalidInputError(msg)
    return [
        read_target(each, size, how, f"{name}[{index}]")
        for index, (each, size, how) in enumerate(zip(y, sizes, settings, strict=True))
    ]


def supervise_graph(graph: FuzzyGraph, target: Target, n_neighbors: int, seed: int = 0) -> FuzzyGraph:
    """Draw a window's fuzzy graph towards its target.

    Parameters
    ----------
    graph
        Of the rows alone.
    target
        Of the same rows.
    n_neighbors
        Of the rows' graph, for a target that asks for as many.
    seed
        Of the approximate neighbour search that a large continuous target uses.

    Returns
    -------
    FuzzyGraph
        The intersection of both, each row's strongest edge back at 1. An edge that the target makes 0 is gone.

    Raises
    ------
    InvalidInputError
        When the metric cannot compare the target's values.

    Notes
    -----
    McInnes, Healy, Melville 2018 (arXiv 1802.03426), section 6; constants and weights are umap-learn's, with which
    tests/engine/graph/test_supervise.py compares.
    """
    settings = target.settings
    if settings.metric == "categorical":
        far = FAR_DISTANCE / (1.0 - settings.weight) if settings.weight < 1.0 else math.inf
        return reset_local_connectivity(intersect_with_labels(graph, target.values, far))
    wanted = n_neighbors if settings.n_neighbors == -1 else settings.n_neighbors
    try:
        knn = build_knn_graph(target.values, min(wanted, graph.n_rows), settings.metric, seed=seed)
    except InvalidInputError as error:
        msg = f"the target (y) cannot be compared by target_metric={settings.metric!r}: {error}"
        raise InvalidInputError(msg) from error
    return reset_local_connectivity(intersect_graphs(graph, build_fuzzy_graph(knn), settings.weight))


def intersect_with_labels(graph: FuzzyGraph, labels: npt.NDArray[Any], far_distance: float) -> FuzzyGraph:
    """Weaken edges between different labels, and, less, those with an unknown end."""
    data = np.empty_like(graph.data)
    for first in range(0, graph.n_rows, _BLOCK_ROWS):
        ends = graph.indptr[first : first + _BLOCK_ROWS + 1]
        edges = slice(int(ends[0]), int(ends[-1]))
        one, two = np.repeat(labels[first : first + _BLOCK_ROWS], np.diff(ends)), labels[graph.indices[edges]]
        is_unknown = (one == UNKNOWN) | (two == UNKNOWN)
        factors = np.where(is_unknown, math.exp(-UNKNOWN_DISTANCE), np.where(one == two, 1.0, math.exp(-far_distance)))
        data[edges] = graph.data[edges] * factors
    return FuzzyGraph(graph.indptr, graph.indices, data)


def intersect_graphs(graph: FuzzyGraph, other: FuzzyGraph, weight: float) -> FuzzyGraph:
    """Multiply the strengths of two graphs, the one that `weight` disfavours brought nearer to 1 by a power.

    An edge that only one of them has counts in the other with half its least strength.
    """
    n = graph.n_rows
    keys, other_keys = _number_edges(graph), _number_edges(other)
    union = np.union1d(keys, other_keys)
    left = np.full(len(union), _least_strength(graph), dtype=np.float64)
    right = np.full(len(union), min(_least_strength(other), MOST_TARGET_STRENGTH), dtype=np.float64)
    left[np.searchsorted(union, keys)] = graph.data
    right[np.searchsorted(union, other_keys)] = other.data
    with np.errstate(under="ignore"):
        data = left * right ** (weight / (1.0 - weight)) if weight < 0.5 else left ** ((1.0 - weight) / weight) * right
    indptr = np.searchsorted(union, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
    return FuzzyGraph(indptr, (union % max(n, 1)).astype(np.int32), data.astype(np.float32))


def reset_local_connectivity(graph: FuzzyGraph) -> FuzzyGraph:
    """Scale every row so that its strongest edge is 1, and unite both directions again."""
    degrees = np.diff(graph.indptr)
    has_edges = degrees > 0
    strongest = np.ones(graph.n_rows, dtype=np.float32)
    if has_edges.any():
        strongest[has_edges] = np.maximum.reduceat(graph.data, graph.indptr[:-1][has_edges])
    strongest[strongest == 0.0] = 1.0
    strengths = np.repeat(strongest, degrees)
    np.divide(graph.data, strengths, out=strengths)
    return merge_directions(graph.indptr, graph.indices, strengths, 1.0)


def _number_edges(graph: FuzzyGraph) -> npt.NDArray[np.int64]:
    rows = np.repeat(np.arange(graph.n_rows, dtype=np.int64), np.diff(graph.indptr))
    return rows * graph.n_rows + graph.indices


def _least_strength(graph: FuzzyGraph) -> float:
    return max(float(graph.data.min()) / 2.0, LEAST_STRENGTH) if len(graph.data) else LEAST_STRENGTH


def _refuse_mixed_texts(y: Sequence[Any], name: str) -> None:
    """Refuse texts beside NaN, -1 or None: of a list numpy would make labels such as "nan" of them."""
    is_text = np.array([isinstance(label, str | bytes) for label in y], dtype=np.bool_)
    others = np.flatnonzero(~is_text)
    if is_text.any() and len(others):
        msg = (
            f"{name} has text labels, and {y[int(others[0])]!r} in {describe_rows(others)}; where labels are unknown "
            "give integers, with -1 for unknown, such as pandas.factorize(labels)[0]."
        )
        raise InvalidInputError(msg)


def _read_labels(given: npt.NDArray[Any], name: str) -> npt.NDArray[np.int64]:
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        msg = f"{name} must be a 1-D array of labels, got shape {given.shape}; give one label per row."
        raise InvalidInputError(msg)
    if given.dtype.kind == "T":
        given = given.astype(object)
    if given.dtype == object:
        _refuse_mixed_texts(given.tolist(), name)
    if given.dtype.kind in "US" or (given.dtype == object and all(isinstance(each, str | bytes) for each in given)):
        return np.unique(given.astype(str), return_inverse=True)[1].astype(np.int64)
    if given.dtype == object:
        return _read_objects(given, name)
    if given.dtype.kind not in "iubf":
        msg = f"{name} must hold integer labels (-1 for unknown) or strings, got dtype {given.dtype}."
        raise InvalidInputError(msg)
    labels: npt.NDArray[np.int64]
    with np.errstate(invalid="ignore"):
        labels = given.astype(np.int64)
    bad = np.flatnonzero(labels != given)
    if len(bad):
        _refuse_labels(given[bad[0]].item(), bad, name)
    return labels


def _read_objects(given: npt.NDArray[np.object_], name: str) -> npt.NDArray[np.int64]:
    """Read labels of Python's own types: whole numbers and bools."""
    bad = np.flatnonzero([not _is_label(each) for each in given])
    if len(bad):
        _refuse_labels(given[bad[0]], bad, name)
    return np.array([int(each) for each in given], dtype=np.int64)


def _is_label(value: Any) -> bool:
    value = value.item() if isinstance(value, np.generic) else value
    is_number = isinstance(value, numbers.Real)  # no NaN or infinity passes the bounds below
    return is_number and bool(-(2**63) <= value < 2**63 and value == int(value))


def _refuse_labels(first: object, rows: npt.NDArray[np.intp], name: str) -> NoReturn:
    shown = first.item() if isinstance(first, np.generic) else first
    msg = (
        f"{name} holds {shown!r} in {describe_rows(rows)}, which is no label: give integers, -1 for unknown, or "
        "set target_metric='euclidean' for continuous values."
    )
    raise InvalidInputError(msg)


def _read_values(given: npt.NDArray[Any], metric: str, name: str) -> Float32Array:
    values = check_matrix(given[:, None] if given.ndim == 1 else given, name)
    if metric in SHIFTABLE and len(values):
        # float32 would not tell the days of a date in seconds apart
        finite = np.where(np.isfinite(values), values, 0.0).astype(np.float64)
        values = values.astype(np.float64) - np.median(finite, axis=0)
    rows = check_rows(values, name)
    _check_target_metric(rows, metric, name)
    return rows


def _check_target_metric(values: Float32Array, metric: str, name: str) -> None:
    """Refuse a metric that is not known, and values that it makes nothing of, before any graph is built."""
    if metric in BOOLEAN_METRICS:
        try:
            read_window_rows(values, metric, name)
        except InvalidInputError as error:
            msg = (
                f"{name} holds no 0, and target_metric={metric!r} asks only which values are 0: all are equal to it; "
                "give true/false or 0/1, or another target_metric."
            )
            raise InvalidInputError(msg) from error
    elif metric == "haversine":
        if values.shape[1] != 2:
            msg = (
                f"{name} has {values.shape[1]} values per row, and target_metric='haversine' takes latitude and "
                "longitude; give these two, in radians, or another target_metric."
            )
            raise InvalidInputError(msg)
        read_window_rows(values, metric, name)
    elif metric not in BLAS_METRICS and metric not in PAIRWISE_METRICS:
        try:
            find_named_function(values, metric, {})
        except InvalidInputError as error:
            msg = f"target_metric must be 'categorical' or the name of a metric, got {metric!r}: {error}"
            raise InvalidInputError(msg) from error
