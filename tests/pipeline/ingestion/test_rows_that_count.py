"""Rows that cannot be used, and ids that come again in a window, when windows come one by one: as in a run."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster
from tests.pipeline.growing import OPTIONS, make_day, take_in

from driftmap.pipeline import ingest, place, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.executors.choice import Workplace
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.sources.rows import bad_rows
from driftmap.pipeline.store import Store

RULES = ("first", "last", "mean")
# Windows of two days, each with the day before: the same entities come twice in the overlap of files written below.


def make_dirty_day(day, *, is_bad=True):
    """Rows of a day: some come again with other numbers later that day, one lacks its id, one a number."""
    table = make_day(day)
    more = make_day(day, seed=1).slice(3, 6)
    table = pa.concat_tables([table, more])
    if is_bad:
        lists = [None if row == 8 else value for row, value in enumerate(table["v"].to_pylist())]
        lists[11][2] = float("nan")
        ids = [None if row == 20 else value for row, value in enumerate(table["who"].to_pylist())]
        table = table.set_column(3, "v", pa.array(lists, table["v"].type)).set_column(1, "who", pa.array(ids))
    return table


def write_dirty_days(folder, days, **kinds):
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        table = make_dirty_day(day, **kinds)
        # The rows that come again lie in a file of their own: an id comes twice in a window in two pieces.
        pq.write_table(table.slice(0, 40), folder / f"day-{day:03}-a.parquet")
        pq.write_table(table.slice(40), folder / f"day-{day:03}-b.parquet")


def read_facts(store):
    """What a window is made of, in the order of its ids."""
    facts = {}
    for window in store.state():
        order = np.argsort(store.window_ids(window.index))
        graph = store.knn_graph(window.index)
        distances = np.sort(graph.distances, axis=1)[order]
        counts = window.n_rows, window.n_dropped, window.n_repeated
        facts[window.label] = counts, store.window_ids(window.index)[order].tolist(), distances
    return facts


@pytest.mark.parametrize("rule", RULES)
def test_windows_are_the_same_in_a_run_and_in_an_ingest(tmp_path, rule):
    options = {**OPTIONS, "duplicates": rule, "on_bad_rows": "drop", "scheduler": "serial"}
    write_dirty_days(tmp_path / "days", range(5))
    run(tmp_path / "days", tmp_path / "store", **options)
    write_dirty_days(tmp_path / "days", range(5, 8))
    report = take_in(tmp_path, complete=True)
    assert report.new
    assert not report.late
    whole = run(tmp_path / "days", tmp_path / "whole", **options)
    grown, expected = read_facts(report.store), read_facts(whole)
    assert list(grown)[: len(expected)] == list(expected)
    for label, (counts, ids, distances) in expected.items():
        assert grown[label][:2] == (counts, ids)
        np.testing.assert_allclose(grown[label][2], distances, rtol=1e-4, atol=1e-4)
        assert counts[1] >= 3
        assert counts[2] >= 5
    again = take_in(tmp_path)
    assert not again.new
    assert not again.rebuilt
    assert not again.late


def test_bad_rows_are_looked_for_by_the_workers_where_there_are_many(tmp_path, monkeypatch):
    options = {**OPTIONS, "duplicates": "first", "on_bad_rows": "drop", "scheduler": "serial"}
    write_dirty_days(tmp_path / "days", range(5))
    run(tmp_path / "days", tmp_path / "store", **options)
    shutil.copytree(tmp_path / "store", tmp_path / "alone")
    write_dirty_days(tmp_path / "days", range(5, 7))
    alone = ingest(tmp_path / "alone", complete=True, scheduler="serial")
    monkeypatch.setattr(bad_rows, "RANGE_BYTES", 4 * 6 * 16)
    seen = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        monkeypatch.setattr(Workplace, "start_aside", note_tasks(seen, Workplace.start_aside))
        report = ingest(tmp_path / "store", complete=True, scheduler=client)
    assert seen
    assert min(seen) >= 2
    assert report.new == alone.new
    assert [window.n_dropped for window in report.store.state()] == [w.n_dropped for w in alone.store.state()]
    for index in range(report.store.n_windows):
        assert report.store.positions(index).tobytes() == alone.store.positions(index).tobytes()


def note_tasks(seen, start):
    def noting(place, n_tasks):
        assert place.is_cluster
        seen.append(n_tasks)
        return start(place, n_tasks)

    return noting


def test_mended_rows_rebuild_a_provisional_window(tmp_path):
    options = {**OPTIONS, "duplicates": "last", "on_bad_rows": "drop", "scheduler": "serial"}
    write_dirty_days(tmp_path / "days", range(6))
    run(tmp_path / "days", tmp_path / "store", **options)
    write_dirty_days(tmp_path / "days", range(6, 7))
    assert not take_in(tmp_path).rebuilt
    assert Store.open(tmp_path / "store").state()[-1].n_dropped == 6
    write_dirty_days(tmp_path / "days", range(5, 7), is_bad=False)
    report = take_in(tmp_path)
    assert report.rebuilt == ["2024-01-05"]
    assert [window.n_dropped for window in report.store.state()[-2:]] == [6, 3]


def test_rows_given_from_python_follow_the_rules(tmp_path):
    options = {**OPTIONS, "duplicates": "mean", "on_bad_rows": "drop", "scheduler": "serial"}
    store = run(pa.concat_tables(map(make_dirty_day, range(5))), tmp_path / "store", **options)
    report = ingest(tmp_path / "store", source=make_dirty_day(5), complete=True, scheduler="serial")
    assert report.new
    assert report.store.state()[-1].n_dropped > 0
    placed = place(Store.open(store.path), make_dirty_day(5))
    rows = make_dirty_day(5)
    there = pc.unique(rows["who"].take([n for n in range(rows.num_rows) if n not in (8, 11, 20)]))
    assert sorted(placed["id"].to_pylist()) == sorted(there.to_pylist())


def test_a_day_of_which_nothing_is_left_is_passed_over(tmp_path):
    options = {**OPTIONS, "window": "1D", "allow_unrelated": True, "on_bad_rows": "drop", "scheduler": "serial"}
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(8):
        table = make_day(day)
        if day == 5:
            lists = [[float("inf")] * 6 for _ in range(table.num_rows)]
            table = table.set_column(3, "v", pa.array(lists, table["v"].type))
        pq.write_table(table, folder / f"day-{day}.parquet")
        if day == 3:
            run(folder, tmp_path / "store", **options)
    report = take_in(tmp_path, complete=True)
    assert report.empty == ["2024-01-06"]
    assert report.store.labels[-1] == "2024-01-08"
    assert not take_in(tmp_path, complete=True).empty


def test_what_is_refused_names_the_remedy(tmp_path, capsys):
    options = {**OPTIONS, "window": "1D", "allow_unrelated": True, "scheduler": "serial"}
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(4):
        pq.write_table(make_day(day), folder / f"day-{day}.parquet")
    run(folder, tmp_path / "store", **options)
    pq.write_table(make_dirty_day(4, is_bad=False), folder / "day-4.parquet")
    with pytest.raises(BadRowsError, match=r"more than once.*duplicates"):
        take_in(tmp_path, complete=True)


def test_the_command_says_how_many(tmp_path, capsys):
    write_dirty_days(tmp_path / "days", range(4))
    common = ["--time", "when", "--id", "who", "--window", "1D", "--n-neighbors", "5", "--n-epochs", "3"]
    common.append("--allow-unrelated")
    rules = ["--duplicates", "last", "--on-bad-rows", "drop"]
    source, store = str(tmp_path / "days"), str(tmp_path / "maps.zarr")
    assert run_command(["plan", source, *common, *rules]) == 0
    said = capsys.readouterr().out
    assert "Dropped" in said
    assert (
        "dropped rows: 12 without an id, or with missing or infinite numbers (on_bad_rows): 3 of '2024-01-01'" in said
    )
    assert "the last row stands for each (duplicates): " in said
    assert run_command(["run", source, *common, *rules, "--store", store, "--scheduler", "serial", "--quiet"]) == 0
    assert "dropped rows: 12" in capsys.readouterr().out
    assert run_command(["status", store]) == 0
    said = capsys.readouterr().out
    assert "Repeated" in said
    assert "dropped rows: 12" in said
    assert run_command(["status", store, "--json"]) == 0
    assert '"n_dropped": 3' in capsys.readouterr().out


def test_an_ingest_may_bring_a_rule_in_place_of_a_refusal(tmp_path, capsys):
    options = {**OPTIONS, "window": "1D", "allow_unrelated": True, "scheduler": "serial"}
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(4):
        pq.write_table(make_day(day), folder / f"day-{day}.parquet")
    run(folder, tmp_path / "store", **options)
    pq.write_table(make_dirty_day(4), folder / "day-4.parquet")
    with pytest.raises(BadRowsError, match="on_bad_rows drop"):
        take_in(tmp_path, complete=True)
    common = ["ingest", str(tmp_path / "store"), "--complete", "--scheduler", "serial"]
    assert run_command([*common, "--duplicates", "last", "--on-bad-rows", "drop"]) == 0
    assert "on_bad_rows is 'drop' from here on" in capsys.readouterr().out
    store = Store.open(tmp_path / "store")
    assert store.state()[-1].n_dropped == 3
    assert store.config["source"]["duplicates"] == "last"
    with pytest.raises(ConfigError, match="was made with 'last'"):
        take_in(tmp_path, duplicates="mean")
    with pytest.raises(ConfigError, match="'refuse' or 'drop' was expected"):
        take_in(tmp_path, on_bad_rows="skip")
    assert take_in(tmp_path, duplicates="last", on_bad_rows="drop").did_nothing
    rows = make_dirty_day(4).slice(0, 30)
    with pytest.raises(SourceError, match="row 8 of the source have none"):
        place(store, rows, on_bad_rows="refuse")
    assert place(store, rows).num_rows == 27
    twice = pa.concat_tables([make_day(4), make_day(4)])
    assert place(store, twice, duplicates="refuse").num_rows == 2 * place(store, twice).num_rows
    pq.write_table(twice, tmp_path / "new.parquet")
    arguments = ["place", str(tmp_path / "store"), str(tmp_path / "new.parquet"), "-o", str(tmp_path / "out.csv")]
    assert run_command([*arguments, "--duplicates", "mean"]) == 0
    assert "40 rows left out (on_bad_rows, duplicates)" in capsys.readouterr().out


@pytest.mark.parametrize("rule", ["last", "mean"])
def test_final_windows_with_rows_left_out_are_seen_to_be_altered(tmp_path, rule):
    options = {**OPTIONS, "duplicates": rule, "on_bad_rows": "drop", "scheduler": "serial"}
    write_dirty_days(tmp_path / "days", range(7))
    store = run(tmp_path / "days", tmp_path / "store", **options)
    assert store.state()[1].status == "final"
    assert not take_in(tmp_path).altered
    path = tmp_path / "days" / "day-001-a.parquet"
    written = pq.read_table(path)
    pq.write_table(written, path, compression="none")
    assert not take_in(tmp_path).altered
    other = pa.array(
        [None if v is None else [one + 1 for one in v] for v in written["v"].to_pylist()], written["v"].type
    )
    pq.write_table(written.set_column(3, "v", other), path)
    assert take_in(tmp_path).altered == ["2024-01-01", "2024-01-02"]
    none_left = pa.array([None] * written.num_rows, written["v"].type)
    for name in ("day-001-a.parquet", "day-002-a.parquet"):
        pq.write_table(written.set_column(3, "v", none_left), tmp_path / "days" / name)
    assert "2024-01-01" in take_in(tmp_path).altered
