"""Where tasks run: options are checked once for run and ingest, and a single task needs no worker."""

from __future__ import annotations

import os

import pytest

from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.executors.base import SerialExecutor, Task
from driftmap.pipeline.executors.choice import WORKER_OPTIONS, WORKPLACE_OPTIONS, Workplace


def ignore():
    pass


def name_process():
    return os.getpid()


def test_options_of_ingest_are_options_of_run():
    assert set(WORKER_OPTIONS) < set(WORKPLACE_OPTIONS)
    assert {"tls", "workers", "worker_memory"} <= set(WORKER_OPTIONS)


@pytest.mark.parametrize(
    ("options", "n_tasks", "is_here"),
    [
        ({}, 1, True),
        ({"scheduler": "serial"}, 3, True),
        ({"workers": 1}, 1, False),
        ({"worker_memory": "1GB"}, 1, False),
    ],
)
def test_a_single_task_runs_here_unless_workers_were_asked_for(options, n_tasks, is_here):
    with Workplace.of(**options).start_for_few(n_tasks, ignore) as executor:
        assert isinstance(executor, SerialExecutor) is is_here
        (process,) = executor.map_unordered(name_process, [Task("one", ())])
    assert (process == os.getpid()) is is_here


def test_the_memory_of_a_worker_limits_a_single_task_too():
    limit = Workplace.of(worker_memory="1GB", workers=1).find_limit()
    assert limit.n_bytes == 10**9
    assert Workplace.of().find_limit() is not None
    assert Workplace.of("serial").find_limit() is None


@pytest.mark.parametrize("options", [{"worker_memory": "1GB"}, {"workers": 2}])
@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:9", "serial"])
def test_what_is_said_of_workers_of_this_machine_is_refused_with_a_scheduler(scheduler, options):
    (name,) = options
    with pytest.raises(ConfigError, match=f"{name} is for workers on this machine.* leave {name} or the scheduler out"):
        Workplace.of(scheduler, **options)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_command_line_refuses_them_too(tmp_path, capsys, command):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    how = ["--rows", "1", "--workers", "2", "--scheduler", "tcp://127.0.0.1:9"]
    assert run_command([command, str(tmp_path / "rows.csv"), *how]) == 2
    assert "workers is for workers on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, -1, 2.0, "2", True])
def test_a_number_of_workers_that_none_can_be_started_by_is_refused(workers):
    for scheduler in (None, "serial"):
        with pytest.raises(ConfigError, match=f"workers is {workers!r}; a whole number from 1 on was expected"):
            Workplace.of(scheduler, workers=workers)
