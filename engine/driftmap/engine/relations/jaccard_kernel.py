"""The kernel behind `relations.alignment_weights`; apart, so that relations are read without compiling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int32Array, Int64Array, Relation


@exact
def fill_jaccard(
    base_indptr: Int64Array,
    base_indices: Int32Array,
    other_indptr: Int64Array,
    other_indices: Int32Array,
    relation: Relation,
    inverse: Relation,
    weights: Float32Array,
) -> None:
    """Jaccard overlap of every related row's neighbours in two windows, over rows that both windows have.

    O(edges): `seen_by[r]` says which row's neighbourhood last held row r of the other window, so nothing is sorted and
    nothing is cleared between rows.
    """
    seen_by = np.full(len(inverse), -1, dtype=np.int32)
    for row in range(len(relation)):
        partner = relation[row]
        if partner < 0:
            continue
        n_base = n_other = n_both = 0
        for edge in range(base_indptr[row], base_indptr[row + 1]):
            neighbour = relation[base_indices[edge]]
            if neighbour >= 0:
                seen_by[neighbour] = row
                n_base += 1
        for edge in range(other_indptr[partner], other_indptr[partner + 1]):
            neighbour = other_indices[edge]
            if inverse[neighbour] >= 0:
                n_other += 1
                if seen_by[neighbour] == row:
                    n_both += 1
        n_either = n_base + n_other - n_both
        weights[row] = np.float32(n_both / n_either) if n_either > 0 else np.float32(1.0)
