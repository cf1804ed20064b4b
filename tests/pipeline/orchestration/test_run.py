"""A run: complete, the same bytes on every executor and after every interruption, and harmless when it is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.damage import cut_log
from tests.workers import find_workers

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.relations.relations import relate_ids
from driftmap.pipeline import open_store, plan, run
from driftmap.pipeline.errors import ConfigError, PlanError, SourceError, StoreBusyError, StoreError
from driftmap.pipeline.layout.relate import relate_windows

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.store import Store

N_WINDOWS, N_ROWS = 8, 40
OPTIONS = {"by": "year", "id": "entity", "label": "party", "vectors": "v", "n_neighbors": 5, "n_epochs": 8,
           "lookahead": 2, "alignment_window_size": 2, "block_windows": 2}  # fmt: skip


def make_table(n_windows: int = N_WINDOWS, bad_year: int | None = None) -> pa.Table:
    rng = np.random.default_rng(3)
    everyone = rng.normal(size=(N_ROWS + n_windows, 6)).astype(np.float32)
    parts = []
    for window in range(n_windows):
        vectors = everyone[window : window + N_ROWS] + 0.1 * rng.normal(size=(N_ROWS, 6)).astype(np.float32)
        if bad_year == 2000 + window:
            vectors[7, 2] = np.nan
        entities = np.arange(window, window + N_ROWS)
        parts.append(
            pa.table(
                {
                    "year": pa.array([2000 + window] * N_ROWS),
                    "entity": pa.array([f"e{entity}" for entity in entities]),
                    "party": pa.array(["left" if entity % 3 else "right" for entity in entities]),
                    "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6),
                }
            )
        )
    return pa.concat_tables(parts)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    pq.write_table(make_table(), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """A run on the serial executor that nothing interrupted."""
    return run(source, tmp_path_factory.mktemp("runs") / "serial", scheduler="serial", **OPTIONS)


def all_positions(store: Store) -> list[bytes]:
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def all_facts(store: Store) -> list[tuple]:
    return [(w.label, w.status, w.n_rows, w.n_edges, w.label_columns) for w in store.state()]


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_window_has_a_map_and_the_last_ones_may_still_move(undisturbed):
    assert undisturbed.is_complete
    assert undisturbed.labels == [str(2000 + window) for window in range(N_WINDOWS)]
    assert [w.status for w in undisturbed.state()] == ["final"] * 6 + ["provisional"] * 2
    ids, positions = undisturbed.embedding("2003")
    assert ids.tolist() == [f"e{entity}" for entity in range(3, 3 + N_ROWS)]
    assert positions.shape == (N_ROWS, 2)
    assert np.isfinite(positions).all()
    assert undisturbed.to_table().num_rows == N_WINDOWS * N_ROWS


def test_graphs_are_the_engines(undisturbed, source):
    from driftmap.engine.graph.window_graph import build_window_graph
    from driftmap.engine.settings import GraphSettings

    vectors = np.stack(pq.read_table(source)["v"].to_pylist())[:N_ROWS].astype(np.float32)
    expected = build_window_graph(vectors, GraphSettings(n_neighbors=5), 42)
    assert undisturbed.knn_graph(0).indices.tobytes() == expected.knn.indices.tobytes()
    assert undisturbed.fuzzy_graph(0).data.tobytes() == expected.fuzzy.data.tobytes()


def test_drift_is_small_between_windows(undisturbed):
    ids, positions = zip(*(undisturbed.embedding(window) for window in range(N_WINDOWS)), strict=True)
    relation = relate_ids(ids[0], ids[1])
    related = relation >= 0
    moved = np.linalg.norm(positions[0][related] - positions[1][relation[related]], axis=1).mean()
    chance = np.linalg.norm(positions[0][related] - positions[1][np.roll(relation[related], 7)], axis=1).mean()
    assert moved < 0.7 * chance


def test_the_local_cluster_gives_the_same_bytes(undisturbed, source, tmp_path):
    store = run(source, tmp_path / "s", workers=2, **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)
    assert all_facts(store) == all_facts(undisturbed)


def test_a_client_gives_the_same_bytes(undisturbed, source, tmp_path):
    from driftmap.pipeline.executors import make_executor

    with make_executor(workers=1) as executor:
        store = run(source, tmp_path / "s", scheduler=executor.client, **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)


def test_arrays_given_from_python_give_the_same_bytes(undisturbed, tmp_path):
    table = make_table()
    store = run(table, tmp_path / "s", scheduler="serial", **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)
    again = run(table, tmp_path / "s", scheduler="serial", **OPTIONS)
    assert again.n_commits == store.n_commits


def test_a_finished_run_does_nothing_more(undisturbed, source):
    before = list_files(undisturbed.path)
    run(source, undisturbed.path, scheduler="serial", **OPTIONS)
    assert list_files(undisturbed.path) == before


def test_a_run_cut_off_after_any_commit_ends_with_the_same_bytes(undisturbed, source, tmp_path):
    for n_commits in range(undisturbed.n_commits):
        path = tmp_path / f"cut after {n_commits}"
        shutil.copytree(undisturbed.path, path)
        cut_log(path, n_commits)
        if n_commits == 0:  # a kill before the first commit leaves at most the empty log
            shutil.rmtree(path / "windows")
            (path / "zarr.json").unlink()
        store = run(source, path, scheduler="serial", **OPTIONS)
        assert all_positions(store) == all_positions(undisturbed)
        assert all_facts(store) == all_facts(undisturbed)


def test_an_interrupted_run_goes_on(undisturbed, source, tmp_path):
    reports = []

    def interrupt(report):
        reports.append(report)
        if len(reports) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "s", scheduler="serial", progress=interrupt, **OPTIONS)
    assert not open_store(tmp_path / "s").is_complete
    assert all_positions(run(source, tmp_path / "s", scheduler="serial", **OPTIONS)) == all_positions(undisturbed)


def test_a_second_run_on_the_same_store_is_refused(undisturbed, source, tmp_path):
    def run_again(report):
        if report.stage == "layout" and report.windows_done < N_WINDOWS:
            before = list_files(tmp_path / "s")
            with pytest.raises(StoreBusyError, match=rf"in use by .*: process {os.getpid()} of .*, since 20"):
                run(source, tmp_path / "s", scheduler="serial", **OPTIONS)
            assert list_files(tmp_path / "s") == before

    run(source, tmp_path / "s", scheduler="serial", progress=run_again, **OPTIONS)
    assert all_positions(open_store(tmp_path / "s")) == all_positions(undisturbed)
    assert all_facts(open_store(tmp_path / "s")) == all_facts(undisturbed)


def test_progress_counts_windows_and_rows(source, tmp_path):
    reports = []
    run(source, tmp_path / "s", scheduler="serial", progress=reports.append, **OPTIONS)
    graphs = [report for report in reports if report.stage == "graphs"]
    layout = [report for report in reports if report.stage == "layout"]
    assert [report.windows_done for report in graphs] == list(range(N_WINDOWS + 1))
    for stage in (graphs, layout):
        assert stage[-1].windows_done == stage[-1].windows_total == N_WINDOWS
        assert stage[-1].rows_done == stage[-1].rows_total == N_WINDOWS * N_ROWS
        assert all(before.rows_done <= after.rows_done for before, after in pairwise(stage))
        assert all(before.seconds <= after.seconds for before, after in pairwise(stage))
    shares = [report.epochs_done / report.epochs_total for report in layout if report.epochs_total]
    assert len(shares) > 20
    assert shares[0] < 0.1
    assert shares.count(1.0) == len({report.windows_done for report in layout} - {N_WINDOWS})  # of every block
    assert not any(report.epochs_total for report in graphs)


def test_early_blocks_are_laid_out_while_later_graphs_are_built(source, tmp_path):
    stages = []
    run(source, tmp_path / "s", scheduler="serial", progress=stages.append, **OPTIONS)
    first_map = next(i for i, report in enumerate(stages) if report.stage == "layout" and report.rows_done)
    last_graph = max(i for i, report in enumerate(stages) if report.stage == "graphs")
    assert stages[first_map].windows_total == N_WINDOWS
    assert first_map < last_graph
    assert (
        max(r.windows_done for r in stages[:first_map] if r.stage == "graphs") == 4
    )  # the first block and its lookahead


def test_dasks_account_of_a_run_is_written(source, tmp_path):
    pytest.importorskip("bokeh", reason="bokeh is not installed: pip install 'driftmap[dashboard]'")
    store = run(source, tmp_path / "s", workers=2, performance_report=tmp_path / "report.html", **OPTIONS)
    assert store.state()[-1].layout_attempt is not None
    assert "graph" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("is_watched", [False, True])
def test_workers_end_once_all_graphs_are_there_unless_somebody_watches(source, tmp_path, is_watched):
    counts = []

    def look(report):
        # Workers end beside the layout, so it waits for them here.
        if report.stage == "layout" and report.windows_done == N_WINDOWS:
            for _ in range(5 if is_watched else 300):
                if not (workers := find_workers(os.getpid())):
                    break
                time.sleep(0.1)
            counts.append(len(workers))

    watch = {"on_dashboard": lambda _: None} if is_watched else {}
    run(source, tmp_path / "s", workers=2, progress=look, **watch, **OPTIONS)
    assert counts == [2 if is_watched else 0]


def test_changed_settings_are_refused_with_the_difference(undisturbed, source):
    before = list_files(undisturbed.path)
    with pytest.raises(ConfigError, match=r"n_neighbors: store has 5, now 6.*another store"):
        run(source, undisturbed.path, scheduler="serial", **{**OPTIONS, "n_neighbors": 6})
    assert list_files(undisturbed.path) == before


def test_block_size_of_the_store_is_kept_when_none_is_given(undisturbed, source):
    options = {name: value for name, value in OPTIONS.items() if name != "block_windows"}
    store = run(source, undisturbed.path, scheduler="serial", memory_limit="1TB", **options)
    assert store.config["block_windows"] == 2


def test_a_changed_source_is_refused(source, tmp_path):
    data = tmp_path / "years.parquet"
    shutil.copy(source, data)
    run(data, tmp_path / "s", scheduler="serial", **OPTIONS)
    before = list_files(tmp_path / "s")
    pq.write_table(make_table(N_WINDOWS + 1), data)
    with pytest.raises(StoreError, match=r"source .* changed since .* was made.*another store"):
        run(data, tmp_path / "s", scheduler="serial", **OPTIONS)
    assert list_files(tmp_path / "s") == before


@pytest.mark.parametrize("scheduler", ["serial", None])
def test_rows_that_cannot_be_used_are_named_with_their_window(tmp_path, scheduler):
    pq.write_table(make_table(bad_year=2004), tmp_path / "years.parquet")
    workers = 1 if scheduler is None else None
    with pytest.raises((InvalidInputError, SourceError), match=r"window '2004'.*7"):
        run(tmp_path / "years.parquet", tmp_path / "s", scheduler=scheduler, workers=workers, **OPTIONS)
    states = open_store(tmp_path / "s").state()
    assert states[4].status == "planned"
    assert {window.status for window in states[3:]} <= {"planned", "graph", "provisional"}


def test_what_is_no_store_is_refused_and_left_alone(source, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="exists and is not a driftmap store"):
        run(source, tmp_path, scheduler="serial", **OPTIONS)
    assert list_files(tmp_path) == {"letter.txt": b"dear"}


def test_a_store_of_a_newer_version_is_refused_and_left_alone(undisturbed, source, tmp_path):
    shutil.copytree(undisturbed.path, tmp_path / "s")
    commit = tmp_path / "s/commits/00000000.json"
    content = json.loads(commit.read_text())
    del content["checksum"], content["previous"]
    commit.write_text(json.dumps({**content, "version": 99}))
    cut_log(tmp_path / "s", 1)
    before = list_files(tmp_path / "s")
    with pytest.raises(StoreError, match="upgrade"):
        run(source, tmp_path / "s", scheduler="serial", **OPTIONS)
    assert list_files(tmp_path / "s") == before


def test_what_the_plan_refuses_makes_no_store(source, tmp_path):
    options = {name: value for name, value in OPTIONS.items() if name != "block_windows"}
    with pytest.raises(PlanError, match="more than once"):
        run(source, tmp_path / "s", scheduler="serial", **{**OPTIONS, "id": "party"})
    with pytest.raises(PlanError, match="memory_limit"):
        run(source, tmp_path / "s", scheduler="serial", memory_limit="10kB", **options)
    with pytest.raises(ConfigError, match="memory_limit"):
        run(source, tmp_path / "s", scheduler="serial", memory_limit="much", **options)
    with pytest.raises(SourceError, match="absent"):
        run(tmp_path / "absent.parquet", tmp_path / "s", scheduler="serial", **OPTIONS)
    assert not (tmp_path / "s").exists()


def test_the_plan_shows_windows_and_blocks(source):
    planned = plan(source, **OPTIONS)
    assert [window.label for window in planned.windows] == [str(2000 + window) for window in range(N_WINDOWS)]
    assert [len(block.core) for block in planned.blocks] == [2, 2, 4]
    assert str(planned).startswith("8 windows, 320 rows, 3 blocks\n")
    one = plan(source, **{**OPTIONS, "block_windows": None})
    assert len(one.blocks) == 1


def test_relations_bridge_a_gap_and_leave_out_what_does_not_move():
    ids = [np.array([1, 2]), np.array([2, 3]), np.array([3, 1]), np.array([1, 4])]
    relations = relate_windows(ids, reach=2, moved=range(2, 4))
    assert sorted(relations) == [(0, 2), (1, 2), (1, 3), (2, 3)]
    assert relations[0, 2].tolist() == [1, -1]
    assert relations[2, 3].tolist() == [-1, 0]


def test_one_block_is_the_same_as_the_estimator(source, tmp_path):
    from driftmap.engine import AlignedUMAP

    store = run(source, tmp_path / "s", scheduler="serial", **{**OPTIONS, "block_windows": N_WINDOWS})
    table = pq.read_table(source)
    vectors = np.stack(table["v"].to_pylist()).reshape(N_WINDOWS, N_ROWS, 6)
    ids = [store.window_ids(window) for window in range(N_WINDOWS)]
    estimator = AlignedUMAP(n_neighbors=5, n_epochs=8, alignment_window_size=2, random_state=42)
    expected = estimator.fit(list(vectors), ids=ids).embeddings_
    assert all_positions(store) == [positions.tobytes() for positions in expected]


def test_a_script_without_a_guard_is_told_so(source, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"from driftmap.pipeline import run\nrun({str(source)!r}, {str(tmp_path / 's')!r}, workers=1, **{OPTIONS!r})\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "WorkerError: no worker process could be started" in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr
    assert {window.status for window in open_store(tmp_path / "s").state()} == {"planned"}
