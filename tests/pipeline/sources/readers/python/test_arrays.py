"""Sources from Python: tables, dicts, matrices, lists of windows; and how they are kept for workers."""

from __future__ import annotations

import datetime as dt
import shutil

import numpy as np
import pyarrow as pa
import pytest
from tests.pipeline.small_sources import N_ROWS, ROLES, make_table

from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources import WindowArrays, as_source, open_source
from driftmap.pipeline.sources.readers.python.array_files import MANIFEST


def test_arrays_have_the_fingerprint_of_what_they_hold(tmp_path):
    first, same = as_source(make_table(), **ROLES), as_source(make_table(), **ROLES)
    assert first.fingerprint() == same.fingerprint() == first.spill(tmp_path / "s").fingerprint()
    table = make_table()
    other = as_source(table.set_column(1, "user", table["user"].take(pa.array(range(N_ROWS - 1, -1, -1)))), **ROLES)
    assert other.fingerprint() != first.fingerprint()


def test_spilled_arrays_are_whole_or_not_there(tmp_path):
    source = as_source(make_table(), **ROLES)
    spilled = source.spill(tmp_path / "s")
    written = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s").iterdir()}
    assert source.spill(tmp_path / "s").spec == spilled.spec
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s").iterdir()} == written
    (tmp_path / "s" / MANIFEST).unlink()
    with pytest.raises(SourceError, match="holds no arrays"):
        open_source(spilled.spec)
    assert source.spill(tmp_path / "s").fingerprint() == source.fingerprint()
    shutil.copytree(tmp_path / "s", tmp_path / "cut")
    (tmp_path / "cut" / "values.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(SourceError, match=r"values\.npy cannot be read"):
        as_source(tmp_path / "cut", **ROLES)


def test_arrays_in_memory_cannot_be_opened_elsewhere():
    with pytest.raises(SourceError, match="in the memory of another process"):
        open_source(as_source(np.ones((3, 2))).spec)


def test_arrays_need_no_file_of_pickles(tmp_path):
    as_source(make_table(), **ROLES).spill(tmp_path)
    for file in tmp_path.glob("*.npy"):
        assert np.load(file, allow_pickle=False).dtype.kind in "ifSM"


def test_dicts_tuples_and_matrices_are_sources():
    vectors = np.arange(6).reshape(3, 2)
    days = [dt.date(2024, 1, day) for day in (1, 2, 3)]
    given_sources = [
        {"vectors": vectors, "ids": ["a", "b", "c"], "time": days, "labels": None},
        (vectors, ["a", "b", "c"], days),
    ]
    for given_source in given_sources:
        source = as_source(given_source)
        keys = source.key_columns([source.spec.id, source.spec.time])
        assert keys[source.spec.id].tolist() == [b"a", b"b", b"c"]
        assert keys[source.spec.time].astype("datetime64[D]").tolist() == days
        assert source.read_rows(np.array([[1, 3]])).vectors.tolist() == [[2.0, 3.0], [4.0, 5.0]]
    bare = as_source(vectors)
    assert bare.read_rows(np.array([[0, 1]])).ids is None
    assert as_source(bare) is bare


def test_a_column_of_a_dict_that_is_named_time_can_be_values_to_split_by():
    source = as_source({"vectors": np.eye(3), "time": [9, 9, 10]}, by="time")
    assert source.key_columns(["time"])["time"].tolist() == [9, 9, 10]


def test_columns_of_a_dict_can_have_other_names():
    source = as_source({"x": np.eye(3), "who": [1, 2, 3], "year": [9, 9, 10]}, vectors="x", id="who", by="year")
    assert source.key_columns(["who", "year"])["year"].tolist() == [9, 9, 10]


@pytest.mark.parametrize(
    ("given_source", "roles", "message"),
    [
        ({"vectors": np.eye(3), "id": [1, 2]}, {}, "column 'id' has 2 values for 3 vectors"),
        ({"vectors": np.eye(3), "id": np.eye(3)}, {}, r"column 'id' has shape \(3, 3\)"),
        ({"vectors": np.eye(3), "id": [[1], [2, 3], [4]]}, {}, "column 'id' is of no one length"),
        ({"vectors": np.eye(3), "id": [1, "a", 2]}, {}, "column 'id' cannot be read as one type"),
        ({"vectors": np.eye(3)}, {"id": "user"}, "has no column 'user'"),
        ({"x": np.eye(3)}, {}, "the arrays have no 'vectors'; there are: x"),
        (np.ones(3), {}, r"shape \(3,\) .* a matrix \(n, d\) of numbers was expected"),
        (np.array([["a"]]), {}, "a matrix .* of numbers was expected"),
        ({"vectors": [[1, 2], ["a"]]}, {}, "no sequences of numbers"),
        (np.ones((0, 3)), {}, "the arrays have no rows"),
        ([np.ones((3, 2))], {}, "cannot be made of list; .* WindowArrays for a list of windows"),
        (5, {}, "cannot be made of int"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(given_source, roles, message):
    with pytest.raises(SourceError, match=message):
        as_source(given_source, **roles)


def test_roles_cannot_change_once_a_source_is_open():
    source = as_source({"vectors": np.eye(3), "id": [1, 2, 3]})
    assert as_source(source, id="id") is source
    with pytest.raises(ConfigError, match="by is 'id', but the source was opened with None"):
        as_source(source, by="id")


def test_a_list_of_windows_is_a_source(tmp_path):
    windows = WindowArrays(
        vectors=[np.ones((2, 3)), np.ones((3, 5)) * 2],
        ids=[["a", "b"], ["b", "c", "d"]],
        labels=[np.array([1, 2], dtype=np.int32), np.array([3, 4, 5])],
        names=["first", "second"],
    )
    source = as_source(windows).spill(tmp_path)
    assert source.window_names == ["first", "second"]
    assert source.key_columns([source.spec.by])[source.spec.by].tolist() == [0, 0, 1, 1, 1]
    second = open_source(source.spec).read_rows(np.array([[2, 5]]))
    assert second.vectors.tolist() == [[2.0] * 5] * 3
    assert second.ids.tolist() == [b"b", b"c", b"d"]
    assert second.labels["label"].tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": [[1, 2]]}, "ids: given for 1 windows, vectors for 2"),
        ({"ids": [[1, 2], [1]]}, "ids of window '1': 1 for 2 vectors"),
        ({"ids": [[1, 2], ["a", "b"]]}, r"ids are not of one type in all windows \(int64, string\)"),
        ({"names": ["a", "a"]}, "names: 1 different ones for 2 windows"),
    ],
)
def test_lists_of_windows_that_do_not_fit_are_refused(changes, message):
    given_source = WindowArrays(**{"vectors": [np.eye(2), np.eye(2)], **changes})
    with pytest.raises(SourceError, match=message):
        as_source(given_source)
    with pytest.raises(ConfigError, match="time is 'day', but WindowArrays have no named columns"):
        as_source(WindowArrays([np.eye(2)]), time="day")
