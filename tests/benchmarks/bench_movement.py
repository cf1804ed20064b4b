"""Known movement: are the rows that moved where they went, and do all others stand still? Beside umap-learn."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks import peer
from tests.benchmarks.data_sets import load_movement
from tests.benchmarks.tables import format_table

from driftmap.engine import AlignedUMAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from tests.benchmarks.data_sets import DataSet

N_VOTERS = 10
"""Nearest rows that stand still, by whose clusters a mover's is judged."""
GAP_RANK, MOST_GAP = 5, 5.0
"""A mover is in empty space where its fifth such row is farther away than this many times what is usual."""
MOST_STILL = 0.5
"""Most that rows which stand still may move, as a share of what the peer moves them."""


def compare_movement(
    seeds: Sequence[int], *, has_peer: bool = True, is_fresh: bool = False, say: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Judge ours, and the peer's, on the blobs of every seed; says a table and returns all figures."""
    found: list[dict[str, Any]] = []
    for seed in seeds:
        data, is_mover = load_movement(seed)
        model = AlignedUMAP(random_state=seed).fit(data.windows, relations=data.relations)
        result: dict[str, Any] = {"seed": seed, "ours": judge_movement(data, model.embeddings_, is_mover)}
        if has_peer:
            result["peer"] = judge_movement(data, peer.find_maps(data, is_fresh=is_fresh).maps, is_mover)
        found.append(result)
    say(format_movement(found))
    return found


def judge_movement(data: DataSet, maps: Sequence[npt.NDArray[Any]], is_mover: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Count movers of the last window at a wrong cluster and in empty space, and measure how far the others move.

    `still` is the mean distance of the rows that stand still from window to window, over the spread of the maps.
    """
    positions = [np.asarray(window, dtype=np.float64) for window in maps]
    still, movers, last, labels = np.flatnonzero(~is_mover), np.flatnonzero(is_mover), positions[-1], data.labels[-1]
    apart = np.linalg.norm(last[:, None] - last[still], axis=2)
    nearest = still[np.argsort(apart[movers], axis=1)[:, :N_VOTERS]]
    n_wrong = sum(_vote(labels[near]) != own for near, own in zip(nearest, labels[movers].tolist(), strict=True))
    usual = np.median(np.sort(apart[still], axis=1)[:, GAP_RANK])  # the first is the row itself
    gaps = np.sort(apart[movers], axis=1)[:, GAP_RANK - 1] / usual
    spread = np.sqrt(np.mean([window.var(axis=0).mean() for window in positions]))
    moved = [np.linalg.norm(new[still] - old[still], axis=1).mean() for old, new in pairwise(positions)]
    return {
        "movers": len(movers),
        "wrong": int(n_wrong),
        "empty": int((gaps > MOST_GAP).sum()),
        "still": float(np.mean(moved) / spread),
    }


def format_movement(found: Sequence[dict[str, Any]]) -> str:
    """A row per seed: ours / the peer's."""
    rows = []
    for result in found:
        pairs = [result[who] for who in ("ours", "peer") if who in result]
        counts = [" / ".join(str(each[key]) for each in pairs) for key in ("wrong", "empty")]
        still = " / ".join(f"{each['still']:.4f}" for each in pairs)
        ratio = pairs[0]["still"] / pairs[1]["still"] if len(pairs) > 1 else float("nan")
        is_met = not pairs[0]["wrong"] and not pairs[0]["empty"] and not ratio > MOST_STILL
        rows.append([str(result["seed"]), str(pairs[0]["movers"]), *counts, still, f"{ratio:.2f}", _verdict(is_met)])
    header = ["seed", "movers", "at a wrong cluster", "in empty space", "still rows move", "ratio", "met"]
    return format_table(header, rows)


def _vote(labels: npt.NDArray[Any]) -> Any:
    values, counts = np.unique(labels, return_counts=True)
    return values[counts.argmax()]


def _verdict(is_met: bool) -> str:
    return "yes" if is_met else "NO"
