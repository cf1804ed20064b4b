"""Runs, ingests and placed rows from files of every format: the maps are those of the same rows as Parquet."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from tests.pipeline.small_sources import write_format

from driftmap.pipeline import ingest, open_store, place, run

N_ROWS, N_YEARS = 30, 4
SETTINGS = {"n_neighbors": 5, "n_epochs": 8, "block_windows": 2, "scheduler": "serial"}


def make_year(year: int) -> pa.Table:
    rng = np.random.default_rng(year)
    columns = {f"e{axis}": rng.integers(-99, 99, N_ROWS) / 8 for axis in range(4)}
    return pa.table({"id": [f"{row:03d}" for row in range(N_ROWS)], "kind": ["a", "b"] * (N_ROWS // 2), **columns})


def write_year(folder, year, ending):
    (folder / f"year={year}").mkdir(parents=True)
    return write_format(folder / f"year={year}" / f"part.{ending}", make_year(year))


def make_maps(folder, store):
    return run(folder, store, time="year", window="1Y", id="id", label="kind", **SETTINGS)


def list_maps(store):
    return [(store.labels[window], store.positions(window).tobytes()) for window in range(store.n_windows)]


@pytest.fixture(scope="module")
def of_parquet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    for year in range(2000, 2000 + N_YEARS):
        write_year(folder / "data", year, "parquet")
    store = make_maps(folder / "data", folder / "maps")
    write_year(folder / "data", 2000 + N_YEARS, "parquet")
    ingest(folder / "maps", scheduler="serial", complete=True)
    return list_maps(open_store(store.path)), place(folder / "maps", make_year(1999)).to_pydict()


@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "feather", "arrows"])
def test_maps_are_those_of_parquet(tmp_path, of_parquet, ending):
    for year in range(2000, 2000 + N_YEARS):
        write_year(tmp_path / "data", year, ending)
    store = make_maps(tmp_path / "data", tmp_path / "maps")
    assert make_maps(tmp_path / "data", tmp_path / "maps").labels == ["2000", "2001", "2002", "2003"]
    write_year(tmp_path / "data", 2000 + N_YEARS, ending)
    assert ingest(tmp_path / "maps", scheduler="serial", complete=True).new == ["2004"]
    store, (expected, placed) = open_store(store.path), of_parquet
    assert list_maps(store) == expected
    assert store.embedding("2004")[0].tolist()[:2] == ["000", "001"]
    write_format(tmp_path / f"rows.{ending}", make_year(1999))
    assert place(tmp_path / "maps", tmp_path / f"rows.{ending}").to_pydict() == placed


def test_a_folder_that_datasets_saved_is_read_in_the_order_of_its_state(tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    names = ["data-00001-of-00002.arrow", "data-00000-of-00002.arrow"]
    for name, years in zip(names, ((2000, 2001), (2002, 2003)), strict=True):
        tables = [make_year(year).append_column("year", pa.array([year] * N_ROWS)) for year in years]
        table = pa.concat_tables(tables)
        with pa.ipc.new_stream(folder / name, table.schema) as writer:
            writer.write_table(table, 11)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")
    (folder / "cache-1.arrow").write_bytes(b"of another program")
    store = run(folder, tmp_path / "maps", by="year", id="id", **SETTINGS)
    assert store.labels == ["2000", "2001", "2002", "2003"]
    assert store.embedding("2000")[0].tolist() == [f"{row:03d}" for row in range(N_ROWS)]
