"""Windows that do not fit a worker: read in blocks, with the same maps, or refused with what is supported."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

import driftmap.engine
from driftmap.pipeline import ingest, open_store, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import PlanError, SourceError
from driftmap.pipeline.graphs import build_graph as tasks_module
from driftmap.pipeline.graphs.block_reader import BlockReader
from driftmap.pipeline.planning.estimates.memory import LIMIT_SHARE, WORKER_BYTES
from driftmap.pipeline.planning.estimates.task_size import size_task
from driftmap.pipeline.planning.windows import WindowPlan
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.rows.pieces import Piece

N_ROWS, N_FEATURES = 5_000, 1_200
FEW_ROWS = 2_600
"""Few enough that the search of the whole window is exact too."""
OPTIONS = {"id": "id", "rows": N_ROWS, "n_neighbors": 5, "n_epochs": 10}


def make_rows(n_rows, n_features):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, n_features))[rng.integers(0, 6, size=n_rows)] + rng.normal(size=(n_rows, n_features))
    return rows.astype(np.float32), rng.permutation(n_rows)


def write_source(folder, kind, n_rows, n_features):
    """Write rows whose ids are in no order, with a label."""
    rows, ids = make_rows(n_rows, n_features)
    kinds = np.array([b"even", b"odd"])[ids % 2]
    if kind == "zarr":
        path = folder / "rows.zarr"
        group = zarr.open_group(path, mode="w", zarr_format=3)
        group.create_array("vectors", data=rows, chunks=(170, n_features))
        group.create_array("id", data=ids)
        group.create_array("label", data=ids % 2)
        return path
    path = folder / "rows.parquet"
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), n_features)
    pq.write_table(pa.table({"id": ids, "label": kinds, "v": column}), path, row_group_size=900)
    return path


def limit_to(path, share, **options):
    """Memory of a worker in which a task may take so much of what its whole window takes."""
    whole = plan(path, scheduler="serial", **options).estimate.task_bytes
    return int((WORKER_BYTES + share * whole) / LIMIT_SHARE) + 1


def test_a_window_that_does_not_fit_a_worker_has_the_same_map(tmp_path):
    path, options = write_source(tmp_path, "parquet", FEW_ROWS, N_FEATURES), {**OPTIONS, "rows": FEW_ROWS}
    limit, states = limit_to(path, 0.95, **options), []
    store = run(path, tmp_path / "blocks", workers=1, worker_memory=limit, progress=states.append, **options)
    expected = run(path, tmp_path / "whole", scheduler="serial", **options)
    np.testing.assert_array_equal(store.positions(0), expected.positions(0))
    assert store.state()[0].rows_digest == expected.state()[0].rows_digest
    graphs = [state for state in states if state.stage == "graphs"]
    assert {state.windows_in_blocks for state in graphs} == {1}
    assert graphs[0].row_blocks > 1


def test_what_cannot_be_searched_in_blocks_is_refused(tmp_path):
    path = write_source(tmp_path, "parquet", N_ROWS, N_FEATURES)
    limit = limit_to(path, 0.8, metric="manhattan", **OPTIONS)
    said = r"metric 'manhattan' cannot be searched in blocks of rows, as euclidean, l2, cosine, correlation can; raise"
    with pytest.raises(PlanError, match=said):
        plan(path, workers=1, worker_memory=limit, metric="manhattan", **OPTIONS)
    with pytest.raises(PlanError, match="nor does it fit in blocks of 1,000 rows read from the source; raise worker_m"):
        plan(path, workers=1, worker_memory=limit_to(path, 0.1, **OPTIONS), **OPTIONS)


def test_a_plan_says_how_many_blocks_there_are(tmp_path, capsys):
    path = write_source(tmp_path, "parquet", N_ROWS, N_FEATURES)
    limit = limit_to(path, 0.5, **OPTIONS)
    options = ["--id", "id", "--rows", str(N_ROWS), "--n-neighbors", "5", "--workers", "1"]
    assert run_command(["plan", str(path), *options, "--worker-memory", str(limit)]) == 0
    n_blocks = plan(path, workers=1, worker_memory=limit, **OPTIONS).estimate.row_blocks
    said = f"1 window does not fit a worker: neighbours are searched in {n_blocks} blocks of rows read from the source"
    assert n_blocks > 1
    assert said in capsys.readouterr().out
    assert run_command(["plan", str(path), *options, "--worker-memory", str(limit), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["windows_in_blocks"], told["row_blocks"]) == (1, n_blocks)
    assert plan(path, scheduler="serial", **OPTIONS).estimate.windows_in_blocks == 0


def build_both(source, folder, monkeypatch, block_rows=37, **options):
    """Build a window's graph whole and in blocks; returns, of both, the receipt and the arrays."""
    opened = as_source(str(source), **options)
    built = []
    for name, rows_at_once in (("whole", None), ("blocks", block_rows)):
        monkeypatch.setattr(tasks_module, "find_block_rows", lambda *_, rows=rows_at_once: rows)
        store = run(opened, folder / name, rows=150, row_stride=100, n_neighbors=5, n_epochs=2, scheduler="serial")
        facts = store.state()[1]
        built.append((facts, store.positions(1), store.window_ids(1), store.window_labels(1)))
    return built


@pytest.mark.parametrize("kind", ["parquet", "zarr"])
@pytest.mark.parametrize("columns", [{"id": "id", "label": ["label"]}, {"id": "id"}, {"label": ["label"]}, {}])
def test_whatever_the_source_has_beside_vectors(tmp_path, monkeypatch, kind, columns):
    path = write_source(tmp_path, kind, 400, 6)
    given = {"vectors": "vectors" if kind == "zarr" else "v"}
    whole, blocks = build_both(path, tmp_path, monkeypatch, **given, **columns)
    assert whole[0].rows_digest == blocks[0].rows_digest
    assert whole[0].label_columns == blocks[0].label_columns
    for one, other in zip(whole[1:3], blocks[1:3], strict=True):
        np.testing.assert_array_equal(one, other)
    for name, values in whole[3].items():
        np.testing.assert_array_equal(values, blocks[3][name])


def test_arrays_from_python_in_blocks(tmp_path, monkeypatch):
    rows, ids = make_rows(250, 6)
    opened = as_source({"vectors": rows, "id": ids}, id="id")
    whole, blocks = build_both(opened.spill(tmp_path / "data").spec.path, tmp_path, monkeypatch, id="id")
    np.testing.assert_array_equal(whole[1], blocks[1])
    assert whole[0].rows_digest == blocks[0].rows_digest


def test_a_source_that_changes_between_blocks_is_refused(tmp_path, monkeypatch):
    path = write_source(tmp_path, "parquet", 400, 6)
    monkeypatch.setattr(tasks_module, "find_block_rows", lambda *_: 50)
    search = driftmap.engine.build_window_graph_from_blocks

    def search_and_touch(*given):
        found = search(*given)  # the last block has been read
        write_source(tmp_path, "parquet", 400, 6)
        return found

    monkeypatch.setattr(driftmap.engine, "build_window_graph_from_blocks", search_and_touch)
    with pytest.raises(SourceError, match="changed while the run was at work"):
        run(path, tmp_path / "s", id="id", vectors="v", rows=400, n_neighbors=5, scheduler="serial")


def test_the_parts_of_a_window(tmp_path):
    source = as_source(str(write_source(tmp_path, "parquet", 400, 6)), id="id", vectors="v", label=["label"])
    window = WindowPlan(0, "w", np.array([[10, 60], [100, 230]]), 180)
    whole = source.read_rows(window.runs)
    reader = BlockReader([Piece(source.spec, window.runs)], 32)
    np.testing.assert_array_equal(reader.read_vectors(40, 75), whole.vectors[40:75])
    np.testing.assert_array_equal(reader.read_beside().ids, whole.ids)
    order = np.argsort(whole.ids)
    np.testing.assert_array_equal(np.concatenate(list(reader.read_in_order(order))), whole.vectors[order])
    assert reader.n_features == 6


def test_vectors_of_other_lengths_in_other_blocks_are_refused(tmp_path):
    lists = [[0.0] * (3 if number < 50 else 4) for number in range(100)]
    pq.write_table(pa.table({"v": lists}), tmp_path / "r.parquet")
    reader = BlockReader([Piece(as_source(str(tmp_path / "r.parquet")).spec, np.array([[0, 100]]))], 50)
    assert reader.read_vectors(0, 50).shape == (50, 3)
    with pytest.raises(SourceError, match=r"rows 50 to 99 of the source have 4 numbers where the window's first has 3"):
        reader.read_vectors(50, 100)


def test_blocks_are_as_large_as_the_memory_allows(tmp_path):
    source = as_source(str(write_source(tmp_path, "parquet", N_ROWS, N_FEATURES)), id="id", vectors="v")
    settings = plan(source, rows=N_ROWS, n_neighbors=5).config.graph_settings()
    whole = size_task(source, N_ROWS, settings)
    assert whole.block_rows is None
    assert size_task(source, N_ROWS, settings, whole.n_bytes) == whole
    assert size_task(source, N_ROWS, settings, 1_000) == whole  # in no way
    small, large = (size_task(source, N_ROWS, settings, int(share * whole.n_bytes)) for share in (0.5, 0.53))
    assert 1_000 <= small.block_rows <= large.block_rows < N_ROWS
    assert small.n_bytes <= 0.5 * whole.n_bytes


def write_wide_day(folder, day, n_rows=2_500):
    rows, ids = make_rows(n_rows, N_FEATURES)
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), N_FEATURES)
    folder.mkdir(exist_ok=True)
    table = pa.table({"id": ids, "day": np.full(n_rows, day), "v": column})
    half = n_rows // 2
    pq.write_table(table[:half], folder / f"{day}b.parquet", row_group_size=300)
    pq.write_table(table[half:], folder / f"{day}a.parquet", row_group_size=300)


def test_an_ingest_has_the_memory_plan_of_a_run(tmp_path):
    options = {"id": "id", "by": "day", "n_neighbors": 5, "n_epochs": 10}
    write_wide_day(tmp_path / "days", 1, 60)
    run(tmp_path / "days", tmp_path / "one", scheduler="serial", **options)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    write_wide_day(tmp_path / "days", 2)
    limit = limit_to(tmp_path / "days", 0.95, **options)
    whole = ingest(tmp_path / "one", scheduler="serial", complete=True)
    blocks = ingest(tmp_path / "other", workers=1, worker_memory=limit, complete=True)
    assert blocks.new == whole.new == ["2"]
    np.testing.assert_array_equal(blocks.store.positions("2"), whole.store.positions("2"))
    assert blocks.store.state()[1].rows_digest == whole.store.state()[1].rows_digest


def test_an_ingest_refuses_what_a_run_refuses_after_what_fits(tmp_path):
    options = {"id": "id", "by": "day", "n_neighbors": 5, "n_epochs": 10, "metric": "manhattan"}
    write_wide_day(tmp_path / "days", 1, 60)
    run(tmp_path / "days", tmp_path / "s", scheduler="serial", **options)
    write_wide_day(tmp_path / "days", 2, 60)
    write_wide_day(tmp_path / "days", 3)
    limit = limit_to(tmp_path / "days", 0.8, **options)
    said = (
        r"the graph of window '3' takes .* in a worker, .*'manhattan' cannot be searched in blocks.*raise worker_memory"
    )
    with pytest.raises(PlanError, match=said):
        plan(tmp_path / "days", workers=1, worker_memory=limit, **options)
    with pytest.raises(PlanError, match=said):
        ingest(tmp_path / "s", workers=1, worker_memory=limit, complete=True)
    assert open_store(tmp_path / "s").labels == ["1", "2"]


def test_blocks_are_searched_in_an_ingest_where_the_window_does_not_fit(tmp_path, monkeypatch):
    options = {"id": "id", "by": "day", "n_neighbors": 5, "n_epochs": 10}
    write_wide_day(tmp_path / "days", 1, 60)
    run(tmp_path / "days", tmp_path / "s", scheduler="serial", **options)
    write_wide_day(tmp_path / "days", 2, 70)
    sizes = []
    monkeypatch.setattr(tasks_module, "find_block_rows", lambda *_: sizes.append(32) or 32)
    ingest(tmp_path / "s", scheduler="serial", complete=True)
    assert sizes == [32]
    ids = open_store(tmp_path / "s").window_ids("2")
    assert ids.tolist() == sorted(ids.tolist())
