"""Files of an ingest whose columns are not those of the run: they go in, or one message says what and what to do."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import N_ROWS, OPTIONS, make_day, read_maps, take_in, write_days

from driftmap.pipeline import open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.ingestion.ingest import BadRowsError

BAD_DAY = 6
N_FEATURES = 6


def read_vectors(table):
    return np.stack(table["v"].to_pylist())


def with_column(name, make):
    """A change of one column: `make` takes its values."""

    def change(table):
        return table.set_column(table.column_names.index(name), name, make(table[name]))

    return change


def with_vectors(make):
    def change(table):
        return table.set_column(table.column_names.index("v"), "v", make(read_vectors(table)))

    return change


def without(name):
    return lambda table: table.drop_columns([name])


def in_zone(zone):
    return with_column("when", lambda values: values.combine_chunks().cast(pa.timestamp("us", zone)))


def number_ids(values):
    return pa.array([int(value[1:]) for value in values.to_pylist()])


FITS = {
    "vectors of float64": with_vectors(lambda v: pa.array(v.tolist(), pa.list_(pa.float64(), N_FEATURES))),
    "vectors of no fixed length": with_vectors(lambda v: pa.array(v.tolist(), pa.list_(pa.float32()))),
    "vectors in large lists": with_vectors(lambda v: pa.array(v.tolist(), pa.large_list(pa.float64()))),
    "one more number": lambda table: table.append_column("more", pa.array(range(N_ROWS))),
    "one more text": lambda table: table.append_column("more", table["kind"]),
    "columns in another order": lambda table: table.select(table.column_names[::-1]),
    "ids in a dictionary": with_column("who", lambda values: values.dictionary_encode()),
    "ids of large text": with_column("who", lambda values: values.cast(pa.large_string())),
    "labels in a dictionary": with_column("kind", lambda values: values.dictionary_encode()),
    "labels missing": with_column("kind", lambda values: pa.nulls(len(values))),
    "times in UTC": in_zone("UTC"),
    "times in Berlin": in_zone("Europe/Berlin"),
    "times of nanoseconds": with_column("when", lambda values: values.cast(pa.timestamp("ns"))),
    "times as text": with_column("when", lambda values: pa.array([str(value) for value in values.to_pylist()])),
    "times in a dictionary": with_column("when", lambda values: values.dictionary_encode()),
}
ODD = {
    "vectors of whole numbers": (
        with_vectors(lambda v: pa.array(v.round().astype(int).tolist(), pa.list_(pa.int64(), N_FEATURES))),
        r"column 'v' holds .*int64.*, and list of float was expected.*convert it",
    ),
    "shorter vectors": (
        with_vectors(lambda v: pa.array(v[:, :5].tolist(), pa.list_(pa.float32()))),
        r"column 'v' have 5 numbers, and 6 were expected.*\(accept_schema\)",
    ),
    "vectors of two lengths": (
        with_vectors(lambda v: pa.array([row[: 5 + n % 2] for n, row in enumerate(v.tolist())])),
        r"vectors differ in length.*they must agree",
    ),
    "vectors as text": (
        with_vectors(lambda v: pa.array([str(row) for row in v.tolist()])),
        r"column 'v' holds string, and list of float was expected.*convert it",
    ),
    "no vectors": (without("v"), r"no column 'v'.*Mend or remove it"),
    "no times": (without("when"), r"no column 'when'; its columns are: who, kind, v\. Mend or remove it"),
    "no ids": (without("who"), r"no column 'who'.*Mend or remove it"),
    "no labels": (without("kind"), r"no column 'kind'.*Mend or remove it"),
    "ids of whole numbers": (
        with_column("who", number_ids),
        r"id column 'who' holds numbers, and text in the windows before; convert it",
    ),
    "ids of bytes": (
        with_column("who", lambda values: values.cast(pa.binary())),
        r"id column 'who' holds binary; whole numbers or text were expected, as in the run",
    ),
    "an id missing": (
        with_column("who", lambda values: pa.array([None, *values.to_pylist()[1:]])),
        r"column 'who' has no value in row 0.*fill it, or drop",
    ),
    "labels of whole numbers": (
        with_column("kind", number_ids),
        r"column 'kind' holds numbers, and text in day-005.parquet; write them alike",
    ),
    "labels in lists": (
        with_column("kind", lambda values: pa.array([[value] for value in values.to_pylist()])),
        r"label column 'kind' holds list.*; numbers, text or dates were expected",
    ),
    "times as numbers": (
        with_column("when", lambda values: values.cast(pa.int64())),
        r"time column 'when' holds int64.*were expected: convert it",
    ),
}


def write(place, table):
    pq.write_table(table, place / "days" / f"day-{BAD_DAY:03}.parquet")


@pytest.mark.parametrize("what", FITS)
def test_a_change_that_means_the_same_goes_in(place, what):
    before = read_maps(open_store(place / "store"))
    write(place, FITS[what](make_day(BAD_DAY)))
    write_days(place / "days", range(7, 9))
    assert take_in(place).new == ["2024-01-06", "2024-01-07"]
    store = open_store(place / "store")
    assert [window.n_rows for window in store.state()] == [2 * N_ROWS] * 7
    assert all(read_maps(store)[label] == before[label] for label in store.labels[:3])
    assert store.to_table().num_rows == 7 * 2 * N_ROWS


@pytest.mark.parametrize("what", ODD)
def test_any_other_change_is_one_message_and_nothing_is_harmed(place, what, capsys):
    change, words = ODD[what]
    before = read_maps(open_store(place / "store"))
    write(place, change(make_day(BAD_DAY)))
    write_days(place / "days", range(7, 12))
    with pytest.raises(BadRowsError, match=rf"(?s)day-006.parquet.*{words}.*\(?on_bad skip"):
        take_in(place)
    assert run_command(["verify", str(place / "store")]) == 0
    assert read_maps(open_store(place / "store")) == before
    take_in(place, on_bad="skip")
    assert {"2024-01-08", "2024-01-09", "2024-01-10"} <= set(open_store(place / "store").labels)
    file = place / "days" / f"day-{BAD_DAY:03}.parquet"
    write(place, make_day(BAD_DAY))
    os.utime(file, (1e9, 1e9))  # not of the same moment as the bad one
    assert take_in(place, reopen=True).reopened is not None
    rows = {window.label: window.n_rows for window in open_store(place / "store").state()}
    assert list(rows.values()) == [2 * N_ROWS] * 10


@pytest.mark.parametrize("what", [what for what in ODD if what != "vectors of two lengths"])
def test_the_file_to_blame_is_set_aside_whatever_its_name(place, what):
    """In windows that do not overlap, of a bad file that comes before a good one with as many rows."""
    shutil.rmtree(place / "store")
    run(place / "days", place / "store", scheduler="serial", **{**OPTIONS, "stride": "2D"})
    change, _ = ODD[what]
    write(place, change(make_day(BAD_DAY)))
    write_days(place / "days", range(7, 9))
    report = take_in(place, quarantine=place / "bad")
    assert report.quarantined == ["day-006.parquet"]
    assert report.new == ["2024-01-07"]


@pytest.mark.parametrize("what", ["labels of whole numbers", "true and false", "times"])
def test_labels_of_another_type_in_windows_of_their_own_are_text_in_a_table(place, what, capsys):
    changes = {
        "labels of whole numbers": ODD["labels of whole numbers"][0],
        "true and false": with_column("kind", lambda values: pa.array([value == "k1" for value in values.to_pylist()])),
        "times": lambda table: table.set_column(2, "kind", table["when"]),
    }
    shutil.rmtree(place / "store")
    run(place / "days", place / "store", scheduler="serial", **{**OPTIONS, "window": "1D", "allow_unrelated": True})
    write(place, changes[what](make_day(BAD_DAY)))
    write_days(place / "days", range(7, 9))
    take_in(place)
    store = open_store(place / "store")
    table = store.to_table()
    assert table.num_rows == store.n_windows * N_ROWS
    assert table.schema.field("kind").type == pa.string()
    assert store.to_table(["2024-01-07"]).schema.field("kind").type != pa.string()
    assert run_command(["export", str(place / "store"), "-o", str(place / "maps.csv")]) == 0
    assert run_command(["report", str(place / "store"), "-o", str(place / "maps.html")]) == 0


def flatten(day):
    table = make_day(day)
    vectors = read_vectors(table)
    for number in range(N_FEATURES):
        table = table.append_column(f"x{number}", pa.array(vectors[:, number].astype(np.float64)))
    return table.drop_columns(["v"])


def write_text(table, file):
    if file.suffix == ".csv":
        pyarrow.csv.write_csv(table, file)
        return
    rows = [{**row, "when": str(row["when"])} for row in table.to_pylist()]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_column("x0", lambda values: values.cast(pa.int64(), safe=False)), None),
        (with_column("x0", lambda values: pa.array(["much"] * len(values))), r"column 'x0'.*(much|string)"),
        (without("x0"), r"'x0'"),
        (with_column("when", lambda values: pa.array(["soon"] * len(values))), r"'when'.*soon"),
    ],
)
def test_files_of_text(tmp_path, suffix, change, words):
    (tmp_path / "days").mkdir()
    for day in range(6):
        write_text(flatten(day), tmp_path / "days" / f"day-{day:03}.{suffix}")
    run(tmp_path / "days", tmp_path / "store", scheduler="serial", **OPTIONS)
    file = tmp_path / "days" / f"day-{BAD_DAY:03}.{suffix}"
    write_text(change(flatten(BAD_DAY)), file)
    write_text(flatten(7), tmp_path / "days" / f"day-007.{suffix}")
    if words is None:
        assert take_in(tmp_path).new == ["2024-01-06"]
        return
    with pytest.raises(BadRowsError, match=rf"(?s)day-006.{suffix}.*{words}.*on_bad skip"):
        take_in(tmp_path)
    write_text(flatten(BAD_DAY), file)
    assert take_in(tmp_path).new == ["2024-01-06"]
