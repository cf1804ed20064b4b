"""The start of a large window: shortest paths between groups of its rows, carried back to the rows.

Dimensions: n rows; m groups of them; c axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.sizes import LARGE_ROWS
from driftmap.engine.graph.merge import drop_diagonal, sum_rows
from driftmap.engine.layout.start.geodesic import scale_paths, spread_evenly
from driftmap.engine.layout.start.initialise import GRID, place_by_spectrum, place_parts
from driftmap.engine.layout.start.multilevel import average_values, merge_levels
from driftmap.engine.types import FuzzyGraph

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, ReadableGraph

MOST_GROUPS = 1_500
"""Groups between which paths are found. With 700 or 3,000 the three sets keep about the same."""
N_AVERAGED = 4
"""Averages over the neighbours, at each level, of what came from the level below."""


def grouped_start(graph: ReadableGraph, n_components: int, seed: int) -> Float32Array:
    """Place the rows of a large window so that distances follow the shortest paths between groups of them.

    Parameters
    ----------
    graph
        Of the window, (n, n).
    n_components
        Number of axes, c.
    seed
        Of the jitter that parts rows of equal places.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, c), connected parts beside each other as `spectral_start` puts them. Parts that are not large are
        placed by their spectrum.

    Notes
    -----
    Rows are merged with their nearest neighbours, again and again (`graph.merge`), and the groups placed as in
    `geodesic_start`. An edge between groups is as strong as its weight over the root of the product of what all edges
    of each weigh, 1 for the strongest. With a repulsion of 1 the maps of three sets were trustworthy by .861, .946 and
    .958 (29,565 commit messages, MNIST, 200,000 rows of groups) where starts by the spectrum gave .845, .943 and .953;
    they kept .267, .121 and .070 of the neighbours (.248, .123, .068). Beside umap-learn's maps: `tests.benchmarks
    windows`.
    """
    return place_parts(graph, n_components, seed, _place_part)


def _place_part(graph: ReadableGraph, n_components: int) -> npt.NDArray[np.float64]:
    if graph.n_rows <= LARGE_ROWS:
        return place_by_spectrum(graph, n_components)
    levels, parts = merge_levels(graph, MOST_GROUPS)
    coarse = levels.pop().load()
    groups = _weigh_groups(drop_diagonal(coarse) if parts else coarse)
    # Rounded, so that the last bits of a linear algebra library do not reach the layout.
    places = np.round(spread_evenly(scale_paths(groups, n_components)) * GRID) / GRID
    while parts:
        places = average_values(levels.pop().load(), places[parts.pop()], N_AVERAGED)
    return spread_evenly(places)


def _weigh_groups(graph: FuzzyGraph) -> FuzzyGraph:
    """Weigh edges between groups by what those of both groups weigh: larger groups have heavier ones."""
    sums = sum_rows(graph)
    own = np.repeat(np.arange(graph.n_rows), np.diff(graph.indptr))
    strengths = graph.data / np.sqrt(sums[own] * sums[graph.indices])
    return FuzzyGraph(graph.indptr, graph.indices, (strengths / strengths.max()).astype(np.float32))
