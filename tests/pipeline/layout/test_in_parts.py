"""Blocks whose rows are shared out over workers: the bytes of a local run, also after a kill."""

from __future__ import annotations

import math
import os
import signal
import warnings

import numpy as np
import pytest
from tests.pipeline.layout.test_on_worker import list_maps
from tests.workers import start_two_workers

from driftmap.pipeline import open_store, plan, run
from driftmap.pipeline.cli import terminal
from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.executors.base import SerialExecutor, WorkerLimit
from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.layout import block_layout
from driftmap.pipeline.layout.in_parts import share_out
from driftmap.pipeline.orchestration import stages
from driftmap.pipeline.planning import plan as planning
from driftmap.pipeline.planning.blocks import block_bytes
from driftmap.pipeline.planning.estimates import memory

N_WINDOWS, N_ROWS = 4, 1_100
OPTIONS = {"by": "w", "id": "id", "n_neighbors": 5, "n_epochs": 8, "block_windows": 2, "lookahead": 1}


def make_source():
    """Windows of which the second is too small to be shared out."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(N_ROWS, 5)) + 4 * rng.integers(0, 3, size=(N_ROWS, 1))
    rows = [np.arange(300 if window == 1 else N_ROWS) for window in range(N_WINDOWS)]
    vectors = [start[own] + 0.1 * window * rng.normal(size=(len(own), 5)) for window, own in enumerate(rows)]
    return {
        "vectors": np.concatenate(vectors).astype(np.float32),
        "id": np.concatenate(rows),
        "w": np.repeat(np.arange(N_WINDOWS), [len(own) for own in rows]),
    }


@pytest.fixture(scope="module")
def client():
    with start_two_workers(threads=2, memory="4GB") as found:
        yield found


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return list_maps(run(make_source(), tmp_path_factory.mktemp("here") / "s", scheduler="serial", **OPTIONS))


@pytest.fixture
def little_room(monkeypatch):
    """Workers that have room for a part of a block, not for a whole one; nor does this process lay any out."""
    shape = {"n_neighbors": 5, "n_components": 2, "reach": 3}
    n_rows = 3 * N_ROWS + 300
    sizes = [block_bytes(n_rows, N_ROWS, N_WINDOWS, n_parts=n_parts, **shape) for n_parts in (4, 1)]
    assert sizes[0] < 0.8 * sizes[1]

    def share(limit, **_options):
        return math.inf if limit is None else sum(sizes) / 2

    for module in (memory, planning, stages):
        monkeypatch.setattr(module, "share_block_bytes", share)

    def refuse(*_given):
        raise AssertionError("a block is laid out in one process")

    monkeypatch.setattr(block_layout, "lay_out_one", refuse)


def run_shared(path, client, **options):
    with pytest.warns(PlanWarning, match="the rows of each window are shared out over the workers in 4 parts"):
        return run(make_source(), path, scheduler=client, **OPTIONS, **options)


@pytest.mark.usefixtures("little_room")
def test_workers_share_the_rows_of_a_block_and_the_bytes_are_those_of_one_process(client, tmp_path, expected):
    seen = []
    store = run_shared(tmp_path / "s", client, progress=seen.append)
    assert list_maps(store) == expected
    epochs = [(p.epochs_done, p.epochs_total) for p in seen if p.stage == "layout" and p.epochs_total]
    assert len(set(epochs)) > 10
    assert all(0 <= done <= total for done, total in epochs)


@pytest.mark.usefixtures("little_room")
def test_a_plan_says_that_rows_are_shared_out(client):
    planned = plan(make_source(), scheduler=client, **OPTIONS)
    assert planned.estimate.n_parts == 4
    assert any("rows of each window are shared out over the workers in 4 parts" in note for note in planned.notes)
    lines = terminal._describe_estimate(planned)
    assert f"A worker's part of the largest block: {format_size(planned.estimate.block_bytes)}" in lines


@pytest.mark.parametrize(("room", "n_parts"), [(1_200, 1), (500, 8), (450, 16), (424, 33), (100, 0)])
def test_there_are_no_more_parts_than_fit_and_help(monkeypatch, room, n_parts):
    monkeypatch.setattr(memory, "size_largest_block", lambda *given: 400 + 800 // (given[4:] or (1,))[0])
    monkeypatch.setattr(memory, "share_block_bytes", lambda _limit: room)
    limit = WorkerLimit(11, 3, 0, "")
    assert memory.choose_parts(None, None, [], [], limit) == n_parts


def test_a_block_that_fits_a_worker_is_laid_out_whole(client):
    assert plan(make_source(), scheduler=client, **OPTIONS).estimate.n_parts == 1


@pytest.mark.usefixtures("little_room")
def test_a_worker_that_is_killed_costs_no_byte(client, tmp_path, expected):
    killed = []

    def kill_one(progress):
        if progress.stage == "layout" and progress.epochs_done > 12 and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    store = run_shared(tmp_path / "s", client, progress=kill_one)
    assert killed
    assert list_maps(store) == expected


@pytest.mark.usefixtures("little_room")
def test_a_run_that_is_interrupted_goes_on_with_the_block_it_was_at(client, tmp_path, expected):
    def interrupt(progress):
        if progress.stage == "layout" and progress.windows_done == 2 and progress.epochs_done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_shared(tmp_path / "s", client, progress=interrupt)
    assert open_store(tmp_path / "s").n_blocks_done == 1
    assert list_maps(run(make_source(), tmp_path / "s", scheduler=client, **OPTIONS)) == expected


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("kept_bytes", [0, 10**9])
def test_parts_that_no_worker_keeps_are_made_again(client, tmp_path, expected, monkeypatch, kept_bytes):
    """All steps in this process, which keeps the parts of both workers, or none."""
    lay_out = share_out.lay_out_in_parts
    monkeypatch.setattr(
        "driftmap.pipeline.layout.in_parts.share_out.lay_out_in_parts",
        lambda store, job, _executor, _n_parts, _kept: lay_out(store, job, SerialExecutor(), 3, kept_bytes),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlanWarning)
        assert list_maps(run(make_source(), tmp_path / "s", scheduler=client, **OPTIONS)) == expected
