"""Bad files in an ingest: refused, skipped or set aside, always by name."""

from __future__ import annotations

import errno
import html
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import N_ROWS, make_day, take_in, write_days

from driftmap.pipeline import open_store
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.look.report import write_report

SERIAL = {"scheduler": "serial"}


def break_day(day, how):
    table = make_day(day)
    column = table.column_names.index("v")
    matrix = np.stack(table["v"].to_pylist()).astype(np.float32)
    if how == "nan":
        matrix[7, 2] = np.nan
    if how == "width":
        matrix = matrix[:, :5]
    if how == "ids":
        ids = table["who"].to_pylist()
        ids[9] = ids[8]
        table = table.set_column(1, "who", [ids])
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    return table.set_column(column, "v", vectors)


@pytest.mark.parametrize(("how", "words"), [("nan", r"NaN.*row 7"), ("ids", "an id more than once: e0")])
def test_a_bad_batch_stops_what_comes_after_it(place, how, words):
    write_days(place / "days", range(6, 12))
    pq.write_table(break_day(8, how), place / "days" / "day-008.parquet")
    with pytest.raises(BadRowsError, match=rf"(?s)window '2024-01-08' cannot be added: .*{words}"):
        take_in(place)
    # what came before is in, and a mended file lets the rest follow
    assert open_store(place / "store").labels[-1] == "2024-01-07"
    with pytest.raises(BadRowsError, match="2024-01-08"):
        take_in(place)
    write_days(place / "days", range(8, 9))
    assert take_in(place).new == ["2024-01-08", "2024-01-09", "2024-01-10"]


def test_a_file_whose_vectors_have_another_length_stops_an_ingest(place):
    write_days(place / "days", range(6, 12))
    pq.write_table(break_day(8, "width"), place / "days" / "day-008.parquet")
    expected = r"day-008.parquet cannot be used: .*column 'v' have 5 numbers, and 6 were expected"
    with pytest.raises(BadRowsError, match=expected):
        take_in(place)
    write_days(place / "days", range(8, 9))
    assert take_in(place).new[-3:] == ["2024-01-08", "2024-01-09", "2024-01-10"]


def test_a_bad_batch_is_skipped_when_told_so(place):
    write_days(place / "days", range(6, 12))
    pq.write_table(break_day(8, "nan"), place / "days" / "day-008.parquet")
    report = take_in(place, on_bad="skip")
    assert [bad.label for bad in report.skipped] == ["2024-01-08", "2024-01-09"]
    assert report.new == ["2024-01-06", "2024-01-07", "2024-01-10"]
    store = open_store(place / "store")
    assert store.growth.skipped["7"].label == "2024-01-08"
    page = html.unescape(write_report(store, place / "page.html").read_text(encoding="utf-8"))
    assert f"windows left out: '2024-01-08' ({store.growth.skipped['7'].n_rows} rows: " in page
    assert take_in(place, on_bad="skip").did_nothing


def test_the_file_whose_labels_are_of_another_kind_than_most_rows_is_named(place):
    write_days(place / "days", range(6, 12))
    odd = make_day(8, n_rows=10, first=9000)
    numbers = pa.array(range(10))
    pq.write_table(odd.set_column(odd.column_names.index("kind"), "kind", numbers), place / "days" / "a.parquet")
    report = take_in(place, on_bad="skip")
    assert {bad.label for bad in report.skipped} == {"2024-01-08", "2024-01-09"}
    for bad in report.skipped:
        assert bad.reason.startswith("a.parquet: column 'kind' holds numbers, and text in day-00")


@pytest.mark.parametrize("how", ["nan", "width", "ids"])
def test_bad_files_are_set_aside(place, how):
    write_days(place / "days", range(6, 12))
    pq.write_table(break_day(8, how), place / "days" / "day-008.parquet")
    report = take_in(place, quarantine=place / "aside")
    assert report.quarantined == ["day-008.parquet"]
    assert report.new == [f"2024-01-{day:02}" for day in range(6, 11)]
    assert open_store(place / "store").state()[-3].n_rows == N_ROWS
    assert not (place / "days" / "day-008.parquet").exists()
    assert pq.read_table(place / "aside" / "day-008.parquet").num_rows == N_ROWS
    assert len((place / "aside" / "day-008.parquet.reason.txt").read_text()) > 10


def test_a_bad_file_that_cannot_be_moved_stays_and_later_windows_go_on(place, monkeypatch):
    """As from a volume that is mounted to be read: copied, but not removed."""

    def copy_only(path, target):
        shutil.copy(path, target)
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(shutil, "move", copy_only)
    write_days(place / "days", range(6, 12))
    pq.write_table(break_day(8, "nan"), place / "days" / "day-008.parquet")
    with pytest.raises(ConfigError, match=r"day-008.parquet cannot be moved to the quarantine .*: .*Read-only"):
        take_in(place, quarantine=place / "aside")
    said = []
    options = {"on_bad": "skip", "quarantine": place / "aside"}
    report = take_in(place, **options, on_event=lambda name, facts: said.append((name, facts.get("part"))))
    assert ("not_moved", "day-008.parquet") in said
    assert (report.quarantined, report.new[-1]) == ([], "2024-01-10")
    assert [bad.label for bad in report.skipped] == ["2024-01-08", "2024-01-09"]
    assert (place / "days" / "day-008.parquet").exists()
    assert not (place / "aside" / "day-008.parquet").exists()


def test_files_that_cannot_be_read_are_refused_by_name(place):
    table = make_day(6).drop_columns(["when"])
    pq.write_table(table, place / "days" / "day-006.parquet")
    with pytest.raises(BadRowsError, match=r"day-006.parquet cannot be used: .*no column 'when'"):
        take_in(place)
    report = take_in(place, on_bad="skip")
    assert report.to_json()["left_out"] == ["day-006.parquet"]
    assert report.describe() == "nothing new, 1 file left out, 40 rows wait for their windows to be whole"
    report = take_in(place, quarantine=place / "aside")
    assert report.quarantined == ["day-006.parquet"]


def test_a_quarantine_inside_the_source_is_refused(place):
    with pytest.raises(ConfigError, match="inside the source"):
        take_in(place, quarantine=place / "days" / "bad")
