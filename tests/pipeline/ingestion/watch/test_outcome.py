"""How the last ingest ended: kept in the store and written for Prometheus, on success and on failure."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import make_day, make_store, take_in, write_days

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import StoreBusyError
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.ingestion.watch.outcome import OUTCOME_FILE, describe_outcome, read_outcome
from driftmap.pipeline.ingestion.watch.prometheus import outcome_to_prometheus
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.verify import find_orphans


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    make_store(folder / "days", folder / "store")
    return folder


@pytest.fixture
def place(begun, tmp_path):
    shutil.copytree(begun / "days", tmp_path / "days")
    shutil.copytree(begun / "store", tmp_path / "store")
    return tmp_path


def write_nan_day(place, day):
    table = make_day(day)
    vectors = np.full(table.num_rows * 6, np.nan, dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors), 6)
    pq.write_table(table.set_column(3, "v", column), place / "days" / f"day-{day:03}.parquet")


def make_command(place):
    command = ["ingest", str(place / "store"), "--source", str(place / "days"), "--scheduler", "serial"]
    return [*command, "--prometheus", str(place / "m.prom")]


def read_samples(file):
    """Read samples by name and labels; every line is one that the text format allows."""
    samples = {}
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) driftmap_[a-z_]+ .+", line)
        else:
            match = re.fullmatch(r'(driftmap_[a-z_]+(?:\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})?) ([-+.e\d]+)', line)
            assert match, line
            samples[match[1]] = float(match[2])
    return samples


def test_an_ingest_that_fails_leaves_metrics_of_what_it_did(place):
    write_days(place / "days", range(6, 7))
    assert run_command(make_command(place)) == 0
    good = read_samples(place / "m.prom")
    assert good["driftmap_last_exit_code"] == 0
    assert not any(name.startswith("driftmap_blocked") for name in good)
    write_days(place / "days", range(7, 9))
    write_nan_day(place, 9)
    write_days(place / "days", range(10, 13))
    assert run_command(make_command(place)) == 2
    failed = read_samples(place / "m.prom")
    assert sum(v for k, v in failed.items() if k.startswith("driftmap_windows{")) > sum(
        v for k, v in good.items() if k.startswith("driftmap_windows{")
    )
    assert failed["driftmap_last_exit_code"] == 2
    assert failed["driftmap_last_success_timestamp_seconds"] == good["driftmap_last_success_timestamp_seconds"]
    assert failed["driftmap_last_attempt_timestamp_seconds"] > good["driftmap_last_attempt_timestamp_seconds"]
    assert failed["driftmap_rows_pending"] > 0
    (blocked,) = [name for name in failed if name.startswith("driftmap_blocked")]
    assert 'window="2024-01-09"' in blocked
    assert "NaN" in blocked or "finite" in blocked


def test_status_says_how_the_last_ingest_failed(place, capsys):
    write_days(place / "days", range(6, 8))
    write_nan_day(place, 8)
    write_days(place / "days", range(9, 12))
    with pytest.raises(BadRowsError) as refused:
        take_in(place)
    outcome = read_outcome(Location(place / "store"))
    assert (outcome.exit_code, outcome.blocked, outcome.succeeded) == (2, "2024-01-08", None)
    assert outcome.reason == refused.value.reason
    assert run_command(["status", str(place / "store")]) == 0
    shown = capsys.readouterr().out
    assert "last attempt failed" in shown
    assert "at 2024-01-08" in shown
    assert run_command(["status", str(place / "store"), "--prometheus"]) == 0
    assert "driftmap_last_exit_code 2" in capsys.readouterr().out
    take_in(place, on_bad="skip")
    assert read_outcome(Location(place / "store")).exit_code == 0


def test_a_part_that_cannot_be_read_is_what_blocks(place):
    pq.write_table(make_day(6).drop_columns(["when"]), place / "days" / "day-006.parquet")
    assert run_command(make_command(place)) == 2
    assert read_outcome(Location(place / "store")).blocked == "day-006.parquet"


def test_a_store_that_is_held_or_is_not_there_gives_metrics_too(place):
    with hold_lock(Location(place / "store")):
        assert run_command(make_command(place)) == 2
    held = read_samples(place / "m.prom")
    assert held["driftmap_last_exit_code"] == 2
    assert held['driftmap_windows{state="provisional"}'] == 2
    with hold_lock(Location(place / "store")), pytest.raises(StoreBusyError):
        take_in(place)
    shutil.rmtree(place / "store")
    assert run_command(make_command(place)) == 2
    gone = read_samples(place / "m.prom")
    assert gone["driftmap_last_exit_code"] == 2
    assert "driftmap_rows_pending" not in gone


def test_an_alarm_is_an_exit_code_of_the_metrics(place):
    write_days(place / "days", range(6, 8))
    assert run_command([*make_command(place), "--alarm", "pending>1"]) == 3
    assert read_samples(place / "m.prom")["driftmap_last_exit_code"] == 3


def test_an_error_of_another_kind_is_seen(place, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("driftmap.pipeline.ingestion.work.IngestWork.run", interrupt)
    assert run_command(make_command(place)) == 130
    assert read_samples(place / "m.prom")["driftmap_last_exit_code"] == 130
    assert describe_outcome(ValueError("odd")).exit_code == 1
    assert describe_outcome(SystemExit(143)).exit_code == 143


def test_reasons_are_escaped():
    error = BadRowsError("no", 'day "5"', "a\\b\nc")
    text = outcome_to_prometheus(describe_outcome(error))
    assert r'driftmap_blocked{window="day \"5\"",reason="a\\b\nc"} 1' in text


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"time": 3}', b"\xff"])
def test_a_damaged_record_is_as_none(place, content):
    (place / "store" / OUTCOME_FILE).write_bytes(content)
    assert read_outcome(Location(place / "store")) is None
    assert run_command(["status", str(place / "store")]) == 0
    take_in(place)
    assert read_outcome(Location(place / "store")).exit_code == 0
    assert find_orphans(open_store(place / "store")) == {}
