"""Relations of the windows of a block, by equal ids and from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import relate_windows as relate_sorted
from driftmap.engine import sort_ids
from driftmap.pipeline.store.relation_book import NO_RELATIONS, OutsideRelations, relate_given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine.types import Coupling, Relation


def relate_windows(
    ids: Sequence[np.ndarray[Any, Any]],
    reach: int,
    moved: range,
    labels: Sequence[str] = (),
    outside: OutsideRelations = NO_RELATIONS,
) -> Mapping[tuple[int, int], Relation | Coupling]:
    """Relate the rows of every two windows within reach, but for two windows that both stand still.

    Parameters
    ----------
    ids
        Ids of each window of a block.
    reach
        The alignment reach.
    moved
        The windows that move, by their places in the block.
    labels
        Labels of the windows of the block; not needed without relations from outside.
    outside
        Relations from outside, beside those of equal ids or in their place.
    """
    near = [(older, newer) for newer in range(len(ids)) for older in range(max(0, newer - reach), newer)]
    given = relate_given(outside.books, list(zip(labels, ids, strict=True)), near) if outside.books else {}
    pairs = [(older, newer) for older, newer in near if older in moved or newer in moved]
    if not outside.with_ids:  # no id comes in two windows
        ends = np.cumsum([len(each) for each in ids]).tolist()
        ids = [np.arange(end - len(each), end) for each, end in zip(ids, ends, strict=True)]
    return relate_sorted([sort_ids(each) for each in ids], given, pairs)
