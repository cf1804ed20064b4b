"""Ingestion of rows that change under the same ids and times: a provisional window is built of them again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import make_day, make_store, read_maps, write_days

from driftmap.pipeline import ingest, open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.ingestion.watch.alarms import find_alarms
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth
from driftmap.pipeline.ingestion.watch.prometheus import to_prometheus
from driftmap.pipeline.sources.rows.row_digest import digest_rows

SERIAL = {"scheduler": "serial"}


@pytest.fixture
def place(tmp_path):
    """A store of six days: five windows of two days, the last two provisional; with a seventh day all are whole."""
    make_store(tmp_path / "days", tmp_path / "store")
    write_days(tmp_path / "days", range(6, 7))
    return tmp_path


def take_in(place, **options):
    return ingest(place / "store", source=place / "days", **SERIAL, **options)


def rewrite(place, day, change):
    """Write a day's file again, its table changed."""
    path = place / "days" / f"day-{day:03}.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def with_column(name, values):
    return lambda table: table.set_column(table.schema.get_field_index(name), name, [values])


def test_a_digest_is_that_of_the_rows_whatever_their_order_and_the_width_of_texts():
    rng = np.random.default_rng(0)
    vectors, ids = rng.normal(size=(9000, 3)).astype(np.float32), np.arange(9000)
    kinds = np.array([f"k{number % 7}" for number in ids], dtype="S")
    expected = digest_rows(vectors, ids, {"kind": kinds})
    order = rng.permutation(9000)
    assert digest_rows(vectors[order], ids[order], {"kind": kinds[order].astype("S9")}) == expected
    texts = ids.astype("S5")
    assert digest_rows(vectors[order], texts[order].astype("S8"), {}) == digest_rows(vectors, texts, {})
    assert digest_rows(vectors, ids, {"kind": np.roll(kinds, 1)}) != expected
    assert digest_rows(vectors, ids, {"other": kinds}) != expected
    changed = vectors.copy()
    changed[8999, 2] += 1
    assert digest_rows(changed, ids, {"kind": kinds}) != expected


@pytest.mark.parametrize("has_ingested", [False, True])
def test_changed_vectors_of_a_provisional_window_rebuild_it(place, has_ingested):
    if has_ingested:
        assert take_in(place).did_nothing
    before = read_maps(open_store(place / "store"))
    other = make_day(5, seed=7)
    rewrite(place, 5, with_column("v", other["v"].combine_chunks()))
    assert take_in(place).rebuilt == ["2024-01-05"]
    store = open_store(place / "store")
    after = read_maps(store)
    assert after["2024-01-05"] != before["2024-01-05"]
    assert {w.label: after[w.label] for w in store.state() if w.status == "final"} == {
        w.label: before[w.label] for w in store.state() if w.status == "final"
    }
    assert take_in(place).did_nothing


def test_a_change_is_not_forgotten_while_a_window_is_not_whole(tmp_path):
    """A file with rows of two windows is rewritten, and only the first of them is whole by now."""
    make_store(tmp_path / "days", tmp_path / "store")
    rewrite(tmp_path, 4, with_column("v", make_day(4, seed=7)["v"].combine_chunks()))
    assert take_in(tmp_path).rebuilt == ["2024-01-04"]
    assert take_in(tmp_path).did_nothing
    write_days(tmp_path / "days", range(6, 7))
    assert take_in(tmp_path).rebuilt == ["2024-01-05"]
    assert take_in(tmp_path).did_nothing


def test_changed_labels_of_a_provisional_window_are_taken_over(place):
    rewrite(place, 5, with_column("kind", ["other"] * 40))
    assert take_in(place).rebuilt == ["2024-01-05"]
    assert "other" in open_store(place / "store").window_labels("2024-01-05")["kind"].tolist()


def test_a_file_written_anew_as_it_was_changes_nothing(place):
    before = read_maps(open_store(place / "store"))
    for day in range(3, 6):
        rewrite(place, day, lambda table: table.take(np.arange(table.num_rows)[::-1]))
    report = take_in(place)
    assert report.rebuilt == []
    assert read_maps(open_store(place / "store")) == before


def test_a_change_of_a_final_window_is_left_alone(place):
    before = read_maps(open_store(place / "store"))
    rewrite(place, 0, with_column("v", make_day(0, seed=7)["v"].combine_chunks()))
    assert take_in(place).rebuilt == []
    assert read_maps(open_store(place / "store")) == before


def test_changed_rows_that_cannot_be_used_are_named_once_and_kept_out(place):
    vectors = np.array(make_day(5)["v"].to_pylist(), dtype=np.float32)
    vectors[3] = np.nan
    before = read_maps(open_store(place / "store"))
    flat = make_day(5)["v"].combine_chunks().type
    rewrite(place, 5, with_column("v", pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=flat)))
    with pytest.raises(BadRowsError, match="day-005"):
        take_in(place)
    report = take_in(place, on_bad="skip")
    assert ([bad.label for bad in report.kept_out], report.skipped) == (["2024-01-05"], [])
    assert report.describe().startswith("late or changed rows of 1 window kept out")
    assert list(report.to_json()["kept_out"]) == ["2024-01-05"]
    assert take_in(place, on_bad="skip").did_nothing
    assert read_maps(open_store(place / "store")) == before


def test_every_window_knows_the_digest_of_its_rows(place):
    write_days(place / "days", range(7, 9))
    take_in(place)
    assert len({window.rows_digest for window in open_store(place / "store").state()} - {None}) == 7


@pytest.mark.parametrize("has_ingested", [False, True])
def test_changed_rows_of_a_final_window_are_said_and_can_be_reopened(place, capsys, has_ingested):
    if has_ingested:
        take_in(place)
    before = read_maps(open_store(place / "store"))
    kept = pq.read_table(place / "days/day-001.parquet")
    rewrite(place, 1, with_column("v", make_day(1, seed=7)["v"].combine_chunks()))
    for _ in range(2):  # it is said as long as it holds
        report = take_in(place)
        assert report.altered == ["2024-01-01", "2024-01-02"]
        assert "rows of 2 final windows are others now" in str(report)
        assert report.to_json()["altered"] == report.altered
        assert report.did_nothing
    store = open_store(place / "store")
    assert read_maps(store) == before
    assert describe_growth(store)["altered"] == report.altered
    assert [alarm.spec for alarm in find_alarms(describe_growth(store), ["altered>0"])] == ["altered>0"]
    assert "driftmap_windows_altered 2" in to_prometheus(store, describe_growth(store))
    assert run_command(["status", str(place / "store")]) == 0
    assert "rows of 2 final windows changed" in capsys.readouterr().out
    pq.write_table(kept, place / "days/day-001.parquet")
    assert take_in(place).altered == []
    rewrite(place, 1, with_column("v", make_day(1, seed=7)["v"].combine_chunks()))
    report = take_in(place, reopen=True)
    assert report.reopened == "2024-01-01"
    assert report.altered == []
    assert read_maps(open_store(place / "store"))["2024-01-02"] != before["2024-01-02"]
    assert take_in(place).did_nothing


def test_a_final_window_that_lost_rows_is_said_and_one_whose_file_is_gone_or_touched_is_not(place):
    take_in(place)
    path = place / "days/day-001.parquet"
    path.touch()
    assert take_in(place).altered == []
    rewrite(place, 1, lambda table: table.slice(0, 30))
    assert take_in(place).altered == ["2024-01-01", "2024-01-02"]
    (place / "days/day-000.parquet").unlink()
    write_days(place / "days", range(7, 8))
    report = take_in(place)
    assert report.new == ["2024-01-06"]
    assert report.altered == ["2024-01-01", "2024-01-02"]
