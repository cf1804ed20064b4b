"""The log of a store that grows: windows are added, rebuilt, left behind in older generations, and pruned."""

from __future__ import annotations

import json

import pytest

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import Store, open_store
from driftmap.pipeline.store.log.commits import CommitConflictError
from driftmap.pipeline.store.log.growth import Growth


def make_facts(number):
    start = f"2024-01-{number + 1:02}"
    return {"label": start, "n_rows": 6, "start": start, "end": f"2024-01-{number + 2:02}", "digest": "d"}


def make_receipt(index, attempt):
    return {"index": index, "label": "", "attempt": attempt, "n_rows": 6, "n_edges": 9, "has_ids": True,
            "label_columns": ["party"], "seconds": 0.1, "bytes": 10}  # fmt: skip


def add_window(store, index, *, final=(), rebuilt=()):
    built = [{"facts": make_facts(i), "receipt": make_receipt(i, f"g{store.n_commits}")} for i in (*rebuilt, index)]
    moving = [i for i in range(max(0, index - 2), index + 1) if i not in final]
    store.commit_growth(
        "ingest",
        {"block": store.n_blocks_done, "attempt": f"l{store.n_commits}", "windows": built, "final": list(final),
         "provisional": moving, "moved": {str(index - 1): 0.25}, "quality": {str(index): {"drift": 0.1}}},
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    made = Store.create(tmp_path / "s", config={}, windows=[make_facts(0)], fingerprint={})
    for index in range(1, 5):
        add_window(made, index, final=[index - 2] if index >= 2 else [])
    return made


def test_windows_are_added_and_become_final(store):
    assert [w.status for w in store.state()] == ["final"] * 3 + ["provisional"] * 2
    assert store.labels[-1] == "2024-01-05"
    assert store.state()[3].moved == 0.25
    assert store.state()[4].quality == {"drift": 0.1}
    assert store.growth.n_ingests == 4
    assert store.growth.last_ingest is not None
    assert store.growth.origin == "2024-01-01"
    assert [w.index for w in open_store(store.path).state()] == [0, 1, 2, 3, 4]


def test_since_is_kept_while_the_status_stays(store):
    times = [json.loads(file.read_text())["time"] for file in sorted((store.path / "commits").glob("*.json"))]
    # window 3 became provisional with commit 3 and was moved again by commit 4; window 2 became final with commit 4
    assert store.state()[3].since == times[3]
    assert store.state()[2].since == times[4]
    assert store.state()[3].commit == store.state()[2].commit == 4


def test_a_rebuilt_window_has_a_new_graph(store):
    before = store.state()[4].graph_attempt
    add_window(store, 5, final=[3], rebuilt=[4])
    assert store.state()[4].graph_attempt not in (None, before)
    assert store.state()[4].status == "provisional"


def test_an_older_generation_stays_readable_until_it_is_pruned(store):
    labels = store.labels
    store.commit_growth("reopen", {"first": 2, "generation": 1, "slots": []})
    add_window(store, 2)
    assert open_store(store.path).labels == labels[:3]
    assert open_store(store.path).generation == 1
    old = open_store(store.path, generation=0)
    assert old.labels == labels
    assert old._find(labels[4]).index == 4
    with pytest.raises(StoreError, match=r"no generation 7 .* there are: 0, 1"):
        open_store(store.path, generation=7)
    store.commit_growth("pruned", {"generations": [0], "graphs": [0], "maps": []})
    assert not old.refresh()
    assert old.labels == labels
    with pytest.raises(StoreError, match="no generation 0"):
        open_store(store.path, generation=0)
    with pytest.raises(StoreError, match=r"graph of window '2024-01-01' was removed"):
        store.fuzzy_graph(0)


def test_parts_are_added_changed_and_removed(store):
    parts = {"a.parquet": [[10, 5], 7, {"0": 4, "1": 3}, "2024-01-02T03:00"], "b.parquet": [[1, 1], 2, {"1": 2}, None]}
    store.commit_growth("source", {"parts": parts, "removed": []})
    store.commit_growth("set_aside", {"skipped": {"7": ["2024-01-08", "no rows", 0]}, "kept_out": {"3": 9}})
    growth = open_store(store.path).growth
    assert growth.count_rows() == {"0": 4, "1": 5}
    assert growth.newest == "2024-01-02T03:00"
    assert growth.skipped["7"].reason == "no rows"
    store.commit_growth("source", {"parts": {}, "removed": ["a.parquet"]})
    assert open_store(store.path).growth.count_rows() == {"1": 2}


def test_growth_survives_json(store):
    store.commit_growth("source", {"parts": {"a": [[10, 5], 7, {"0": 4}, "2024-01-02"]}, "removed": []})
    store.commit_growth("set_aside", {"skipped": {"7": ["2024-01-08", "no rows", 0]}, "kept_out": {"3": 9}})
    store.commit_growth("reopen", {"first": 2, "generation": 1, "slots": ["7"]})
    assert store.growth.skipped == {}
    assert Growth.from_json(json.loads(json.dumps(store.growth.to_json()))) == store.growth


def test_a_commit_of_another_process_is_not_overlooked(store):
    other = Store.open(store.path, read_only=False)
    add_window(store, 5)
    with pytest.raises(CommitConflictError, match="another process writes"):
        add_window(other, 5)
