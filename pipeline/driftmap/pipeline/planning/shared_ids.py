"""What relates windows to each other, before any is read: ids, or rows, that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.cuts import encode_keys, show_values
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.window_rule import WindowRule
    from driftmap.pipeline.planning.cuts import Cuts

    Keys = np.ndarray[Any, Any]


def count_shared_ids(cuts: Cuts, ids: Keys, rule: WindowRule, reach: int | None) -> Int64Array:
    """Count the ids that each window shares with the one before.

    Raises
    ------
    PlanError
        When an id is twice in a window, or no two windows share one.
    """
    uniques, codes = encode_keys(ids)
    n_windows = len(cuts.labels)
    reach = n_windows if reach is None else reach
    places = np.empty(len(uniques), dtype=np.int64)
    last_windows = np.full(len(uniques), -1 - reach, dtype=np.int64)
    shared = np.zeros(n_windows, dtype=np.int64)
    is_tied = n_windows == 1 or rule.allow_unrelated
    for index in range(n_windows):
        piece = slice(int(cuts.lows[index]), int(cuts.highs[index]))
        here = codes[piece] if cuts.order is None else codes[cuts.order[piece]]
        # Of equal ids the last one's place stands, so that all before it find another than their own.
        numbers = np.arange(len(here))
        places[here] = numbers
        again = places[here] != numbers
        if again.any():
            raise PlanError(_describe_repeated(cuts.labels[index], uniques[here], again))
        is_tied = is_tied or bool((last_windows[here] >= index - reach).any())
        shared[index] = np.count_nonzero(last_windows[here] == index - 1) if index else 0
        last_windows[here] = index
    if not is_tied:
        near = "" if reach >= n_windows else f" within {reach} of each other"
        raise PlanError(
            f"no two windows{near} share an id, so nothing relates their maps; name the column (id) whose values come "
            "again in later windows, or allow_unrelated to have maps that cannot be compared"
        )
    return shared


def _describe_repeated(label: str, ids: Keys, again: np.ndarray[Any, Any]) -> str:
    repeated = np.unique(ids[again])
    shown = name_some(
        [repr(text) for text in show_values(repeated)] if ids.dtype.kind == "S" else show_values(repeated)
    )
    what = "an id" if len(repeated) == 1 else f"{len(repeated):,} ids"
    return (
        f"window {label!r} has {what} more than once: {shown}; an id stands for one row of a window: join these rows "
        "into one, choose another id column, or make windows shorter"
    )


def count_shared_rows(cuts: Cuts, rule: WindowRule) -> Int64Array:
    """Count the rows that each window shares with the one before, where there are no ids.

    Raises
    ------
    PlanError
        When no two windows share a row.
    """
    shared = np.concatenate([[0], np.maximum(cuts.highs[:-1] - cuts.lows[1:], 0)]).astype(np.int64)
    if rule.allow_unrelated or len(cuts.labels) == 1 or bool(shared.any()):
        return shared
    remedy = ""
    if rule.window is not None:
        remedy = f", make stride ({rule.stride or rule.window}) shorter than window ({rule.window})"
    elif rule.rows is not None:
        remedy = f", make row_stride ({rule.row_stride or rule.rows}) less than rows ({rule.rows})"
    raise PlanError(
        f"no two windows share a row, and there is no id column, so nothing relates their maps; name one (id){remedy}, "
        "or allow_unrelated to have maps that cannot be compared"
    )
