"""Worker processes of this machine: named when they die, no more than are needed, their caches, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from driftmap.pipeline.executors import make_executor
from driftmap.pipeline.executors import worker_process as processes
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.executors.worker_process import WorkerError

# Functions are sent by value: no worker can import a test file.


def square(number):
    return number * number


def make_tasks(n_tasks):
    return [Task(f"window {number}", (number,)) for number in range(n_tasks)]


def kill_own_process(_):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_a_task_that_kills_is_named(tmp_path):
    with make_executor(workers=1, n_tasks=1) as executor:
        with pytest.raises(WorkerError, match="window 0: each worker that tried it died"):
            list(executor.map_unordered(kill_own_process, make_tasks(1)))
        assert sorted(executor.map_unordered(square, make_tasks(3))) == [0, 1, 4]


def kill_if_three(number):
    import os
    import signal

    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def take_memory(n_bytes):
    import time

    kept = bytearray(n_bytes)
    time.sleep(30)
    return len(kept)


@pytest.mark.slow
def test_a_window_that_kills_its_workers_is_named_though_others_wait():
    with make_executor(workers=1, n_tasks=1) as executor:
        results, came = executor.start(kill_if_three, make_tasks(5), "numbers"), []
        with pytest.raises(WorkerError, match=r"window 3\b.*died|died.*window 3\b"):  # noqa: PT012
            while True:
                came += results.take(wait=True)
        results.close()
    assert 3 not in came


@pytest.mark.slow
def test_a_window_that_takes_too_much_memory_is_named_with_what_it_took():
    with (
        make_executor(workers=1, n_tasks=1, worker_bytes=400 * 2**20) as executor,
        pytest.raises(WorkerError, match=r"window 'big': .* more memory than it may, \d.* of 419 MB; give"),
    ):
        list(executor.map_unordered(take_memory, [Task("window 'big'", (2**29,))]))


def test_no_more_workers_are_started_than_tasks():
    with make_executor(workers=2, n_tasks=1) as executor:
        assert len(executor.client.nthreads()) == 1
        pid = executor.client.run(os.getpid).popitem()[1]
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/cmdline").exists()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"NUMBA_CACHE_DIR": "/given"}, "/given"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/driftmap/numba"),
        ({"HOME": "/somebody"}, "/somebody/.cache/driftmap/numba"),
    ],
)
def test_the_cache_folder_follows_the_platform(monkeypatch, variables, expected):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(processes.find_cache_folder()) == expected


def test_a_cache_that_cannot_be_written_is_left_out(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert processes.claim_cache_folder.__wrapped__() is None
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "file")


def run_script(tmp_path, text, **kwargs):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
    )


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path):
    process = run_script(
        tmp_path,
        """
        from driftmap.pipeline.executors import make_executor
        from driftmap.pipeline.executors.worker_process import refuse_unguarded_call

        refuse_unguarded_call()
        with make_executor(workers=1):
            pass
        """,
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'if __name__ == "__main__"' in errors.splitlines()[-3]
    assert "WorkerError" in errors


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting", "started"])
def test_ctrl_c_stops_the_workers_without_a_storm(tmp_path, moment):
    process = run_script(
        tmp_path,
        """
        import time
        from driftmap.pipeline.executors.base import Task
        from driftmap.pipeline.executors import make_executor

        if __name__ == "__main__":
            try:
                print("starting", flush=True)
                with make_executor(workers=2) as executor:
                    print("started", flush=True)
                    list(executor.map_unordered(time.sleep, [Task(str(n), (0.2,)) for n in range(1000)]))
            except KeyboardInterrupt:
                print("stopped", flush=True)
        """,
        start_new_session=True,
    )
    while process.stdout.readline() != f"{moment}\n":
        pass
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert output == "stopped\n"
    assert errors == ""
    assert process.returncode == 0


def test_interrupts_are_held_back_while_processes_start():
    reached = []

    def start_processes():
        with processes.hold_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        start_processes()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == set()
