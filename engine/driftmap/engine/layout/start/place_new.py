"""Where the rows of a new window begin: by related rows of the windows before it, or by its own spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.engine.layout.procrustes import fit_similarity
from driftmap.engine.layout.start.initialise import spectral_start, start_from_previous
from driftmap.engine.relations.couplings import average_partners
from driftmap.engine.relations.relations import invert_relation
from driftmap.engine.types import Coupling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Float32Array, FuzzyGraph, Relation


class Placed(NamedTuple):
    """A window where its layout begins."""

    positions: Float32Array
    """(n, c)"""
    is_spectral: bool
    """Whether nothing placed it but its own graph."""


def place_new(
    graph: FuzzyGraph,
    before: Sequence[tuple[Float32Array, Relation | Coupling]],
    n_components: int,
    seed: int,
    own: Float32Array | None = None,
) -> Placed:
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
    Placed
        With positions for all rows.
    """
    known = np.full((graph.n_rows, n_components), np.nan, dtype=np.float32)
    for positions, relation in before:
        _fill_known(known, positions, relation)
    known[np.diff(graph.indptr) == 0] = np.nan
    if own is not None:
        return Placed(fit_similarity(own, known, with_scale=False).apply(own), is_spectral=False)
    last = before[0][0] if before else np.empty((0, n_components), np.float32)
    fallback = last[np.isfinite(last).all(axis=1)]
    if not len(fallback) or int(np.isfinite(known[:, 0]).sum()) <= n_components:
        return Placed(spectral_start(graph, n_components, seed), is_spectral=True)
    return Placed(start_from_previous(graph, known, fallback, seed), is_spectral=False)


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
