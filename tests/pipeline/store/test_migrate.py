"""Formats of stores: version 1 is read for good, and the way from one version to the next is sure."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import name_group
from driftmap.pipeline.store.disk.arrays import read_array, write_arrays
from driftmap.pipeline.store.log import state
from driftmap.pipeline.store.migrate import migrate_store
from driftmap.pipeline.store.verify import find_damage

VERSION_1 = Path(__file__).resolve().parents[1] / "data" / "store-version-1.zip"
"""Made by driftmap 0.1.0 as it was first: three windows of twelve rows."""


@pytest.fixture
def old(tmp_path):
    with zipfile.ZipFile(VERSION_1) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "store"


def list_contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_a_store_of_version_1_is_read(old):
    expected = json.loads((old.parent / "expected.json").read_text())
    store = open_store(old)
    assert store.version == 1
    assert store.labels == expected["labels"]
    assert [window.status for window in store.state()] == expected["status"] == ["final", "final", "provisional"]
    digests = [hashlib.sha256(store.positions(window).tobytes()).hexdigest() for window in range(3)]
    assert digests == expected["positions"]
    assert store.window_ids(0).tolist() == expected["ids"]
    assert store.window_labels(0)["side"].tolist() == ["left", "right"] * 6
    assert store.fuzzy_graph(1).n_rows == 12
    assert store.to_table().num_rows == 36
    assert find_damage(store) == []
    assert run_command(["verify", str(old), "--clean"]) == 0


def test_the_log_of_an_old_store_is_chained_and_then_left_as_it_is(old, capsys):
    before = list_contents(old)
    assert not open_store(old).is_chained
    assert run_command(["migrate", str(old)]) == 0
    chained = "its log is chained by checksums from now on"
    assert capsys.readouterr().out == f"{old}: brought to format 2; {chained}\n"
    after = list_contents(old)
    assert {name: after[name] for name in before if not name.startswith("lock/")} == {
        name: content for name, content in before.items() if not name.startswith("lock/")
    }
    assert open_store(old).is_chained
    assert open_store(old).version == 2
    assert run_command(["migrate", str(old)]) == 0
    assert capsys.readouterr().out == f"{old}: in format 2, the newest; nothing to do\n"
    assert list_contents(old) == after
    first = old / "commits/00000001.json"
    first.write_bytes(first.read_bytes().replace(b"graph", b"Graph", 1))
    with pytest.raises(StoreError, match="does not follow the commits before it"):
        open_store(old)


@pytest.fixture
def made_up(monkeypatch):
    """Versions 2 and 3: each map has its spread beside it; a name for the whole."""
    monkeypatch.setattr(state, "FORMAT_VERSION", 3)
    monkeypatch.setattr(state, "OLDEST_WRITTEN", 3)
    calls = []

    def add_spreads(store):
        calls.append("spreads")
        for window in store.state():
            group = f"{name_group(window.index, window.layout_attempt)}-spread"
            if not store.location.has(f"{group}/zarr.json"):
                write_arrays(store.location, group, {"spread": store.positions(window.index).std(axis=0)})
            if len(calls) == 1 and window.index == 1:
                raise KeyboardInterrupt

    def add_name(store):
        calls.append("name")
        store.location.create("name.txt", b"maps")

    return {1: add_spreads, 2: add_name}, calls


def test_a_store_is_brought_on_step_by_step_and_may_be_killed(old, made_up):
    steps, calls = made_up
    assert open_store(old).version == 1  # reading needs no migration
    with pytest.raises(StoreError, match=r"format 1, and this driftmap writes format 3; .*driftmap migrate"):
        Store.open(old, read_only=False)
    with pytest.raises(KeyboardInterrupt):
        migrate_store(old, steps)
    assert open_store(old).version == 1
    assert migrate_store(old, steps) == [2, 3]
    assert calls == ["spreads", "spreads", "name"]
    store = Store.open(old, read_only=False)
    assert store.version == 3
    spread = read_array(old, f"{name_group(2, store.state()[2].layout_attempt)}-spread/spread", "")
    assert np.array_equal(spread, store.positions(2).std(axis=0))
    assert migrate_store(old, steps) == []


def test_versions_without_a_step_and_newer_ones_are_refused(old, made_up, monkeypatch):
    steps, _ = made_up
    with pytest.raises(StoreError, match="no step leads on from format 1"):
        migrate_store(old, {})
    with pytest.raises(KeyboardInterrupt):
        migrate_store(old, steps)
    migrate_store(old, steps)
    monkeypatch.setattr(state, "FORMAT_VERSION", 2)
    with pytest.raises(StoreError, match=r"is in store format 3; .*up to 2: upgrade"):
        open_store(old)


def test_new_stores_are_of_the_newest_format(tmp_path, made_up):
    assert Store.create(tmp_path / "new", config={}, windows=[], fingerprint={}).version == 3
