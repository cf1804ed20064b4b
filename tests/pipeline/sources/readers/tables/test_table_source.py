"""Sources: whatever they are made of, the same rows come out; what cannot be used is refused by name."""

from __future__ import annotations

import datetime as dt
import json
import pickle

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
from tests.pipeline.small_sources import (
    N_ROWS,
    ROLES,
    make_table,
    spread_vectors,
    write_folder,
    write_format,
    write_zarr,
)

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources import Source, WindowArrays, as_source, open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.readers.tables.listing import list_files
from driftmap.pipeline.sources.readers.tables.parquet_file import ParquetFile
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows

row_sets = st.sets(st.integers(0, N_ROWS - 1), min_size=1).map(lambda rows: np.array(sorted(rows)))


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
    for ending in FORMATS:
        is_csv = ending.startswith(("csv", "tsv"))
        made[ending] = as_source(
            write_format(place / f"rows.{ending}", spread_vectors(table) if is_csv else table), **ROLES
        )
    return table, made


FORMATS = ["csv", "tsv", "csv.gz", "jsonl", "ndjson.gz", "feather", "arrow", "arrows"]
KINDS = ["file", "folder", "columns", "table", "arrays", "spilled", "zarr", *FORMATS]


READ_FEW = """
import numpy as np
from driftmap.pipeline.sources import as_source
from tests.memory import peak_bytes_of

source = as_source({path!r}, id="id", vectors="v")
runs = np.array([[1_000, 1_100], [149_000, 149_900]])
print(peak_bytes_of(lambda: source.read_rows(runs)))
"""


@pytest.mark.parametrize("kind", KINDS)
@given(rows=row_sets)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@pytest.mark.parametrize("kind", ["file", "folder", "columns", "spilled", "zarr", *FORMATS])
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
    read_blocks = ParquetFile.read_blocks

    def spy(self, blocks, columns):
        used.append((self.name[-11:], blocks, columns))
        return read_blocks(self, blocks, columns)

    monkeypatch.setattr(ParquetFile, "read_blocks", spy)
    folder.read_rows(np.array([[13, 15], [25, 26], [59, 60]]))
    columns = ["user", "group", "score", "vector"]
    assert used == [("a/1.parquet", [1, 2], columns), ("b/0.parquet", [0, 4], columns)]


@needs_proc
@pytest.mark.parametrize("is_list", [False, True])
def test_half_floats_of_parquet_are_numbers(tmp_path, is_list):
    """Their least and largest values come as two bytes."""
    halves = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float16)
    columns = {"x": pa.array(halves[:, 0]), "y": pa.array(halves[:, 1])}
    if is_list:
        columns = {"v": pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), 2)}
    pq.write_table(pa.table({"id": np.arange(40), "big": np.arange(40.0), **columns}), tmp_path / "t.parquet")
    source = as_source(tmp_path / "t.parquet", id="id", vectors=list(columns))
    np.testing.assert_array_equal(source.read_rows(np.array([[0, 40]])).vectors, halves.astype(np.float32))
    if not is_list:
        ranges = as_source(tmp_path / "t.parquet", id="id").column_facts().ranges
        assert ranges.lows == (0.0, *halves.min(axis=0).tolist())
        assert ranges.highs == (39.0, *halves.max(axis=0).tolist())


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


def test_what_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no such file or folder: .*absent\.parquet"):
        as_source(tmp_path / "absent.parquet")
    with pytest.raises(SourceError, match=r"has no files that are read \(Parquet, CSV, JSON lines, Arrow IPC"):
        as_source(tmp_path)
    (tmp_path / "data.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"data\.parquet is no Parquet that can be read"):
        as_source(tmp_path / "data.parquet")
    (tmp_path / "data.txt").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"data\.txt is of no format that is read; a name that ends in \.parquet"):
        as_source(tmp_path / "data.txt")
    for name in ("a.csv", "b.arrow"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"several formats \(1 of Parquet and 1 of CSV and 1 of Arrow IPC\)"):
        as_source(tmp_path)


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
    base, stamps = list_files(SourcePlace(made["folder"].spec.path))
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
