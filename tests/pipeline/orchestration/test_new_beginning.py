"""A run that ended before its first graph: the next one begins again, with other settings or a mended source."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, PlanWarning, SourceError, StoreBusyError, StoreError, StoreWarning
from driftmap.pipeline.orchestration import run as module
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log import lock

N_WINDOWS, N_ROWS = 3, 40
OPTIONS = {"by": "window", "id": "id", "n_neighbors": 5, "n_epochs": 5, "scheduler": "serial"}
BEGINS_AGAIN = "held no graph yet; its run begins again"


def make_frame(flaw=None):
    vectors = np.random.default_rng(0).normal(size=(N_WINDOWS * N_ROWS, 5)).astype("f4")
    frame = pd.DataFrame(vectors, columns=list("abcde"))
    frame["window"], frame["id"] = np.repeat(np.arange(N_WINDOWS), N_ROWS), np.tile(np.arange(N_ROWS), N_WINDOWS)
    if flaw is not None:
        frame.loc[3, "e"] = flaw
    return frame


def maps_of(store):
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.parquet"
    make_frame().to_parquet(path)
    return path


@pytest.fixture
def failed(tmp_path, source):
    """A store whose run met a value that is not finite, in its first window."""
    make_frame(np.inf).to_parquet(source)
    with pytest.raises(SourceError, match="'e'"):
        run(source, tmp_path / "s", **OPTIONS)
    assert open_store(tmp_path / "s").holds_nothing
    return tmp_path / "s"


@pytest.fixture
def killed(tmp_path, source, monkeypatch):
    """A store whose run was killed before its first graph was committed."""
    with monkeypatch.context() as patched:
        patched.setattr(Store, "commit_graph", stop)
        patched.setattr(Store, "commit_graphs", stop)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "s", **OPTIONS)
    return tmp_path / "s"


def test_a_column_is_excluded(failed, source, tmp_path):
    with pytest.warns(PlanWarning, match=rf"{BEGINS_AGAIN} \(exclude: store has \[\], now \['e'\]\)$"):
        store = run(source, failed, exclude="e", **OPTIONS)
    assert store.config["source"]["pin"]["names"] == list("abcd")
    assert maps_of(store) == maps_of(run(source, tmp_path / "other", exclude="e", **OPTIONS))


def test_the_source_is_mended(failed, source, tmp_path):
    make_frame().to_parquet(source)
    with pytest.warns(PlanWarning, match=rf"{BEGINS_AGAIN} \(another source"):
        store = run(source, failed, **OPTIONS)
    assert maps_of(store) == maps_of(run(source, tmp_path / "other", **OPTIONS))
    assert run(source, failed, **OPTIONS).n_commits == store.n_commits


def test_a_run_that_ended_before_the_first_commit_is_said_and_goes_on(source, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Store, "create", stop)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "s", **OPTIONS)
    with pytest.raises(StoreError, match="its run ended before its first commit; run the same command again"):
        open_store(tmp_path / "s")
    assert run(source, tmp_path / "s", **OPTIONS).is_complete


def test_a_store_without_a_map_is_not_exported_as_an_empty_table(killed, tmp_path, capsys):
    assert run_command(["export", str(killed), "-o", str(tmp_path / "maps.csv")]) == 2
    assert "has a map yet" in capsys.readouterr().err
    assert not (tmp_path / "maps.csv").exists()


def test_a_store_that_cannot_be_made_says_why(source):
    with pytest.raises(StoreError, match=r"rows\.parquet/maps cannot be made: .*Not a directory"):
        run(source, source / "maps", **OPTIONS)


def test_data_from_python_are_mended(tmp_path):
    with pytest.raises(SourceError):
        run(make_frame(np.inf), tmp_path / "s", **OPTIONS)
    with pytest.warns(PlanWarning, match=BEGINS_AGAIN):
        store = run(make_frame(), tmp_path / "s", **OPTIONS)
    assert maps_of(store) == maps_of(run(make_frame(), tmp_path / "other", **OPTIONS))


def test_a_dask_collection_is_mended(tmp_path):
    import dask.dataframe as dd

    with pytest.raises(SourceError):
        run(dd.from_pandas(make_frame(np.inf), npartitions=3), tmp_path / "s", **OPTIONS)
    with pytest.warns(PlanWarning, match=BEGINS_AGAIN):
        store = run(dd.from_pandas(make_frame(), npartitions=3), tmp_path / "s", **OPTIONS)
    assert maps_of(store) == maps_of(run(make_frame(), tmp_path / "other", **OPTIONS))


def test_after_a_kill_windows_and_settings_are_others(killed, source, tmp_path):
    changed = {**OPTIONS, "id": None, "by": None, "rows": 30, "allow_unrelated": True, "scale": "standard"}
    with pytest.warns(PlanWarning, match=BEGINS_AGAIN):
        store = run(source, killed, **changed)
    assert store.n_windows == 4
    assert maps_of(store) == maps_of(run(source, tmp_path / "other", **changed))


def test_the_same_run_goes_on_where_it_was(killed, source):
    with warnings.catch_warnings(action="error"):
        run(source, killed, **OPTIONS)
    assert [commit.kind for commit in Store.open(killed)._log.read_range(range(2))] == ["create", "graph"]


def test_a_run_that_holds_the_store_keeps_it(killed, source):
    with lock.hold_lock(Location(killed)), pytest.raises(StoreBusyError, match="in use by"):
        run(source, killed, **{**OPTIONS, "n_neighbors": 6})
    assert Store.open(killed).n_commits == 1


def test_what_another_run_built_meanwhile_counts(killed, source, monkeypatch):
    @contextmanager
    def finish_first(location):
        monkeypatch.undo()
        run(source, killed, **OPTIONS)
        with lock.hold_lock(location) as held:
            yield held

    monkeypatch.setattr(module, "_hold", finish_first)
    with pytest.raises(ConfigError, match=r"made with other settings \(n_neighbors: store has 5, now 6\)"):
        run(source, killed, **{**OPTIONS, "n_neighbors": 6})
    assert open_store(killed).is_complete


def test_a_log_that_lost_its_graphs_does_not_begin_again(source, tmp_path):
    run(source, tmp_path / "s", **OPTIONS)
    for commit in (tmp_path / "s/commits").iterdir():
        if commit.name != "00000000.json":
            commit.unlink()
    before = sorted((tmp_path / "s").rglob("*"))
    with pytest.warns(StoreWarning, match="is missing"), pytest.raises(ConfigError, match="made with other settings"):
        run(source, tmp_path / "s", **{**OPTIONS, "n_neighbors": 6})
    assert sorted((tmp_path / "s").rglob("*")) == before


def test_a_store_with_a_graph_begins_never_again(source, tmp_path):
    store = run(source, tmp_path / "s", **OPTIONS)
    with pytest.raises(StoreError, match="holds graphs or maps; name another store"):
        Store.open(store.path, read_only=False).begin_again({}, [], {})
