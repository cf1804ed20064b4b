"""Rows sorted by window before graphs are built: the same bytes as those read window by window, at less reading."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from tests.pipeline.growing import OPTIONS, make_day, read_maps, take_in, write_days
from tests.pipeline.growing import make_store as make_growing
from tests.pipeline.small_sources import write_format

from driftmap.pipeline import plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.executors.base import SerialExecutor
from driftmap.pipeline.graphs import staging
from driftmap.pipeline.graphs.build_graph import build_graph_task
from driftmap.pipeline.graphs.stage import make_orders
from driftmap.pipeline.planning.estimates import reading
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.verify import find_orphans

if TYPE_CHECKING:
    from pathlib import Path

N_WINDOWS, N_ROWS, N_NUMBERS = 6, 40, 5
ROLES = {"by": "w", "id": "id", "label": ["group", "score"], "n_neighbors": 5, "n_epochs": 5, "scheduler": "serial"}


@pytest.fixture
def sort_small(monkeypatch):
    """Small sources are worth sorting."""
    monkeypatch.setattr(reading, "LEAST_EXCESS_BYTES", 0)
    monkeypatch.setattr(staging, "_LEAST_SPAN_BYTES", 400)
    monkeypatch.setattr(staging, "_MOST_HELD_BYTES", 900)


def make_table(*, shuffled: bool = True) -> pa.Table:
    """Rows of all windows in any order; some labels are missing in one window alone."""
    rng = np.random.default_rng(3)
    n_rows = N_WINDOWS * N_ROWS
    window = np.repeat(np.arange(N_WINDOWS), N_ROWS)
    scores = [None if w == 2 and k % 7 == 0 else 2**40 + k for k, w in enumerate(window.tolist())]
    columns = {
        "w": pa.array(window),
        "id": pa.array([f"u{'x' * (w == 4)}{k % N_ROWS}" for k, w in enumerate(window.tolist())]),
        "group": pa.array(["a", "bcd", None] * (n_rows // 3)),
        "score": pa.array(scores, pa.int64()),
    }
    columns |= {f"v{axis}": pa.array(rng.normal(size=n_rows)) for axis in range(N_NUMBERS)}
    table = pa.table(columns)
    return table.take(pa.array(rng.permutation(n_rows))) if shuffled else table


def write(folder: Path, ending: str, table: pa.Table) -> Path:
    file = folder / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(table, file, row_group_size=16)
    elif ending == "zarr":
        group = zarr.open_group(file, mode="w")
        matrix = np.column_stack([table[f"v{axis}"] for axis in range(N_NUMBERS)]).astype(np.float32)
        arrays = {"vectors": matrix, "w": table["w"].to_numpy(), "id": np.arange(len(table)) % N_ROWS}
        arrays |= {"group": np.arange(len(table)) % 3, "score": np.arange(len(table)) * 0.5}
        for name, values in arrays.items():
            group.create_array(name, data=values, chunks=(16, *values.shape[1:]))
    else:
        write_format(file, table)
    return file


def read_everything(store: Store) -> list:
    """What a store holds of each window: rows, graph, map."""
    facts = []
    for window in store.state():
        graph = store.fuzzy_graph(window.index)
        labels = {name: (values.dtype, values.tolist()) for name, values in store.window_labels(window.index).items()}
        ids = store.window_keys(window.index)
        arrays = [array.tobytes() for array in (graph.indptr, graph.indices, graph.data, store.positions(window.index))]
        facts.append((window.label, window.rows_digest, ids.dtype, ids.tolist(), str(labels), arrays))
    return facts


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz", "jsonl", "arrow", "zarr"])
def test_sorted_rows_make_the_same_store(tmp_path, ending, monkeypatch, request):
    path = write(tmp_path, ending, make_table())
    roles = {**ROLES, "duplicates": "mean"} if ending == "zarr" else ROLES
    direct = run(path, tmp_path / "direct", **roles)
    request.getfixturevalue("sort_small")
    assert plan(path, **roles).reading.is_sorted
    sorts = []
    monkeypatch.setattr(staging, "pack_rows", lambda rows, pack=staging.pack_rows: sorts.append(1) or pack(rows))
    stages = []
    made = run(path, tmp_path / "sorted", progress=lambda state: stages.append(state.stage), **roles)
    assert read_everything(made) == read_everything(direct)
    assert len(sorts) > 2 * N_WINDOWS or ending not in ("parquet", "zarr")  # of text, in one block
    assert list(dict.fromkeys(stages)) == ["sort", "graphs", "layout"]
    assert not (tmp_path / "sorted" / "staged").exists()


def test_rows_without_ids_keep_their_numbers(tmp_path, request):
    path = write(tmp_path, "parquet", make_table().drop_columns(["id"]))
    roles = {**ROLES, "id": None, "exclude": ["score"], "label": ["group"], "allow_unrelated": True}
    direct = run(path, tmp_path / "direct", **roles)
    request.getfixturevalue("sort_small")
    assert read_everything(run(path, tmp_path / "sorted", **roles)) == read_everything(direct)


def test_windows_that_share_rows_have_them_each(tmp_path, request):
    write_days(tmp_path / "days", range(6))
    table = pa.concat_tables([make_day(day) for day in range(6)])
    pq.write_table(table.take(pa.array(np.random.default_rng(0).permutation(len(table)))), tmp_path / "a.parquet")
    options = {**OPTIONS, "scheduler": "serial"}
    direct = run(tmp_path / "a.parquet", tmp_path / "direct", **options)
    request.getfixturevalue("sort_small")
    assert plan(tmp_path / "a.parquet", **options).reading.is_sorted
    assert read_maps(run(tmp_path / "a.parquet", tmp_path / "sorted", **options)) == read_maps(direct)


def test_workers_sort_too(tmp_path, sort_small):
    path = write(tmp_path, "csv", make_table())
    here = run(path, tmp_path / "here", **ROLES)
    options = {**ROLES, "scheduler": None, "workers": 2}
    assert read_everything(run(path, tmp_path / "workers", **options)) == read_everything(here)


def test_blocks_of_rows_are_read_from_sorted_ones(tmp_path, sort_small):
    path = write(tmp_path, "parquet", make_table())
    made = plan(path, **ROLES)
    windows = [{"label": w.label, "n_rows": w.n_rows, "start": None, "end": None, "digest": ""} for w in made.windows]
    fingerprint = as_source(path, by="w", id="id").fingerprint()
    store = Store.create(tmp_path / "s", config=made.config.to_json(), windows=windows, fingerprint=fingerprint)
    orders = make_orders(store, made.config, made.windows)
    staged = staging.stage_rows(store.location, orders, SerialExecutor(), None)
    assert all(order.pieces[0].staged is not None for order in staged)
    rows = staged[3].pieces[0].open()
    few = made.windows[3].runs[[1, 5, 20]]
    source = as_source(path, by="w", id="id", label=["group", "score"], pin=made.config.source.pin)
    expected, found = source.read_rows(few), rows.read_rows(few)
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert found.ids.tolist() == expected.ids.tolist()
    assert rows.read_rows(few, with_vectors=False).labels["group"].tolist() == expected.labels["group"].tolist()


def test_a_pass_that_ended_is_used_and_one_cut_short_begins_again(tmp_path, sort_small, monkeypatch):
    path = write(tmp_path, "parquet", make_table())
    whole = read_everything(run(path, tmp_path / "whole", **ROLES))
    passes = []
    sort = staging.sort_rows_task

    def stop_at_third(*arguments):
        passes.append(arguments[3].number)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return sort(*arguments)

    monkeypatch.setattr(staging, "sort_rows_task", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "s", **ROLES)
    assert Store.open(tmp_path / "s").n_staged_bytes

    def stop_at_window(*arguments):
        if arguments[1].index == 3:
            raise KeyboardInterrupt
        return build_graph_task(*arguments)

    monkeypatch.setattr("driftmap.pipeline.graphs.stage.build_graph_task", stop_at_window)
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "s", **ROLES)
    n_passes = len(passes)
    assert n_passes > 4
    assert any(name.startswith("staged/") for name in find_orphans(Store.open(tmp_path / "s")))
    monkeypatch.setattr("driftmap.pipeline.graphs.stage.build_graph_task", build_graph_task)
    made = run(path, tmp_path / "s", **ROLES)
    assert len(passes) == n_passes
    assert read_everything(made) == whole
    assert not made.n_staged_bytes


def test_a_bad_row_is_refused_with_its_window(tmp_path, sort_small):
    table = make_table()
    values = table["v1"].to_pylist()
    number = table["w"].to_pylist().index(4)
    values[number] = float("inf")
    path = write(tmp_path, "parquet", table.set_column(table.schema.get_field_index("v1"), "v1", pa.array(values)))
    with pytest.raises(SourceError, match=rf"window '4': .*row {number}\b"):
        run(path, tmp_path / "s", **ROLES)


def test_damage_to_sorted_rows_is_found(tmp_path, sort_small, monkeypatch):
    path = write(tmp_path, "parquet", make_table())

    def damage(*arguments):
        for file in (tmp_path / "s" / "staged").rglob("*.rows"):
            file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
        return build_graph_task(*arguments)

    monkeypatch.setattr("driftmap.pipeline.graphs.stage.build_graph_task", damage)
    with pytest.raises(StoreError, match=r"is not as it was written; delete .*staged and run again"):
        run(path, tmp_path / "s", **ROLES)


def test_a_plan_says_it(tmp_path, sort_small, capsys):
    path = write(tmp_path, "parquet", make_table())
    roles = ["--by", "w", "--id", "id", "--label", "group", "--label", "score"]
    words = [*roles, "--n-neighbors", "5", "--scheduler", "serial"]
    assert run_command(["plan", str(path), *words]) == 0
    assert "read once and sorted by window into the store" in capsys.readouterr().out.replace("\n", " ")
    assert run_command(["plan", str(path), *words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["reading"]
    assert said["is_sorted"]
    assert said["ratio"] == pytest.approx(N_WINDOWS, rel=0.1)
    (tmp_path / "in_order").mkdir()
    in_order = write(tmp_path / "in_order", "parquet", make_table(shuffled=False))
    assert plan(in_order, **ROLES).reading.ratio < 1.7


def test_days_in_one_file_are_sorted_for_an_ingest(tmp_path, monkeypatch):
    for name in ("direct", "sorted"):
        place = tmp_path / name
        make_growing(place / "days", place / "store")
        table = pa.concat_tables([make_day(day) for day in range(6, 12)])
        mixed = table.take(pa.array(np.random.default_rng(0).permutation(len(table))))
        pq.write_table(mixed, place / "days" / "later.parquet", row_group_size=50)
    take_in(tmp_path / "direct", complete=True)
    monkeypatch.setattr(reading, "LEAST_EXCESS_BYTES", 0)
    packed = []
    monkeypatch.setattr(staging, "pack_rows", lambda rows, pack=staging.pack_rows: packed.append(1) or pack(rows))
    take_in(tmp_path / "sorted", complete=True)
    assert packed
    stores = [Store.open(tmp_path / name / "store") for name in ("direct", "sorted")]
    assert read_maps(stores[0]) == read_maps(stores[1])
    assert not stores[1].n_staged_bytes
