"""One small table, and ways to write it: for tests of sources."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from pyarrow import csv, feather

N_ROWS, N_NUMBERS = 60, 4


ROLES = {"time": "day", "id": "user", "label": ["group", "score"]}


def make_table() -> pa.Table:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(N_ROWS, N_NUMBERS)).astype(np.float32)
    return pa.table(
        {
            "day": pa.array(np.datetime64("2024-01-01", "us") + np.arange(N_ROWS) * np.timedelta64(9, "h")),
            "user": pa.array([f"u{number % 25}é" for number in range(N_ROWS)]),
            "group": pa.array(["a", "bcd", None] * (N_ROWS // 3)).dictionary_encode(),
            "score": pa.array([None if number == 7 else number for number in range(N_ROWS)], pa.int32()),
            "remark": pa.array(["x"] * N_ROWS),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), N_NUMBERS),
        }
    )


def spread_vectors(table: pa.Table) -> pa.Table:
    matrix = np.stack(table["vector"].to_pylist())
    table = table.drop_columns(["vector"])
    for axis in range(N_NUMBERS):
        table = table.append_column(f"v{axis}", pa.array(matrix[:, axis].astype(np.float64)))
    return table


def write_folder(folder, table):
    """Write three files in folders, with row groups of seven, among files that are no data."""
    for name, (low, high) in {"a/1.parquet": (0, 20), "a/2.parquet": (20, 25), "b/0.parquet": (25, N_ROWS)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(low, high - low), folder / name, row_group_size=7)
    for name in ("_SUCCESS", ".hidden.parquet", "_temporary/3.parquet", "a/readme.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no data")
    return folder


def write_format(file, table, batch_rows=7):
    """Write a table in the format that the name's ending says; some have batches of rows."""
    ending = ".".join(file.name.split(".")[1:])
    if ending.startswith(("csv", "tsv")):
        sink = io.BytesIO()
        options = csv.WriteOptions(delimiter="\t" if "tsv" in ending else ",", quoting_style="needed")
        csv.write_csv(table, sink, options)
        content = sink.getvalue()
    elif ending.startswith(("jsonl", "ndjson")):
        content = "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()).encode()
    elif ending == "arrows":
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, batch_rows)
        return file
    elif ending == "feather":
        feather.write_feather(table, file, chunksize=batch_rows)
        return file
    elif ending == "arrow":
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, batch_rows)
        return file
    else:
        pq.write_table(table, file, row_group_size=batch_rows)
        return file
    file.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    return file


def write_zarr(folder, table):
    group = zarr.create_group(folder, zarr_format=3)
    group.create_array("vectors", data=np.stack(table["vector"].to_pylist()).astype(np.float32), chunks=(8, 3))
    group.create_array("user", data=np.array([int(text[1:-1]) for text in table["user"].to_pylist()]), chunks=(11,))
    times = table["day"].to_numpy().astype("datetime64[s]").astype(np.int64)
    group.create_array("day", data=times, attributes={"units": "seconds since 1970-01-01"})
    group.create_array("group", data=np.arange(N_ROWS) % 3)
    group.create_array("score", data=np.arange(N_ROWS) / 2)
    return folder
