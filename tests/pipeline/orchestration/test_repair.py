"""What is damaged is found and named, and a run makes it again, only it, and with the same bytes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import obstore
import pytest
from tests.pipeline.damage import cut_log, find_group, flip_a_bit, list_chunks
from tests.pipeline.years import write_years

import driftmap.engine
from driftmap.pipeline import open_store, prune, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import GRAPH_ARRAYS, name_group
from driftmap.pipeline.store.disk.arrays import read_array
from driftmap.pipeline.store.log.commits import CommitLog
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.verify import find_damage, find_orphans, remove_orphans

N_WINDOWS, N_ROWS = 8, 40
OPTIONS = {"by": "year", "id": "entity", "label": "party", "vectors": "v", "n_neighbors": 5, "n_epochs": 8,
           "lookahead": 2, "alignment_window_size": 2, "block_windows": 2}  # fmt: skip
ARRAYS = ("ids", "label_0", *GRAPH_ARRAYS, "positions", "turnover", "clusters")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    return write_years(path, N_WINDOWS, [f"e{row}" for row in range(N_ROWS)], np.arange(N_ROWS) % 3)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftmap.pipeline.store.attempts.PACKED_BYTES", 0)  # as graphs of large windows lie
        return run(source, tmp_path_factory.mktemp("runs") / "whole", scheduler="serial", **OPTIONS)


@pytest.fixture
def packed(source, tmp_path):
    return run(source, tmp_path / "packed", scheduler="serial", **OPTIONS)


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "s")
    return open_store(tmp_path / "s")


def go_on(source, path):
    return run(source, path, scheduler="serial", **OPTIONS)


def read_everything(store: Store) -> dict[tuple[int, str], bytes]:
    found = {}
    for window in range(store.n_windows):
        for array in ARRAYS:
            if (window, array) == (0, "turnover"):  # the first window has none before it
                continue
            group = find_group(store, window, array).relative_to(store.path).as_posix()
            found[window, array] = read_array(store.path, f"{group}/{array}", "").tobytes()
    return found


def new_commits(store: Store, whole: Store) -> list:
    return CommitLog(store.path).read_range(range(whole.n_commits, store.n_commits))


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("how", ["flip", "short", "missing", "metadata"])
def test_damage_to_any_array_is_named(copy, array, how):
    folder = find_group(copy, 3, array) / array
    chunk = list_chunks(folder)[0]
    if how == "flip":
        flip_a_bit(chunk)
    elif how == "short":
        chunk.write_bytes(chunk.read_bytes()[:-3])
    elif how == "missing":
        shutil.rmtree(folder)
    else:
        flip_a_bit(folder / "zarr.json")
    (damage,) = find_damage(copy)
    assert (damage.number, damage.window, damage.array) == (3, "2003", array)
    assert damage.part == {"positions": "map", "clusters": "clusters", "turnover": "clusters"}.get(array, "graph")
    assert {"flip": "damaged", "short": "bytes of", "missing": "missing", "metadata": "zarr.json"}[how] in damage.reason


def test_a_group_whose_description_is_lost_or_changed_is_damaged(copy):
    flip_a_bit(find_group(copy, 1, "ids") / "zarr.json")
    (find_group(copy, 2, "positions") / "zarr.json").unlink()
    found = [(damage.number, damage.array) for damage in find_damage(copy)]
    assert found == [(1, "ids"), (1, "label_0"), *((1, array) for array in GRAPH_ARRAYS), (2, "positions")]


def test_a_file_that_cannot_be_read_is_damage_like_any_other(copy, whole, source, capsys):
    chunk = list_chunks(find_group(copy, 3, "positions") / "positions")[0]
    chunk.unlink()
    chunk.symlink_to(chunk)  # permissions would not keep root from it
    folder = find_group(copy, 5, "ids")
    shutil.rmtree(folder)
    folder.write_text("no folder")
    assert run_command(["verify", str(copy.path)]) == 1
    shown = capsys.readouterr().out
    assert "window '2003': map, array 'positions': the store" in shown
    assert "window '2005': graph, array 'ids': zarr.json of its group is missing" in shown
    store = go_on(source, copy.path)
    assert find_damage(store) == []
    assert read_everything(store) == read_everything(whole)


def test_groups_written_before_they_described_their_files_are_checked_by_their_chunks(copy):
    for metadata in copy.path.rglob("zarr.json"):
        facts = json.loads(metadata.read_text())
        if facts["node_type"] == "group":
            metadata.write_text(json.dumps({**facts, "attributes": {}}))
    assert find_damage(copy) == []
    flip_a_bit(list_chunks(find_group(copy, 3, "data") / "data")[0])
    (list_chunks(find_group(copy, 5, "positions") / "positions")[0]).unlink()
    first, second = find_damage(copy)
    assert (first.number, first.array, second.number, second.array) == (3, "data", 5, "positions")


@pytest.mark.parametrize("array", ["ids", "data"])
def test_a_damaged_graph_is_built_again_and_nothing_else_is(copy, whole, source, array):
    flip_a_bit(list_chunks(find_group(copy, 3, array) / array)[0])
    store = go_on(source, copy.path)
    (commit,) = new_commits(store, whole)
    assert (commit.kind, commit.payload["receipt"]["index"]) == ("rebuilt", 3)
    assert read_everything(store) == read_everything(whole)
    assert [w.status for w in store.state()] == [w.status for w in whole.state()]
    assert find_damage(store) == []


@pytest.mark.parametrize("how", ["flip", "short", "missing"])
def test_a_damaged_pack_is_named_and_built_again(packed, whole, source, how):
    pack = find_group(packed, 3, "data")
    assert pack.suffix == ".zip"
    if how == "flip":
        flip_a_bit(pack)
    elif how == "short":
        pack.write_bytes(pack.read_bytes()[:-3])
    else:
        pack.unlink()
    found = find_damage(packed)
    assert {(damage.number, damage.part) for damage in found} == {(3, "graph")}
    assert all(pack.name in damage.reason or how == "flip" for damage in found)
    store = go_on(source, packed.path)
    (commit,) = new_commits(store, whole)
    assert (commit.kind, commit.payload["receipt"]["index"]) == ("rebuilt", 3)
    assert read_everything(store) == read_everything(whole)
    assert run_command(["verify", str(packed.path), "--clean"]) == 0
    assert not pack.exists()
    assert find_damage(store) == []


def test_a_window_takes_at_most_eight_files(packed):
    prune(packed.path)  # maps that were provisional
    folders = [packed.path / f"windows/{window:08d}" for window in range(N_WINDOWS)]
    assert [sum(path.is_file() for path in folder.rglob("*")) for folder in folders] == [6] * N_WINDOWS


@pytest.mark.parametrize("window", [0, 3, 4, 7])
def test_a_damaged_map_is_laid_out_again_and_nothing_else_is(copy, whole, source, window):
    flip_a_bit(list_chunks(find_group(copy, window, "positions") / "positions")[0])
    store = go_on(source, copy.path)
    (commit,) = new_commits(store, whole)
    assert (commit.kind, commit.payload["windows"]) == ("relaid", [window])
    assert read_everything(store) == read_everything(whole)
    assert [w.status for w in store.state()] == [w.status for w in whole.state()]
    assert go_on(source, copy.path).n_commits == store.n_commits


@pytest.mark.parametrize(
    ("array", "windows"), [("clusters", [0]), ("clusters", [3]), ("clusters", [4, 5, 7]), ("turnover", [1, 6])]
)
def test_damaged_clusters_and_turnover_are_found_again_as_they_were(copy, whole, source, array, windows):
    for window in windows:
        flip_a_bit(list_chunks(find_group(copy, window, array) / array)[0])
    with pytest.raises(StoreError, match=f"array '{array}'"):
        getattr(copy, array)(windows[0])
    store = go_on(source, copy.path)
    commits = new_commits(store, whole)
    assert [(commit.kind, [*commit.payload["clusters"]]) for commit in commits] == [
        ("reclustered", [str(window)]) for window in windows
    ]
    assert read_everything(store) == read_everything(whole)
    assert store.lineage() == whole.lineage()
    assert find_damage(store) == []


def test_damage_to_a_bit_of_each_kind_of_array_at_once_is_mended(copy, whole, source):
    for window, array in [*enumerate(ARRAYS[:-3]), (2, "positions"), (3, "turnover"), (0, "clusters")]:
        flip_a_bit(list_chunks(find_group(copy, window, array) / array)[0])
    store = go_on(source, copy.path)
    assert sorted(commit.kind for commit in new_commits(store, whole)) == ["rebuilt"] * 8 + ["reclustered"] * 2 + [
        "relaid"
    ]
    assert read_everything(store) == read_everything(whole)


def test_maps_are_made_again_from_the_very_beginning_where_all_are_lost(copy, whole, source):
    for group in copy.path.glob("windows/*/*/positions"):
        shutil.rmtree(group.parent)
    store = go_on(source, copy.path)
    assert {commit.kind for commit in new_commits(store, whole)} == {"relaid"}
    assert read_everything(store) == read_everything(whole)
    flip_a_bit(list_chunks(find_group(store, 5, "positions") / "positions")[0])  # of one that was made again
    assert read_everything(go_on(source, copy.path)) == read_everything(whole)


def test_a_run_that_was_cut_off_and_damaged_is_mended_and_goes_on(copy, whole, source):
    cut_log(copy.path, whole.n_commits - 1)
    cut = open_store(copy.path)
    flip_a_bit(list_chunks(find_group(cut, 2, "positions") / "positions")[0])
    flip_a_bit(list_chunks(find_group(cut, 7, "indices") / "indices")[0])
    assert read_everything(go_on(source, copy.path)) == read_everything(whole)


def test_a_map_that_would_come_out_otherwise_is_not_replaced(copy, source, monkeypatch):
    from driftmap.pipeline.orchestration import repair

    lay_out = repair.lay_out_one

    def lay_out_elsewhere(*args):
        made = lay_out(*args)
        return made._replace(positions={i: p + np.float32(1e-3) for i, p in made.positions.items()})

    monkeypatch.setattr(repair, "lay_out_one", lay_out_elsewhere)
    flip_a_bit(list_chunks(find_group(copy, 3, "positions") / "positions")[0])
    with pytest.raises(StoreError, match=r"window '2003': map, array 'positions': .*comes out otherwise.*from a copy"):
        go_on(source, copy.path)
    assert open_store(copy.path).n_commits == copy.n_commits
    assert [damage.number for damage in find_damage(copy)] == [3]


def test_maps_before_the_one_that_would_come_out_otherwise_are_replaced(copy, whole, source, monkeypatch):
    from driftmap.pipeline.orchestration import repair

    lay_out = repair.lay_out_one

    def lay_out_elsewhere(job, block, *args):
        made = lay_out(job, block, *args)
        shift = np.float32(1e-3 if 7 in block.core else 0)
        return made._replace(positions={i: p + shift for i, p in made.positions.items()})

    monkeypatch.setattr(repair, "lay_out_one", lay_out_elsewhere)
    for window in (1, 7):
        flip_a_bit(list_chunks(find_group(copy, window, "positions") / "positions")[0])
    with pytest.raises(StoreError, match=r"window '2007': map, array 'positions': .*comes out otherwise.*from a copy"):
        go_on(source, copy.path)
    assert [damage.number for damage in find_damage(open_store(copy.path))] == [7]
    assert open_store(copy.path).positions(1).tobytes() == whole.positions(1).tobytes()


def test_a_graph_that_would_come_out_otherwise_is_not_replaced(copy, source, monkeypatch):
    search = driftmap.engine.build_knn_graph
    monkeypatch.setattr(driftmap.engine, "build_knn_graph", lambda vectors, *a: search(vectors * np.float32(1.5), *a))
    flip_a_bit(list_chunks(find_group(copy, 3, "data") / "data")[0])
    with pytest.raises(StoreError, match=r"window '2003': graph, array 'data': .*data came out otherwise"):
        go_on(source, copy.path)
    assert open_store(copy.path).n_commits == copy.n_commits


def test_what_no_commit_names_is_found_and_removed(copy, whole, source):
    before = {path for path in copy.path.rglob("*") if path.is_file()}
    assert find_orphans(copy) == {}
    shutil.copytree(find_group(copy, 3, "ids"), copy.path / name_group(3, "killed"))
    shutil.copytree(find_group(copy, 3, "ids"), copy.path / name_group(11, "killed"))
    for name in ("commits/00000003.json#1", "lock/00000000.json#2", "windows/00000003/killed/ids/c/0#4"):
        (copy.path / name).write_text("cut")
    (copy.path / "letter.txt").write_text("dear")
    assert "letter.txt" not in find_orphans(copy)
    with hold_lock(copy.location) as lock:
        with pytest.raises(StoreError, match="not held"):
            remove_orphans(copy)
        store = Store.open(copy.path, read_only=False)
        store.lock = lock
        assert len(remove_orphans(store)) > 30
        assert find_orphans(store) == {}
    (commit,) = new_commits(Store.open(copy.path), whole)
    assert commit.kind == "clean"
    assert read_everything(open_store(copy.path)) == read_everything(whole)
    after = {path for path in copy.path.rglob("*") if path.is_file()}
    assert before - after == {copy.path / "lock/00000000.json"}
    assert {path.name for path in after - before} == {"letter.txt", f"{commit.number:08d}.json", "00000001.json"}
    assert not (copy.path / "windows/00000011").exists()


def test_attempts_that_a_repair_replaced_are_removed_too(copy, whole, source):
    damaged = find_group(copy, 3, "positions")
    flip_a_bit(list_chunks(damaged / "positions")[0])
    go_on(source, copy.path)
    assert run_command(["verify", str(copy.path), "--clean"]) == 0
    assert not damaged.exists()
    assert read_everything(open_store(copy.path)) == read_everything(whole)
    assert go_on(source, copy.path).n_commits == whole.n_commits + 2


def test_the_command_tells_what_is_damaged(copy, capsys):
    assert run_command(["verify", str(copy.path)]) == 0
    assert f"{copy.path}: 87 arrays, 12 commits, nothing damaged\n" == capsys.readouterr().out
    flip_a_bit(list_chunks(find_group(copy, 3, "positions") / "positions")[0])
    (copy.path / "windows/00000000/stray").mkdir()
    (copy.path / "windows/00000000/stray/zarr.json").write_text("{}")
    assert run_command(["verify", str(copy.path)]) == 1
    shown = capsys.readouterr().out
    assert "window '2003': map, array 'positions': its file c/0/0 is damaged\n" in shown
    assert "1 damaged; 1 files of 0.00 MB that no commit names" in shown
    assert run_command(["verify", str(copy.path), "--json", "--clean"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["damaged"][0]["window"] == "2003"
    assert report["removed"] == {"files": 1, "bytes": 2}
    assert report["orphans"] == {"files": 0, "bytes": 0}
    assert run_command(["verify", str(copy.path / "absent")]) == 2


def test_a_damaged_commit_is_told_even_where_a_checkpoint_hides_it(copy, capsys, monkeypatch):
    from driftmap.pipeline.store.log import checkpoints

    monkeypatch.setattr(checkpoints, "next_checkpoint", lambda n_commits: n_commits + 1)
    writer = Store.open(copy.path, read_only=False)
    writer.commit_growth("set_aside", {"skipped": {}, "kept_out": {}})
    (copy.path / "commits/00000004.json").write_text("{")
    assert open_store(copy.path).is_complete
    assert run_command(["verify", str(copy.path)]) == 1
    assert "commits/00000004.json is damaged" in capsys.readouterr().out
    assert run_command(["verify", str(copy.path), "--clean"]) == 2
    assert "00000004.json is damaged" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.06, 0.21, 0.4, 0.63, 0.81, 0.99])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_stops_at_any_file_it_writes_is_made_good_by_the_next(packed, whole, source, tmp_path, share, when):
    written = sum(path.is_file() for path in packed.path.rglob("*"))
    put, n_calls = obstore.put, 0

    def put_or_stop(files, name, content, **options):
        nonlocal n_calls
        n_calls += 1
        is_last = n_calls == int(share * written)
        if is_last and when == "before":
            raise KeyboardInterrupt
        put(files, name, content, **options)
        if is_last:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(obstore, "put", put_or_stop)
        with pytest.raises(KeyboardInterrupt):
            go_on(source, tmp_path / "s")
    store = go_on(source, tmp_path / "s")
    assert read_everything(store) == read_everything(whole)
    assert run_command(["verify", str(store.path), "--clean"]) == 0
    assert find_orphans(open_store(store.path)) == {}
    assert sum(path.is_file() for path in store.path.rglob("*")) <= written + 1  # the commit that says it was cleaned
