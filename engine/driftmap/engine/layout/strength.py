"""Strength of the alignment where it is left to the data: what a row's turnover in the data makes of its pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.relations.couplings import weigh_coupling
from driftmap.engine.relations.relations import alignment_weights
from driftmap.engine.settings import AUTO
from driftmap.engine.types import Coupling, ReadableGraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine.types import Float32Array, Relation

LEAST = np.float32(0.01)
"""Strength at no overlap: as a constant it cost no set anything that was measured."""
RISE = np.float32(0.05)
"""What full overlap adds to it."""
POWER = 3
"""How soon the pull weakens where neighbourhoods change.

Of seven rules on seven sets this one keeps the most of those with at most .6 of umap-learn's drift: trust at least .002
and neighbours .008 above umap-learn's on every set, drift .56. With RISE .1 drift is .51, but trust only .0007 above.
Where all sets but one choose, that one meets its bars with the rule of the others: `tests.benchmarks strength`."""


def decay(n_steps: int) -> np.float32:
    """Return the weight of a relation that spans so many windows, at least one."""
    return np.float32(np.exp(1 - n_steps))


def strengthen(overlap: Float32Array) -> Float32Array:
    """Return the strength, in units of `alignment_regularisation`, at each Jaccard overlap of neighbourhoods."""
    return LEAST + RISE * overlap**POWER


def find_strengths(
    graphs: Sequence[ReadableGraph],
    relations: Mapping[tuple[int, int], Relation | Coupling],
    given: Sequence[float | str],
) -> list[float]:
    """Find the strength of the alignment in each window: the one given, or what the data make of "auto".

    Parameters
    ----------
    graphs : sequence of FuzzyGraph
        Of each window.
    relations : mapping
        Relations by pairs (i, j) of windows, i < j, as for `lay_out_block`.
    given : sequence of float or "auto"
        Of each window.

    Returns
    -------
    list of float
        One per window. With "auto" it is the mean of its related rows' strengths, each weighed by what a constant
        strength would weigh it by: a constant of this size pulls as strongly in sum. NaN for "auto" without related
        rows.
    """
    pulls, plain = np.zeros(len(graphs)), np.zeros(len(graphs))
    for (i, j), relation in relations.items():
        if AUTO not in (given[i], given[j]):
            continue
        if isinstance(relation, Coupling):
            on_old, on_new, overlap = weigh_coupling(graphs[i], graphs[j], relation)
        else:
            on_old = on_new = overlap = alignment_weights(graphs[i], graphs[j], relation)
        for window, weights in ((i, on_old), (j, on_new)):
            plain[window] += decay(j - i) * float(weights.sum())
            pulls[window] += decay(j - i) * float((weights * strengthen(overlap)).sum())
    return [
        (pull / weight if weight > 0 else float("nan")) if value == AUTO else float(value)
        for value, pull, weight in zip(given, pulls.tolist(), plain.tolist(), strict=True)
    ]
