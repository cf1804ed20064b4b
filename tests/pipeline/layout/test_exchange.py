"""Blocks in parallel: the engine's bytes, on every executor, and after every interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.damage import cut_log
from tests.workers import find_workers

from driftmap.engine import BlockWindow, LayoutSettings, relate_ids
from driftmap.engine.layout.exchange import lay_out_in_exchange
from driftmap.pipeline import open_store, plan, run
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.executors import make_executor
from driftmap.pipeline.executors.base import LinkedTask, SerialExecutor
from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.layout.exchange_task import Job, run_step
from driftmap.pipeline.planning.exchange_schedule import Step

N_WINDOWS, N_ROWS, REACH = 9, 40, 2
OPTIONS = {"by": "year", "id": "entity", "vectors": "v", "n_neighbors": 5, "n_epochs": 8, "lookahead": 2,
           "alignment_window_size": REACH, "block_windows": 4, "layout": "exchange"}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(3)
    everyone = rng.normal(size=(N_ROWS + N_WINDOWS, 6)).astype(np.float32)
    parts = []
    for window in range(N_WINDOWS):
        vectors = everyone[window : window + N_ROWS] + 0.1 * rng.normal(size=(N_ROWS, 6)).astype(np.float32)
        entities = pa.array(np.arange(window, window + N_ROWS))
        array = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
        parts.append(pa.table({"year": pa.array([2000 + window] * N_ROWS), "entity": entities, "v": array}))
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    pq.write_table(pa.concat_tables(parts), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """A run in this process that nothing interrupted."""
    return run(source, tmp_path_factory.mktemp("runs") / "serial", scheduler="serial", **OPTIONS)


def all_positions(store):
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def test_maps_are_the_engines(undisturbed):
    given = [undisturbed.read_layout_input(t) for t in range(N_WINDOWS)]
    windows = [BlockWindow(each.graph, t, mid_near=each.mid_near) for t, each in enumerate(given)]
    ids = [undisturbed.window_ids(t) for t in range(N_WINDOWS)]
    relations = {(i, j): relate_ids(ids[i], ids[j]) for j in range(N_WINDOWS) for i in range(max(0, j - REACH), j)}
    settings = LayoutSettings(n_epochs=8, alignment_window_size=REACH)
    maps = lay_out_in_exchange(windows, relations, settings, 42, [range(3), range(3, 6), range(6, 9)])
    assert all_positions(undisturbed) == [positions.tobytes() for positions in maps]


def test_the_last_windows_may_still_move(undisturbed):
    assert [w.status for w in undisturbed.state()] == ["final"] * 7 + ["provisional"] * 2
    assert undisturbed.n_blocks_done == 3


def test_the_log_tells_the_share_of_the_carry_pass(undisturbed):
    commits = [json.loads(path.read_text()) for path in sorted((undisturbed.path / "commits").glob("*.json"))]
    blocks = [commit for commit in commits if commit["kind"] == "layout"]
    assert len(blocks) == 3
    for block in blocks:
        parts = [block[f"{name}_seconds"] for name in ("read", "carry", "move", "write")]
        assert all(seconds > 0 for seconds in parts)
        assert block["seconds"] == pytest.approx(sum(parts))


@pytest.mark.parametrize("n_workers", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 4))])
def test_any_number_of_workers_gives_the_same_bytes(undisturbed, source, tmp_path, n_workers):
    store = run(source, tmp_path / "s", workers=n_workers, **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)


def test_a_worker_without_room_reads_its_blocks_anew(undisturbed, source, tmp_path, monkeypatch):
    monkeypatch.setattr(SerialExecutor, "kept_bytes", 0)
    store = run(source, tmp_path / "s", scheduler="serial", **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)


def test_a_worker_keeps_what_fits(undisturbed):
    from driftmap.pipeline.layout.exchange_task import _open_run

    job = Job(undisturbed.location, "some run", kept_bytes=0)
    run_step(job, Step("read", 0))
    assert not _open_run(job).kept
    job = Job(undisturbed.location, "another run", kept_bytes=10**9)
    for number in (0, 1):
        run_step(job, Step("read", number))
    assert set(_open_run(job).kept) == {0, 1}
    n_bytes = sum(block.n_bytes for block in _open_run(job).kept.values())
    assert _open_run(job).free_bytes == 10**9 - n_bytes


def test_a_run_cut_off_after_any_commit_ends_with_the_same_bytes(undisturbed, source, tmp_path):
    for n_commits in range(N_WINDOWS + 1, undisturbed.n_commits):
        path = tmp_path / f"cut after {n_commits}"
        shutil.copytree(undisturbed.path, path)
        cut_log(path, n_commits)
        store = run(source, path, scheduler="serial", **OPTIONS)
        assert all_positions(store) == all_positions(undisturbed)
        assert [w.status for w in store.state()] == [w.status for w in undisturbed.state()]


def test_blocks_that_do_not_fit_a_worker_are_refused_also_where_all_graphs_are_there(undisturbed, source, tmp_path):
    path = tmp_path / "s"
    shutil.copytree(undisturbed.path, path)
    cut_log(path, N_WINDOWS + 1)
    need = format_size(plan(source, workers=1, **OPTIONS).estimate.worker_bytes)
    with pytest.raises(PlanError, match=f"the largest block takes {need} in a worker, which has 200 MB"):
        run(source, path, workers=1, worker_memory="200MB", **OPTIONS)
    assert open_store(path).n_blocks_done == 0


def test_an_interrupted_layout_begins_anew(undisturbed, source, tmp_path):
    reports = []

    def interrupt(report):
        if report.stage == "layout":
            reports.append(report)
        if len(reports) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "s", scheduler="serial", progress=interrupt, **OPTIONS)
    assert open_store(tmp_path / "s").n_blocks_done == 0
    assert all_positions(run(source, tmp_path / "s", scheduler="serial", **OPTIONS)) == all_positions(undisturbed)


def test_a_damaged_map_is_made_again(undisturbed, source, tmp_path):
    path = tmp_path / "s"
    shutil.copytree(undisturbed.path, path)
    group = path / "windows" / "00000004" / undisturbed.state()[4].layout_attempt
    chunk = next(found for found in (group / "positions").rglob("*") if found.is_file() and found.name != "zarr.json")
    damaged = bytearray(chunk.read_bytes())
    damaged[20] ^= 1
    chunk.write_bytes(damaged)
    store = run(source, path, scheduler="serial", **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)
    assert store.state()[4].layout_attempt != undisturbed.state()[4].layout_attempt


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["all", "worker"])
def test_a_run_killed_while_its_blocks_move_ends_with_the_same_bytes(undisturbed, source, tmp_path, victim):
    """All processes, or one worker, are killed with -9 once every graph is committed."""
    path = tmp_path / "s"
    command = [
        sys.executable,
        "-m",
        "driftmap.pipeline.cli.app",
        "run",
        str(source),
        "--store",
        str(path),
        "--workers",
        "2",
    ]
    command += [part for name, value in OPTIONS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 300
    while not (path / "commits" / f"{N_WINDOWS:08d}.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if victim == "all":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        find_workers(process.pid)[0].kill()
    process.communicate(timeout=300)
    assert process.returncode == (-signal.SIGKILL if victim == "all" else 0)
    store = run(source, path, scheduler="serial", **OPTIONS)
    assert all_positions(store) == all_positions(undisturbed)


def test_progress_ends_with_all_rows(source, tmp_path):
    reports = []
    run(source, tmp_path / "s", scheduler="serial", progress=reports.append, **OPTIONS)
    layout = [report for report in reports if report.stage == "layout"]
    assert layout[-1].windows_done == layout[-1].windows_total == N_WINDOWS
    assert layout[-1].rows_done == layout[-1].rows_total == N_WINDOWS * N_ROWS
    assert [r.rows_done for r in layout] == sorted(r.rows_done for r in layout)


def test_the_plan_has_even_blocks_with_halos_on_both_sides(source):
    blocks = plan(source, **OPTIONS).blocks
    assert [block.core for block in blocks] == [range(3), range(3, 6), range(6, 9)]
    assert [block.windows for block in blocks] == [range(5), range(1, 8), range(4, 9)]
    assert len(plan(source, **{**OPTIONS, "block_windows": None}).blocks) == 3


def test_linked_tasks_give_their_last_results_only(linked):
    executor, tasks = linked
    results = list(executor.run_linked(add_up, tasks, "sum"))
    assert sorted(result for result in results if result is not None) == [111, 1011]
    assert len(results) == len(tasks)


def add_up(*numbers):
    return sum(numbers)


@pytest.fixture(scope="module")
def cluster():
    with make_executor(workers=2) as executor:
        yield executor


@pytest.fixture(params=["serial", "local cluster"])
def linked(request):
    executor = SerialExecutor() if request.param == "serial" else request.getfixturevalue("cluster")
    needs = [(), (), (0, 1), (2,), (2,)]
    numbers = [1, 10, 0, 100, 1000]
    return executor, [LinkedTask(f"task {n}", (n,), need, n) for n, need in zip(numbers, needs, strict=True)]


def test_an_error_of_a_linked_task_ends_the_run(linked):
    executor, tasks = linked
    tasks[1] = tasks[1]._replace(arguments=("ten",))
    with pytest.raises(TypeError):
        list(executor.run_linked(add_up, tasks, "sum"))
