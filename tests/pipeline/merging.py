"""A small source in which one group merges into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.pipeline.look.planted_runs import make_windows

if TYPE_CHECKING:
    from pathlib import Path


def write_merging(path: Path, n_windows: int) -> Path:
    """Write its windows, with columns `window`, `id` and the vectors `v`."""
    windows = make_windows("merge", 0, n_windows=n_windows, n_rows=30)
    table = {
        "window": np.concatenate([np.full(len(w.ids), t) for t, w in enumerate(windows)]),
        "id": pa.array(np.concatenate([w.ids for w in windows])),
        "v": pa.array(list(np.concatenate([w.rows for w in windows])), pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(table), path)
    return path
