"""Relations of a sequence of windows, by equal ids and by relations from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine.errors import InvalidRelationError
from driftmap.engine.relations.couplings import as_coupling, compose
from driftmap.engine.relations.relations import compose_relations, relate_ids
from driftmap.engine.types import Coupling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from driftmap.engine.relations.relations import SortedIds
    from driftmap.engine.types import Relation

    Given = Mapping[tuple[int, int], Relation | Coupling]


def relate_windows(
    ids: Sequence[SortedIds], given: Given, pairs: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Relation | Coupling]:
    """Relate the rows of pairs of windows, by equal ids and by relations from outside.

    Parameters
    ----------
    ids
        Ids of consecutive windows, as `sort_ids` gives them.
    given
        Relations or couplings from outside, by the places (older, newer) of their windows in `ids`; empty for none.
    pairs
        The pairs (older, newer) that are wanted.

    Returns
    -------
    dict
        For each pair its relation, or its coupling where a row has several partners or weights differ.

    Raises
    ------
    InvalidRelationError
        When ids and given relations contradict: a row has the same id as one of the other window, and only other
        partners by a given relation.

    Notes
    -----
    With S_ij the relation by equal ids and G_ij the given one, two windows that have a given relation are related by
    ``R_ij = G_ij + S_ij`` (a pair of equal ids weighs 1, as much as the heaviest given one; none is counted twice).
    Two windows without one, but with some given relation between consecutive windows from i to j, are related by
    following these: ``R_ij = P_i,i+1 P_i+1,i+2 ... P_j-1,j``, where the entries of P are the weights of R over
    ``max(1, sum of the row)`` for all but the last; the pairs of equal ids whose rows have no partner so are added.
    Otherwise ``R_ij = S_ij``. How the weights of R and the Jaccard overlap combine to the pull of a row: see
    `weigh_coupling`, ``p_ij J_ij`` with ``p_ij = w_ij / max(1, sum_j w_ij)``.
    """
    steps: dict[tuple[int, int], Relation | Coupling] = {}

    def relate(older: int, newer: int) -> Relation | Coupling:
        if (older, newer) not in steps:
            same = relate_ids(ids[older], ids[newer])
            known = given.get((older, newer))
            name = f"the relation of windows {older} and {newer}"
            steps[older, newer] = same if known is None else join_relations(known, same, name)
        return steps[older, newer]

    def find(older: int, newer: int) -> Relation | Coupling:
        between = [(middle, middle + 1) for middle in range(older, newer)]
        if (older, newer) in given or not any(step in given for step in between):
            return relate(older, newer)
        followed = relate(*between[0])
        for middle, last in between[1:]:
            followed = _follow(followed, relate(middle, last), ids, (older, middle, last))
        return add_unrelated(followed, relate_ids(ids[older], ids[newer]))

    return {(older, newer): find(older, newer) for older, newer in pairs}


def join_relations(given: Relation | Coupling, same: Relation, name: str) -> Relation | Coupling:
    """Add the pairs of equal ids to a given relation.

    Parameters
    ----------
    given
        Relation or coupling from outside.
    same
        Relation by equal ids, of the same windows.
    name
        How messages call the given one.

    Raises
    ------
    InvalidRelationError
        When a row's given partners leave out the row of the same id.
    """
    pairs = as_coupling(given)
    stated = set(zip(pairs.old.tolist(), pairs.new.tolist(), strict=True))
    olds, news = set(pairs.old.tolist()), set(pairs.new.tolist())
    missing = [(old, new) for old, new in enumerate(same.tolist()) if new >= 0 and (old, new) not in stated]
    for old, new in missing:
        if old in olds or new in news:
            side = f"old row {old}" if old in olds else f"new row {new}"
            msg = (
                f"{name} and ids contradict each other: old row {old} and new row {new} have the same id, but {name}"
                f" gives {side} other partners only; add that pair, or leave one of relations and ids out."
            )
            raise InvalidRelationError(msg)
    return _add_pairs(given, missing)


def add_unrelated(relation: Relation | Coupling, same: Relation) -> Relation | Coupling:
    """Add the pairs of equal ids of rows that have no partner yet.

    Parameters
    ----------
    relation
        Of two windows, followed through those between.
    same
        Relation by equal ids, of the same windows.
    """
    pairs = as_coupling(relation)
    is_free = same >= 0
    is_free[pairs.old] = False
    is_free[is_free] = ~np.isin(same[is_free], pairs.new)
    olds = np.flatnonzero(is_free)
    return _add_pairs(relation, list(zip(olds.tolist(), same[olds].tolist(), strict=True)))


def _follow(
    first: Relation | Coupling, second: Relation | Coupling, ids: Sequence[SortedIds], places: tuple[int, int, int]
) -> Relation | Coupling:
    if not (isinstance(first, Coupling) or isinstance(second, Coupling)):
        return compose_relations(first, second)
    older, middle, newer = (len(ids[place].ids) for place in places)
    return compose(first, second, (older, middle, newer))


def _add_pairs(given: Relation | Coupling, pairs: list[tuple[int, int]]) -> Relation | Coupling:
    if not pairs:
        return given
    olds, news = (np.array(rows, dtype=np.int32) for rows in zip(*pairs, strict=True))
    if not isinstance(given, Coupling):
        joined: npt.NDArray[np.int32] = given.copy()
        joined[olds] = news
        return joined
    old, new = np.concatenate([given.old, olds]), np.concatenate([given.new, news])
    weights = np.concatenate([given.weights, np.ones(len(olds), dtype=np.float32)])
    order = np.lexsort((new, old))
    return Coupling(old[order], new[order], weights[order])
