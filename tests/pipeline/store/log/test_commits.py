"""The log is a chain: what was flipped, lost, exchanged or cut short is found, and named."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
from tests.pipeline.store.log.test_checkpoints import commit_everything, make_receipt, make_store

from driftmap.pipeline.errors import StoreError, StoreWarning
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log import lock as lock_file
from driftmap.pipeline.store.log.commits import CommitConflictError, CommitLog, has_commits
from driftmap.pipeline.store.log.lock import hold_lock
from driftmap.pipeline.store.log.windows import WindowState
from driftmap.pipeline.store.verify import check_log, remove_orphans


@pytest.fixture
def path(tmp_path):
    """A store with a commit of every kind."""
    commit_everything(make_store(tmp_path / "s", 3))
    return tmp_path / "s"


def list_commits(path):
    return sorted((path / "commits").iterdir())


def read_state(path):
    store = Store.open(path)
    return store.state(), store.config, store.fingerprint, store.growth.to_json()


def test_every_flipped_bit_of_every_commit_is_found(path):
    for file in list_commits(path):
        content = file.read_bytes()
        step = 1 if file.name == "00000001.json" else 7
        for position in range(0, len(content), step):
            changed = bytearray(content)
            changed[position] ^= 1 << (position % 8)
            file.write_bytes(changed)
            with pytest.raises((StoreError, StoreWarning)):
                Store.open(path)
        file.write_bytes(content)
    assert read_state(path)


def test_a_missing_commit_is_named_and_nothing_is_removed(path):
    files = list_commits(path)
    kept = files[2].read_bytes()
    files[2].unlink()
    stray = path / "windows/00000000/stray/zarr.json"
    stray.parent.mkdir(parents=True)
    stray.write_text("{}")
    with pytest.raises(StoreError, match=r"00000002.json is missing, and commits up to \d+ follow it.*0 to 1 can be"):
        Store.open(path, read_only=False)
    files[2].write_bytes(kept)
    assert read_state(path)
    opened = Store.open(path, read_only=False)
    files[2].unlink()  # lost after it was opened
    with hold_lock(opened.location) as opened.lock, pytest.raises(StoreError, match="nothing is removed"):
        remove_orphans(opened)
    assert stray.exists()


def test_the_first_commit_is_missed_too(path):
    list_commits(path)[0].unlink()
    with pytest.raises(StoreError, match=r"00000000.json is missing.*nothing can be read"):
        Store.open(path)
    with pytest.raises(StoreError, match="is missing"):
        make_store(path, 3)


def test_a_commit_of_another_store_does_not_follow(path, tmp_path):
    commit_everything(make_store(tmp_path / "other", 4))
    files, others = list_commits(path), list_commits(tmp_path / "other")
    shutil.copy(others[3], files[3])
    with pytest.raises(StoreError, match=r"00000003.json does not follow the commits before it"):
        Store.open(path)


@pytest.mark.parametrize("rest", [0, 1, 40, -2, b"\0" * 64])
def test_a_newest_commit_that_was_cut_short_is_left_out_and_written_again(path, rest):
    last = list_commits(path)[-1]
    content = last.read_bytes()
    last.write_bytes(rest if isinstance(rest, bytes) else content[:rest])
    with pytest.warns(StoreWarning, match="was cut short and is left out"):
        store = Store.open(path, read_only=False)
    assert store.n_commits == len(list_commits(path)) - 1
    assert "cut short" in check_log(store)[0]
    store.commit_growth("pruned", {"generations": [], "graphs": [0], "maps": []})
    assert Store.open(path).n_commits == store.n_commits == len(list_commits(path))
    assert not check_log(Store.open(path))


def test_a_commit_that_was_cut_short_below_others_is_damage(path):
    file = list_commits(path)[1]
    file.write_bytes(file.read_bytes()[:30])
    with pytest.raises(StoreError, match=r"00000001.json is damaged"):
        Store.open(path)


def strip(file):
    """Make of a commit what driftmap 0.1 wrote."""
    payload = json.loads(file.read_text())
    del payload["checksum"], payload["previous"]
    file.write_text(json.dumps(payload, indent=1, sort_keys=True))


def test_a_log_without_checksums_is_read_and_bound_by_the_next_commit(path):
    before = read_state(path)
    for file in list_commits(path):
        strip(file)
    assert read_state(path) == before
    Store.open(path, read_only=False).commit_growth("pruned", {"generations": [], "graphs": [0], "maps": []})
    assert not check_log(Store.open(path))
    file = list_commits(path)[2]
    file.write_text(file.read_text().replace('"n_edges": 9', '"n_edges": 8'))
    with pytest.raises(StoreError, match="does not follow the commits before it"):
        Store.open(path)


def test_after_a_chained_commit_no_other_is_taken(path):
    strip(list_commits(path)[-1])
    with pytest.raises(StoreError, match="is not chained to the commits before it"):
        Store.open(path)


@pytest.mark.parametrize(
    "content", [b"[]", b"7", b"{}", b'{"kind": 3}', b"[" * 100_000, b"\xff\xfe", b'{"kind": "graph"}']
)
def test_any_other_content_of_a_commit_is_one_message(path, content):
    list_commits(path)[1].write_bytes(content)
    with pytest.raises(StoreError, match=r"commit"):
        Store.open(path)
    with pytest.raises(StoreError):
        CommitLog(path).read_new()


def commit_more(path, n_commits):
    """Commit something, several times, as a writer that holds the store."""
    with hold_lock(Location(path)) as lock:
        store = Store.open(path, read_only=False)
        store.lock = lock
        for _ in range(n_commits):
            store.commit_growth("pruned", {"generations": [], "graphs": [0], "maps": []})


def test_newest_commits_that_are_missing_are_said_and_nothing_is_removed(path):
    commit_more(path, 3)
    n_commits = len(list_commits(path))
    for file in list_commits(path)[-2:]:
        file.unlink()
    with pytest.warns(StoreWarning, match=rf"{n_commits - 2:08}.json is missing: the log had {n_commits} commits"):
        store = Store.open(path, read_only=False)
    assert store.n_commits == n_commits - 2
    assert "delete the folder" in check_log(store)[0]
    with hold_lock(store.location) as store.lock, pytest.raises(StoreError, match="nothing is removed"):
        remove_orphans(store)
    with pytest.warns(StoreWarning, match="is missing"):
        commit_more(path, 1)
    assert not check_log(Store.open(path))
    list_commits(path)[-1].unlink()
    with pytest.warns(StoreWarning, match="is missing"):
        Store.open(path)
    shutil.rmtree(path / "lock")
    assert not check_log(Store.open(path))


def test_a_newest_commit_that_was_cut_short_is_said_once(path):
    commit_more(path, 1)
    last = list_commits(path)[-1]
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.warns(StoreWarning) as said:
        Store.open(path)
    assert len(said) == 1


@pytest.mark.parametrize("changed", [{"commits": 99}, {"commits": -1}, {"commits": "5"}, {"commits": None}, {"at": 0}])
def test_a_lock_file_that_was_changed_says_nothing_wrong_of_the_log(path, changed):
    commit_more(path, 1)
    (file,) = (path / "lock").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    assert Store.open(path).n_commits == len(list_commits(path))


def test_readers_beside_a_writer_never_miss_a_commit(path, monkeypatch):
    monkeypatch.setattr(lock_file, "BEAT_SECONDS", 0.002)
    writer = threading.Thread(target=commit_more, args=(path, 40))
    writer.start()
    n_before = 0
    while writer.is_alive():
        store = Store.open(path)  # a warning would be an error
        assert not check_log(store)
        assert store.n_commits >= n_before
        n_before = store.n_commits
    writer.join()
    assert Store.open(path).n_commits == len(list_commits(path))


@pytest.mark.parametrize("rest", [b"", b"{", b"\0" * 90, None])
def test_a_first_commit_that_was_cut_short_is_no_store_and_is_written_again(tmp_path, rest):
    path = tmp_path / "s"
    state = make_store(path, 3).state()
    (first,) = list_commits(path)
    content = first.read_bytes()
    first.write_bytes(content[:100] + bytes(60) + content[160:] if rest is None else rest)  # None: a page was lost
    assert not has_commits(path)
    with pytest.raises(StoreError, match="is not a driftmap store: it has no commits log"):
        Store.open(path)
    with pytest.warns(StoreWarning, match="was cut short and is left out"):
        assert make_store(path, 3).state() == state
    assert Store.open(path).state() == state


@pytest.mark.parametrize("record", [{"n_clusters": 1}, {"attempt": 3}, [1]])
def test_clusters_of_another_form_are_damage(record):
    with pytest.raises(TypeError, match="clusters cannot be read"):
        WindowState(0, "w", 1, None, None, "d", clusters=record)


@pytest.mark.parametrize(
    "facts",
    [{"n_edges": {}}, {"bytes": "1"}, {"seconds": []}, {"quality": 3}, {"start": 5}, {"label_columns": ({"team": 1},)}],
)
def test_facts_of_a_window_of_another_type_are_damage(facts):
    with pytest.raises(TypeError, match=f"its {next(iter(facts))} cannot be read"):
        WindowState(**{"index": 0, "label": "w", "n_rows": 1, "start": None, "end": None, "digest": "d", **facts})


def test_what_lies_in_the_place_of_a_commit_and_cannot_be_read_ends_the_writer(tmp_path):
    store = make_store(tmp_path / "s", 3)
    (tmp_path / "s/commits/00000001.json").mkdir()
    with pytest.raises(CommitConflictError, match="commit 1 is not ours"):
        store.commit_graph(make_receipt(0))
    with pytest.raises(CommitConflictError, match="commit 1 is not ours"):
        store.commit_graphs([make_receipt(0), make_receipt(1)])
