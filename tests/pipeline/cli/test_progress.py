"""Progress of a run where there is no terminal, and the time that is left."""

from __future__ import annotations

import subprocess
import sys

import pytest

import driftmap.engine
from driftmap.pipeline.cli import progress as shown
from driftmap.pipeline.cli.progress import RunProgress, describe_time_left
from driftmap.pipeline.orchestration.stages import Progress


@pytest.mark.parametrize(
    ("rows_done", "seconds", "left"),
    [
        (0, 60.0, ""),
        (1_000, 1.0, ""),  # too early to tell
        (400, 100.0, ""),  # the first windows also wait for compilers
        (1_000, 10.0, "1:30 left"),
        (9_999, 10.0, "0:01 left"),
        (500, 1_000.0, "5:16:40 left"),
        (10_000, 10.0, ""),
    ],
)
def test_time_left_follows_what_was_measured(rows_done, seconds, left):
    assert describe_time_left(Progress("graphs", 1, 10, rows_done, 10_000, seconds)) == left


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(driftmap.engine, "has_compiled_kernels", lambda: True, raising=False)
    return now


def test_a_line_every_ten_seconds(clock, capsys):
    with RunProgress() as progress:
        for second in range(0, 35, 5):
            clock[0] = 100.0 + second
            progress(Progress("layout", second // 5, 8, 1_000 * second, 40_000, float(second)))
    assert capsys.readouterr().err.splitlines() == [
        "layout: 2/8 windows, 1,000 rows/s, 0:30 left",
        "layout: 4/8 windows, 1,000 rows/s, 0:20 left",
        "layout: 6/8 windows, 1,000 rows/s, 0:10 left",
    ]
    assert progress.last["layout"].windows_done == 6


def test_a_block_at_work_says_what_share_of_its_epochs_is_done(clock, capsys):
    with RunProgress() as progress:
        clock[0] += 60.0
        progress(Progress("layout", 0, 8, 1_000, 40_000, 20.0, epochs_done=85, epochs_total=200))
    assert capsys.readouterr().err == "layout: 0/8 windows, epochs 42%, 50 rows/s\n"


def test_the_first_run_says_that_kernels_are_compiled_once(clock, capsys, monkeypatch):
    monkeypatch.setattr(driftmap.engine, "has_compiled_kernels", lambda: False, raising=False)
    with RunProgress() as progress:
        for n in range(3):
            progress(Progress("graphs", n, 3, n, 3, 0.1))
    assert capsys.readouterr().err.count("First run on this machine: kernels are compiled, once") == 1


@pytest.mark.parametrize(
    ("n_workers", "said"),
    [
        (2, "2 workers of the cluster compile kernels first, once, which takes about half a minute of a core; "),
        (1, "1 worker of the cluster compiles kernels first"),
        (0, ""),
    ],
)
def test_kernels_of_a_cluster_are_not_those_of_this_machine(clock, capsys, monkeypatch, n_workers, said):
    monkeypatch.setattr(driftmap.engine, "has_compiled_kernels", lambda: False, raising=False)
    with RunProgress() as progress:
        for n in range(3):
            progress(Progress("graphs", n, 3, n, 3, 0.1, compiling_workers=n_workers))
    shown = capsys.readouterr().err
    assert shown.startswith(said)
    assert shown.count("kernels") == bool(n_workers)


def test_a_client_of_a_cluster_loads_no_compiler():
    code = (
        "import sys\nfrom driftmap.pipeline.cli.progress import RunProgress\n"
        "from driftmap.pipeline.orchestration.stages import Progress\n"
        "with RunProgress() as progress:\n    progress(Progress('graphs', 0, 3, 0, 3, 0.1, compiling_workers=0))\n"
        "print('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


def test_quiet_is_quiet(clock, capsys, monkeypatch):
    monkeypatch.setattr(driftmap.engine, "has_compiled_kernels", lambda: False, raising=False)
    with RunProgress("none") as progress:
        clock[0] += 60.0
        progress(Progress("graphs", 1, 3, 500, 1_000, 60.0))
    assert capsys.readouterr() == ("", "")
    assert progress.last["graphs"].rows_done == 500


def test_lines_are_for_terminals_too(clock, capsys, monkeypatch):
    monkeypatch.setattr(shown.sys.stderr, "isatty", lambda: True, raising=False)
    with RunProgress("lines") as progress:
        clock[0] += 60.0
        progress(Progress("graphs", 1, 3, 500, 1_000, 60.0))
    assert capsys.readouterr().err == "graphs: 1/3 windows, 8 rows/s, 1:00 left\n"
