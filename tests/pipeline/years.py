"""A small source for runs: entities that move a little from year to year."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_years(path: Path, n_windows: int, entities: Sequence[object], labels: Sequence[object] | None = None) -> Path:
    """Write the same entities for every year from 2000 on, with vectors `v`; and `party`, where labels are given."""
    n_rows = len(entities)
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(n_rows, 6)) + 0.2 * rng.normal(size=(n_windows, n_rows, 6))
    columns = {
        "year": np.repeat(np.arange(n_windows) + 2000, n_rows),
        "entity": np.tile(entities, n_windows),
        "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), 6),
    }
    if labels is not None:
        columns["party"] = np.tile(labels, n_windows)
    pq.write_table(pa.table(columns), path)
    return path
