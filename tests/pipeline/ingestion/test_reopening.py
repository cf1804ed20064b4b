"""Reopening: a store goes back to before a window, and is laid out again from there as a new generation."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.damage import find_group, flip_a_bit, list_chunks
from tests.pipeline.growing import N_ROWS, OPTIONS, make_day, make_store, read_maps, take_in, write_days

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline import explain, open_store, prune, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, PlanWarning, SourceError, StoreError
from driftmap.pipeline.ingestion.ingest import BadRowsError
from driftmap.pipeline.ingestion.new_maps import NewMaps
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.verify import find_damage, find_orphans


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A store of six days: five windows of two days, the last two provisional; a seventh day is there."""
    folder = tmp_path_factory.mktemp("begun")
    make_store(folder / "days", folder / "store")
    write_days(folder / "days", range(6, 7))  # now the window of days 4 and 5 is whole
    return folder


@pytest.fixture
def place(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "p")
    return tmp_path / "p"


def test_reopen_goes_back_and_leaves_the_old_generation(place):
    before = read_maps(open_store(place / "store"))
    pq.write_table(make_day(2, n_rows=10, first=9000), place / "days" / "late.parquet")
    report = take_in(place, reopen=True)
    assert report.reopened == "2024-01-02"
    assert report.new == ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    assert report.late == []
    store = open_store(place / "store")
    assert store.generation == 1
    assert [w.n_rows for w in store.state()] == [80, 90, 90, 80, 80]
    assert store.positions("2024-01-01").tobytes() == before["2024-01-01"]
    assert read_maps(open_store(place / "store", generation=0)) == before
    assert take_in(place, reopen=True).did_nothing


@pytest.mark.parametrize("how", ["keep", "explain"])
def test_the_old_generation_stays_whole_when_a_graph_that_it_shares_is_replaced(place, how):
    pq.write_table(make_day(3, n_rows=10, first=9000), place / "days" / "late.parquet")
    before = read_maps(open_store(place / "store"))
    write_days(place / "days", range(7, 12))
    assert take_in(place, reopen=True).reopened == "2024-01-03"
    if how == "keep":
        assert take_in(place, keep="1").n_pruned > 2
    else:
        done = explain(place / "store", place / "days", text="kind", scheduler="serial")
        assert done.filled == open_store(place / "store").labels
    assert find_damage(open_store(place / "store")) == []
    old = open_store(place / "store", generation=0)
    assert read_maps(old) == before
    assert [window.pruned for window in old.state()] == ["graph" if how == "keep" else ""] * 2 + [""] * 3
    assert len(old.window_ids(0)) == len(old.positions(0))
    assert run_command(["verify", str(place / "store")]) == 0


def test_reopen_from_the_very_first_window(place):
    pq.write_table(make_day(0, n_rows=10, first=9000), place / "days" / "late.parquet")
    assert take_in(place, reopen=True).reopened == "2024-01-01"
    store = open_store(place / "store")
    assert [w.n_rows for w in store.state()] == [90, 80, 80, 80, 80]
    assert [w.status for w in store.state()] == ["final"] * 3 + ["provisional"] * 2


def test_a_damaged_window_of_a_grown_store_is_made_again(place, capsys):
    write_days(place / "days", range(7, 10))
    take_in(place)
    before = read_maps(open_store(place / "store"))
    window = open_store(place / "store").labels.index("2024-01-06")
    flip_a_bit(list_chunks(find_group(open_store(place / "store"), window, "positions") / "positions")[0])
    assert run_command(["verify", str(place / "store")]) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    command = said.removeprefix("to make it good: driftmap ").split()
    assert run_command(["verify", str(place / "store"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["remedy"] == said
    assert command == ["ingest", str(place / "store"), "--reopen-from", "2024-01-06"]
    assert run_command([*command, "--source", str(place / "days")]) == 0
    assert "reopened from '2024-01-06' as generation 1" in capsys.readouterr().out
    store = open_store(place / "store")
    assert find_damage(store, with_older=False) == []
    assert read_maps(store).keys() == before.keys()
    early = [label for label in before if label < "2024-01-06"]
    assert [store.positions(label).tobytes() for label in early] == [before[label] for label in early]
    assert run_command(["verify", str(place / "store")]) == 1
    assert "`driftmap prune` removes it" in capsys.readouterr().out
    assert run_command(["prune", str(place / "store")]) == 0
    capsys.readouterr()
    assert run_command(["verify", str(place / "store"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remedy"] is None


def read_remedy(store, capsys):
    """The command that `verify` names, without the program."""
    capsys.readouterr()
    assert run_command(["verify", str(store)]) == 1
    return capsys.readouterr().out.splitlines()[-1].rpartition(": driftmap ")[2].split()


def test_an_error_about_a_damaged_array_leads_to_what_makes_it_good(place, capsys):
    store = open_store(place / "store")
    flip_a_bit(list_chunks(find_group(store, 1, "positions") / "positions")[0])
    for grow in (False, True):  # after the run, and after an ingest
        if grow:
            take_in(place)
        assert run_command(["export", str(store.path), "-o", str(place / "maps.csv")]) == 2
        assert (
            capsys.readouterr()
            .err.rstrip()
            .endswith(f"; `driftmap verify {store.path}` names all that is damaged, and what makes it good")
        )
        assert read_remedy(store.path, capsys) == ["ingest", str(store.path), "--reopen-from", "2024-01-02"]
    assert run_command([*read_remedy(store.path, capsys), "--source", str(place / "days")]) == 0
    assert find_damage(open_store(store.path), with_older=False) == []


def test_the_remedy_goes_back_to_where_graphs_are_there(place, capsys):
    write_days(place / "days", range(7, 12))
    take_in(place)
    prune(place / "store", keep="1")
    store = open_store(place / "store")
    assert [window.pruned for window in store.state()[4:6]] == ["graph", ""]
    flip_a_bit(list_chunks(find_group(store, 6, "positions") / "positions")[0])
    with pytest.raises(StoreError, match=r"cannot go back.*'2024-01-07'.*earlier one \(reopen_from '2024-01-01'\)"):
        take_in(place, reopen_from="2024-01-07")
    remedy = read_remedy(store.path, capsys)
    assert remedy[-2:] == ["--reopen-from", "2024-01-01"]
    assert run_command([*remedy, "--source", str(place / "days")]) == 0
    assert find_damage(open_store(store.path), with_older=False) == []


def test_rows_that_were_corrected_after_their_window_was_final_come_in(place):
    before = read_maps(open_store(place / "store"))
    pq.write_table(make_day(2, seed=1), place / "days" / "day-002.parquet")
    take_in(place)
    assert open_store(place / "store").positions("2024-01-02").tobytes() == before["2024-01-02"]  # final
    report = take_in(place, reopen_from="2024-01-02")
    assert report.reopened == "2024-01-02"
    assert report.new == ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    store = open_store(place / "store")
    assert store.positions("2024-01-01").tobytes() == before["2024-01-01"]
    assert store.positions("2024-01-02").tobytes() != before["2024-01-02"]
    assert [w.n_rows for w in store.state()] == [2 * N_ROWS] * 5


def spoil_numbers(place):
    bad = np.full((N_ROWS, 6), np.nan, dtype=np.float32)
    day = make_day(2)
    column = pa.FixedSizeListArray.from_arrays(pa.array(bad.ravel()), 6)
    pq.write_table(day.set_column(day.column_names.index("v"), "v", column), place / "days" / "day-002.parquet")


def repeat_ids(place):
    shutil.copy(place / "days" / "day-001.parquet", place / "days" / "again.parquet")


def empty_a_window(place):
    for day in (2, 3):
        pq.write_table(make_day(day).slice(0, 0), place / "days" / f"day-{day:03}.parquet")


def take_a_file_away(place):
    (place / "days" / "day-002.parquet").unlink()


def cut_a_page(place):
    file = place / "days" / "day-002.parquet"
    group = pq.read_metadata(file).row_group(0)
    begin = group.column(group.num_columns - 1).data_page_offset  # of the vectors: times are read first
    content = bytearray(file.read_bytes())
    content[begin : begin + 40] = bytes(40)
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "options", "words"),
    [
        (spoil_numbers, {}, "'2024-01-02' cannot be added: day-002.parquet: vectors hold NaN"),
        (spoil_numbers, {"reopen_from": "2024-01-02"}, "'2024-01-02' cannot be added"),
        (repeat_ids, {}, "'2024-01-01' cannot be added: it has 40 ids more than once"),
        (empty_a_window, {"on_empty": "refuse"}, "'2024-01-03' cannot be added: it has no rows"),
        (
            take_a_file_away,
            {"on_empty": "refuse", "reopen_from": "2024-01-01"},
            "'2024-01-03' cannot be added: it shares no id",
        ),
        (cut_a_page, {"reopen_from": "2024-01-01"}, "'2024-01-02' cannot be added: day-002.parquet"),
    ],
)
def test_a_reopening_that_cannot_be_leaves_the_store_as_it_was(place, spoil, options, words):
    take_in(place)
    store = open_store(place / "store")
    before, files = read_maps(store), sorted((place / "store" / "windows").rglob("*"))
    spoil(place)
    with pytest.raises(BadRowsError, match=words) as refused:
        take_in(place, **{"reopen": True, **options})
    assert str(refused.value).endswith("(the store was not reopened)")
    store = open_store(place / "store")
    assert (store.generation, read_maps(store)) == (0, before)
    assert sorted((place / "store" / "windows").rglob("*")) == files
    write_days(place / "days", range(7))
    (place / "days" / "again.parquet").unlink(missing_ok=True)
    assert read_maps(open_store(take_in(place).store.path)) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_bad": "skip"}, "the first one, '2024-01-01', for one: day-000.parquet: vectors hold NaN"),
        ({}, "are empty"),
    ],
)
def test_a_store_is_not_reopened_to_be_without_any_window(place, options, words):
    before = read_maps(open_store(place / "store"))
    for day in range(7):
        table = make_day(day)
        bad = pa.FixedSizeListArray.from_arrays(pa.array(np.full(N_ROWS * 6, np.nan, dtype=np.float32)), 6)
        table = table.set_column(3, "v", bad) if options else table.slice(0, 0 if day < 6 else N_ROWS)
        pq.write_table(table, place / "days" / f"day-{day:03}.parquet")
    with pytest.raises(SourceError, match=f"none of the windows .*{words}.*not reopened"):
        take_in(place, reopen_from="2024-01-01", **options)
    assert read_maps(open_store(place / "store")) == before


def test_what_ends_a_reopening_after_it_began_is_made_good_by_the_next_ingest(place, capsys, monkeypatch):
    pq.write_table(make_day(0, n_rows=10, first=9000), place / "days" / "late.parquet")
    shutil.copytree(place, place.with_name("other"))
    take_in(place.with_name("other"), reopen=True)
    with monkeypatch.context() as patch:
        patch.setattr(NewMaps, "add", lambda *_given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take_in(place, reopen=True)
    assert run_command(["export", str(place / "store"), "-o", str(place / "maps.csv")]) == 2
    assert "and `driftmap ingest` goes on" in capsys.readouterr().err
    assert take_in(place).new == ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    assert take_in(place).did_nothing
    assert read_maps(open_store(place / "store")) == read_maps(open_store(place.with_name("other") / "store"))


def test_windows_that_are_not_whole_any_more_are_named(place):
    pq.write_table(make_day(2, n_rows=10, first=9000), place / "days" / "late.parquet")
    with pytest.warns(PlanWarning, match=r"^'2024-01-04', '2024-01-05' of the windows that.*wait.*complete takes"):
        take_in(place, reopen=True, grace="2D")
    assert open_store(place / "store").labels[-1] == "2024-01-03"
    assert take_in(place).new == ["2024-01-04", "2024-01-05"]


def test_a_bad_window_that_the_store_never_had_does_not_keep_it_from_reopening(place):
    pq.write_table(make_day(2, n_rows=10, first=9000), place / "days" / "late.parquet")
    write_days(place / "days", range(7, 9))
    shutil.copy(place / "days" / "day-007.parquet", place / "days" / "again.parquet")
    with pytest.raises(BadRowsError, match=r"'2024-01-07' cannot be added.*more than once"):
        take_in(place, reopen=True)
    store = open_store(place / "store")
    assert (store.generation, store.labels[-1]) == (1, "2024-01-06")
    assert [w.n_rows for w in store.state()][:3] == [80, 90, 90]


def test_files_to_blame_are_moved_before_a_reopening(place):
    late = make_day(2, n_rows=10, first=9000).to_pandas()
    late.loc[3, "who"] = None
    late.to_parquet(place / "days" / "late.parquet", index=False)
    pq.write_table(make_day(3, n_rows=10, first=8000), place / "days" / "later.parquet")
    shutil.copytree(place, place.with_name("other"))
    report = take_in(place, reopen=True, quarantine=place / "bad")
    assert (report.quarantined, report.reopened) == (["late.parquet"], "2024-01-03")
    assert [w.n_rows for w in open_store(place / "store").state()] == [80, 80, 90, 90, 80]
    assert take_in(place).did_nothing
    assert find_orphans(open_store(place / "store")) == {}
    (place.with_name("other") / "days" / "late.parquet").unlink()  # as after a kill behind the move
    assert take_in(place.with_name("other"), reopen=True).reopened == "2024-01-03"
    assert read_maps(open_store(place / "store")) == read_maps(open_store(place.with_name("other") / "store"))


def test_nothing_is_reopened_where_all_late_rows_were_moved_away(place):
    late = make_day(2, n_rows=10, first=9000).to_pandas()
    late.loc[3, "who"] = None
    late.to_parquet(place / "days" / "late.parquet", index=False)
    before = read_maps(open_store(place / "store"))
    report = take_in(place, reopen=True, quarantine=place / "bad")
    assert (report.quarantined, report.reopened, report.late) == (["late.parquet"], None, [])
    assert read_maps(open_store(place / "store")) == before


def test_a_damaged_window_is_found_before_those_after_it_are_given_up(place):
    store = open_store(place / "store")
    flip_a_bit(list_chunks(find_group(store, 0, "positions") / "positions")[0])
    with pytest.raises(StoreError, match="damaged"):
        take_in(place, reopen_from="2024-01-03")
    assert open_store(place / "store").generation == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reopen_from": "2025"}, "no such window"),
        ({"quarantine": "days/bad"}, "inside the source"),
        ({"relations": {"window": ["2024-01-01"]}}, "other_window"),
    ],
)
def test_what_cannot_be_is_refused_before_a_rule_is_taken_over(place, options, words):
    n_commits = open_store(place / "store").n_commits
    options = {name: place / value if name == "quarantine" else value for name, value in options.items()}
    with pytest.raises(DriftmapError, match=words):
        take_in(place, on_bad_rows="drop", **options)
    assert open_store(place / "store").n_commits == n_commits


def test_a_run_that_is_not_done_keeps_its_rules(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit_layout", lambda *_given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_store(tmp_path / "days", tmp_path / "store")
    with pytest.raises(StoreError, match="not finished"):
        take_in(tmp_path, duplicates="first")
    assert run(tmp_path / "days", tmp_path / "store", scheduler="serial", **OPTIONS).is_complete


def test_a_window_that_is_not_there_is_refused_before_any_work(place):
    n_commits = open_store(place / "store").n_commits
    with pytest.raises(ConfigError, match=r"reopen_from is '2025'.*no such window.*last one is '2024-01-05'"):
        take_in(place, reopen_from="2025")
    assert open_store(place / "store").n_commits == n_commits
