"""Ingestion: windows are added as they become whole, final ones stay, and every interruption is made good."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.pipeline.damage import cut_log
from tests.pipeline.growing import N_ROWS, OPTIONS, make_day, read_maps, take_in, write_days

from driftmap.pipeline import ingest, open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, PlanError, PlanWarning, StoreError
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth
from driftmap.pipeline.ingestion.watch.outcome import OUTCOME_FILE
from driftmap.pipeline.store.log.lock import hold_lock

SERIAL = {"scheduler": "serial"}


def list_files(folder):
    """Read every file, but for the lock's and the last outcome's: both are written when there is nothing to do too."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.parent.name != "lock" and p.name != OUTCOME_FILE
    }


def test_new_windows_are_added_when_they_are_whole(place):
    write_days(place / "days", range(6, 8))
    report = take_in(place)
    # 8 days, and a time stamp in the last minute of the 8th: the window of days 7 and 8 is not whole
    assert report.new == ["2024-01-06"]
    assert report.n_pending == 2 * N_ROWS + N_ROWS
    store = open_store(place / "store")
    assert [w.status for w in store.state()] == ["final"] * 4 + ["provisional"] * 2
    assert store.is_complete
    ids, positions = store.embedding("2024-01-06")
    assert ids.tolist() == sorted(ids.tolist())
    assert positions.shape == (2 * N_ROWS, 2)
    assert store.window_labels("2024-01-06")["kind"][0] == f"k{int(ids[0][1:]) % 5}"
    assert report.moved.keys() == {"2024-01-04", "2024-01-05"}


def test_nothing_new_changes_nothing(place, capsys):
    write_days(place / "days", range(6, 9))
    take_in(place)
    before = list_files(place / "store")
    assert take_in(place).did_nothing
    assert run_command(["ingest", str(place / "store"), "--source", str(place / "days")]) == 0
    assert "nothing new" in capsys.readouterr().out
    assert list_files(place / "store") == before


def test_final_windows_never_change(place):
    before = read_maps(open_store(place / "store"))
    final = [w.label for w in open_store(place / "store").state() if w.status == "final"]
    files = list_files(place / "store")
    for day in range(6, 10):
        write_days(place / "days", range(day, day + 1))
        take_in(place)
    after = read_maps(open_store(place / "store"))
    assert {label: after[label] for label in final} == {label: before[label] for label in final}
    assert files.items() <= list_files(place / "store").items()  # what was written once stays as it is


def test_the_maps_do_not_depend_on_how_often_it_runs(place):
    other = place / "other"
    shutil.copytree(place / "store", other)
    for day in range(6, 11):
        write_days(place / "days", range(day, day + 1))
        take_in(place)
    ingest(other, source=place / "days", **SERIAL)
    assert read_maps(open_store(other)) == read_maps(open_store(place / "store"))
    assert [w.status for w in open_store(other).state()] == [w.status for w in open_store(place / "store").state()]


def test_the_order_in_which_files_come_does_not_matter(place):
    """The same rows in other files, under other names and in another order, give the same maps."""
    other = place / "other"
    shutil.copytree(place / "store", other)
    shutil.copytree(place / "days", place / "shuffled")
    write_days(place / "days", range(6, 9))
    take_in(place)
    rng = np.random.default_rng(4)
    for day in (8, 6, 7):
        table = make_day(day)
        order = rng.permutation(table.num_rows)
        for part, rows in enumerate(np.array_split(order, 3)):
            pq.write_table(table.take(rows), place / "shuffled" / f"{part}-{9 - day}.parquet")
    ingest(other, source=place / "shuffled", **SERIAL)
    assert read_maps(open_store(other)) == read_maps(open_store(place / "store"))


class _Killed(BaseException):
    pass


@pytest.mark.slow
def test_killed_after_any_write_and_run_again_is_as_never_killed(place, monkeypatch):
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.store import Store

    write_days(place / "days", range(6, 9))
    pq.write_table(make_day(4, n_rows=7, first=9000), place / "days" / "late.parquet")
    undisturbed = place / "undisturbed"
    shutil.copytree(place / "store", undisturbed)
    assert ingest(undisturbed, source=place / "days", **SERIAL).rebuilt == ["2024-01-04", "2024-01-05"]
    expected = read_maps(open_store(undisturbed))
    n_killed = 0
    for where in ("before", "after"):
        for number in range(100):
            victim = place / f"{where}-{number}"
            shutil.copytree(place / "store", victim)
            with monkeypatch.context() as patch:
                _kill_at_commit(patch, Store, where, number)
                try:
                    ingest(victim, source=place / "days", **SERIAL)
                except _Killed:
                    n_killed += 1
                else:
                    break
            for window in open_store(victim).state():
                assert len(open_store(victim).positions(window.index)) == window.n_rows
            ingest(victim, source=place / "days", **SERIAL)
            assert read_maps(open_store(victim)) == expected
    assert n_killed >= 6
    assert Location(place / "store").is_local


def _kill_at_commit(patch, store_class, where, number):
    commit, calls = store_class.commit_growth, []

    def killed(self, kind, payload):
        calls.append(kind)
        is_now = len(calls) == number + 1
        if is_now and where == "before":
            raise _Killed
        commit(self, kind, payload)
        if is_now:
            raise _Killed

    patch.setattr(store_class, "commit_growth", killed)


@pytest.mark.slow
def test_workers_give_the_same_bytes(place):
    write_days(place / "days", range(6, 9))
    other = place / "other"
    shutil.copytree(place / "store", other)
    take_in(place)
    ingest(other, source=place / "days", workers=1)
    assert read_maps(open_store(other)) == read_maps(open_store(place / "store"))


def test_grace_waits_for_rows_that_are_on_their_way(place):
    write_days(place / "days", range(6, 8))
    assert take_in(place, grace="1D").did_nothing
    assert take_in(place, grace="23h").new == ["2024-01-06"]


def test_the_clock_makes_windows_whole(place):
    assert take_in(place).did_nothing
    write_days(place / "days", range(6, 7))
    assert take_in(place, clock=True, grace="2h").new == ["2024-01-06", "2024-01-07"]


def test_complete_takes_the_last_window_as_it_is(place):
    assert take_in(place, complete=True).new == ["2024-01-06"]
    assert open_store(place / "store").state()[-1].n_rows == N_ROWS


def test_late_rows_rebuild_provisional_windows(place):
    write_days(place / "days", range(6, 7))  # now the window of days 4 and 5 is whole
    before = open_store(place / "store")
    old = {label: dict(zip(*before.embedding(label), strict=True)) for label in ("2024-01-04", "2024-01-05")}
    pq.write_table(make_day(4, n_rows=10, first=9000), place / "days" / "late.parquet")
    report = take_in(place)
    assert report.rebuilt == ["2024-01-04", "2024-01-05"]
    assert report.late == []
    store = open_store(place / "store")
    assert [w.n_rows for w in store.state()] == [80, 80, 80, 90, 90]
    ids, positions = store.embedding("2024-01-05")
    assert "e009003" in ids.tolist()
    # rows that were there before stay near their places; those of another centre are far from them
    now = dict(zip(ids.tolist(), positions, strict=True))
    moved = np.mean([np.linalg.norm(now[i] - p) for i, p in old["2024-01-05"].items()])
    assert moved < 0.25 * np.std(positions)
    assert take_in(place).did_nothing


def test_late_rows_for_final_windows_are_counted_and_kept_out(place, capsys):
    before = read_maps(open_store(place / "store"))
    pq.write_table(make_day(1, n_rows=10, first=9000), place / "days" / "late.parquet")
    report = take_in(place)
    assert [(late.label, late.n_rows) for late in report.late] == [("2024-01-01", 10), ("2024-01-02", 10)]
    assert report.did_nothing
    assert read_maps(open_store(place / "store")) == before
    write_days(place / "days", range(6, 8))
    report = take_in(place)
    assert report.new == ["2024-01-06"]
    assert len(report.late) == 2
    assert run_command(["ingest", str(place / "store"), "--source", str(place / "days")]) == 0
    assert "'2024-01-02': 10 rows came too late" in capsys.readouterr().err


def test_rows_before_the_first_window_are_late(place):
    pq.write_table(make_day(-3, n_rows=5, first=9000), place / "days" / "old.parquet")
    assert [(late.label, late.n_rows) for late in take_in(place, reopen=True).late] == [("before 2024-01-01", 5)]


def test_half_written_files_are_left_for_the_next_time(place):
    pq.write_table(make_day(6), place / "day-006.parquet")
    whole = (place / "day-006.parquet").read_bytes()
    write_days(place / "days", range(7, 8))
    for n_bytes in (0, 3, len(whole) // 2, len(whole) - 1):
        (place / "days" / "day-006.parquet").write_bytes(whole[:n_bytes])
        report = take_in(place, grace="1D")
        assert report.waiting == ["day-006.parquet"]
    (place / "days" / "day-006.parquet").write_bytes(whole)
    report = take_in(place)
    assert report.new == ["2024-01-06"]
    assert open_store(place / "store").state()[-1].n_rows == 2 * N_ROWS


AFTER_A_GAP = pytest.mark.filterwarnings("ignore:window '2024-01-10' follows windows that were left out")
"""Of these made days, those after the gap share no id with the last before it."""


@AFTER_A_GAP
def test_windows_without_rows_are_left_out_and_reported(place, capsys):
    write_days(place / "days", range(10, 13))
    command = ["ingest", str(place / "store"), "--source", str(place / "days"), "--scheduler", "serial"]
    assert run_command(command) == 0
    out = capsys.readouterr().out
    assert "left out as empty: '2024-01-07', '2024-01-08', '2024-01-09'" in out
    assert "3 empty windows left out" in out
    store = open_store(place / "store")
    assert store.labels[-2:] == ["2024-01-10", "2024-01-11"]
    facts = describe_growth(store)
    assert facts["empty"] == ["2024-01-07", "2024-01-08", "2024-01-09"]
    assert (facts["windows_empty"], facts["windows_skipped"]) == (3, 0)
    assert run_command(["status", str(place / "store")]) == 0
    assert "3 empty windows left out" in capsys.readouterr().out


@AFTER_A_GAP
def test_windows_without_rows_give_the_same_maps_in_one_ingest_and_in_several(place, tmp_path):
    shutil.copytree(place, tmp_path / "other")
    write_days(place / "days", range(10, 13))
    whole = take_in(place)
    assert whole.empty == ["2024-01-07", "2024-01-08", "2024-01-09"]
    reports = []
    for day in range(10, 13):
        write_days(tmp_path / "other" / "days", range(day, day + 1))
        reports.append(take_in(tmp_path / "other"))
    assert [label for report in reports for label in report.empty] == whole.empty
    assert read_maps(whole.store) == read_maps(reports[-1].store)


@AFTER_A_GAP
def test_rows_that_come_for_a_window_left_out_are_late(place):
    write_days(place / "days", range(10, 13))
    take_in(place)
    write_days(place / "days", range(8, 9))
    report = take_in(place)
    assert report.new == report.empty == []
    assert {late.label: late.n_rows for late in report.late} == {"2024-01-08": N_ROWS, "2024-01-09": N_ROWS}
    again = take_in(place, reopen=True)
    assert again.reopened == "2024-01-10"
    assert again.new == ["2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11"]
    assert again.late == []


def test_a_window_after_a_gap_that_nothing_relates_goes_in_with_a_warning(place):
    write_days(place / "days", range(10, 13))
    with pytest.warns(
        PlanWarning, match=r"'2024-01-10' follows windows that were left out: it shares no id with the 3"
    ):
        assert take_in(place).new == ["2024-01-06", "2024-01-10", "2024-01-11"]


def test_a_single_row_is_as_none(place):
    pq.write_table(make_day(8, n_rows=1), place / "days" / "day-008.parquet")
    write_days(place / "days", range(11, 13), first=0)
    report = take_in(place, on_bad="skip")
    assert report.new == ["2024-01-06", "2024-01-11"]
    assert report.empty == ["2024-01-07", "2024-01-08", "2024-01-09", "2024-01-10"]
    assert report.skipped == []


def test_windows_without_rows_are_refused_when_asked_for(place):
    write_days(place / "days", range(10, 13))
    with pytest.raises(BadRowsError, match=r"window '2024-01-07' cannot be added: it has no rows") as refused:
        take_in(place, on_empty="refuse", quarantine=place / "aside")
    assert refused.value.blocked == "2024-01-07"
    report = take_in(place, on_empty="refuse", on_bad="skip")
    assert [bad.label for bad in report.skipped] == ["2024-01-07", "2024-01-08", "2024-01-09"]
    assert report.new == ["2024-01-10", "2024-01-11"]
    with pytest.raises(ConfigError, match=r"on_empty is 'keep'; 'skip' or 'refuse' was expected"):
        take_in(place, on_empty="keep")


def test_a_time_stamp_far_ahead_is_not_taken_for_the_present(place):
    pq.write_table(make_day(4000, n_rows=10), place / "days" / "wrong.parquet")
    with pytest.raises(PlanError, match=r"windows in a row would have no rows.*look for a wrong one"):
        take_in(place, on_bad="skip")
    store = open_store(place / "store")
    assert store.growth.skipped == {}
    assert store.n_windows == 5


def test_windows_that_nothing_ties_are_refused(place):
    pq.write_table(make_day(7, first=600_000), place / "days" / "day-007.parquet")
    pq.write_table(make_day(8, first=700_000), place / "days" / "day-008.parquet")
    with pytest.raises(BadRowsError, match="shares no id with the 3 windows before it"):
        take_in(place, quarantine=place / "aside")
    assert take_in(place, on_bad="skip").new == ["2024-01-07"]  # gone on without the tie


def test_options_that_cannot_be_used_are_refused(place):
    with pytest.raises(ConfigError, match="grace: 'soon' is not a length of time"):
        take_in(place, grace="soon")
    with pytest.raises(ConfigError, match="on_bad is 'cry'"):
        take_in(place, on_bad="cry")
    with pytest.raises(ConfigError, match="unknown option 'gracious' of ingest"):
        take_in(place, gracious=1)


def test_a_store_without_ids_cannot_grow(tmp_path):
    write_days(tmp_path / "days", range(6))
    options = {name: value for name, value in OPTIONS.items() if name != "id"}
    run(tmp_path / "days", tmp_path / "s", scheduler="serial", **options)
    with pytest.raises(ConfigError, match="names no id column"):
        ingest(tmp_path / "s", **SERIAL)


def test_a_run_says_that_the_store_has_grown(place, capsys):
    write_days(place / "days", range(6, 8))
    take_in(place)
    with pytest.raises(StoreError, match=r"has grown since its run.*driftmap ingest"):
        run(place / "days", place / "store", scheduler="serial", **OPTIONS)


def test_an_ingest_waits_for_another_or_leaves(place, capsys):
    write_days(place / "days", range(6, 8))
    command = ["ingest", str(place / "store"), "--source", str(place / "days"), "--scheduler", "serial"]
    location = open_store(place / "store").location
    with hold_lock(location, command="another"):
        assert run_command([*command, "--wait", "1s"]) == 2
        assert "in use by `another`" in capsys.readouterr().err
    with hold_lock(location, command="another") as lock:
        timer = threading.Timer(1.0, lock.release)
        timer.start()
        assert run_command([*command, "--wait", "1min"]) == 0
        timer.join()
    assert open_store(place / "store").labels[-1] == "2024-01-06"


def test_an_unfinished_run_is_finished_first(place):
    cut_log(place / "store", 3)
    with pytest.raises(StoreError, match=r"run of .* is not finished"):
        take_in(place)
