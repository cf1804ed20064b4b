"""Couplings: relations in which a row may have several partners, with weights.

Dimensions: n rows of the older window, m rows of the newer one; p pairs of related rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine.errors import InvalidRelationError
from driftmap.engine.relations.relations import check_range, read_pairs
from driftmap.engine.types import Coupling, ReadableGraph

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.engine.types import Float32Array, Int64Array, Relation


class Pulls(NamedTuple):
    """Weights of the pull of each pair of a coupling, float32 (p,) each."""

    on_old: Float32Array
    """Of the newer row on the older one."""
    on_new: Float32Array
    """Of the older row on the newer one."""
    overlap: Float32Array
    """Jaccard overlap of their neighbourhoods, the part of both weights that `strengthen` looks at."""


def read_relation(given: object, n_old: int, n_new: int, name: str = "relation") -> Relation | Coupling:
    """Read what relates the rows of two windows, in any form.

    Parameters
    ----------
    given
        As `as_relation` takes it, but a row may be in several pairs; or a scipy sparse matrix (n_old, n_new) of
        weights; or a `Coupling`, its pairs in any order.
    n_old, n_new
        Rows of the older and of the newer window.
    name
        How messages call it.

    Returns
    -------
    Relation or Coupling
        A `Relation` where no row is in two pairs and there are no weights, or all are equal; else a `Coupling`.

    Raises
    ------
    InvalidRelationError
        When rows are out of range, a pair is there twice, or weights are below 0 or not finite.
    """
    if isinstance(given, Coupling):
        old, new = given.old.astype(np.int64), given.new.astype(np.int64)
        old, new, weights = _check_weights(old, new, given.weights.astype(np.float64), name)
    elif hasattr(given, "tocoo") and hasattr(given, "nnz"):
        old, new, weights = _read_sparse(given, n_old, n_new, name)
    else:
        old, new = read_pairs(given, n_old, n_new, name)
        weights = np.ones(len(old), dtype=np.float32)
    check_range(old, new, n_old, n_new, name)
    order = np.lexsort((new, old))
    old, new, weights = old[order], new[order], weights[order]
    twice = np.flatnonzero((np.diff(old) == 0) & (np.diff(new) == 0))
    if len(twice):
        msg = f"{name} has the pair of old row {old[twice[0]]} and new row {new[twice[0]]} twice; give each pair once."
        raise InvalidRelationError(msg)
    is_single = len(np.unique(old)) == len(old) and len(np.unique(new)) == len(new)
    if is_single and bool((weights == weights[:1]).all()):
        relation = np.full(n_old, -1, dtype=np.int32)
        relation[old] = new
        return relation
    return Coupling(old.astype(np.int32), new.astype(np.int32), (weights / weights.max()).astype(np.float32))


def weigh_coupling(base: ReadableGraph, other: ReadableGraph, coupling: Coupling) -> Pulls:
    """Weigh the pull of each pair of a coupling.

    Parameters
    ----------
    base, other
        Fuzzy graphs of the older and the newer window.
    coupling
        Their related rows.

    Notes
    -----
    With w the weights, of which the largest is 1, the shares of row i among its partners j are
    ``p_ij = w_ij / max(1, sum_j w_ij)``, and those of row j ``q_ij = w_ij / max(1, sum_i w_ij)``. Row i is pulled to j
    with weight ``p_ij J_ij``, and j to i with ``q_ij J_ij``: each to the weighted mean of its partners.
    ``J_ij = sum_r min(a_r, b_r) / sum_r max(a_r, b_r)`` is the Jaccard overlap of their neighbourhoods over the newer
    rows r other than j that have a partner: ``b_r`` is 1 for graph neighbours of j and 0 for others,
    ``a_r = min(1, sum_h p_hr)`` over the graph neighbours h of i. J is 1 where all of these are 0, and equals
    `alignment_weights` where each row has one partner.
    """
    from driftmap.engine.relations.jaccard_kernel import fill_coupled_jaccard  # late: compiles

    old, new, weights = coupling
    share_of_old = weights / np.maximum(1, np.bincount(old, weights, base.n_rows))[old]
    share_of_new = weights / np.maximum(1, np.bincount(new, weights, other.n_rows))[new]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(old, minlength=base.n_rows))]).astype(np.int64)
    is_related = np.zeros(other.n_rows, dtype=np.bool_)
    is_related[new] = True
    overlap = np.zeros(len(old), dtype=np.float32)
    shares = share_of_old.astype(np.float32)
    graphs = (base.indptr, base.load_indices(), other.indptr, other.load_indices())
    fill_coupled_jaccard(graphs, indptr, (new, shares), is_related, overlap)
    return Pulls(shares * overlap, share_of_new.astype(np.float32) * overlap, overlap)


def compose(first: Relation | Coupling, second: Relation | Coupling, sizes: tuple[int, int, int]) -> Coupling:
    """Follow a coupling through a middle window: the weight of a pair is the sum over the rows between.

    Parameters
    ----------
    first, second
        Older to middle, and middle to newer window.
    sizes
        Rows of the three windows.
    """
    n_old, n_middle, n_new = sizes
    one, two = as_coupling(first), as_coupling(second)
    shares = one.weights / np.maximum(1, np.bincount(one.old, one.weights, n_old))[one.old]
    from scipy.sparse import csr_array

    left = csr_array((shares.astype(np.float64), (one.old, one.new)), shape=(n_old, n_middle))
    right = csr_array((two.weights.astype(np.float64), (two.old, two.new)), shape=(n_middle, n_new))
    product = (left @ right).tocoo()
    order = np.lexsort((product.col, product.row))
    weights = product.data[order]
    largest = weights.max() if len(weights) else 1.0
    old, new = product.row[order].astype(np.int32), product.col[order].astype(np.int32)
    return Coupling(old, new, (weights / largest).astype(np.float32))


def as_coupling(relation: Relation | Coupling) -> Coupling:
    """Give a relation of any kind as a coupling."""
    if isinstance(relation, Coupling):
        return relation
    old = np.flatnonzero(relation >= 0).astype(np.int32)
    return Coupling(old, relation[old], np.ones(len(old), dtype=np.float32))


def find_strongest(relation: Relation | Coupling, n_old: int) -> Relation:
    """Reduce a coupling to pairs in which no row is twice, the heaviest first: for measures that follow single rows.

    Parameters
    ----------
    relation
        Relation, which comes back as it is, or coupling.
    n_old
        Rows of the older window.

    Returns
    -------
    numpy.ndarray of int32
        Shape (n_old,), -1 where an old row has no partner.
    """
    if not isinstance(relation, Coupling):
        return relation
    single = np.full(n_old, -1, dtype=np.int32)
    taken: set[int] = set()
    for place in np.argsort(-relation.weights, kind="stable").tolist():
        old, new = int(relation.old[place]), int(relation.new[place])
        if single[old] < 0 and new not in taken:
            single[old] = new
            taken.add(new)
    return single


def average_partners(coupling: Coupling, positions: Float32Array, n_new: int) -> Float32Array:
    """Give each newer row the weighted mean of the positions of its partners; NaN where it has none with a position."""
    is_placed = np.asarray(np.isfinite(positions).all(axis=1))[coupling.old]
    old, new, weights = coupling.old[is_placed], coupling.new[is_placed], coupling.weights[is_placed].astype(np.float64)
    sums = np.bincount(new, weights, n_new)
    means = np.full((n_new, positions.shape[1]), np.nan, dtype=np.float32)
    has = sums > 0
    for axis in range(positions.shape[1]):
        means[has, axis] = (np.bincount(new, weights * positions[old, axis], n_new)[has] / sums[has]).astype(np.float32)
    return means


def _read_sparse(given: Any, n_old: int, n_new: int, name: str) -> tuple[Int64Array, Int64Array, Float32Array]:
    if given.shape != (n_old, n_new):
        hint = " It looks like new row -> old row: transpose it." if given.shape == (n_new, n_old) else ""
        msg = f"{name} must be a sparse matrix of shape ({n_old}, {n_new}), old by new rows, got {given.shape}.{hint}"
        raise InvalidRelationError(msg)
    if given.dtype.kind not in "fiub":
        msg = f"{name} must hold real weights, got dtype {given.dtype}."
        raise InvalidRelationError(msg)
    pairs = given.tocoo()
    return _check_weights(pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data.astype(np.float64), name)


def _check_weights(
    old: Int64Array, new: Int64Array, weights: npt.NDArray[np.float64], name: str
) -> tuple[Int64Array, Int64Array, Float32Array]:
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        msg = (
            f"{name} has the weight {weights[bad[0]]:g} for old row {old[bad[0]]} and new row {new[bad[0]]} ({len(bad)}"
            f" of {len(weights)} are below 0 or not finite); give weights of 0 or above."
        )
        raise InvalidRelationError(msg)
    kept = weights > 0
    weights = weights[kept] / (weights.max() if kept.any() else 1.0)
    return old[kept], new[kept], weights.astype(np.float32)
