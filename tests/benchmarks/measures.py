"""Quality figures of aligned maps, whoever made them: means over windows, or over pairs of windows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import count_bad_rows, drift, neighbour_preservation, trustworthiness

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from tests.benchmarks.data_sets import DataSet

FIGURES = ("trust", "neighbours", "drift1", "drift5", "across", "bad_rows")
N_NEIGHBORS = 15
N_VOTERS = 10
MAX_ROWS = 4_000
"""Trustworthiness and neighbours of a larger window are measured on so many of its rows."""


def measure(data: DataSet, maps: Sequence[npt.NDArray[Any]]) -> dict[str, float]:
    """Measure maps of a data set, one (n_t, c) array per window.

    trust: trustworthiness, 15 neighbours; neighbours: share of the 15 nearest rows in the data among the 15 nearest on
    the map; drift1, drift5: how far rows move over one and five windows, over the spread of the layout; across: label
    accuracy of 10 nearest neighbours that were learnt on one window's map and tested on the next one's; bad_rows: rows
    without a finite place.
    """
    kept = list(_pick_rows(data, maps))
    return {
        "trust": _mean(trustworthiness(rows, places, N_NEIGHBORS) for rows, places in kept),
        "neighbours": _mean(neighbour_preservation(rows, places, N_NEIGHBORS) for rows, places in kept),
        "drift1": drift(maps, data.relations),
        "drift5": drift(maps, data.relations, n_steps=5),
        "across": _mean(_predict_next(data, maps)),
        "bad_rows": sum(count_bad_rows(places) for places in maps),
    }


def _pick_rows(data: DataSet, maps: Sequence[npt.NDArray[Any]]) -> Any:
    """Yield (rows, places) of every window that is large enough, finite places only."""
    rng = np.random.default_rng(0)
    for rows, places in zip(data.windows, maps, strict=True):
        found = np.flatnonzero(np.isfinite(places).all(axis=1))
        if len(found) > MAX_ROWS:
            found = np.sort(rng.choice(found, MAX_ROWS, replace=False))
        if len(found) > 2 * N_NEIGHBORS + 1:
            yield rows[found], places[found]


def _predict_next(data: DataSet, maps: Sequence[npt.NDArray[Any]]) -> Any:
    """Yield, for each pair of windows, how well the labels on one map tell those on the next."""
    from sklearn.neighbors import KNeighborsClassifier

    finite = [np.isfinite(places).all(axis=1) for places in maps]
    known = [(places[is_ok], labels[is_ok]) for places, labels, is_ok in zip(maps, data.labels, finite, strict=True)]
    for old, new in pairwise(known):
        yield KNeighborsClassifier(N_VOTERS).fit(*old).score(*new)


def _mean(values: Any) -> float:
    collected = list(values)
    return float(np.mean(collected)) if collected else float("nan")
