"""Zarr arrays as sources."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.readers.zarr.zarr_group import read_runs
from driftmap.pipeline.sources.row_ranges import runs_to_rows


def test_a_bare_zarr_array_has_rows_only(tmp_path):
    zarr.create_array(tmp_path / "v.zarr", data=np.arange(12.0).reshape(6, 2), chunks=(4, 2))
    source = as_source(tmp_path / "v.zarr")
    read = source.read_rows(np.array([[1, 2], [5, 6]]))
    assert read.vectors.tolist() == [[2.0, 3.0], [10.0, 11.0]]
    assert (read.ids, read.labels) == (None, {})


def test_usual_names_of_zarr_arrays_need_no_options(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=2)
    group.create_array("vectors", data=np.eye(3))
    group.create_array("id", data=np.array([5, 6, 7]))
    group.create_array("time", data=np.array([0, 1, 2]), attributes={"units": "days since 2024-01-01"})
    source = as_source(tmp_path / "g.zarr")
    assert (source.spec.vectors, source.spec.id, source.spec.time) == ("vectors", "id", "time")
    assert source.key_columns(["time"])["time"].astype("datetime64[D]").astype(str).tolist() == [
        "2024-01-01",
        "2024-01-02",
        "2024-01-03",
    ]
    beside = as_source(tmp_path / "g.zarr" / "vectors", id="id")
    assert beside.read_rows(np.array([[1, 3]])).ids.tolist() == [6, 7]


@pytest.mark.filterwarnings("ignore:The data type:UserWarning")
def test_dates_and_texts_in_zarr_are_read(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=2)
    group.create_array("vectors", data=np.eye(3))
    group.create_array("id", data=np.array(["é", "b", "cc"]))
    group.create_array("time", data=np.array(["2024-01-01", "2024-01-02", "NaT"], dtype="datetime64[s]"))
    group.create_array("when", data=np.array(["2024-01-01", "2024-01-02", "2024-01-05"], dtype="datetime64[D]"))
    source = as_source(tmp_path / "g.zarr", time="when")
    keys = source.key_columns(["id", "when"])
    assert [text.decode() for text in keys["id"].tolist()] == ["é", "b", "cc"]
    assert keys["when"].dtype == np.dtype("datetime64[us]")
    with pytest.raises(SourceError, match="column 'time' has no value in row 2"):
        as_source(tmp_path / "g.zarr").key_columns(["time"])


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (None, "holds int64 with the units None; datetime64 was expected, or numbers with an attribute units"),
        ("fortnights since 1970-01-01", "with the units 'fortnights since 1970-01-01'"),
        ("seconds", "with the units 'seconds'"),
    ],
)
def test_zarr_times_without_a_meaning_are_refused(tmp_path, units, message):
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=3)
    group.create_array("vectors", data=np.eye(3))
    group.create_array("time", data=np.arange(3), attributes={} if units is None else {"units": units})
    with pytest.raises(SourceError, match=message):
        as_source(tmp_path / "g.zarr").key_columns(["time"])


def test_zarr_arrays_that_do_not_fit_are_refused(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=3)
    group.create_array("x", data=np.eye(3))
    group.create_array("y", data=np.eye(3))
    group.create_array("id", data=np.arange(2))
    with pytest.raises(SourceError, match=r"no array 'vectors'; name the array .* Its arrays are: id, x, y"):
        as_source(tmp_path / "g.zarr")
    with pytest.raises(SourceError, match=r"array 'id' of .* has shape \(2,\); \(3,\) was expected"):
        as_source(tmp_path / "g.zarr", vectors="x")
    with pytest.raises(SourceError, match=r"array 'id' of .* vectors \(n, d\), or \(time.* were expected"):
        as_source(tmp_path / "g.zarr", vectors="id", id="x")
    with pytest.raises(SourceError, match="has no column 'party'; its columns are: id, x, y"):
        as_source(tmp_path / "g.zarr", vectors="x", label="party")


def test_a_chunk_is_read_once_for_all_the_rows_in_it():
    class Chunked:
        shape, dtype, chunks = (100,), np.dtype(int), (10,)

        def __init__(self):
            self.reads = []

        def __getitem__(self, selection):
            self.reads.append((selection.start, selection.stop))
            return np.arange(100)[selection]

    array = Chunked()
    runs = np.array([[1, 2], [4, 6], [9, 12], [15, 16], [40, 41], [52, 70]])
    np.testing.assert_array_equal(read_runs(array, runs), runs_to_rows(runs))
    assert array.reads == [(1, 16), (40, 41), (52, 70)]
