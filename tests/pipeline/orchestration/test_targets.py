"""Targets: labels or values of the rows draw the graphs of a run towards them, as `y` does in the engine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.engine import GraphSettings, build_window_graph, read_target
from driftmap.engine.errors import InvalidInputError
from driftmap.engine.settings import TargetSettings
from driftmap.pipeline import ingest, open_store, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.graphs.build_graph import number_labels

N_ROWS, N_WINDOWS = 60, 3
OPTIONS = {"by": "w", "id": "id", "vectors": "v", "n_neighbors": 8, "n_epochs": 8, "scheduler": "serial"}


def make_columns(**more):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N_WINDOWS * N_ROWS, 5)).astype(np.float32)
    team = rng.choice(["red", "green", "blue"], N_WINDOWS * N_ROWS)
    columns = {
        "w": np.repeat(np.arange(N_WINDOWS), N_ROWS),
        "id": np.tile(np.arange(N_ROWS), N_WINDOWS),
        "team": pa.array(team),
        "number": np.unique(team, return_inverse=True)[1],
        "age": rng.uniform(18, 70, N_WINDOWS * N_ROWS),
        "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 5),
    }
    return columns | more, vectors.reshape(N_WINDOWS, N_ROWS, 5)


def write(path, **more):
    pq.write_table(pa.table(make_columns(**more)[0]), path)
    return path


def expect_graph(window, y, settings):
    rows, k = make_columns()[1][window], OPTIONS["n_neighbors"]
    return build_window_graph(rows, GraphSettings(n_neighbors=k), target=read_target(y, N_ROWS, settings, "y")).fuzzy


def same_graph(left, right):
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(left, right, strict=True))


def read_all(store):
    found = [store.positions(window).tobytes() for window in range(store.n_windows)]
    return found, [array.tobytes() for window in range(store.n_windows) for array in store.fuzzy_graph(window)]


@pytest.mark.parametrize(
    ("column", "settings", "options"),
    [
        ("team", TargetSettings(), {}),
        ("number", TargetSettings(weight=0.8), {"target_weight": 0.8}),
        ("age", TargetSettings("euclidean"), {"target_metric": "euclidean"}),
        ("age", TargetSettings("l1", 0.7, 5), {"target_metric": "l1", "target_weight": 0.7, "target_n_neighbors": 5}),
    ],
)
def test_graphs_are_those_of_the_engine_with_y(tmp_path, column, settings, options):
    source = write(tmp_path / "rows.parquet")
    store = run(source, tmp_path / "s", target=column, **options, **OPTIONS)
    values = np.asarray(make_columns()[0][column])
    for window in range(N_WINDOWS):
        expected = expect_graph(window, values[window * N_ROWS :][:N_ROWS], settings)
        assert same_graph(store.fuzzy_graph(window), expected)
    without = run(source, tmp_path / "without", **OPTIONS)
    assert not same_graph(store.fuzzy_graph(0), without.fuzzy_graph(0))
    assert [*store.window_labels(0)] == [column]  # kept as labels are


def test_text_and_numbers_of_the_same_groups_are_one_target(tmp_path):
    source = write(tmp_path / "rows.parquet")
    text, number = (run(source, tmp_path / name, target=name, **OPTIONS) for name in ("team", "number"))
    assert read_all(text) == read_all(number)


def test_rows_without_a_label_are_of_unknown_ones(tmp_path):
    columns = make_columns()[0]
    missing = np.arange(N_WINDOWS * N_ROWS) % 4 == 0
    team = np.asarray(columns["team"], dtype=object)
    text = pa.array(np.where(missing, None, team), pa.string())
    numbers = np.where(missing, -1, columns["number"])
    source = write(tmp_path / "rows.parquet", team=text, number=numbers)
    stores = [run(source, tmp_path / name, target=name, **OPTIONS) for name in ("team", "number")]
    assert read_all(stores[0]) == read_all(stores[1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"b", b"", b"a", b"b"], [2, -1, 1, 2]),
        (["b", "", "a", "b"], [2, -1, 1, 2]),
        ([2.0, np.nan, -1.0, 5.0], [2, -1, -1, 5]),
        (np.array([2**64 - 1, 0], dtype=np.uint64), [1, 0]),
        ([3, -1, 7, 3], [3, -1, 7, 3]),
        ([True, False], [1, 0]),
        (np.array(["2024-01-02", "NaT", "2024-01-01"], dtype="M8[us]"), [1, -1, 0]),
    ],
)
def test_labels_are_numbered(values, expected):
    assert number_labels(np.array(values)).tolist() == expected


def test_a_window_read_in_blocks_has_the_same_target(tmp_path, monkeypatch):
    source = write(tmp_path / "rows.parquet")
    whole = run(source, tmp_path / "whole", target="team", **OPTIONS)
    monkeypatch.setattr("driftmap.pipeline.graphs.build_graph.find_block_rows", lambda *_: 20)
    assert read_all(run(source, tmp_path / "blocks", target="team", **OPTIONS)) == read_all(whole)


def test_frames_and_dicts_have_targets_too(tmp_path):
    source = write(tmp_path / "rows.parquet")
    expected = read_all(run(source, tmp_path / "file", target="team", **OPTIONS))
    columns, vectors = make_columns()
    beside = {name: np.asarray(columns[name]) for name in ("w", "id", "team")}
    frame = pd.DataFrame({**beside, "v": [*vectors.reshape(-1, 5)]})
    assert read_all(run(frame, tmp_path / "frame", target="team", **OPTIONS)) == expected
    arrays = {**beside, "v": vectors.reshape(-1, 5)}
    assert read_all(run(arrays, tmp_path / "dict", target="team", **OPTIONS)) == expected


def test_an_ingest_goes_on_with_the_target(tmp_path):
    source = write(tmp_path / "rows.parquet")
    rows = pq.read_table(source)
    (tmp_path / "days").mkdir()
    pq.write_table(rows[: 2 * N_ROWS], tmp_path / "days" / "a.parquet")
    store = run(tmp_path / "days", tmp_path / "s", target="team", label="age", **OPTIONS)
    assert [*store.window_labels(0)] == ["age", "team"]
    pq.write_table(rows[2 * N_ROWS :], tmp_path / "days" / "b.parquet")
    last = rows[2 * N_ROWS :].set_column(0, "w", pa.array(np.full(N_ROWS, N_WINDOWS)))
    pq.write_table(last, tmp_path / "days" / "c.parquet")  # the newest value of a column may still get rows
    ingest(tmp_path / "s", scheduler="serial")
    values = np.asarray(make_columns()[0]["team"])[2 * N_ROWS :]
    assert same_graph(open_store(tmp_path / "s").fuzzy_graph(2), expect_graph(2, values, TargetSettings()))


def test_a_target_is_said_and_kept(tmp_path, capsys):
    source = write(tmp_path / "rows.parquet")
    arguments = ["--by", "w", "--id", "id", "--vectors", "v", "--n-neighbors", "8", "--target", "team"]
    assert run_command(["plan", str(source), *arguments]) == 0
    assert "target: team (categorical, weight 0.5)" in capsys.readouterr().out
    more = [
        "--n-epochs",
        "5",
        "--scheduler",
        "serial",
        "--store",
        str(tmp_path / "s"),
        "--report",
        str(tmp_path / "p.html"),
    ]
    assert run_command(["run", str(source), *arguments, *more]) == 0
    capsys.readouterr()
    assert run_command(["status", str(tmp_path / "s")]) == 0
    assert "target: team (categorical, weight 0.5)" in capsys.readouterr().out
    assert "target: team (categorical, weight 0.5)" in (tmp_path / "p.html").read_text()
    assert run_command(["run", str(source), *arguments[:-2], *more]) == 2
    assert "target: store has" in capsys.readouterr().err


def test_what_cannot_be_a_target_is_refused(tmp_path):
    source = write(tmp_path / "rows.parquet")
    with pytest.raises(SourceError, match="no column 'wings'"):
        plan(source, target="wings", **OPTIONS)
    with pytest.raises(ConfigError, match=r"target_weight is 0\.7, but no target is named"):
        plan(source, target_weight=0.7, **OPTIONS)
    with pytest.raises(ConfigError, match="'nearness' was given; one of categorical"):
        plan(source, target="age", target_metric="nearness", **OPTIONS)
    with pytest.raises(InvalidInputError, match=r"window '0': target 'age' holds .* which is no label"):
        run(source, tmp_path / "ages", target="age", **OPTIONS)
    with pytest.raises(ConfigError, match=r"compares numbers, but the target column 'team' has none"):
        run(source, tmp_path / "s", target="team", target_metric="euclidean", **OPTIONS)


def test_a_metric_that_cannot_compare_what_there_is_is_refused_by_plan(tmp_path):
    path = write(tmp_path / "x.parquet")
    with pytest.raises(
        ConfigError, match=r"compares numbers, but the target column 'team' has none; give .* categorical"
    ):
        plan(path, target="team", target_metric="euclidean", **OPTIONS)
    assert plan(path, target="number", target_metric="euclidean", **OPTIONS).windows
    with pytest.raises(ConfigError, match=r"target_metric is 'haversine'.* but a target is one column"):
        plan(path, target="age", target_metric="haversine", **OPTIONS)
    with pytest.raises(ConfigError, match=r"metric is 'haversine'.* but the vectors have 5 numbers"):
        plan(path, metric="haversine", **OPTIONS)
    angles = np.linspace(-1.5, 1.5, N_WINDOWS * N_ROWS)
    path = write(tmp_path / "y.parquet", number=angles, age=2 * angles)
    assert plan(path, metric="haversine", **{**OPTIONS, "vectors": ["number", "age"]}).windows
