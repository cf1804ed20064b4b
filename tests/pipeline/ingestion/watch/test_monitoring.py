"""Watching a store that grows: what status tells programs, alarms and their exit code, Prometheus, JSON logs."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import make_day, make_store, write_days

from driftmap.pipeline import ingest, open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.ingestion.watch.alarms import find_alarms
from driftmap.pipeline.ingestion.watch.monitoring import compare_newest, describe_growth
from driftmap.pipeline.ingestion.watch.outcome import read_outcome
from driftmap.pipeline.ingestion.watch.prometheus import outcome_to_prometheus, to_prometheus


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """Sixteen windows, eleven of them ingested; late rows for a final one, and rows that wait."""
    folder = tmp_path_factory.mktemp("grown")
    make_store(folder / "days", folder / "store")
    write_days(folder / "days", range(6, 18))
    pq.write_table(make_day(3, n_rows=7, first=9000), folder / "days" / "late.parquet")
    ingest(folder / "store", scheduler="serial")
    return folder


def run_json(arguments, capsys):
    assert run_command(arguments) == 0
    return json.loads(capsys.readouterr().out)


def test_status_tells_programs_how_the_store_grows(grown, capsys):
    facts = run_json(["status", str(grown / "store"), "--json"], capsys)
    growth = facts["growth"]
    # days 4 and 5 make a window that was final before, or was rebuilt: only what is final keeps rows out
    assert growth["n_ingested"] >= 11
    assert growth["newest_row"] == "2024-01-18T23:59:00.000000"
    # the newest window ends with day 17, one day before the newest row's day ends
    assert growth["lag_seconds"] == 24 * 3600 - 60
    assert growth["behind_seconds"] == 0  # the next window ends with that day
    assert growth["rows_pending"] == 40 + 80
    assert growth["late"] == {"2024-01-03": 7}
    assert growth["rows_late"] == 7
    assert growth["windows_provisional"] == 2
    assert list(growth["provisional"]) == ["2024-01-15", "2024-01-16"]
    assert growth["quality"]["window"] == "2024-01-16"
    assert abs(growth["quality"]["neighbours_z"]) < 20
    newest = facts["windows"][-1]
    assert newest["since"] == growth["last_ingest"]
    assert newest["quality_when_new"] == newest["quality"]
    assert facts["windows"][-3]["quality_when_new"] != facts["windows"][-3]["quality"]
    assert run_command(["status", str(grown / "store")]) == 0
    shown = capsys.readouterr().out
    assert "7 rows too late" in shown
    assert "Moved" in shown


def test_ages_are_counted_from_the_last_ingest(grown):
    store = open_store(grown / "store")
    last = datetime.fromisoformat(store.growth.last_ingest)
    facts = describe_growth(store, last + timedelta(hours=3))
    assert facts["seconds_since_ingest"] == 3 * 3600
    assert [alarm.value for alarm in find_alarms(facts, ["age>2h"])] == [3 * 3600]
    assert find_alarms(facts, ["age>4h"]) == []
    assert last <= datetime.now(UTC)


def test_thresholds_that_are_passed_are_found(grown):
    facts = describe_growth(open_store(grown / "store"))
    passed = ["late>6", "behind<1h", "lag>23h", "pending>100", "neighbours<1.1", "drift>0", "neighbours_z>-100", "z>0"]
    assert [alarm.spec for alarm in find_alarms(facts, passed)] == passed
    kept = ["late>7", "behind>1s", "lag>24h", "skipped>0", "neighbours<0", "drift>100", "z>1000", "drift_z<-1000"]
    assert find_alarms(facts, kept) == []


def test_a_store_is_behind_once_the_next_window_is_over_not_between_two_windows(tmp_path):
    """With weekly windows the newest row is days after the newest window's end, and nothing is wrong."""
    make_store(tmp_path / "days", tmp_path / "store", n_days=28, window="7D", stride="7D", duplicates="first")
    command = ["ingest", str(tmp_path / "store"), "--scheduler", "serial", "--alarm", "behind>2D"]
    write_days(tmp_path / "days", range(28, 34))
    assert run_command(command) == 0
    facts = describe_growth(open_store(tmp_path / "store"))
    assert facts["lag_seconds"] == 6 * 86400 - 60
    assert facts["behind_seconds"] == 0
    write_days(tmp_path / "days", range(34, 38))
    assert run_command([*command, "--grace", "9D", "--prometheus", str(tmp_path / "m")]) == 3  # it waits for more
    assert "driftmap_last_exit_code 3" in (said := (tmp_path / "m").read_text())
    assert "driftmap_blocked" not in said
    facts = describe_growth(open_store(tmp_path / "store"))
    assert facts["behind_seconds"] == 3 * 86400 - 60
    assert "driftmap_behind_seconds 259140" in to_prometheus(open_store(tmp_path / "store"), facts)
    assert run_command(command) == 0


@pytest.mark.parametrize("spec", ["drift", "drift=3", "warmth>3", "late>many", "lag>3", "lag>2d>3"])
def test_thresholds_that_cannot_be_read_are_refused(spec, capsys, grown):
    with pytest.raises(ConfigError, match="alarm"):
        find_alarms({"quality": {}}, [spec])
    before = len(list((grown / "store" / "commits").iterdir()))
    assert run_command(["ingest", str(grown / "store"), "--scheduler", "serial", "--alarm", spec]) == 2
    assert "alarm" in capsys.readouterr().err
    assert len(list((grown / "store" / "commits").iterdir())) == before


def test_an_alarm_leaves_with_exit_code_3(grown, capsys):
    command = ["ingest", str(grown / "store"), "--scheduler", "serial"]
    assert run_command([*command, "--alarm", "late>100", "--alarm", "drift>9"]) == 0
    assert run_command([*command, "--alarm", "late>100", "--alarm", "late>6"]) == 3
    assert "alarm late>6: it is 7" in capsys.readouterr().err
    assert run_command(["status", str(grown / "store"), "--alarm", "late>6"]) == 3


def test_a_window_unlike_those_before_it_stands_out(grown, tmp_path):
    shutil.copytree(grown, tmp_path / "g")
    table = make_day(18)
    vectors = np.random.default_rng(8).normal(size=(table.num_rows, 6)).astype(np.float32) * 4
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
    pq.write_table(table.set_column(3, "v", column), tmp_path / "g" / "days" / "day-018.parquet")
    before = compare_newest(open_store(grown / "store"))
    ingest(tmp_path / "g" / "store", source=tmp_path / "g" / "days", scheduler="serial", complete=True)
    after = compare_newest(open_store(tmp_path / "g" / "store"))
    assert after["window"] == "2024-01-19"
    assert max(abs(after["drift_z"]), abs(after["related_z"])) > 3
    assert max(abs(before["drift_z"]), abs(before["neighbours_z"])) < 3.5


def test_prometheus_reads_what_is_written(grown, tmp_path, capsys):
    file = tmp_path / "driftmap.prom"
    command = ["ingest", str(grown / "store"), "--scheduler", "serial", "--prometheus", str(file)]
    assert run_command(command) == 0
    samples = {}
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            samples[name] = float(value)
        else:
            assert line.split()[1] in ("HELP", "TYPE")
    assert samples['driftmap_windows{state="provisional"}'] == 2
    assert samples["driftmap_rows_late"] == 7
    assert samples["driftmap_lag_seconds"] == 24 * 3600 - 60
    assert 0 < samples['driftmap_quality{measure="neighbours"}'] < 1
    assert abs(samples["driftmap_last_ingest_timestamp_seconds"] - datetime.now(UTC).timestamp()) < 3600
    assert [path.name for path in tmp_path.iterdir()] == ["driftmap.prom"]
    capsys.readouterr()
    assert run_command(["status", str(grown / "store"), "--prometheus"]) == 0
    store = open_store(grown / "store")
    expected = to_prometheus(store, describe_growth(store)) + outcome_to_prometheus(read_outcome(store.location))
    assert capsys.readouterr().out == expected
    assert samples["driftmap_last_exit_code"] == 0
    assert samples["driftmap_last_success_timestamp_seconds"] == samples["driftmap_last_attempt_timestamp_seconds"]


def test_what_happens_is_logged_as_json(grown, tmp_path, capsys):
    shutil.copytree(grown, tmp_path / "g")
    write_days(tmp_path / "g" / "days", range(18, 19))
    command = ["ingest", str(tmp_path / "g" / "store"), "--source", str(tmp_path / "g" / "days"), "--log-json"]
    assert run_command([*command, "--scheduler", "serial", "--alarm", "late>6"]) == 3
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["window", "done", "alarm"]
    assert lines[0]["window"] == "2024-01-17"
    assert lines[1]["new"] == ["2024-01-17"]
    assert lines[1]["late"] == {"2024-01-03": 7}
    assert lines[2]["level"] == "warning"
    assert len({line["run"] for line in lines}) == 1
    assert [line["stage"] for line in lines] == ["graphs", "end", "watch"]
    assert {"start", "look", "graphs", "layout"} == lines[1]["seconds"].keys()
    assert datetime.fromisoformat(lines[0]["time"]).tzinfo is not None
    assert run_command([*command, "--grace", "soon"]) == 2
    assert json.loads(capsys.readouterr().err.splitlines()[0])["level"] == "error"


def test_a_store_that_never_grew_has_nothing_to_tell(tmp_path, capsys):
    make_store(tmp_path / "days", tmp_path / "store")
    growth = run_json(["status", str(tmp_path / "store"), "--json"], capsys)["growth"]
    assert growth["last_ingest"] is None
    assert growth["quality"] == {}
    assert find_alarms(growth, ["z>0", "age>1s", "lag>1s", "late>0"]) == []


def test_a_file_for_prometheus_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys):
    missing = tmp_path / "none"
    for file, said in ((missing / "m.prom", f"there is no folder {missing}"), (tmp_path, "is a folder")):
        assert run_command(["ingest", str(tmp_path / "no store"), "--prometheus", str(file)]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
