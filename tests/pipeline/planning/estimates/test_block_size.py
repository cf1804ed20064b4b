"""What a block of windows is said to take: of what a source has beside vectors, the ids alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from driftmap.pipeline import plan

N_ROWS = 600


def make_columns(id_length):
    rng = np.random.default_rng(0)
    return {
        "w": np.repeat(np.arange(3), N_ROWS // 3),
        "id": np.array([f"{number:0{id_length}d}" for number in np.tile(np.arange(N_ROWS // 3), 3)]),
        "topic": np.array([f"topic {number:050d}" for number in rng.integers(0, 9, N_ROWS)]),
        "vectors": rng.normal(size=(N_ROWS, 4)).astype(np.float32),
    }


def write(place, columns, kind):
    if kind == "rows":
        return columns
    if kind == "parquet":
        pq.write_table(pa.table(columns | {"vectors": list(columns["vectors"])}), place / "rows.parquet")
        return place / "rows.parquet"
    group = zarr.open_group(place / "rows.zarr", mode="w", zarr_format=2)
    for name, values in columns.items():
        group.create_array(name, data=values)
    return place / "rows.zarr"


@pytest.mark.parametrize("kind", ["rows", "parquet", "zarr"])
@pytest.mark.parametrize("beside", [{"label": "topic"}, {"show": "topic"}, {"text": "topic"}])
def test_labels_and_texts_are_not_in_it(tmp_path, kind, beside):
    def size(id_length, **options):
        source = write(tmp_path, make_columns(id_length), kind)
        return plan(source, by="w", id="id", vectors="vectors", **options).estimate.coordinator_bytes

    assert size(8) == size(8, **beside) < size(60, **beside)
