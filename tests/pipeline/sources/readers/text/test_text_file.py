"""Files of text: types are found from all values, blocks are read alone, and what cannot be read is named."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.memory import AS_IN_WORKERS, needs_proc, run_python

from driftmap.pipeline import ingest, plan, run
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.planning.estimates import reading
from driftmap.pipeline.sources import as_source, forget_keys, open_source
from driftmap.pipeline.sources.readers.text import kept_keys, text_bytes
from driftmap.pipeline.sources.row_ranges import rows_to_runs


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(text_bytes, "BLOCK_BYTES", 64)
    monkeypatch.setattr(text_bytes, "MAX_RECORD_BYTES", 1024)


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n,;\t '"), max_size=12
)


@given(rows=st.lists(st.tuples(texts, st.floats(-1e6, 1e6)), min_size=1, max_size=40), data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_any_rows_of_any_text_are_read_alone(tmp_path, small_blocks, kind, rows, data):
    if kind == "csv":
        lines = ["name,x\n", *('"{}",{!r}\n'.format(text.replace('"', '""'), x) for text, x in rows)]
    else:
        lines = [json.dumps({"name": text, "x": x}, ensure_ascii=False) + "\n" for text, x in rows]
    source = as_source(write(tmp_path / f"rows.{kind}", "".join(lines)), label="name")
    assert source.n_rows == len(rows)
    wanted = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    read = open_source(source.spec).read_rows(rows_to_runs(np.array(wanted)))
    np.testing.assert_array_equal(read.vectors[:, 0], np.float32([rows[row][1] for row in wanted]))
    if not any(text.strip().isdigit() or text.strip().lower() in ("true", "false") for text, _ in rows):
        assert source.spec.text_types == (("name", "text"),)
        assert [name.decode() for name in read.labels["name"].tolist()] == [rows[row][0] for row in wanted]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "2"], "integer", [1, 2]),
        (["007", "7"], "text", [b"007", b"7"]),
        (["1", "x"], "text", [b"1", b"x"]),
        (["1.5", "2"], "text", [b"1.5", b"2"]),
        (["NA", "nan"], "text", [b"NA", b"nan"]),
        (["9223372036854775808", "1"], "text", [b"9223372036854775808", b"1"]),
        (["-0", "0"], "integer", [0, 0]),
        (["true", "false"], "text", [b"true", b"false"]),
    ],
)
def test_ids_of_csv_are_whole_numbers_or_the_text_that_is_there(tmp_path, values, kind, expected):
    source = as_source(write(tmp_path / "a.csv", "id,x\n" + "".join(f"{value},1.5\n" for value in values)), id="id")
    assert source.spec.text_types == (("id", kind),)
    assert source.key_columns(["id"])["id"].tolist() == expected


def test_a_type_is_that_of_all_parts_and_files_and_is_kept_for_later_ones(tmp_path, small_blocks):
    lines = [f"{row},{row},{row % 2}\n" for row in range(50)]
    write(tmp_path / "1.csv", "id,x,y\n" + "".join(lines))
    write(tmp_path / "2.csv", "id,x,y\n" + "".join(lines[:3]) + "a5,7.25,0.5\n")
    source = as_source(tmp_path, id="id")
    assert source.spec.text_types == (("id", "text"),)
    assert source.key_columns(["id"])["id"][[0, 1, -1]].tolist() == [b"0", b"1", b"a5"]
    assert source.read_rows(np.array([[53, 54]])).vectors.tolist() == [[7.25, 0.5]]
    first = open_source(source.spec.model_copy(update={"files": ("1.csv",)}))  # as an ingest reads a later file
    assert first.key_columns(["id"])["id"][:2].tolist() == [b"0", b"1"]


def test_a_later_file_with_one_more_column_of_numbers_is_refused(tmp_path):
    source = as_source(write(tmp_path / "a.csv", "id,x\n1,2\n"), id="id")
    write(tmp_path / "a.csv", "id,x,version\n1,2,3\n")
    with pytest.raises(SourceError, match=r"a\.csv has columns that the run had not.*version"):
        open_source(source.spec)
    write(tmp_path / "a.csv", "id,y\n1,2\n")
    with pytest.raises(SourceError, match=r"a\.csv has no column 'x'"):
        open_source(source.spec)


def test_quotes_that_stand_in_text_do_not_join_records(tmp_path, small_blocks):
    rows = [f"pipe {row},{row}.5" if row % 7 else f'5" pipe,{row}.5' for row in range(400)]
    source = as_source(write(tmp_path / "a.csv", "name,x\n" + "\n".join(rows)), label="name")
    assert source.n_rows == 400
    assert source.read_rows(np.array([[399, 400]])).vectors.tolist() == [[399.5]]
    assert source.read_rows(np.array([[7, 8]])).labels["name"].tolist() == [b'5" pipe']


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,y\n1,2\n3\n", r"a\.csv cannot be read: .*Expected 2 columns, got 1: 3"),
        ("a.csv", "0.1,0.2\n1,2\n", r"a\.csv has no names of columns in its first line \('0\.1,0\.2'\)"),
        ("a.csv", "", r"a\.csv has no names of columns in its first line"),
        ("a.csv", "größe,y\n1,2\n".encode("latin1"), r"a\.csv is not UTF-8 .*iconv"),
        ("a.csv", "x,y\n1,2\n".encode("utf-16"), r"a\.csv is not UTF-8 .*iconv -f utf-16"),
        ("a.csv", b"PAR1\xff\xff\n", r"a\.csv is not UTF-8 .*; it holds Parquet \(\.parquet\): name it so"),
        ("a.csv", b"x,y\r1,2\r", r"a\.csv has carriage returns alone as ends of lines.* tr '"),
        ("a.csv", f"{'x' * 200_000},y\n1,2\n", r"a\.csv has no line of names that can be read \(field larger"),
        ("a.csv", "x,x\n1,2\n", "more than one column 'x'"),
        ("a.csv", "name\na\n", "has no column of vectors"),
        ("a.jsonl", "[{}]", r"a\.jsonl holds no JSON lines: one object in each line was expected; jq -c"),
        ("a.jsonl", '{"x": 1}\n{"x": "a"}\n', r"a\.jsonl cannot be read: column 'x' changed from number to string"),
        ("a.jsonl", '{"x": 1}\n{"x": \n', r"a\.jsonl cannot be read"),
        ("a.csv.gz", "x,y\n1,2\n", r"a\.csv\.gz cannot be read"),
        ("a.arrow", "x,y\n1,2\n", r"a\.arrow is no Arrow IPC that can be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    with pytest.raises(SourceError, match=message):
        as_source(write(tmp_path / name, content))


def test_a_value_of_another_type_than_the_runs_is_named_with_file_and_column(tmp_path):
    spec = as_source(write(tmp_path / "a.csv", "id,x\n1,2\n2,3\n"), id="id").spec
    write(tmp_path / "a.csv", "id,x\n1,2\n2,tall\n")
    with pytest.raises(SourceError, match=r"a\.csv cannot be read: column 'x': .*invalid value 'tall'"):
        open_source(spec).read_rows(np.array([[0, 2]]))
    write(tmp_path / "a.csv", "id,x\n1,2\nb,3\n")
    with pytest.raises(SourceError, match=r"a\.csv: column 'id' cannot be read: .*'b'"):
        open_source(spec).read_rows(np.array([[0, 2]]))
    write(tmp_path / "a.csv", "id,x\n1,2\n,3\n")
    with pytest.raises(SourceError, match="column 'id' has no value in row 1 of the source"):
        open_source(spec).key_columns(["id"])


@pytest.mark.parametrize("column", ["id", "label"])
def test_zeros_before_whole_numbers_of_the_run_are_not_lost(tmp_path, column):
    (tmp_path / "days").mkdir()
    rows = "\n".join(f"{day},{number},{number},{number * 0.5}" for day in (1, 2) for number in range(20))
    (tmp_path / "days" / "1.csv").write_text(f"w,id,label,a\n{rows}\n")
    roles = {"by": "w", "id": "id", "label": "label"}
    run(tmp_path / "days", tmp_path / "s", **roles, scheduler="serial", n_epochs=2, n_neighbors=5)
    rows = "\n".join(f"3,{number},{number},{number * 0.5}" for number in range(20))
    padded = "3,007,7,3.5" if column == "id" else "3,7,007,3.5"
    (tmp_path / "days" / "2.csv").write_text(f"w,id,label,a\n{rows.replace('3,7,7,3.5', padded)}\n")
    message = (
        f"2.csv: column '{column}' cannot be read: '007' begins with a zero, and whole numbers without were expected"
    )
    with pytest.raises(SourceError, match=message):
        ingest(tmp_path / "s", scheduler="serial", complete=True)


def test_missing_values_and_spreads_are_known_to_a_plan(tmp_path):
    rows = "".join(f"{row},{row % 2},{'' if row == 3 else row},{row * 1e6}\n" for row in range(40))
    path = write(tmp_path / "a.csv", "id,w,x,y\n" + rows)
    facts = as_source(path, id="id", by="w").column_facts()
    assert facts.nulls == {"x": 1}
    assert facts.spreads == {"x": 39, "y": 39e6}
    with pytest.raises(SourceError, match=r"1 values of the vectors are missing \(null\), by column 'x': 1"):
        plan(path, id="id", by="w", allow_unrelated=True, scheduler="serial")


def test_a_plan_says_what_reading_passes_over(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(reading, "LEAST_EXCESS_BYTES", 0)
    options = {"by": "w", "id": "id", "n_neighbors": 5, "scheduler": "serial"}
    lines = [f"{row % 100},{row // 100},{row}.5,1\n" for row in range(1000)]
    path = write(tmp_path / "a.csv", "id,w,x,y\n" + "".join(lines))
    made = plan(path, **options)
    assert made.reading.ratio < 1.3
    assert any("passes over all of its text first; so they are read once" in line for line in made.columns)
    path = write(tmp_path / "b.csv", "id,w,x,y\n" + "".join(lines[row % 10 * 100 + row // 10] for row in range(1000)))
    made = plan(path, **options)
    assert made.reading.is_sorted
    assert any(re.search(r"[3-9]\.\d times what they have; so they are read once", line) for line in made.columns)
    assert any("a run reads 2.0 times the source" in line for line in made.columns)


@pytest.mark.parametrize(("n_kept", "expected"), [(2**20, 2), (100, 4)])
def test_a_run_reads_text_as_often_as_the_plan_says(tmp_path, small_blocks, monkeypatch, n_kept, expected):
    monkeypatch.setattr(reading, "LEAST_EXCESS_BYTES", 0)
    monkeypatch.setattr(kept_keys, "KEPT_BYTES", n_kept)
    lines = [f"{row % 100},{row // 100},{row % 7}.5,{row % 3}\n" for row in range(1000)]
    path = write(tmp_path / "a.csv", "id,w,x,y\n" + "".join(lines[row % 10 * 100 + row // 10] for row in range(1000)))
    options = {"by": "w", "id": "id", "n_neighbors": 5, "n_epochs": 5, "scheduler": "serial"}
    said = plan(path, **options).reading.total_ratio
    n_read = []
    iterate, read_ranges = text_bytes.TextBytes.iterate, text_bytes.TextBytes.read_ranges

    def count_blocks(self, *arguments):
        for data, end in iterate(self, *arguments):
            n_read.append(len(data))
            yield data, end

    def count_ranges(self, ranges):
        for data in read_ranges(self, ranges):
            n_read.append(len(data))
            yield data

    monkeypatch.setattr(text_bytes.TextBytes, "iterate", count_blocks)
    monkeypatch.setattr(text_bytes.TextBytes, "read_ranges", count_ranges)
    run(path, tmp_path / "s", **options)
    assert said == pytest.approx(expected, abs=0.01)
    assert sum(n_read) / path.stat().st_size == pytest.approx(said, abs=0.02)


KEYS = {
    "numbers": [*range(90), None],
    "texts": [*(f"a{k}" for k in range(90)), "7"],
    "floats late": [*range(50), 0.5, *range(50, 90)],
    "truth": [*[True, False] * 45, True],
    "dates": [f"2024-01-{1 + k % 28:02}T00:00:00" for k in range(91)],
    "text late": [*(f"2024-01-{1 + k % 28:02}" for k in range(90)), "soon"],
    "nothing first": [*[None] * 40, *range(51)],
}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("name", KEYS)
def test_keys_that_are_kept_are_those_that_are_read(tmp_path, small_blocks, name, ending):
    def write_rows(file, values):
        if ending == "csv":
            lines = ["k,x\n", *(f"{'' if value is None else value},1.5\n" for value in values)]
        else:
            lines = [json.dumps({"k": value, "x": 1.5}) + "\n" for value in values]
        write(tmp_path / f"{file}.{ending}", "".join(lines))

    write_rows("1", KEYS[name])
    write_rows("2", KEYS[name][-45:])
    source = as_source(tmp_path, by="k")
    kept = [file.read_columns(["k"]) for file in source._files]
    assert all(file.has_keys for file in source._files)
    source = pickle.loads(pickle.dumps(source))  # as tasks are given it
    forget_keys(source)
    assert not any(file.has_keys for file in source._files)
    again = [file.read_columns(["k"]) for file in source._files]
    for one, other in zip(kept, again, strict=True):
        assert one.schema == other.schema
        assert one.equals(other)


READ_FEW = """
import numpy as np
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.sources import as_source
from tests.memory import peak_bytes_of

source = as_source({path!r}, id="id", label="note", exclude="w")
source = type(source)(source.spec)
runs = np.array([[0, 100], [2_000, 11_000]])
source.read_rows(runs)  # loads what libraries load at their first call
release_memory()
print(peak_bytes_of(lambda: source.read_rows(runs)) / source.estimate_read(9_100).peak_bytes)
"""


@needs_proc
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "feather", "arrows"])
def test_the_estimate_of_memory_holds(tmp_path, kind):
    rng = np.random.default_rng(0)
    n_rows = 12_000
    columns = {f"e{column}": rng.normal(size=n_rows).astype(np.float32) for column in range(64)}
    table = pa.table({"id": np.arange(n_rows), "note": [f"row {row}" for row in range(n_rows)], **columns})
    if kind == "jsonl":
        matrix = np.stack(list(columns.values()), axis=1)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), 64)
        table = table.select(["id", "note"]).append_column("v", lists)
    from tests.pipeline.small_sources import write_format

    path = write_format(tmp_path / f"rows.{kind}", table.append_column("w", pa.array(["x"] * n_rows)), batch_rows=1_000)
    share = float(run_python(READ_FEW.format(path=str(path)), **AS_IN_WORKERS))
    assert share < 1
    assert share > 0.05
