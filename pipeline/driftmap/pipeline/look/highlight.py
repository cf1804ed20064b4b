"""Which rows of a grid stand out: those of some entities, or those that were in the window before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.look.run_codes import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.look.sequence import MapSequence

SHARED = "shared"
"""Asks for the rows whose entity was in the window before."""

MAX_NAMED = 12
"""Of more entities than this, the rows are ringed but not named."""


class Highlight(NamedTuple):
    """What stands out; all other rows stand back in grey."""

    is_shown: list[npt.NDArray[np.bool_]]
    """Per window, (n,)."""
    names: list[dict[int, str]]
    """Per window, names of rows; empty where rows are only kept in colour."""
    is_ringed: bool


def find_highlight(sequence: MapSequence, asked: str | Sequence[object] | None) -> Highlight | None:
    """Find the rows that a picture is asked to highlight.

    Parameters
    ----------
    sequence
        The maps, with ids.
    asked
        "shared", or ids; None for none.

    Raises
    ------
    PictureError
        When there are no ids, or an id is in no window.
    """
    if asked is None:
        return None
    numbers = sequence.entities()
    if isinstance(asked, str) or not hasattr(asked, "__iter__"):
        if asked != SHARED:
            raise PictureError(f'highlight must be "{SHARED}" or a list of ids, got {asked!r}; for one id: [{asked!r}]')
        # Nothing comes before the first window; there it is what stays for the second.
        before = [numbers[min(1, len(numbers) - 1)], *numbers[:-1]]
        shown = [np.isin(now, old) for now, old in zip(numbers, before, strict=True)]
        return Highlight(shown, [{} for _ in shown], is_ringed=False)
    wanted = {as_text(one) for one in asked}
    rows = [_find_rows(ids, wanted) for ids in sequence.ids or []]
    missing = wanted.difference(*(found.values() for found in rows))
    if missing:
        named = ", ".join(repr(one) for one in sorted(missing)[:5])
        raise PictureError(f"no window has the ids {named}; highlight takes ids as the store gives them")
    shown = [np.isin(np.arange(len(now)), list(found)) for now, found in zip(numbers, rows, strict=True)]
    is_named = len(wanted) <= MAX_NAMED
    return Highlight(shown, [found if is_named else {} for found in rows], is_ringed=True)


def _find_rows(ids: npt.NDArray[Any], wanted: set[str]) -> dict[int, str]:
    texts = (as_text(one) for one in ids.tolist())
    return {row: text for row, text in enumerate(texts) if text in wanted}
