"""How maps are arranged as a whole, and whether what moves on them is what changed: beside measures.py.

Means over windows, or over consecutive windows; nothing depends on scale, turn or position of the layout.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import build_knn_graph, displacement, turnover

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from tests.benchmarks.data_sets import DataSet

ARRANGEMENT = ("distances", "triplets", "centroids")
"""Spearman of distances, share of random triplets in their order, Spearman of the distances of labels' centroids."""
FOLLOWS = "follows"
"""Spearman of rows' turnover in the data and their displacement on the map."""
N_NEIGHBORS = 15
N_PAIRS = 20_000
N_TRIPLETS = 10_000
LEAST_LABELS = 4
"""Labels of fewer centroids than this have too few distances to correlate."""
LEAST_ROWS = 20

Matrix = Any


class _Window(NamedTuple):
    """What is measured of one window's data, and against which rows of its map."""

    pairs: npt.NDArray[np.int64]
    apart: npt.NDArray[np.float64]
    triplets: npt.NDArray[np.int64]
    is_nearer: npt.NDArray[np.bool_]
    groups: list[npt.NDArray[np.int64]]
    centroids_apart: npt.NDArray[np.float64]


class Arrangement:
    """The data's half of the measures, computed once for all maps of a data set.

    Parameters
    ----------
    data
        The data set.
    """

    def __init__(self, data: DataSet) -> None:
        rng = np.random.default_rng(0)
        self._relations = data.relations
        self._windows = [
            _sample(rows.astype(np.float64), np.asarray(labels), rng)
            for rows, labels in zip(data.windows, data.labels, strict=True)
        ]
        graphs = [build_knn_graph(rows, min(N_NEIGHBORS + 1, len(rows))).indices for rows in data.windows]
        self._turnover = [
            turnover(old, new, relation) for old, new, relation in zip(graphs, graphs[1:], data.relations, strict=False)
        ]

    def measure(self, maps: Sequence[Matrix]) -> dict[str, float]:
        """Measure maps, one (n_t, c) array per window."""
        windows = list(zip(self._windows, (np.asarray(y, dtype=np.float64) for y in maps), strict=True))
        return {
            "distances": _mean(rank_correlation(w.apart, _lengths(y, w.pairs)) for w, y in windows),
            "triplets": _mean(_share_kept(w, y) for w, y in windows),
            "centroids": _mean(
                rank_correlation(w.centroids_apart, _between([y[group] for group in w.groups])) for w, y in windows
            ),
            FOLLOWS: _mean(
                rank_correlation(change, displacement(old, new, relation))
                for change, old, new, relation in zip(self._turnover, maps, maps[1:], self._relations, strict=False)
            ),
        }


def rank_correlation(left: Matrix, right: Matrix) -> float:
    """Spearman's correlation over pairs of finite values; NaN where one side is all alike."""
    from scipy.stats import rankdata

    left, right = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    kept = np.isfinite(left) & np.isfinite(right)
    if kept.sum() < 3 or np.ptp(left[kept]) == 0 or np.ptp(right[kept]) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(left[kept]), rankdata(right[kept]))[0, 1])


def _sample(rows: Matrix, labels: Matrix, rng: np.random.Generator) -> _Window:
    n = len(rows)
    pairs = _draw_distinct(rng, n, N_PAIRS, 2)
    triplets = _draw_distinct(rng, n, N_TRIPLETS, 3)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups = groups if len(groups) >= LEAST_LABELS else []
    return _Window(
        pairs=pairs,
        apart=_lengths(rows, pairs),
        triplets=triplets,
        is_nearer=_lengths(rows, triplets[:, :2]) < _lengths(rows, triplets[:, [0, 2]]),
        groups=groups,
        centroids_apart=_between([rows[group] for group in groups]),
    )


def _draw_distinct(rng: np.random.Generator, n: int, count: int, size: int) -> npt.NDArray[np.int64]:
    """Draw tuples of rows, no row twice in one."""
    if n < LEAST_ROWS:
        return np.empty((0, size), dtype=np.int64)
    drawn = np.sort(rng.integers(0, n, (count, size)), axis=1)
    return rng.permuted(drawn[(np.diff(drawn, axis=1) > 0).all(axis=1)], axis=1)


def _lengths(positions: Matrix, pairs: Matrix) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1))


def _share_kept(window: _Window, positions: Matrix) -> float:
    """Share of triplets (a, b, c) whose nearer one of b and c, from a, is the same on the map."""
    near = _lengths(positions, window.triplets[:, :2])
    far = _lengths(positions, window.triplets[:, [0, 2]])
    known = np.isfinite(near) & np.isfinite(far)
    return float(((near < far) == window.is_nearer)[known].mean()) if known.any() else float("nan")


def _between(groups: Sequence[Matrix]) -> npt.NDArray[np.float64]:
    """Distances of the groups' centroids, pair by pair."""
    finite = [group[np.isfinite(group).all(axis=1)] for group in groups]
    centroids = [group.mean(axis=0) if len(group) else np.full(group.shape[1], np.nan) for group in finite]
    return np.array([np.linalg.norm(a - b) for a, b in combinations(centroids, 2)])


def _mean(values: Any) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
