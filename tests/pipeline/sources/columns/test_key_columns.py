"""Columns of a source: ids, times, vectors, and what is wrong with them."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.columns.moments import read_moments


def test_ids_are_kept_as_whole_numbers_or_text_of_one_width():
    vectors = np.zeros((3, 2))
    cases = {
        "int64": ([3, 1, 2], pa.uint8()),
        "S3": (["a", "bcd", ""], pa.large_string()),
        "S4": ([b"ab", b"\x00\x00", b"b\x00"], pa.binary(2)),
        "S6": ([b"a", b"a\0", b"\0a\0"], pa.binary()),
        "uint64": ([1, 2, 2**63], pa.uint64()),
    }
    for dtype, (values, kind) in cases.items():
        table = pa.table({"v": pa.array(vectors.tolist()), "id": pa.array(values, kind)})
        ids = as_source(table, id="id").key_columns(["id"])["id"]
        assert ids.dtype == np.dtype(dtype)
        assert len(np.unique(ids)) == 3
    views = pa.table({"v": vectors.tolist(), "id": pa.array(["a", "bcd", "é"], pa.string_view())})
    assert as_source(views, id="id").key_columns(["id"])["id"].tolist() == [b"a", b"bcd", "é".encode()]
    whole = as_source({"vectors": vectors, "id": np.array([1.0, 2.0, 5.0])})
    assert whole.key_columns(["id"])["id"].tolist() == [1, 2, 5]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([1, None, 3]), "column 'id' has no value in row 1 of the source"),
        (pa.array(["a", None, None]), "column 'id' has no value in rows 1, 2 of the source"),
        (pa.array([1.0, float("nan"), 3.0]), "column 'id' has no value in row 1 of the source"),
        (pa.array([1.0, 2.5, 3.0]), "column 'id' .* cannot be read"),
        (
            pa.array([True, False, True]),
            "id column 'id' holds bool; whole numbers, text, bytes, UUIDs, dates or decimals",
        ),
        (pa.array(["a", "a\0", "b"]), "values that end in a zero byte"),
        (pa.array(["a", "b" * 2000, "c"]), "values of up to 2,000 bytes; at most 1,024"),
    ],
)
def test_ids_that_cannot_be_used_are_refused(tmp_path, values, message):
    table = pa.table({"v": pa.array([[0.0], [1.0], [2.0]]), "id": values})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=message):
        as_source(tmp_path / "t.parquet", id="id").key_columns(["id"])
    with pytest.raises(SourceError, match=message):
        as_source(table, id="id")


def test_a_missing_value_in_a_dictionary_is_missing():
    ids = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["a", None]))
    with pytest.raises(SourceError, match="column 'id' has no value in row 1 of the source"):
        as_source(pa.table({"v": np.ones(3), "id": ids}), id="id")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([dt.date(2024, 1, 1), dt.date(1969, 12, 31)]),
        pa.array(np.array(["2024-01-01", "1969-12-31"], dtype="datetime64[ms]"), pa.date64()),
        pa.array(np.array(["2024-01-01", "1969-12-31"], dtype="datetime64[s]")),
        pa.array(np.array(["2024-01-01", "1969-12-31"], dtype="datetime64[ns]")),
        pa.array(np.array(["2024-01-01", "1969-12-31"], dtype="datetime64[ms]"), pa.timestamp("ms", tz="UTC")),
        pa.array(np.array(["2024-01-01", "1969-12-31"], dtype="datetime64[us]"), pa.timestamp("us", "Asia/Tokyo")),
    ],
    ids=lambda values: str(values.type),
)
def test_dates_and_timestamps_of_every_kind_are_times(values, tmp_path):
    table = pa.table({"v": pa.array([[0.0], [1.0]]), "t": values})
    pq.write_table(table, tmp_path / "t.parquet")
    for given_source in (table, tmp_path / "t.parquet"):
        times = as_source(given_source, time="t").key_columns(["t"])["t"]
        assert times.dtype == np.dtype("datetime64[us]")
        assert times.astype("datetime64[D]").astype(str).tolist() == ["2024-01-01", "1969-12-31"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            pa.array([1704067200, 1704067201]),
            r"time column 't' holds int64 \(1704067200, .* not times.*to_datetime\(column, unit='s'\)",
        ),
        (
            pa.array(["2024-01-01", "3 May"]),
            r"time column 't' holds the text '3 May', which is no ISO.*to_datetime\(col",
        ),
        (pa.array([2020.5, 2021.5]), "time column 't' holds double, not times"),
        (pa.array([dt.date(2024, 1, 1), None]), "column 't' has no value in row 1"),
    ],
)
def test_a_time_column_that_is_no_time_is_refused(tmp_path, values, message):
    pq.write_table(pa.table({"v": pa.array([[0.0], [1.0]]), "t": values}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=message):
        as_source(tmp_path / "t.parquet", time="t").key_columns(["t"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2024-01-01", " 2024-03-01T10:30:00.25 "], ["2024-01-01T00:00:00", "2024-03-01T10:30:00.250000"]),
        (["2024-01-01 00:30:00+01:00", "2024-01-01T00:00:00Z"], ["2023-12-31T23:30:00", "2024-01-01T00:00:00"]),
        (["2024-01-01T00:00:00Z", "2024-01-02"], ["2024-01-01T00:00:00", "2024-01-02T00:00:00"]),
        (["1999", "2000-06"], ["1999-01-01T00:00:00", "2000-06-01T00:00:00"]),
        (["2024-01-01T00:00:00.123456789"], ["2024-01-01T00:00:00.123456"]),
        (["0900-01-01"], ["0900-01-01T00:00:00"]),
        (pa.array([1999, 2000], pa.int16()), ["1999-01-01T00:00:00", "2000-01-01T00:00:00"]),
        (pa.array(["1999"]).dictionary_encode(), ["1999-01-01T00:00:00"]),
    ],
)
def test_iso_text_and_years_are_times(values, expected):
    source = as_source(pa.table({"v": np.zeros(len(values)), "t": values}), time="t")
    times = source.key_columns(["t"])["t"]
    assert times.dtype == "datetime64[us]"
    assert times.tolist() == [dt.datetime.fromisoformat(text) for text in expected]
    assert "time column 't': " in source.describe_key("t").note


def test_missing_values_are_counted_over_all_files(tmp_path):
    for number in range(3):
        days = [dt.date(2024, 1, 1), None if number == 2 else dt.date(2024, 1, 2)]
        pq.write_table(pa.table({"v": [[1.0], [2.0]], "t": days}), tmp_path / f"{number}.parquet")
    with pytest.raises(SourceError, match="'t' has no value in row 5 of the source"):
        as_source(tmp_path, time="t").key_columns(["t"])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], [1.0, float("nan")], [0.0, 0.0]], "NaN, infinity or .* in row 1 of the source"),
        ([[1.0, 2.0], [1.0, 2.0], [0.0, float("-inf")]], "NaN, infinity or .* in row 2 of the source"),
        ([[1.0, 2.0], [1e300, 0.0], [0.0, 0.0]], "too large for float32 in row 1 of the source"),
        ([[1.0, 2.0], [1.0, None], [0.0, 0.0]], "NaN, infinity or .* in row 1 of the source"),
        ([[1.0, 2.0], [1.0], [0.0, 0.0]], "differ in length within a window: row 1 .* with 1 numbers .* others have 2"),
        ([[], [], []], "vectors of rows 0, 1, 2 of the source are empty"),
    ],
)
def test_vectors_that_cannot_be_used_are_found_when_they_are_read(tmp_path, vectors, message):
    table = pa.table({"v": pa.array(vectors, pa.list_(pa.float64()))})
    pq.write_table(table, tmp_path / "t.parquet")
    for source in (as_source(tmp_path / "t.parquet"), as_source(table)):
        with pytest.raises(SourceError, match=message):
            source.read_rows(np.array([[0, 3]]))


def test_a_row_without_a_vector_is_named_by_its_number_in_the_source(tmp_path):
    pq.write_table(pa.table({"v": pa.array([[1.0], [2.0], None, [3.0]])}), tmp_path / "t.parquet", row_group_size=2)
    source = as_source(tmp_path / "t.parquet")
    assert source.read_rows(np.array([[0, 2], [3, 4]])).vectors.ravel().tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(SourceError, match="row 2 of the source have none"):
        source.read_rows(np.array([[1, 4]]))


def test_a_missing_number_in_a_column_is_named_by_its_row(tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2.0, 3.0], "b": pa.array([1, 2, None])}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"NaN, infinity or .* in row 2 of the source"):
        as_source(tmp_path / "t.parquet").read_rows(np.array([[1, 3]]))


def test_vectors_are_all_numeric_columns_without_another_role():
    table = pa.table({"year": [1, 2], "n": [3, 4], "a": [0.5, 1.5], "id": [7, 8], "b": [2.0, 3.0], "s": ["x", "y"]})
    read = as_source(table, id="id", by="year", label="n").read_rows(np.array([[0, 2]]))
    assert read.vectors.tolist() == [[0.5, 2.0], [1.5, 3.0]]
    assert read.labels["n"].tolist() == [3, 4]


def test_a_column_of_lists_goes_before_numeric_columns():
    table = pa.table({"a": [0.5, 1.5], "v": [[1.0], [2.0]], "w": [[3.0], [4.0]]})
    with pytest.raises(SourceError, match=r"vectors may be in any of the columns v, w; name one of them"):
        as_source(table)
    assert as_source(table.drop_columns("w")).read_rows(np.array([[0, 2]])).vectors.tolist() == [[1.0], [2.0]]
    assert as_source(table, vectors="w").read_rows(np.array([[0, 2]])).vectors.tolist() == [[3.0], [4.0]]


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"id": "user"}, "has no column 'user'; its columns are: a, s"),
        ({"label": ["s", "t"]}, "has no column 't'; its columns are: a, s"),
        ({"vectors": "v"}, "has no column 'v'; its columns are: a, s"),
        ({"vectors": "s"}, "vectors: column 's' holds string; numbers, true/false or lists of numbers were expected"),
        ({"id": "a"}, "has no column of vectors"),
    ],
)
def test_columns_that_are_not_there_are_refused_before_anything_is_read(tmp_path, roles, message):
    table = pa.table({"a": [1.0, 2.0], "s": ["x", "y"]})
    pq.write_table(table, tmp_path / "t.parquet")
    for given_source in (table, tmp_path / "t.parquet"):
        with pytest.raises(SourceError, match=message):
            as_source(given_source, **roles)


def test_files_with_other_columns_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1.0], "b": [2.0]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a": [1.0], "c": [2.0]}), tmp_path / "1.parquet")
    with pytest.raises(SourceError, match=r"1\.parquet has no 'b', also 'c', unlike .*0\.parquet"):
        as_source(tmp_path)


def test_ids_of_two_types_in_two_files_are_refused(tmp_path):
    pq.write_table(pa.table({"v": [[1.0]], "id": [1]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"v": [[1.0]], "id": ["1"]}), tmp_path / "1.parquet")
    with pytest.raises(SourceError, match="'id' is not of one type in all parts of the source"):
        as_source(tmp_path, id="id").key_columns(["id"])


DAYS = np.array(["2024-01-01", "2024-12-31"], "M8[D]")


@pytest.mark.parametrize(
    ("numbers", "remedy"),
    [
        (DAYS.astype(np.int64), "unit='D'"),
        (DAYS.astype("M8[s]").astype(np.float64), "unit='s'"),
        (DAYS.astype("M8[ms]").astype(np.int64), "unit='ms'"),
        (DAYS.astype("M8[us]").astype(np.int64), "unit='us'"),
        (DAYS.astype("M8[ns]").astype(np.int64), "unit='ns'"),
        (np.array([20240101, 20241231]), "column.astype(int).astype(str), format='%Y%m%d'"),
        (np.array([202401, 202412]), "column.astype(int).astype(str), format='%Y%m'"),
        (np.array([2001.0, 2002.0]), "column.astype(int)"),
        (np.array([np.inf, 2002.0]), "pandas.to_datetime(column)"),
    ],
)
def test_what_makes_times_of_numbers_is_named_by_their_size(numbers, remedy):
    with pytest.raises(SourceError) as refused:
        read_moments(pa.array(numbers), "t")
    assert remedy in str(refused.value)
    if "unit" in remedy or "format" in remedy:
        call = re.search(r"pandas\.to_datetime\(.*?'\)", str(refused.value))[0]
        made = eval(call, {"pandas": pd, "column": pd.Series(numbers)})
        assert made[0] == pd.Timestamp("2024-01-01")
