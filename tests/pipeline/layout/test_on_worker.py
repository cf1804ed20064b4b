"""Blocks laid out one after the other on a cluster's workers: the bytes of a local run, also after a kill."""

from __future__ import annotations

import os
import re
import signal
import warnings

import numpy as np
import pytest
from tests.workers import start_two_workers

from driftmap.pipeline import plan, run
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.executors import make_executor
from driftmap.pipeline.executors.base import Task, WorkerLimit
from driftmap.pipeline.executors.cluster.cluster_workers import ClusterWorkers
from driftmap.pipeline.layout import block_layout, on_worker
from driftmap.pipeline.planning.estimates.memory import LAYOUT_WORKER_BYTES, share_block_bytes
from driftmap.pipeline.planning.plan import make_plan
from driftmap.pipeline.sources import as_source

N_WINDOWS, N_ROWS = 7, 40
OPTIONS = {"by": "w", "id": "id", "n_neighbors": 5, "n_epochs": 20, "block_windows": 2, "lookahead": 1}


def make_source():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(N_ROWS, 5))
    vectors = np.concatenate([start + 0.2 * window * rng.normal(size=start.shape) for window in range(N_WINDOWS)])
    return {
        "vectors": vectors.astype(np.float32),
        "id": np.tile(np.arange(N_ROWS), N_WINDOWS),
        "w": np.repeat(np.arange(N_WINDOWS), N_ROWS),
    }


@pytest.fixture(scope="module")
def client():
    with start_two_workers(threads=2, memory="4GB") as found:
        yield found


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return list_maps(run(make_source(), tmp_path_factory.mktemp("here") / "s", scheduler="serial", **OPTIONS))


@pytest.fixture
def nothing_here(monkeypatch):
    """In this process no block can be laid out."""

    def refuse(*_given):
        raise AssertionError("a block is laid out in the process that called")

    monkeypatch.setattr(block_layout, "lay_out_one", refuse)


def list_maps(store):
    states = store.state()
    return [
        (store.positions(i).tobytes(), store.clusters(i).tobytes(), states[i].status, states[i].strength)
        for i in range(store.n_windows)
    ]


@pytest.mark.usefixtures("nothing_here")
def test_workers_lay_blocks_out_and_the_bytes_are_those_of_a_local_run(client, tmp_path, expected):
    store = run(make_source(), tmp_path / "s", scheduler=client, **OPTIONS)
    assert list_maps(store) == expected


def set_note_seconds(seconds):
    on_worker.NOTE_SECONDS = seconds


@pytest.mark.usefixtures("nothing_here")
def test_a_long_block_says_how_far_it_is(client, tmp_path, expected, monkeypatch):
    """Notes of workers go through the store, and none is left."""
    usual = on_worker.NOTE_SECONDS
    monkeypatch.setattr(on_worker, "NOTE_SECONDS", 0.0)
    monkeypatch.setattr(on_worker, "POLL_SECONDS", 0.001)  # these blocks take a tenth of a second
    client.run(set_note_seconds, 0.0)
    reports = []
    try:
        store = run(make_source(), tmp_path / "s", scheduler=client, progress=reports.append, **OPTIONS)
    finally:
        client.run(set_note_seconds, usual)
    assert list_maps(store) == expected
    within = [report for report in reports if report.epochs_total]
    assert {report.stage for report in within} == {"layout"}
    assert any(0 < report.epochs_done < report.epochs_total and report.windows_done < N_WINDOWS for report in within)
    rows = [report.rows_done for report in reports if report.stage == "layout"]
    assert rows == sorted(rows)
    assert not (tmp_path / "s" / "staged").exists()


@pytest.mark.usefixtures("nothing_here")
def test_graphs_that_are_there_are_laid_out_by_workers_too(client, tmp_path, expected):
    class StoppedError(Exception):
        pass

    def stop(progress):
        if progress.stage == "layout" and progress.windows_done >= 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(make_source(), tmp_path / "s", scheduler=client, progress=stop, **OPTIONS)
    assert list_maps(run(make_source(), tmp_path / "s", scheduler=client, **OPTIONS)) == expected


@pytest.mark.usefixtures("nothing_here")
def test_a_worker_that_is_killed_while_blocks_are_laid_out_costs_no_byte(client, tmp_path, expected):
    killed = []

    def kill(progress):
        if progress.stage == "layout" and progress.windows_done >= 2 and not killed:
            killed.extend(client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    store = run(make_source(), tmp_path / "s", scheduler=client, progress=kill, **OPTIONS)
    assert killed
    assert list_maps(store) == expected
    client.wait_for_workers(2, timeout=60)


def test_a_block_takes_the_threads_of_all_slots_of_its_worker(client):
    with make_executor(client) as executor:
        for is_wide, n_threads in ((False, 1), (True, min(2, os.cpu_count() or 1))):
            (found,) = executor.map_unordered(count_threads, [Task("threads", (), is_wide=is_wide)])
            assert found == n_threads


def count_threads():
    import numba

    return numba.get_num_threads()


def plan_with(room, **options):
    """Plan for a cluster whose workers have so much room for a block."""
    source = as_source(make_source(), id="id", by="w")
    config = plan(source, scheduler="serial", **{**OPTIONS, "block_windows": None, **options}).config
    limit = WorkerLimit(2, 1, int((LAYOUT_WORKER_BYTES + room) / 0.9) + 1, "give workers more")
    config = config.model_copy(update={"block_windows": options.get("block_windows")})
    return make_plan(source, config, None, limit, is_cluster=True), limit


def test_a_cluster_has_the_blocks_of_this_machine_unless_no_worker_has_room():
    roomy, limit = plan_with(2**30)
    here = plan(make_source(), scheduler="serial", **{**OPTIONS, "block_windows": None})
    assert roomy.blocks == here.blocks
    assert here.estimate.block_bytes == 0 < roomy.estimate.block_bytes <= share_block_bytes(limit)
    assert roomy.estimate.coordinator_bytes < here.estimate.coordinator_bytes
    tight, limit = plan_with(int(0.9 * roomy.estimate.block_bytes))
    assert len(tight.blocks) > len(roomy.blocks)
    assert 0 < tight.estimate.block_bytes <= share_block_bytes(limit)
    assert tight.notes == roomy.notes == []


def plan_open(n_rows, n_windows=40, n_workers=2, room=2**30, **more):
    """Plan windows of so many rows, with a layout that is left open, for a cluster."""
    ids = np.tile(np.arange(n_rows), n_windows)
    data = {"vectors": np.zeros((len(ids), 2)), "id": ids, "w": np.repeat(np.arange(n_windows), n_rows)}
    source = as_source(data, id="id", by="w")
    config = RunConfig.from_options(source.spec, **more)
    limit = WorkerLimit(n_workers, 1, int((LAYOUT_WORKER_BYTES + room) / 0.5) + 1, "give workers more")
    return make_plan(source, config, None, limit, is_cluster=True)


def test_a_cluster_lays_out_in_parallel_where_that_saves_time_whatever_the_number_of_workers():
    large = plan_open(5_000)
    assert large.config.layout.layout == "exchange"
    assert [len(block.core) for block in large.blocks] == [5] * 8
    (note,) = large.notes
    assert re.fullmatch(
        r"blocks are laid out in parallel, which changes maps a little \(roughly 13 s in order, 8 s in parallel "
        r"on two workers\); layout='carry' lays them out in order",
        note,
    )
    for n_workers in (1, 7):
        other = plan_open(5_000, n_workers=n_workers)
        assert (other.blocks, other.config) == (large.blocks, large.config)


@pytest.mark.parametrize(
    "options",
    [
        {"n_rows": 500},
        {"n_rows": 5_000, "layout": "carry"},
        {"n_rows": 5_000, "room": 2**20},
        {"n_rows": 100_000, "n_windows": 1},
    ],
)
def test_a_cluster_lays_out_in_order_where_nothing_is_saved_or_it_is_asked_for_or_blocks_do_not_fit(options):
    planned = plan_open(**options)
    assert planned.config.layout.layout == "carry"
    assert not any("in parallel" in note for note in planned.notes)


def test_blocks_for_which_no_worker_has_room_are_laid_out_here_with_a_word():
    roomy, _ = plan_with(2**30, block_windows=4)
    tight, _ = plan_with(roomy.estimate.block_bytes // 10, block_windows=4)
    assert tight.blocks == roomy.blocks
    assert tight.estimate.block_bytes == 0
    (note,) = tight.notes
    assert note.startswith("blocks are laid out in this process: the largest takes ")
    assert note.endswith("; give workers more")


def test_a_run_that_goes_on_where_workers_have_less_room_lays_out_here(client, tmp_path, expected, monkeypatch):
    run(make_source(), tmp_path / "s", scheduler=client, **OPTIONS)
    monkeypatch.setattr("driftmap.pipeline.orchestration.stages.choose_parts", lambda *_given: 0)
    with pytest.warns(PlanWarning, match="blocks are laid out in this process"):
        store = run(make_source(), tmp_path / "other", scheduler=client, **OPTIONS)
    assert list_maps(store) == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlanWarning)
        run(make_source(), tmp_path / "other", scheduler=client, **OPTIONS)  # done: nothing is laid out


def test_progress_says_how_many_workers_of_a_cluster_compile_first(client, tmp_path, monkeypatch):
    monkeypatch.setattr(ClusterWorkers, "count_compiling", lambda _: 2)
    there, here = [], []
    run(make_source(), tmp_path / "there", scheduler=client, progress=there.append, **OPTIONS)
    run(make_source(), tmp_path / "here", scheduler="serial", progress=here.append, **OPTIONS)
    assert {(state.stage, state.compiling_workers) for state in there} == {("graphs", 2), ("layout", 2)}
    assert {state.compiling_workers for state in here} == {None}
