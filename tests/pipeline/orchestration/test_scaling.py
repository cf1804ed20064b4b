"""Scaling over all windows: fitted once, kept in the store, used by runs, ingests and `place`."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.preprocessing import Normalizer, RobustScaler, StandardScaler
from tests.pipeline.growing import OPTIONS as GROWING
from tests.pipeline.growing import make_day, take_in

from driftmap.pipeline import open_store, place, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, StoreError
from driftmap.pipeline.graphs import build_graph
from driftmap.pipeline.graphs.build_graph import GraphOrder
from driftmap.pipeline.graphs.scale import Scale
from driftmap.pipeline.orchestration import scaling as fitting
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.row_ranges import join_runs, runs_to_rows, split_runs
from driftmap.pipeline.sources.rows import bad_rows
from driftmap.pipeline.sources.rows.pieces import Piece
from driftmap.pipeline.store.shared_rows import read_scaling

SCALERS = {"standard": StandardScaler, "robust": RobustScaler, "unit": Normalizer}
WINDOWS = {"rows": 60, "row_stride": 30, "n_neighbors": 5, "n_epochs": 3}


def write_rows(path, scaler=None, n_rows=150):
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(n_rows, 4)) + np.arange(n_rows)[:, None] % 5) * [1, 1000, 0.01, 1] + [0, 5e4, 0, -3]
    rows = rows.astype(np.float32).astype(np.float64)
    rows = rows if scaler is None else scaler().fit_transform(rows)
    pq.write_table(pa.table({f"v{axis}": rows[:, axis] for axis in range(4)}), path, row_group_size=40)
    return path


@pytest.mark.parametrize("kind", SCALERS)
def test_graphs_are_those_of_rows_that_were_scaled_before(tmp_path, kind):
    plain, scaled = write_rows(tmp_path / "rows.parquet"), write_rows(tmp_path / "scaled.parquet", SCALERS[kind])
    store = run(plain, tmp_path / "store", scale=kind, scheduler="serial", **WINDOWS)
    expected = run(scaled, tmp_path / "expected", scheduler="serial", **WINDOWS)
    without = run(plain, tmp_path / "without", scheduler="serial", **WINDOWS)
    for index in range(store.n_windows):
        found, right = store.knn_graph(index), expected.knn_graph(index)
        np.testing.assert_allclose(found.distances, right.distances, rtol=1e-3, atol=1e-5)
        assert not np.allclose(found.distances, without.knn_graph(index).distances, rtol=0.1)
    assert run(plain, tmp_path / "store", scale=kind, scheduler="serial", **WINDOWS).n_commits == store.n_commits
    with pytest.raises(ConfigError, match=f"scale: store has '{kind}', now 'none'"):
        run(plain, tmp_path / "store", scheduler="serial", **WINDOWS)


@pytest.mark.parametrize("kind", ["standard", "robust"])
def test_workers_and_ranges_of_rows_fit_the_same(tmp_path, monkeypatch, kind):
    path = write_rows(tmp_path / "rows.parquet")
    for module in (fitting, bad_rows):
        monkeypatch.setattr(module, "RANGE_BYTES", 16 * 31)
    here = run(path, tmp_path / "here", scale=kind, scheduler="serial", **WINDOWS)
    there = run(path, tmp_path / "there", scale=kind, workers=2, on_bad_rows="drop", **WINDOWS)
    assert here.config["scaling"] == there.config["scaling"]
    assert [here.positions(i).tobytes() for i in range(3)] == [there.positions(i).tobytes() for i in range(3)]
    fitted = read_scaling(here.location, here.config["scaling"]["digest"])
    rows = pq.read_table(path).to_pandas().to_numpy()
    scaler = SCALERS[kind]().fit(rows)
    np.testing.assert_allclose(fitted.spreads, scaler.scale_, rtol=1e-9)
    assert here.config["scaling"]["n_rows"] == here.config["scaling"]["n_fitted"] == 150


def test_a_sample_is_said(tmp_path, monkeypatch, capsys):
    path = write_rows(tmp_path / "rows.parquet")
    monkeypatch.setattr(fitting, "SAMPLE_BYTES", 16 * 80)
    store = run(path, tmp_path / "store", scale="robust", scheduler="serial", **WINDOWS)
    assert store.config["scaling"]["n_fitted"] == 80
    again = run(path, tmp_path / "again", scale="robust", scheduler="serial", **WINDOWS)
    assert again.config["scaling"] == store.config["scaling"]
    assert run_command(["status", str(tmp_path / "store")]) == 0
    said = capsys.readouterr().out
    assert "interquartile range 1; fitted on a sample of 80 of the 150 rows of the run's windows" in said


def test_windows_in_blocks_are_scaled_too(tmp_path):
    path = write_rows(tmp_path / "rows.parquet")
    store = run(path, tmp_path / "store", scale="standard", scheduler="serial", **WINDOWS)
    config = store.config["scaling"]["digest"]
    settings = build_graph.GraphSettings(n_neighbors=5)
    spec = as_source(path).spec
    order = GraphOrder(0, "x", (Piece(spec, np.array([[0, 60]])),), 60, scale=Scale("standard", config))
    scaler = order.scale.load(store.location)
    whole = build_graph._build_whole(order, settings, 0, scaler, lambda: None)
    blocks = build_graph._build_in_blocks(order, settings, 17, scaler, lambda: None)
    assert whole.graph.knn.distances.tobytes() == blocks.graph.knn.distances.tobytes()
    assert whole.digest == blocks.digest == store.state()[0].rows_digest


def test_an_ingest_and_place_use_what_the_run_fitted(tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    options = {**GROWING, "scale": "standard", "scheduler": "serial"}
    for day in range(5):
        pq.write_table(make_day(day), folder / f"day-{day}.parquet")
    store = run(folder, tmp_path / "store", **options)
    pin = store.config["scaling"]
    fitted = read_scaling(store.location, pin["digest"])
    vectors = np.concatenate([np.stack(make_day(day)["v"].to_pylist()) for day in range(5)])
    np.testing.assert_allclose(fitted.centres, vectors.astype(np.float32).mean(axis=0, dtype=np.float64), rtol=1e-6)
    for day in (5, 6):
        pq.write_table(make_day(day), folder / f"day-{day}.parquet")
    report = take_in(tmp_path)
    assert report.new
    grown = report.store
    assert grown.config["scaling"] == pin
    index = grown.labels.index(report.new[-1])
    ids, graph = grown.window_ids(index).tolist(), grown.knn_graph(index)
    days = pa.concat_tables([make_day(day) for day in (index, index + 1)])
    own = ((np.stack(days["v"].to_pylist()) - fitted.centres) / fitted.spreads)[np.argsort(days["who"].to_pylist())]
    assert sorted(days["who"].to_pylist()) == ids
    distances = np.sqrt(((own[:, None] - own[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(graph.distances[:, 1:], np.sort(distances, axis=1)[:, 1:5], rtol=1e-3, atol=1e-3)
    placed = place(grown, days.slice(0, 5), window=report.new[-1])
    where = grown.positions(index)[[ids.index(one) for one in placed["id"].to_pylist()]]
    near = np.linalg.norm(where - np.c_[placed["x"].to_numpy(), placed["y"].to_numpy()], axis=1)
    assert np.median(near) < 0.25 * np.ptp(grown.positions(index), axis=0).max()


def test_what_a_plan_says(tmp_path, capsys):
    path = str(write_rows(tmp_path / "rows.parquet"))
    assert any("--scale standard" in line for line in plan(path, **WINDOWS).columns)
    planned = plan(path, scale="standard", **WINDOWS)
    assert not any("differ in spread" in line for line in planned.columns)
    assert any("standard deviation 1; fitted on the rows of all windows when" in line for line in planned.columns)
    with pytest.raises(ConfigError, match="takes numbers as true and false"):
        plan(path, scale="standard", metric="jaccard", **WINDOWS)
    with pytest.raises(ConfigError, match="scale"):
        plan(path, scale="minmax", **WINDOWS)
    assert run_command(["plan", path, "--rows", "60", "--row-stride", "30", "--scale", "robust"]) == 0
    assert "scale: robust" in capsys.readouterr().out
    store = tmp_path / "unit"
    arguments = ["run", path, "--rows", "60", "--row-stride", "30", "--scale", "unit", "--store", str(store)]
    assert run_command([*arguments, "--scheduler", "serial", "--n-epochs", "2", "--quiet"]) == 0
    assert "scale: unit, each row to length 1" in capsys.readouterr().out
    assert open_store(store).config["scale"] == "unit"


def test_runs_are_joined_and_split():
    runs = join_runs([np.array([[5, 9], [20, 30]]), np.array([[0, 3], [8, 12], [12, 14]])])
    assert runs.tolist() == [[0, 3], [5, 14], [20, 30]]
    for step in (1, 4, 9, 100):
        parts = split_runs(runs, step)
        assert np.concatenate([runs_to_rows(part) for part in parts]).tolist() == runs_to_rows(runs).tolist()
        assert all(len(runs_to_rows(part)) == step for part in parts[:-1])
    assert join_runs([]).tolist() == []
    assert split_runs(np.empty((0, 2), dtype=np.int64), 3) == []


@pytest.mark.parametrize("options", [{}, {"on_bad": "skip"}])
def test_a_lost_scaling_is_no_fault_of_the_windows_that_come(tmp_path, options):
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(5):
        pq.write_table(make_day(day), folder / f"day-{day}.parquet")
    store = run(folder, tmp_path / "store", **{**GROWING, "scale": "standard", "scheduler": "serial"})
    shutil.move(store.path / "scaling", tmp_path / "kept")
    for day in (5, 6):
        pq.write_table(make_day(day), folder / f"day-{day}.parquet")
    with pytest.raises(StoreError, match=r"scaling: array 'centres' .* is missing"):
        take_in(tmp_path, **options)
    assert not open_store(store.path).growth.skipped
    shutil.move(tmp_path / "kept", store.path / "scaling")
    assert take_in(tmp_path, **options).new
