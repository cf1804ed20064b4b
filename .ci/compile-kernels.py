"""Compile the kernels that most runs and fits need into numba's cache folder (NUMBA_CACHE_DIR)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import driftmap
from driftmap.engine import GraphSettings, build_window_graph


def compile_kernels() -> None:
    """Fit, go on, place rows, and run over a small source, in both layouts; and search narrow and wide windows."""
    rng = np.random.default_rng(0)
    build_window_graph(rng.normal(size=(8_000, 8)).astype(np.float32) @ rng.normal(size=(8, 64)), GraphSettings(), 0)
    build_window_graph(rng.normal(size=(5_000, 8)).astype(np.float32) @ rng.normal(size=(8, 256)), GraphSettings(), 0)
    build_window_graph(rng.normal(size=(7_000, 64)).astype(np.float32), GraphSettings(), 0)  # noise: rounds, then all
    rows = rng.normal(size=(60, 4)).astype(np.float32)
    pairs = {row: row for row in range(len(rows))}
    mapper = driftmap.AlignedUMAP(n_neighbors=5, n_epochs=2).fit([rows, rows], relations=[pairs])
    mapper.update(rows, relations=pairs)
    with tempfile.TemporaryDirectory() as scratch:
        table = pa.table({"year": np.repeat(np.arange(6), 60), "id": np.tile(np.arange(60), 6)})
        for column in range(4):
            table = table.append_column(f"v{column}", pa.array(rng.normal(size=360)))
        pq.write_table(table, f"{scratch}/rows.parquet")
        given = {"by": "year", "id": "id", "n_neighbors": 5, "n_epochs": 2, "scheduler": "serial", "block_windows": 2}
        for layout in ("carry", "exchange"):
            driftmap.run(f"{scratch}/rows.parquet", Path(scratch, layout), layout=layout, **given)


if __name__ == "__main__":
    compile_kernels()
