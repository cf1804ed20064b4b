"""Checkpoints of the log: what they say is what the log says, and whoever cannot use one reads the log."""

from __future__ import annotations

import json

import pytest

from driftmap.pipeline.store import Store, open_store
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log import checkpoints as module


def make_facts(number):
    start = f"2024-{number:05}"
    return {"label": start, "n_rows": 6, "start": start, "end": start, "digest": "d"}


def make_receipt(index, attempt="g"):
    return {"index": index, "label": "", "attempt": attempt, "n_rows": 6, "n_edges": 9, "has_ids": True,
            "label_columns": ["party"], "seconds": 0.1, "bytes": 10}  # fmt: skip


def make_store(path, n_windows):
    return Store.create(path, config={"n": 1}, windows=map(make_facts, range(n_windows)), fingerprint={"rows": 6})


def commit_everything(store):
    """Commits of every kind, in an order in which they happen."""
    for index in range(3):
        store.commit_graph(make_receipt(index))
    store.commit_layout({"block": 0, "attempt": "l", "final": [0], "provisional": [1, 2], "seconds": 1.0})
    store.commit_growth("source", {"parts": {"a": [[1, 2], 6, {"0": 6}, "2024"]}, "removed": []})
    store.commit_growth("set_aside", {"skipped": {"7": ["w", "too few rows", 3]}, "kept_out": {"3": 2}})
    built = [{"facts": make_facts(3), "receipt": make_receipt(3)}]
    store.commit_growth(
        "ingest",
        {"block": 1, "attempt": "m", "windows": built, "final": [1], "provisional": [2, 3], "moved": {"2": 0.25},
         "quality": {"3": {"drift": 0.1}}},
    )  # fmt: skip
    store.commit_growth("reopen", {"generation": 1, "first": 2, "slots": ["7"]})
    store.commit_growth("ingest", {"block": 2, "attempt": "n", "windows": [{"facts": make_facts(2), "receipt":
        make_receipt(2, "h")}], "final": [], "provisional": [1, 2], "moved": {}, "quality": {}})  # fmt: skip
    store.commit_growth("pruned", {"generations": [], "graphs": [0], "maps": []})


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every commit."""
    monkeypatch.setattr(module, "next_checkpoint", lambda n_commits: n_commits + 1)


def list_checkpoints(path):
    return sorted(file.name for file in (path / module.FOLDER).glob("*"))


def test_the_state_after_every_kind_of_commit_comes_back(tmp_path, often):
    store = make_store(tmp_path / "s", 3)
    commit_everything(store)
    by_checkpoint = Store.open(tmp_path / "s")
    for file in (tmp_path / "s" / module.FOLDER).iterdir():
        file.unlink()
    by_log = Store.open(tmp_path / "s")
    assert by_checkpoint._state == by_log._state == store._state
    assert by_checkpoint.n_commits == 11
    assert open_store(tmp_path / "s", generation=0).labels == [make_facts(n)["label"] for n in range(4)]


def test_an_opener_reads_the_checkpoint_and_the_end_of_the_log(tmp_path, monkeypatch):
    store = make_store(tmp_path / "s", 1200)
    for index in range(1200):
        store.commit_graph(make_receipt(index))
    read, read_file = [], Location.read

    def note(location, name):
        read.append(name)
        return read_file(location, name)

    monkeypatch.setattr(Location, "read", note)
    assert Store.open(tmp_path / "s")._state == store._state
    assert len(read) < 1200 / module.GROWTH + 5
    assert len(list_checkpoints(tmp_path / "s")) == 2
    read.clear()
    store.refresh()
    assert read == ["commits/00001201.json"]


def test_checkpoints_come_at_geometric_intervals():
    due, lengths = module.next_checkpoint(0), []
    while due < 20_000:
        lengths.append(due)
        due = module.next_checkpoint(due)
    assert lengths[0] == module.MIN_COMMITS
    assert sum(lengths) < (module.GROWTH + 2) * 20_000  # windows written in all of them, for 20,000 commits


def test_what_was_committed_after_a_checkpoint_counts(tmp_path, often, monkeypatch):
    store = make_store(tmp_path / "s", 3)
    store.commit_graph(make_receipt(0))
    monkeypatch.setattr(module, "next_checkpoint", lambda n_commits: 1000)
    other = Store.open(tmp_path / "s", read_only=False)
    other.commit_graph(make_receipt(1))
    assert [w.status for w in Store.open(tmp_path / "s").state()] == ["graph", "graph", "planned"]
    assert store.refresh()
    assert store._state == other._state


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "schema", "directory"])
def test_a_checkpoint_that_cannot_be_used_is_passed_over(tmp_path, often, damage):
    store = make_store(tmp_path / "s", 3)
    for index in range(3):
        store.commit_graph(make_receipt(index))
    newest = tmp_path / "s" / module.FOLDER / "00000004.json"
    content = newest.read_bytes()
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        newest.write_bytes(content.replace(b'"2024-00001"', b'"2024-00009"'))
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "directory":
        newest.unlink()
        newest.mkdir()
    else:
        head, body, _ = content.decode().split("\n")
        newest.write_text(f"{json.dumps({**json.loads(head), 'schema': 'of another version'})}\n{body}\n")
    assert Store.open(tmp_path / "s")._state == store._state


def test_a_checkpoint_of_another_log_is_passed_over(tmp_path, often):
    store = make_store(tmp_path / "s", 3)
    store.commit_graph(make_receipt(0))
    store.commit_graph(make_receipt(1))
    (tmp_path / "s/commits/00000002.json").unlink()
    assert [w.status for w in Store.open(tmp_path / "s").state()] == ["graph", "planned", "planned"]
    other = Store.open(tmp_path / "s", read_only=False)
    other.commit_graph(make_receipt(2))
    assert [w.status for w in Store.open(tmp_path / "s").state()] == ["graph", "planned", "graph"]


def test_a_checkpoint_that_cannot_be_written_stops_nothing(tmp_path, often):
    store = make_store(tmp_path / "s", 3)
    (tmp_path / "s" / module.FOLDER).write_text("a file where the folder should be")
    store.commit_graph(make_receipt(0))
    assert Store.open(tmp_path / "s").state()[0].status == "graph"
