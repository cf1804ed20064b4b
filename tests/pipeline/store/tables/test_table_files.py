"""Tables as files: the ending says the kind, and what is read again is what was written."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.feather as pf
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline import run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.store.tables.table_files import TABLE_ENDINGS, find_table_writer, write_table

READERS = {".parquet": pq.read_table, ".csv": pc.read_csv, ".arrow": pf.read_table, ".feather": pf.read_table}


def read(path):
    return READERS[path.suffix.lower()](path)


def make_table():
    return pa.table(
        {
            "window": ["a", 'b, "c"', "é"],
            "id": pa.array([1, 2, 2**62]),
            "key": pa.array([b"\x00\xff", b"ab", b"cd"], pa.binary(2)),
            "x": pa.array([0.1, -2.5, None], pa.float32()),
            "day": [dt.date(2024, 1, 1)] * 3,
        }
    )


@pytest.mark.parametrize("ending", [*TABLE_ENDINGS, ".CSV"])
def test_what_is_read_is_what_was_written(tmp_path, ending):
    table, path = make_table(), tmp_path / f"t{ending}"
    write_table(table, path)
    found = read(path)
    expected = table.to_pydict()
    if ending.lower() == ".csv":
        expected["key"] = ["00ff", "6162", "6364"]
        assert path.read_text(encoding="utf-8").startswith('"window","id","key","x","day"\n')
    found = found.to_pydict()
    assert [value and np.float32(value) for value in found.pop("x")] == [np.float32(0.1), np.float32(-2.5), None]
    del expected["x"]
    assert found == expected


def test_an_arrow_file_is_of_the_ipc_format(tmp_path):
    write_table(make_table(), tmp_path / "t.arrow")
    with pa.ipc.open_file(tmp_path / "t.arrow") as file:
        assert file.read_all().equals(make_table())


@pytest.mark.parametrize("name", ["maps.xlsx", "maps", "maps.csv.gz", "maps.parquet.tmp"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"\.parquet, \.csv, \.arrow or \.feather was expected"):
        find_table_writer(name)
    with pytest.raises(ConfigError):
        write_table(make_table(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_export_and_place_write_what_the_ending_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "w": np.repeat([1, 2], 30),
            "id": np.tile(np.arange(30), 2),
            "a": rng.normal(size=60),
            "b": rng.normal(size=60),
        }
    )
    pq.write_table(table, "x.parquet")
    run("x.parquet", "s", by="w", id="id", scheduler="serial", n_neighbors=5, n_epochs=5)
    pq.write_table(table.slice(30), "new.parquet")
    for words in (["export", "s"], ["place", "s", "new.parquet"]):
        expected = None
        for ending in TABLE_ENDINGS:
            path = tmp_path / f"{words[0]}{ending}"
            assert run_command([*words, "-o", path.name]) == 0
            found = read(path)
            expected = expected or found
            assert found.schema.names == expected.schema.names
            np.testing.assert_allclose(found["x"].to_numpy(), expected["x"].to_numpy(), rtol=1e-6)
        assert run_command([*words, "-o", "maps.xlsx"]) == 2
        assert "'.xlsx'" in capsys.readouterr().err
        assert not (tmp_path / "maps.xlsx").exists()
