"""Changes planted in data and laid out by a real run: what is measured is all from the rows to the sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.pipeline.look.planted import KINDS, Planted, change_groups

from driftmap.pipeline import run

if TYPE_CHECKING:
    from pathlib import Path

RUN_KINDS = tuple(kind for kind in KINDS if kind != "carried")
"""A group that moves off as it is has the same neighbours as before, so its graph and map do not change."""
N_GROUPS = 5
_N_FEATURES = 10


class DataWindow(NamedTuple):
    ids: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


def make_windows(
    kind: str, seed: int, *, n_windows: int = 8, turn: int = 4, n_rows: int = 60, share_new: float = 0.0
) -> list[DataWindow]:
    """Make windows of five groups of `n_rows`, one of which changes with window `turn`.

    Of `share_new` of the rows the ids, and the places in their group, are new in each window.
    """
    rng = np.random.default_rng(seed)
    lift = rng.normal(size=(2, _N_FEATURES))
    lift /= np.linalg.norm(lift, axis=1)[:, None]
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(N_GROUPS) / N_GROUPS
    centres = 9 * np.column_stack([np.cos(angles), np.sin(angles)])
    groups = np.repeat(np.arange(N_GROUPS), n_rows)
    inner = rng.normal(size=(len(groups), 2)).clip(-2, 2)
    hidden = rng.normal(scale=0.3, size=(len(groups), _N_FEATURES))
    ids = np.array([f"id {i}" for i in range(len(groups))], dtype="<U30")
    windows = []
    for t in range(n_windows):
        fresh = np.flatnonzero(rng.random(len(ids)) < share_new)
        ids[fresh] = [f"id {i} of {t}" for i in fresh]
        inner[fresh] = rng.normal(size=(len(fresh), 2)).clip(-2, 2)
        here, names, keep = change_groups(kind, centres[groups] + inner, ids, groups, is_after=t >= turn)
        rows = here @ lift + hidden + rng.normal(scale=0.05, size=hidden.shape)
        labels = np.array([f"group {g}" for g in groups])
        windows.append(DataWindow(names[keep], labels[keep], rows[keep].astype(np.float32)))
    return windows


def run_planted(folder: Path, kind: str, seed: int, *, has_labels: bool, **how: float) -> Planted:
    """Write planted windows to a file, run it, and give the store; 8 windows, of which the last 3 are provisional."""
    windows = make_windows(kind, seed, **how)
    columns = {
        "window": pa.array(np.concatenate([np.full(len(w.ids), t) for t, w in enumerate(windows)])),
        "id": pa.array(np.concatenate([w.ids for w in windows])),
        "kind": pa.array(np.concatenate([w.labels for w in windows])),
        "v": pa.array(list(np.concatenate([w.rows for w in windows])), pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    store = run(
        folder / "rows.parquet",
        folder / "run.zarr",
        id="id",
        by="window",
        vectors="v",
        label=["kind"] if has_labels else None,
        random_state=seed,
        scheduler="serial",
    )
    return Planted(store, kind, 4, "group 1", has_labels)
