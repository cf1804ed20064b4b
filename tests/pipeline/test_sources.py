"""Sources: whatever they are made of, the same rows come out; what cannot be used is refused by name."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.memory import needs_proc, run_python

from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.runs import rows_to_runs, runs_to_rows
from driftmap.pipeline.sources import Source, WindowArrays, as_source, open_source
from driftmap.pipeline.sources import parquet as parquet_module
from driftmap.pipeline.sources.arrays import MANIFEST
from driftmap.pipeline.sources.places import SourcePlace
from driftmap.pipeline.sources.zarr_group import read_runs

N_ROWS, N_NUMBERS = 60, 4
ROLES = {"time": "day", "id": "user", "label": ["group", "score"]}

row_sets = st.sets(st.integers(0, N_ROWS - 1), min_size=1).map(lambda rows: np.array(sorted(rows)))


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


def write_zarr(folder, table):
    group = zarr.create_group(folder, zarr_format=3)
    group.create_array("vectors", data=np.stack(table["vector"].to_pylist()).astype(np.float32), chunks=(8, 3))
    group.create_array("user", data=np.array([int(text[1:-1]) for text in table["user"].to_pylist()]), chunks=(11,))
    times = table["day"].to_numpy().astype("datetime64[s]").astype(np.int64)
    group.create_array("day", data=times, attributes={"units": "seconds since 1970-01-01"})
    group.create_array("group", data=np.arange(N_ROWS) % 3)
    group.create_array("score", data=np.arange(N_ROWS) / 2)
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same rows from every kind of source; and the whole table."""
    table, place = make_table(), tmp_path_factory.mktemp("sources")
    pq.write_table(table, place / "one.parquet", row_group_size=7)
    pq.write_table(spread_vectors(table), place / "columns.parquet", row_group_size=11)
    columns = {name: table[name] for name in ("day", "user", "group", "score")}
    matrix = np.stack(table["vector"].to_pylist())
    made = {
        "file": as_source(place / "one.parquet", **ROLES),
        "folder": as_source(str(write_folder(place / "folder", table)), **ROLES),
        "columns": as_source(place / "columns.parquet", **ROLES),
        "table": as_source(table, **ROLES),
        "arrays": as_source({"vectors": matrix, **columns}, **ROLES),
        "spilled": as_source(table, **ROLES).spill(place / "spilled"),
        "zarr": as_source(write_zarr(place / "data.zarr", table), **ROLES),
    }
    return table, made


KINDS = ["file", "folder", "columns", "table", "arrays", "spilled", "zarr"]


@pytest.mark.parametrize("kind", KINDS)
@given(rows=row_sets)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_come_out_as_they_went_in(sources, kind, rows):
    table, made = sources
    expected = table.take(rows)
    read = made[kind].read_rows(rows_to_runs(rows))
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, np.stack(expected["vector"].to_pylist()))
    users = expected["user"].to_pylist()
    if kind == "zarr":
        assert read.ids.tolist() == [int(text[1:-1]) for text in users]
        return
    assert read.ids.tolist() == [text.encode() for text in users]
    assert [value.decode() for value in read.labels["group"].tolist()] == pc.fill_null(
        expected["group"], ""
    ).to_pylist()
    np.testing.assert_array_equal(
        read.labels["score"], [np.nan if n is None else n for n in expected["score"].to_pylist()]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_may_be_written_to(sources, kind):
    read = sources[1][kind].read_rows(np.array([[3, 9]]))
    for array in (read.vectors, read.ids, *read.labels.values()):
        assert type(array) is np.ndarray
        array[0] = array[1]


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_read_without_vectors(sources, kind):
    table, made = sources
    keys = made[kind].key_columns(["day", "user"])
    assert keys["day"].dtype == np.dtype("datetime64[us]")
    np.testing.assert_array_equal(keys["day"], table["day"].to_numpy())
    assert len(keys["user"]) == made[kind].n_rows == N_ROWS
    assert made[kind].read_rows(np.array([[0, 5]]), with_vectors=False).vectors is None


@pytest.mark.parametrize("kind", ["file", "folder", "columns", "spilled", "zarr"])
def test_a_worker_opens_the_same_source_from_a_small_spec(sources, kind):
    source = sources[1][kind]
    sent = pickle.dumps(source.spec)
    assert len(sent) < 1000
    opened = open_source(pickle.loads(sent))
    assert isinstance(opened, Source)
    assert opened.fingerprint() == source.fingerprint()
    runs = np.array([[2, 4], [50, 58]])
    assert opened.read_rows(runs).vectors.tobytes() == source.read_rows(runs).vectors.tobytes()


def test_only_the_row_groups_and_columns_that_are_needed_are_read(sources, monkeypatch):
    folder = sources[1]["folder"]
    used = []
    take = parquet_module.ParquetSource._take

    def spy(self, number, groups, columns, places, rows):
        used.append((self._fragments[number].path[-11:], groups.tolist(), columns))
        return take(self, number, groups, columns, places, rows)

    monkeypatch.setattr(parquet_module.ParquetSource, "_take", spy)
    folder.read_rows(np.array([[13, 15], [25, 26], [59, 60]]))
    columns = ["user", "group", "score", "vector"]
    assert used == [("a/1.parquet", [1, 2], columns), ("b/0.parquet", [0, 4], columns)]


READ_FEW = """
import numpy as np
from driftmap.pipeline.sources import as_source
from tests.memory import peak_bytes_of

source = as_source({path!r}, id="id", vectors="v")
runs = np.array([[1_000, 1_100], [149_000, 149_900]])
print(peak_bytes_of(lambda: source.read_rows(runs)))
"""


@needs_proc
def test_few_rows_of_a_large_row_group_take_little_memory(tmp_path):
    rows = pa.array(np.random.default_rng(0).normal(size=150_000 * 64).astype(np.float32))
    table = pa.table({"id": np.arange(150_000), "v": pa.FixedSizeListArray.from_arrays(rows, 64)})
    pq.write_table(table, tmp_path / "large.parquet", row_group_size=150_000)
    assert (
        float(run_python(READ_FEW.format(path=str(tmp_path / "large.parquet")))) < 64 * 2**20
    )  # 160 MiB, decoded whole


def test_rows_beyond_the_end_are_refused(sources):
    for source in sources[1].values():
        with pytest.raises(SourceError, match=r"rows 58 to 60 .* were asked for, which has 60"):
            source.read_rows(np.array([[58, 61]]))


def test_folders_of_values_are_a_column_and_lists_may_have_other_lengths_in_each_file(tmp_path):
    for year in (1999, 2000):
        width = year - 1996
        lists = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(5.0 * width)), width)
        path = tmp_path / f"year={year}" / "part.parquet"
        path.parent.mkdir()
        pq.write_table(pa.table({"v": lists, "id": pa.array(range(5), pa.int32() if width == 3 else pa.int64())}), path)
    source = as_source(tmp_path, id="id", by="year")
    assert source.key_columns(["year"])["year"].tolist() == [1999] * 5 + [2000] * 5
    assert source.key_columns(["id"])["id"].dtype == np.int64
    assert source.read_rows(np.array([[0, 5]])).vectors.shape == (5, 3)
    assert source.read_rows(np.array([[5, 10]])).vectors.shape == (5, 4)
    with pytest.raises(SourceError, match="differ in length within a window: row 5 of the source, the first with 4"):
        source.read_rows(np.array([[0, 6]]))


def test_votes_keep_their_own_length_in_each_year(load_shared, tmp_path):
    X, ids, labels, _ = load_shared("house_votes")
    counts = np.concatenate([[0], np.cumsum([len(x) for x in X])])
    table = pa.table(
        {
            "year": np.repeat(1990 + np.arange(len(X)), np.diff(counts)),
            "member": np.concatenate(ids),
            "party": np.concatenate(labels),
            "votes": pa.array([row for x in X for row in x.tolist()], pa.list_(pa.int8())),
        }
    )
    pq.write_table(table, tmp_path / "votes.parquet", row_group_size=1000)
    source = as_source(tmp_path / "votes.parquet", id="member", label="party", by="year")
    arrays = as_source(WindowArrays(X, ids, labels)).spill(tmp_path / "arrays")
    for window in (0, 9, len(X) - 1):
        runs = np.array([[counts[window], counts[window + 1]]])
        for read, label in ((source.read_rows(runs), "party"), (arrays.read_rows(runs), "label")):
            np.testing.assert_array_equal(read.vectors, X[window])
            assert read.ids.tolist() == [text.encode() for text in ids[window].tolist()]
            assert read.labels[label].tolist() == [text.encode() for text in labels[window].tolist()]


def test_ids_are_whole_numbers_or_bytes_of_one_width():
    vectors = np.zeros((3, 2))
    cases = {
        "int64": ([3, 1, 2], pa.uint8()),
        "S3": (["a", "bcd", ""], pa.large_string()),
        "S2": ([b"ab", b"\x00\x00", b"b\x00"], pa.binary(2)),
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
        (pa.array([1, 2, 2**63], pa.uint64()), "column 'id' .* cannot be read"),
        (pa.array([True, False, True]), "id column 'id' holds bool; whole numbers, text or bytes were expected"),
        (pa.array([b"a", b"a\0", b"b"]), "values that end in a zero byte"),
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
            r"time column 't' holds int64, not times.*to_datetime\(column, unit='s'\)",
        ),
        (pa.array(["2024-01-01", "2024-01-02"]), r"time column 't' holds string, not times.*to_datetime\(column\)"),
        (pa.array([2020.5, 2021.5]), "time column 't' holds double, not times"),
        (pa.array([dt.date(2024, 1, 1), None]), "column 't' has no value in row 1"),
    ],
)
def test_a_time_column_that_is_no_time_is_refused(tmp_path, values, message):
    pq.write_table(pa.table({"v": pa.array([[0.0], [1.0]]), "t": values}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=message):
        as_source(tmp_path / "t.parquet", time="t").key_columns(["t"])


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
        ({"vectors": "a"}, "vectors: column 'a' holds double; lists of numbers were expected"),
        ({"id": "a"}, "has no column of vectors"),
    ],
)
def test_columns_that_are_not_there_are_refused_before_anything_is_read(tmp_path, roles, message):
    table = pa.table({"a": [1.0, 2.0], "s": ["x", "y"]})
    pq.write_table(table, tmp_path / "t.parquet")
    for given_source in (table, tmp_path / "t.parquet"):
        with pytest.raises(SourceError, match=message):
            as_source(given_source, **roles)


def test_what_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no such file or folder: .*absent\.parquet"):
        as_source(tmp_path / "absent.parquet")
    with pytest.raises(SourceError, match="has no Parquet files"):
        as_source(tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"data\.csv is no Parquet that can be read"):
        as_source(tmp_path / "data.csv")


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


def test_a_changed_source_has_another_fingerprint(tmp_path):
    table = make_table()
    folder = write_folder(tmp_path / "f", table)
    before = as_source(folder, **ROLES)
    assert as_source(folder, **ROLES).fingerprint() == before.fingerprint()
    assert json.loads(json.dumps(before.fingerprint())) == before.fingerprint()
    pq.write_table(table.slice(0, 20).take(pa.array(range(19, -1, -1))), folder / "a/1.parquet", row_group_size=7)
    after = open_source(before.spec)
    assert after.fingerprint() != before.fingerprint()
    assert after.key_columns(["day"])["day"][0] == table["day"][19].as_py()


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
        (None, "holds int64 with the units None; datetime64 was expected, or whole numbers with an attribute units"),
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
    with pytest.raises(SourceError, match=r"array 'id' of .* vectors \(n, d\) of numbers were expected"):
        as_source(tmp_path / "g.zarr", vectors="id", id="x")
    with pytest.raises(SourceError, match="has no column 'party'; its columns are: id, x, y"):
        as_source(tmp_path / "g.zarr", vectors="x", label="party")


def test_labels_may_be_missing_and_of_any_simple_type():
    columns = {
        "text": pa.array(["a", None, "ccc"]),
        "bytes": pa.array([b"ab", None, b"cd"], pa.binary(2)),
        "whole": pa.array([1, None, 3]),
        "truth": pa.array([True, False, True]),
        "maybe": pa.array([True, None, False]),
        "price": pa.array([1, None, 3]).cast(pa.decimal128(30, 2)),
        "day": pa.array([dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)]),
        "hour": pa.array([dt.time(1), None, dt.time(3)]),
    }
    source = as_source(pa.table({"v": np.ones(3), **columns}), label=list(columns))
    labels = source.read_rows(np.array([[0, 3]])).labels
    assert labels["text"].tolist() == [b"a", b"", b"ccc"]
    assert labels["bytes"].tolist() == [b"ab", b"", b"cd"]
    np.testing.assert_array_equal(labels["whole"], [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(labels["price"], [1.0, np.nan, 3.0])
    assert labels["truth"].tolist() == [True, False, True]
    assert labels["maybe"].tolist() == [b"true", b"", b"false"]
    assert labels["day"].astype("datetime64[D]").astype(str).tolist() == ["2024-01-01", "NaT", "2024-01-03"]
    assert labels["hour"].tolist() == [b"01:00:00.000000", b"", b"03:00:00.000000"]
    with pytest.raises(SourceError, match="label column 'l' holds list"):
        as_source(pa.table({"v": [[1.0]], "l": [["a"]]}), label="l")


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


@given(rows=row_sets)
def test_runs_stand_for_their_rows(rows):
    runs = rows_to_runs(rows)
    np.testing.assert_array_equal(runs_to_rows(runs), rows)
    assert (runs[1:, 0] > runs[:-1, 1]).all()
    assert (runs[:, 0] < runs[:, 1]).all()


def test_no_rows_are_no_runs():
    assert rows_to_runs(np.empty(0, dtype=np.int64)).shape == (0, 2)
    assert len(runs_to_rows(np.empty((0, 2), dtype=np.int64))) == 0


def test_a_dataset_of_the_same_folder_has_the_same_order(sources):
    # What others read of the folder: rows are numbered by the files' paths.
    table, made = sources
    base, stamps = parquet_module.list_files(SourcePlace(made["folder"].spec.path))
    files = [base.name(stamp.path) for stamp in stamps]
    assert (
        ds.dataset(files, format="parquet").to_table(columns=["user"])["user"].to_pylist() == table["user"].to_pylist()
    )


@pytest.mark.parametrize("kind", ["file", "folder", "arrays", "zarr"])
def test_keys_of_some_rows_are_those_of_all(tmp_path, kind):
    table = make_table()
    if kind == "file":
        pq.write_table(table, tmp_path / "t.parquet", row_group_size=7)
        source = as_source(tmp_path / "t.parquet", time="day", id="user")
    elif kind == "folder":
        write_folder(tmp_path, table)
        source = as_source(tmp_path, time="day", id="user")
    elif kind == "arrays":
        source = as_source(table, time="day", id="user")
    else:
        group = zarr.open_group(tmp_path / "g.zarr", mode="w")
        group.create_array("vectors", data=np.zeros((N_ROWS, 2), np.float32), chunks=(9, 2))
        days = table["day"].to_numpy().astype("datetime64[s]").astype(np.int64)
        group.create_array("day", data=days, chunks=(9,)).attrs["units"] = "seconds since 1970-01-01"
        group.create_array("user", data=np.arange(N_ROWS), chunks=(9,))
        source = as_source(tmp_path / "g.zarr", time="day", id="user")
    runs = np.array([[2, 5], [18, 31], [59, 60]])
    whole, some = source.key_columns(["day", "user"]), source.key_columns(["day", "user"], runs)
    for name in ("day", "user"):
        assert some[name].tolist() == whole[name][runs_to_rows(runs)].tolist()


def test_some_files_of_a_folder_can_be_named(tmp_path):
    write_folder(tmp_path, make_table())
    spec = as_source(tmp_path, time="day", id="user").spec
    some = open_source(spec.model_copy(update={"files": ("a/2.parquet",)}))
    assert some.n_rows == 5
    with pytest.raises(SourceError, match="is gone"):
        open_source(spec.model_copy(update={"files": ("a/9.parquet",)}))
