"""Stores in which it is known what happens: one change in one window, in maps made by hand, and nothing else.

The maps are the data, with a little noise in each window; what is measured is the naming of changes, not the layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tests.pipeline.small_stores import SmallWindow, make_store

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.store import Store

KINDS = (
    *("nothing", "birth", "death", "growth", "shrinkage", "split", "merge", "moved", "company", "carried", "replaced"),
)
_NOISE = 0.02
_GROUP = 1  # the group that changes


class Planted(NamedTuple):
    """A store, and what was planted."""

    store: Store
    kind: str
    window: int
    group: str
    """Label of the group that changes."""
    has_labels: bool


def plant(path: Path, kind: str, seed: int, *, has_labels: bool, n_windows: int = 4, n_rows: int = 60) -> Planted:
    """Make a store of five groups of `n_rows`, one of which changes with the window before the newest."""
    rng = np.random.default_rng(seed)
    turn = n_windows - 2  # the newest final window; the last one is provisional
    angle = rng.uniform(0, 6.28)
    centres = np.array([[9 * np.cos(angle + 6.28 * g / 5), 9 * np.sin(angle + 6.28 * g / 5)] for g in range(5)])
    groups = np.repeat(np.arange(5), n_rows)
    inner = rng.normal(size=(len(groups), 2)).clip(-2, 2)
    ids = np.array([f"id {i}" for i in range(len(groups))])
    windows = []
    for t in range(n_windows):
        here, names = centres[groups] + inner, ids
        keep = np.ones(len(ids), dtype=bool)
        if kind != "nothing":
            here, names, keep = change_groups(kind, here, ids, groups, is_after=t >= turn)
        # rows of large groups lie closer to each other
        noisy = here + rng.normal(scale=_NOISE * min(1, (100 / n_rows) ** 0.5), size=here.shape)
        labels = np.array([f"group {g}" for g in groups])
        columns = {"kind": labels[keep]} if has_labels else {}
        windows.append(SmallWindow(f"w{t}", names[keep], noisy[keep], columns))
    return Planted(make_store(path, windows), kind, turn, f"group {_GROUP}", has_labels)


def change_groups(
    kind: str, positions: np.ndarray, ids: np.ndarray, groups: np.ndarray, *, is_after: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the rows of a window, their ids, and which of them are there, before or after a group changed."""
    here, names, keep = positions.copy(), ids.astype("<U40"), np.ones(len(ids), dtype=bool)
    rows = np.flatnonzero(groups == _GROUP)
    few, half = rows[: len(rows) // 3], rows[: len(rows) // 2]
    if (kind == "birth" and not is_after) or (kind == "death" and is_after):
        keep[rows] = False
    elif (kind == "growth" and not is_after) or (kind == "shrinkage" and is_after):
        keep[rows[len(few) :]] = False
    elif (kind == "split" and is_after) or (kind == "merge" and not is_after):
        here[half] *= 2.2
    elif kind == "moved" and is_after:
        here[rows] = here[groups == _GROUP + 1] + 0.3
    elif kind == "company" and is_after:
        here[rows] = here[np.random.default_rng(1).permutation(rows)]
    elif kind == "carried" and is_after:
        here[rows] *= 2.2
    elif kind == "replaced" and is_after:
        names[half] = np.array([f"new {name}" for name in ids[half]])
    return here, names, keep


def is_named(planted: Planted, answers: list) -> bool:
    """Whether one of the sentences has the planted kind and windows (and group, where the store has labels)."""
    if planted.kind == "nothing":
        return not answers
    kinds = {planted.kind}
    if planted.kind == "moved" and not planted.has_labels:
        kinds.add("merge")  # a cluster that moves onto another one, without labels
    return any(
        answer.kind in kinds
        and (answer.since, answer.window) == (planted.window - 1, planted.window)
        and (not planted.has_labels or planted.group in answer.group)
        for answer in answers
    )
