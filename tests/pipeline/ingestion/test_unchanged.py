"""A start that finds everything as the last one left it is answered without a look at the source, and as with one."""

from __future__ import annotations

import json
import os
import re

import dask.dataframe as dd
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array
from tests.pipeline.growing import make_day, take_in, write_days

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.ingestion import unchanged
from driftmap.pipeline.ingestion.unchanged import begin_look, find_unchanged, name_call
from driftmap.pipeline.ingestion.watch.outcome import OUTCOME_FILE, read_outcome
from driftmap.pipeline.store.log.lock import hold_lock

TIMES = re.compile(r"(?m)^driftmap_last_(?:attempt|success|stage)\w*(\{.*\})? .*\n")


def ask(place, **options):
    """Ask as the command does, after a start with the same options."""
    call = name_call(place / "days", "serial", options)
    return find_unchanged(place / "store", call)


@pytest.fixture
def settled(place):
    """A store that took in all there is of its source, and rows that came too late."""
    write_days(place / "days", range(6, 9))
    pq.write_table(make_day(1, n_rows=3, first=900), place / "days" / "late.parquet")
    take_in(place)
    return place


def rewrite_unseen(file):
    """Write other bytes of the same number, and give the file its time back."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_answer_is_that_of_a_look(settled):
    looked = take_in(settled)
    found = ask(settled)
    assert looked.late
    assert (found.report, found.said) == (looked.to_json(), str(looked))
    assert found.store.n_windows == looked.store.n_windows
    assert read_outcome(looked.store.location) == found.outcome
    assert ask(settled).report == found.report  # it is kept for the next one


@pytest.mark.parametrize(
    "change",
    [
        lambda place: write_days(place / "days", range(9, 10)),
        lambda place: (place / "days" / "late.parquet").unlink(),
        lambda place: rewrite_unseen(place / "days" / "day-003.parquet"),
        lambda place: (place / "days" / "day-003.parquet").rename(place / "days" / "day-0003.parquet"),
        lambda place: (place / "days" / "below").symlink_to(place, target_is_directory=True),
        lambda place: run_command(["prune", str(place / "store"), "--keep", "2"]),
        lambda place: (place / "store" / OUTCOME_FILE).unlink(),
    ],
    ids=["new", "gone", "rewritten", "renamed", "linked", "log", "forgotten"],
)
def test_what_changed_is_looked_at(settled, change):
    assert ask(settled) is not None
    change(settled)
    assert ask(settled) is None


@pytest.mark.parametrize("options", [{"grace": "1h"}, {"on_bad": "skip"}, {"clock": True}, {"reopen": True}])
def test_other_options_are_another_question(settled, options):
    assert ask(settled, **options) is None


def test_options_whose_answer_changes_with_the_clock_are_asked_each_time(settled):
    take_in(settled, clock=True)
    assert ask(settled, clock=True) is None
    report, store = take_in(settled), open_store(settled / "store")
    look = begin_look(store, settled / "days", "{}")
    assert look.describe(report, {}) is not None
    assert look._replace(at="2024-01-01T00:00:00.000000").describe(report, {}) is None  # rows ahead of the clock


def test_a_file_that_cannot_be_read_is_tried_each_time(settled, capsys):
    (settled / "days" / "z.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    words = ["ingest", str(settled / "store"), "--source", str(settled / "days"), "--on-bad", "skip"]
    for _ in range(2):
        assert run_command([*words, "--scheduler", "serial"]) == 0
        assert "z.parquet left out" in capsys.readouterr().out
    (settled / "days" / "z.parquet").write_bytes(b"PAR1 half of")
    assert take_in(settled).waiting == ["z.parquet"]
    assert ask(settled) is None


def test_a_store_that_is_held_is_refused_as_ever(settled):
    with hold_lock(open_store(settled / "store").location):
        assert ask(settled) is None


def test_another_version_looks_again(settled, monkeypatch):
    monkeypatch.setattr(unchanged, "version", lambda _: "0.0.1")
    assert ask(settled) is None


def test_no_flipped_bit_in_what_is_kept_changes_the_answer(settled):
    file = settled / "store" / OUTCOME_FILE
    good = file.read_bytes()
    begin = good.index(b'"memo"') + 8
    expected = ask(settled).report
    for at in range(begin, len(good), 7):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        found = ask(settled)
        assert found is None or found.report == expected  # a space that is another space


def test_rows_from_python_and_clients_are_not_kept():
    assert name_call(lambda _: None, None, {}) is None
    assert name_call(None, object(), {}) is None
    assert name_call(None, None, {"relations": "pairs.csv"}) is None


def test_the_command_says_and_writes_the_same(settled, tmp_path, capfd, monkeypatch):
    words = ["ingest", str(settled / "store"), "--source", str(settled / "days"), "--scheduler", "serial"]
    words += ["--prometheus", str(tmp_path / "metrics"), "--alarm", "late>0", "--log-json"]
    answered, seen = [], []
    record = unchanged.record_outcome
    monkeypatch.setattr(unchanged, "record_outcome", lambda *a, **b: answered.append(1) or record(*a, **b))
    for _ in range(2):
        assert run_command(words) == 3
        done, alarm = (json.loads(line) for line in capfd.readouterr().err.splitlines())
        assert (done["event"], alarm["event"], alarm["run"]) == ("done", "alarm", done["run"])
        facts = {name: value for name, value in done.items() if name not in ("time", "run", "seconds")}
        metrics = TIMES.sub("", (tmp_path / "metrics").read_text())
        seen.append((facts, metrics))
    assert len(answered) == 1
    assert seen[0] == seen[1]


ROWS = {
    "numpy": lambda frame: frame.to_numpy(),
    "dict of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "dict of lists": lambda frame: frame.to_dict("list"),
    "pandas": lambda frame: frame,
    "Arrow": pa.Table.from_pandas,
    "polars": pl.from_pandas,
    "polars, lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "dask": lambda frame: dd.from_pandas(frame, npartitions=2),
    "sparse": lambda frame: csr_array(frame.to_numpy()),
}


@pytest.mark.parametrize("kind", ROWS)
def test_nothing_is_kept_of_a_call_with_rows_of_any_kind(kind):
    frame = pd.DataFrame({"who": [1, 2, 3], "a": [0.5, 1.5, 2.5]})
    assert name_call(ROWS[kind](frame), "serial", {"complete": True}) is None
