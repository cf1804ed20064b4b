"""From maps that were written to what the log says of them: which are final, how strongly aligned, how long it took."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from driftmap.pipeline.planning.blocks import is_final
from driftmap.pipeline.store.log.layouts import N_DIGITS, LayoutCommit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def describe_layout(
    block: int,
    attempt: str,
    core: Iterable[int],
    beyond: Iterable[int] = (),
    *,
    n_windows: int,
    lookahead: int,
    strengths: Mapping[str, float],
    seconds: float,
) -> LayoutCommit:
    """Describe maps that are written and wait for their commit.

    Parameters
    ----------
    block
        Number of the layout.
    attempt
        Name of the groups that hold the maps.
    core
        Windows that are final, but for the last ones of the run.
    beyond
        Windows after them that were laid out too, and will be again.
    n_windows, lookahead
        Of the run, so far.
    strengths
        By the window's number; those of windows that did not move are left out.
    seconds
        That the layout took.
    """
    core, beyond = list(core), list(beyond)
    final = [index for index in core if is_final(index, n_windows, lookahead)]
    moved = [*core, *beyond]
    return LayoutCommit(
        block=block,
        attempt=attempt,
        final=final,
        provisional=[index for index in moved if index not in final],
        strengths={name: value for name, value in strengths.items() if int(name) in moved},
        seconds=round(seconds, N_DIGITS),
    )


def name_strengths(indices: Iterable[int], strengths: Iterable[float]) -> dict[str, float]:
    """Return the strength of each window that has one, by the window's number, as the log keeps it."""
    return {str(i): round(value, N_DIGITS) for i, value in zip(indices, strengths, strict=True) if math.isfinite(value)}
