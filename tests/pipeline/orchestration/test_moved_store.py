"""A store whose folder is moved or deleted under a run: one message, and nothing is made in its place."""

from __future__ import annotations

import shutil

import pytest
from tests.pipeline.years import write_years

from driftmap.pipeline import run
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log import lock
from driftmap.pipeline.store.log.lock import hold_lock

OPTIONS = {"by": "year", "id": "entity", "n_neighbors": 5, "n_epochs": 5, "scheduler": "serial"}
GONE = r"the store .*maps\.zarr is not there any more: it was moved, renamed or deleted meanwhile; put it back"


@pytest.fixture
def source(tmp_path):
    return write_years(tmp_path / "rows.parquet", 5, range(20))


@pytest.mark.parametrize("stage", ["graphs", "layout"])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_run_ends_and_makes_nothing_in_its_place(source, tmp_path, monkeypatch, stage, is_deleted):
    store, moved = tmp_path / "maps.zarr", tmp_path / "moved.zarr"

    def take_away(progress):
        if progress.stage == stage and store.exists():
            if is_deleted:
                shutil.rmtree(store)
            else:
                store.rename(moved)

    with pytest.raises(StoreError, match=GONE):
        run(source, store, progress=take_away, **OPTIONS)
    assert not store.exists()
    if not is_deleted:
        monkeypatch.setattr(lock, "_is_running", lambda holder: False)  # the process of a command is then gone
        expected = run(source, store, **OPTIONS)
        found = run(source, moved, **OPTIONS)
        for window in range(5):
            assert found.positions(window).tobytes() == expected.positions(window).tobytes()


def test_a_heartbeat_makes_nothing_in_its_place(source, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    store = run(source, tmp_path / "maps.zarr", **OPTIONS)
    with hold_lock(store.location) as held:
        (tmp_path / "maps.zarr").rename(tmp_path / "moved.zarr")
        held._thread.join(timeout=10)
        assert not held._thread.is_alive()
    assert not (tmp_path / "maps.zarr").exists()


def test_a_holder_commits_nothing_to_another_store_in_the_same_folder(source, tmp_path):
    path = tmp_path / "maps.zarr"
    run(source, path, **OPTIONS)
    writer = Store.open(path, read_only=False)
    with hold_lock(writer.location) as writer.lock:
        path.rename(tmp_path / "moved.zarr")
        run(source, path, **OPTIONS)
        with pytest.raises(StoreError, match=GONE):
            writer.commit_growth("set_aside", {"skipped": {}, "kept_out": {}})
    assert Store.open(path).n_commits == writer.n_commits
