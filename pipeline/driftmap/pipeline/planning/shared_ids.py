"""What relates windows to each other, before any is read: ids, or rows, that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.cuts import encode_keys, show_values
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.sources.rows.pieces import join_ids
from driftmap.pipeline.sources.rows.repeated_ids import choose_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.window_rule import WindowRule
    from driftmap.pipeline.planning.cuts import Cuts

    Keys = np.ndarray[Any, Any]
    Duplicates = Literal["refuse", "first", "last", "mean"]


class Codes(NamedTuple):
    """Ids by number."""

    uniques: Keys
    """(u,) the different ids."""
    codes: Int64Array
    """(n,) for each row of the source, the number of its id."""

    @classmethod
    def of(cls, ids: Keys) -> Codes:
        """Give every different id a number."""
        return cls(*encode_keys(ids))

    def list_piece(self, cuts: Cuts, index: int) -> Int64Array:
        """List those of the rows of a window, in the order of the cuts."""
        return self.codes[cuts.list_piece(index)]


class Kept(NamedTuple):
    """Which rows of a window stay where ids come more than once."""

    is_kept: npt.NDArray[np.bool_] | None
    """Of its rows, in the order of the cuts; None: all."""
    n_rows: int
    """Rows of the window; fewer than stay where it has the means of several."""


def settle_repeated(cuts: Cuts, ids: Codes, duplicates: Duplicates, times: Keys | None = None) -> list[Kept]:
    """Decide for every window which row stands for an id that comes more than once.

    Parameters
    ----------
    cuts
        The windows.
    ids
        Of all rows of the source.
    duplicates
        The rule.
    times
        Of all rows, where the cuts are not in their order: by these rows come first or last.

    Raises
    ------
    PlanError
        When an id comes twice in a window, and the rule refuses that.
    """
    places = np.empty(len(ids.uniques), dtype=np.int64)
    settled = []
    for index in range(len(cuts.labels)):
        here = ids.list_piece(cuts, index)
        # Of equal ids the last one's place stands, so that all before it find another than their own.
        numbers = np.arange(len(here))
        places[here] = numbers
        again = places[here] != numbers
        is_kept = None
        if again.any() and duplicates == "refuse":
            raise PlanError(_describe_repeated(cuts.labels[index], ids.uniques[here], again))
        if again.any() and duplicates in ("first", "last"):
            own = None if times is None else times[cuts.list_piece(index)]
            is_kept = choose_rows(here, duplicates, own)
        settled.append(Kept(is_kept, len(here) - int(np.count_nonzero(again))))
    return settled


def choose_over_parts(
    ids: Sequence[Keys], names: Sequence[str], rule: Literal["first", "last"], times: Sequence[Keys] | None = None
) -> list[npt.NDArray[np.bool_]]:
    """Choose the row that stands for each id over the parts of a source.

    Parameters
    ----------
    ids
        Of the rows of each part, in the order of the source.
    names
        Of the parts.
    rule
        The first row of each id, or the last.
    times
        Of the rows of each part, by which they come first or last.

    Returns
    -------
    Per part bool (n,): whether a row stays.
    """
    codes = encode_keys(join_ids([*ids], [*names]))[1]
    is_kept = choose_rows(codes, rule, None if times is None else np.concatenate([*times]))
    return np.split(is_kept, np.cumsum([len(part) for part in ids])[:-1])


def count_shared_ids(
    cuts: Cuts, ids: Codes, rule: WindowRule, reach: int | None, kept: Sequence[Kept] = ()
) -> Int64Array:
    """Count the ids that each window shares with the one before.

    Raises
    ------
    PlanError
        When no two windows share one.
    """
    n_windows = len(cuts.labels)
    reach = n_windows if reach is None else reach
    last_windows = np.full(len(ids.uniques), -1 - reach, dtype=np.int64)
    shared = np.zeros(n_windows, dtype=np.int64)
    is_tied = n_windows == 1 or rule.allow_unrelated
    for index in range(n_windows):
        here = ids.list_piece(cuts, index)
        if kept and kept[index].n_rows < len(here):
            here = np.unique(here)
        is_tied = is_tied or bool((last_windows[here] >= index - reach).any())
        shared[index] = np.count_nonzero(last_windows[here] == index - 1) if index else 0
        last_windows[here] = index
    if not is_tied:
        near = "" if reach >= n_windows else f" within {reach} of each other"
        raise PlanError(
            f"no two windows{near} share an id, so nothing relates their maps; name the column (id) whose values come "
            "again in later windows, or give a table of related rows (relations), such as pairs of matched cells; or "
            "allow_unrelated, to have maps that cannot be compared"
        )
    return shared


def _describe_repeated(label: str, ids: Keys, again: np.ndarray[Any, Any]) -> str:
    repeated = np.unique(ids[again])
    shown = name_some(
        [repr(text) for text in show_values(repeated)] if ids.dtype.kind == "S" else show_values(repeated)
    )
    what = "an id" if len(repeated) == 1 else f"{len(repeated):,} ids"
    return (
        f"window {label!r} has {what} more than once: {shown}; an id stands for one row of a window: say which counts "
        "(duplicates first, last or mean), choose another id column, or make windows shorter"
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
