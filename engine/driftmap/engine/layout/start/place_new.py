"""Where the rows of a new window begin: by related rows of the windows before it, or by its own graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.sizes import LARGE_ROWS, SMALL_ROWS
from driftmap.engine.layout.procrustes import fit_similarity
from driftmap.engine.layout.start.geodesic import geodesic_start
from driftmap.engine.layout.start.initialise import spectral_start, start_from_previous
from driftmap.engine.relations.couplings import average_partners
from driftmap.engine.relations.relations import invert_relation
from driftmap.engine.types import Coupling, ReadableGraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Float32Array, FuzzyGraph, Relation

KNOWN_SHARES = 0.3, 0.8
"""Shares of rows that a window before has, between which a small window has other starts too. Where more are
known the starts end alike: on votes in the United Nations and Gapminder's countries their losses differ by 1 %. Fewer
do not say how to turn the others, and would be left behind for what those gain."""


def place_new(
    graph: ReadableGraph,
    before: Sequence[tuple[Float32Array, Relation | Coupling]],
    n_components: int,
    seed: int,
    own: Float32Array | None = None,
) -> Float32Array:
    """Place the rows of a new window.

    Parameters
    ----------
    graph
        Of the window, (n, n).
    before
        Windows before it that relate to it, the last one first: their positions, and the relation of their rows to
        those of the window.
    n_components
        Number of axes, c.
    seed
        Of rows that nothing places.
    own
        float32 (n, c): where the window is to begin instead, once registered to those before it.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n, c), a position for every row.
    """
    known = _find_known(graph, before, n_components)
    if own is not None:
        return fit_similarity(own, known, with_scale=False).apply(own)
    last = before[0][0] if before else np.empty((0, n_components), np.float32)
    fallback = last[np.isfinite(last).all(axis=1)]
    if not len(fallback) or not _is_enough(known):
        if graph.n_rows <= LARGE_ROWS:
            return spectral_start(graph, n_components, seed)
        from driftmap.engine.layout.start.grouped import grouped_start  # late: loads kernels

        return grouped_start(graph, n_components, seed)
    return start_from_previous(graph, known, fallback, seed)


def place_otherwise(
    graph: FuzzyGraph, before: Sequence[tuple[Float32Array, Relation | Coupling]], n_components: int, seed: int
) -> list[Float32Array]:
    """Give other starts of a small new window than `place_new`'s, of which one may end better.

    A carry pass is short and cool: a group that begins folded over another stays there. With shortest paths for a start
    digits carry labels over by .85 instead of .79 and drift by .041 instead of .055, and distances on the maps of
    baseball's seasons correlate with those in the data by .49 instead of .41. Nothing is won on Dask's commit messages
    (trust .915 instead of .916; `tests.benchmarks quality`).

    Parameters
    ----------
    graph, before, n_components, seed
        As for `place_new`.

    Returns
    -------
    list of numpy.ndarray
        Float32 (n, c): by shortest paths where the window stands alone. Where some of its rows are known, of
        `KNOWN_SHARES`, these paths turned onto them; and those rows where they were, fresh ones alone by the paths.
        Else empty, and for more than `SMALL_ROWS` rows.
    """
    if graph.n_rows > SMALL_ROWS:
        return []
    known = _find_known(graph, before, n_components)
    if not _is_enough(known):
        return [geodesic_start(graph, n_components, seed)]
    is_known = np.isfinite(known[:, 0])
    share = np.count_nonzero(is_known) / np.count_nonzero(np.diff(graph.indptr))
    if not KNOWN_SHARES[0] <= share <= KNOWN_SHARES[1]:
        return []
    own = geodesic_start(graph, n_components, seed)
    turned, fitted = (fit_similarity(own, known, with_scale=scaled).apply(own) for scaled in (False, True))
    return [turned, np.where(is_known[:, None], known, fitted)]


def _is_enough(known: Float32Array) -> bool:
    """Tell whether known rows say how a window lies to those before it."""
    return int(np.isfinite(known[:, 0]).sum()) > int(known.shape[1])


def _find_known(
    graph: ReadableGraph, before: Sequence[tuple[Float32Array, Relation | Coupling]], n_components: int
) -> Float32Array:
    """Find where rows with an edge were, as of the last window that knows them, (n, c); NaN for others."""
    known = np.full((graph.n_rows, n_components), np.nan, dtype=np.float32)
    for positions, relation in before:
        _fill_known(known, positions, relation)
    known[np.diff(graph.indptr) == 0] = np.nan
    return known


def _fill_known(known: Float32Array, positions: Float32Array, relation: Relation | Coupling) -> None:
    """Take over positions of related rows of an earlier window where none is known yet."""
    if isinstance(relation, Coupling):
        means = average_partners(relation, positions, len(known))
        rows = np.flatnonzero(np.isnan(known[:, 0]))
        known[rows] = means[rows]
        return
    back = invert_relation(relation, len(known))
    rows = np.flatnonzero((back >= 0) & np.isnan(known[:, 0]))
    known[rows] = positions[back[rows]]
