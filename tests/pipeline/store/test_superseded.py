"""A reader whose arrays another process removed is told so: they are gone, and nothing is damaged."""

from __future__ import annotations

import gc
import shutil
import weakref

import pytest
from tests.pipeline.store.damages import make_real_store, read_everything

from driftmap.pipeline import ingest, open_store, prune
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import pruning
from driftmap.pipeline.store.verify import find_damage


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store that was reopened, so that its windows were laid out twice."""
    path = make_real_store(tmp_path_factory.mktemp("made"), n_rows=16)
    ingest(path, reopen_from="2001", scheduler="serial", complete=True)
    return path


@pytest.fixture
def store(made, tmp_path):
    return shutil.copytree(made, tmp_path / "maps.zarr")


READS = {
    "map": lambda store: store.positions("2002"),
    "ids": lambda store: store.window_ids("2002"),
    "clusters": lambda store: store.clusters("2002"),
    "graph": lambda store: store.fuzzy_graph("2002"),
    "table": lambda store: store.to_table(),
}


@pytest.mark.parametrize("read", READS)
def test_what_prune_removed_is_named_as_gone_and_can_be_read_again(store, read):
    before = open_store(store, generation=0)
    READS[read](before)
    prune(store)
    with pytest.raises(StoreError, match=r"window '200\d' of the store .* another process built.*open the store again"):
        READS[read](before)
    assert not find_damage(before)
    READS[read](open_store(store))


def test_a_graph_that_prune_cut_out_is_gone(store, monkeypatch):
    before = open_store(store)
    monkeypatch.setattr(pruning, "list_old_windows", lambda opened, keep: opened.state()[:1])
    prune(store, keep=1)
    with pytest.raises(StoreError, match=r"window '2001' of the store .* another process built"):
        before.fuzzy_graph("2001")
    before.positions("2001")
    assert not find_damage(before)


def test_what_is_still_named_is_damaged(store):
    before = open_store(store)
    window = before.state()[1]
    shutil.rmtree(store / "windows" / "00000001" / window.layout_attempt)
    with pytest.raises(StoreError, match=r"array 'positions' .* is missing; `driftmap verify"):
        before.positions("2002")
    (damage,) = find_damage(before)
    assert damage.part == "map"


def test_a_store_that_was_moved_is_named_as_such(store):
    before = open_store(store)
    store.rename(store.with_name("moved.zarr"))
    for read in (*READS.values(), find_damage):
        with pytest.raises(StoreError, match=r"maps\.zarr is not there any more: it was moved, renamed or deleted"):
            read(before)
    assert not store.exists()
    read_everything(store.with_name("moved.zarr"))


def test_files_of_a_window_are_freed_with_it(store):
    """Not when Python next looks for circles: of a block's windows that is memory."""
    gc.disable()
    try:
        opened = open_store(store)
        attempt = opened.make_attempt(0, opened.state()[0].graph_attempt)
        assert len(attempt.read("data"))
        files = weakref.ref(attempt._files)
        del attempt
        assert files() is None
    finally:
        gc.enable()
