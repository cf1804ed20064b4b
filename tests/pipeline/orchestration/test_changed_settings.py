"""Settings that change between two calls of a run: of the layout, as long as there is none, and no others."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline import ingest, open_store, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, PlanWarning
from driftmap.pipeline.layout import block_layout

N_WINDOWS, N_ROWS = 3, 40
SOURCE = {
    "vectors": np.random.default_rng(0).normal(size=(N_WINDOWS * N_ROWS, 5)).astype("f4"),
    "id": np.tile(np.arange(N_ROWS), N_WINDOWS),
    "window": np.repeat(np.arange(N_WINDOWS), N_ROWS),
}
OPTIONS = {"scheduler": "serial", "by": "window", "id": "id", "n_neighbors": 5, "n_epochs": 5}


@pytest.fixture
def without_layout(tmp_path, monkeypatch):
    """A store that has all its graphs and no map: its run ended when the layout began."""

    def fail(*_, **__):
        raise KeyboardInterrupt

    path = tmp_path / "maps.zarr"
    with monkeypatch.context() as patched:
        patched.setattr(block_layout, "lay_out_block", fail)
        with pytest.raises(KeyboardInterrupt):
            run(SOURCE, path, **OPTIONS, min_dist=0.9)
    return path


def graphs_of(store):
    return [window.graph_attempt for window in store.state()]


def positions_of(store):
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def test_a_setting_of_the_layout_changes_while_there_is_none_and_graphs_are_kept(without_layout, tmp_path):
    graphs = graphs_of(open_store(without_layout))
    assert any(graphs)
    with pytest.warns(PlanWarning, match=r"min_dist: store has 0.9, now 0.2.*lookahead: store has 3, now 1.*are kept"):
        mended = run(SOURCE, without_layout, **OPTIONS, min_dist=0.2, lookahead=1)
    assert set(graphs) - {None} <= set(graphs_of(mended))
    assert mended.config["layout"]["min_dist"] == 0.2
    assert mended.config["lookahead"] == 1
    assert positions_of(mended) == positions_of(
        run(SOURCE, tmp_path / "other.zarr", **OPTIONS, min_dist=0.2, lookahead=1)
    )
    n_commits = mended.n_commits
    assert run(SOURCE, without_layout, **OPTIONS, min_dist=0.2, lookahead=1).n_commits == n_commits


@pytest.mark.parametrize("changed", [{"n_neighbors": 6}, {"random_state": 1}, {"min_dist": 0.2, "metric": "cosine"}])
def test_settings_that_graphs_depend_on_are_refused(without_layout, changed):
    n_commits = open_store(without_layout).n_commits
    with pytest.raises(ConfigError, match="was made with other settings"):
        run(SOURCE, without_layout, **{**OPTIONS, "min_dist": 0.9, **changed})
    assert open_store(without_layout).n_commits == n_commits


def test_a_run_that_is_not_done_says_to_give_the_same_settings(without_layout):
    with pytest.raises(ConfigError, match=r"now 6\); give the same ones to finish its run, or name another store"):
        run(SOURCE, without_layout, **{**OPTIONS, "min_dist": 0.9, "n_neighbors": 6})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A store of three windows whose run is done, and its source."""
    folder = tmp_path_factory.mktemp("done")
    names = [f"v{number}" for number in range(5)]
    table = {name: SOURCE[name] for name in ("id", "window")} | dict(zip(names, SOURCE["vectors"].T, strict=True))
    pq.write_table(pa.table(table | {"note": [f"row {number}" for number in SOURCE["id"]]}), folder / "rows.parquet")
    run(folder / "rows.parquet", folder / "maps.zarr", **OPTIONS)
    return folder


@pytest.mark.parametrize("has_grown", [False, True])
@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"exclude": "v4"}, "ingest STORE --accept-schema`"),
        ({"vectors": "v0:v3"}, "ingest STORE --accept-schema`"),
        ({"text": "note"}, "explain STORE`"),
        ({"show": "note", "n_neighbors": 6}, "explain STORE`"),
        ({"source": "other.parquet"}, "ingest STORE --source PATH`"),
        ({"on_bad_rows": "drop"}, "ingest STORE` takes a rule for rows"),
        ({"duplicates": "mean"}, "ingest STORE` takes a rule for rows"),
        ({"on_empty": "refuse"}, "ingest STORE --on-empty`"),
        ({"n_neighbors": 6}, ""),
        ({"scale": "unit"}, ""),
        ({"random_state": 1}, ""),
    ],
)
def test_other_settings_on_a_store_whose_run_is_done_say_what_to_do(done, tmp_path, capsys, changed, advice, has_grown):
    for name in ("rows.parquet", "maps.zarr"):
        copy = shutil.copytree if name == "maps.zarr" else shutil.copy2
        copy(done / name, tmp_path / name)
    store, source = tmp_path / "maps.zarr", done / "rows.parquet"
    if has_grown:
        more = pq.read_table(source).slice(0, N_ROWS).set_column(1, "window", pa.array([N_WINDOWS] * N_ROWS))
        pq.write_table(pa.concat_tables([pq.read_table(source), more]), tmp_path / "rows.parquet")
        ingest(store, source=tmp_path / "rows.parquet", scheduler="serial", complete=True)
    call = {**OPTIONS, **changed}
    if "source" in call:
        source = shutil.copy2(source, tmp_path / call.pop("source"))
    options = [part for name, value in call.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    assert run_command(["run", str(source), "--store", str(store), *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert all(f"{name}: store has" in said for name in changed)
    assert "its run is done: name another store for maps by these (store)" in said
    assert f"`driftmap {advice}".replace("STORE", str(store)) in said if advice else "`driftmap" not in said
    assert ("has grown since its run" in said) == has_grown


def test_other_relations_on_a_store_whose_run_is_done_say_what_to_do(done):
    table = {"window": ["0"], "id": [1], "other_window": ["1"], "other_id": [1]}
    with pytest.raises(ConfigError, match=r"with no relations; its run is done.*ingest .*maps.zarr --relations FILE`"):
        run(done / "rows.parquet", done / "maps.zarr", relations=pa.table(table), **OPTIONS)


def test_the_same_windows_said_otherwise_are_no_other_settings(tmp_path):
    days = np.datetime64("2024-01-01") + SOURCE["window"].astype("m8[D]")
    source, options = {**SOURCE, "time": days.astype("M8[us]")}, {**OPTIONS, "by": None, "window": "1D"}
    made = run(source, tmp_path / "maps.zarr", **options)
    assert run(source, tmp_path / "maps.zarr", **options, stride="1D").n_commits == made.n_commits


def test_rows_from_python_on_a_store_of_a_file_are_named_as_such(done):
    with pytest.raises(ConfigError, match=r"source: store has '.*rows.parquet', now 'rows from Python'"):
        run(SOURCE, done / "maps.zarr", **OPTIONS)


def test_nothing_changes_once_there_is_a_layout(tmp_path):
    run(SOURCE, tmp_path / "maps.zarr", **OPTIONS)
    with pytest.raises(ConfigError, match=r"min_dist: store has 0\.1, now 0\.2"):
        run(SOURCE, tmp_path / "maps.zarr", **OPTIONS, min_dist=0.2)


@pytest.mark.parametrize("changed", [{"n_epochs": [5, 5]}, {"spread": [1, 1, 1, 1]}, {"min_dist": [0.1, 0.2, 1.5]}])
def test_plan_and_run_refuse_before_any_work(tmp_path, changed):
    for call in (lambda **options: plan(SOURCE, **options), lambda **options: run(SOURCE, tmp_path / "x", **options)):
        with pytest.raises((ConfigError, InvalidInputError), match=f"{next(iter(changed))} "):
            call(**{**OPTIONS, **changed})
    assert not (tmp_path / "x").exists()
