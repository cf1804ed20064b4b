"""The share of a window's rows that no window before it has; such a window moves in more epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.types import Coupling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.layout.flatten import RelationMap


def find_fresh_shares(has_edge: Sequence[npt.NDArray[np.bool_]], relations: RelationMap) -> list[float]:
    """Find the share of each window's rows that are related to no window before it.

    Parameters
    ----------
    has_edge
        bool (n,) of each window: rows without an edge in its graph do not count.
    relations
        By pairs of windows, as for `lay_out_block`.

    Returns
    -------
    list of float
        One per window, in [0, 1]. 0 for the first, which has had epochs enough of its own.
    """
    is_fresh = [here.copy() for here in has_edge]
    for (_, new), relation in relations.items():
        is_fresh[new][_list_related(relation)] = False
    shares = [
        np.count_nonzero(fresh) / max(1, int(np.count_nonzero(here)))
        for fresh, here in zip(is_fresh, has_edge, strict=True)
    ]
    return [0.0, *shares[1:]]


def _list_related(relation: npt.NDArray[np.integer] | Coupling) -> npt.NDArray[np.integer]:
    """List the rows of the newer window that a relation names, maybe repeatedly."""
    return relation.new if isinstance(relation, Coupling) else relation[relation >= 0]
