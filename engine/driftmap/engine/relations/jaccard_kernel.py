"""The kernel behind `relations.alignment_weights`; apart, so that relations are read without compiling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.core.jit import exact

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int32Array, Int64Array, Relation

    BoolArray = npt.NDArray[np.bool_]


@exact
def fill_jaccard(
    first: int,
    base: tuple[Int64Array, Int32Array],
    other: tuple[Int64Array, Int32Array],
    relation: Relation,
    inverse: Relation,
    seen_by: Int32Array,
    weights: Float32Array,
) -> None:
    """Jaccard overlap of related rows' neighbours in two windows, over rows that both windows have.

    O(edges): `seen_by[r]`, -1 at first, says which row's neighbourhood last held row r of the other window, so nothing
    is sorted and nothing is cleared between rows. The base's rows are some from `first` on.
    """
    base_indptr, base_indices = base
    other_indptr, other_indices = other
    for here in range(len(base_indptr) - 1):
        row = first + here
        partner = relation[row]
        if partner < 0:
            continue
        n_base = n_other = n_both = 0
        for edge in range(base_indptr[here], base_indptr[here + 1]):
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


@exact
def fill_coupled_jaccard(
    graphs: tuple[Int64Array, Int32Array, Int64Array, Int32Array],
    indptr: Int64Array,
    pairs: tuple[Int32Array, Float32Array],
    is_related: BoolArray,
    overlap: Float32Array,
) -> None:
    """Jaccard overlap of neighbourhoods for every pair of a coupling; see `couplings.weigh_coupling`.

    `mass[r]` is what the neighbours of the row at work give to row r of the other window; `touched` lists where it is
    not 0, so that it is cleared at the cost of what was filled.
    """
    base_indptr, base_indices, other_indptr, other_indices = graphs
    partners = pairs[0]
    mass = np.zeros(len(is_related), dtype=np.float32)
    touched = np.empty(len(is_related), dtype=np.int32)
    for row in range(len(indptr) - 1):
        if indptr[row] == indptr[row + 1]:
            continue
        neighbours = base_indices[base_indptr[row] : base_indptr[row + 1]]
        n_touched = _fill_mass(neighbours, indptr, pairs, mass, touched)
        total = mass[touched[:n_touched]].sum()
        for pair in range(indptr[row], indptr[row + 1]):
            partner = partners[pair]
            n_other, both = np.float32(0.0), np.float32(0.0)
            for edge in range(other_indptr[partner], other_indptr[partner + 1]):
                if is_related[other_indices[edge]]:
                    n_other += np.float32(1.0)
                    both += mass[other_indices[edge]]
            either = total - mass[partner] + n_other - both
            overlap[pair] = both / either if either > 0.0 else np.float32(1.0)
        for place in range(n_touched):
            mass[touched[place]] = np.float32(0.0)


@exact
def _fill_mass(
    neighbours: Int32Array,
    indptr: Int64Array,
    pairs: tuple[Int32Array, Float32Array],
    mass: Float32Array,
    touched: Int32Array,
) -> int:
    """Add up the shares of the partners of some rows, at most 1 each; returns how many rows got some."""
    partners, shares = pairs
    n_touched = 0
    for neighbour in neighbours:
        for pair in range(indptr[neighbour], indptr[neighbour + 1]):
            if mass[partners[pair]] == 0.0:
                touched[n_touched] = partners[pair]
                n_touched += 1
            mass[partners[pair]] += shares[pair]
    for place in range(n_touched):
        mass[touched[place]] = min(mass[touched[place]], np.float32(1.0))
    return n_touched
