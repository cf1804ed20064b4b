"""Faults of every kind, with real processes: whatever happens, the next run ends with the bytes of an undisturbed one.

After each fault the store is whole for readers, `driftmap verify` finds nothing, and `--clean` leaves no stray file.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.damage import cut_log
from tests.workers import find_fork_servers, find_workers

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.verify import find_orphans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from driftmap.pipeline.store import Store

N_WINDOWS, N_ROWS = 16, 150
VICTIMS = ("all", "coordinator", "worker", "workers", "server", "scheduler")
KILLS = [
    *(pytest.param(victim, 0, marks=pytest.mark.slow, id=victim) for victim in VICTIMS),
    *(
        pytest.param(victim, number, marks=pytest.mark.long, id=f"{victim}-{number}")
        for number in range(1, 6)  # each kills twice: 60 in all
        for victim in VICTIMS
    ),
]
PLACES = {"local": ("--workers", "2"), "serial": ("--scheduler", "serial")}


def start_run(source: Path, store: Path, *place: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "driftmap.pipeline.cli.app", "run", str(source), "--store", str(store)]
    options = {"by": "year", "id": "entity", "vectors": "v", "n-epochs": 60, "block-windows": 4}
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return start([*command, *(place or PLACES["local"])])


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(5)
    everyone = rng.normal(size=(N_ROWS, 8)).astype(np.float32)
    parts = []
    for window in range(N_WINDOWS):
        everyone = everyone + 0.1 * rng.normal(size=everyone.shape).astype(np.float32)
        present = np.sort(rng.choice(N_ROWS, N_ROWS - 20, replace=False))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(everyone[present].ravel()), 8)
        years = pa.array(np.full(len(present), 1990 + window))
        parts.append(pa.table({"year": years, "entity": pa.array(present), "v": vectors}))
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    pq.write_table(pa.concat_tables(parts), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """A run that nothing disturbed, and how long it took."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    started = time.monotonic()
    finish(start_run(source, path))
    return open_store(path), time.monotonic() - started


def read_positions(store: Store) -> list[bytes]:
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def read_what_is_named(path: Path) -> int:
    """Read all that the log names, as a reader in the middle of a run would; returns the number of maps."""
    if not has_commits(path):
        return 0
    store = open_store(path)
    for window in store.state():
        if window.graph_attempt is not None:
            assert len(store.window_ids(window.index)) == window.n_rows
            assert len(store.knn_graph(window.index).indices) == window.n_rows
            assert store.fuzzy_graph(window.index).n_rows == window.n_rows
        if window.layout_attempt is not None:
            assert len(store.positions(window.index)) == window.n_rows
    return sum(window.layout_attempt is not None for window in store.state())


def check_end(path: Path, expected: Store) -> None:
    """Check that a store ended as if nothing had happened, and that nothing stray stays in it."""
    store = open_store(path)
    assert read_positions(store) == read_positions(expected)
    assert [window.status for window in store.state()] == [window.status for window in expected.state()]
    assert read_what_is_named(path) == N_WINDOWS
    assert run_command(["verify", str(path), "--clean"]) == 0
    assert run_command(["verify", str(path)]) == 0
    assert find_orphans(open_store(path)) == {}
    files = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    kinds = re.compile(
        r"zarr\.json|windows/zarr\.json|windows/\d{8}/zarr\.json|windows/\d{8}/\w{16}(/.*(zarr\.json|c/[\d/]+)|\.zip)"
        r"|commits/\d{8}\.json|lock/\d{8}\.json"
    )
    assert [file for file in files if not kinds.fullmatch(file)] == []
    groups = (file.split("/")[2] for file in files if file.startswith("windows/") and file.count("/") > 1)
    there = {group for group in groups if group != "zarr.json"}
    named = {
        attempt
        for window in store.state()
        for attempt in (window.graph_attempt, window.layout_attempt, (window.clusters or {}).get("attempt"))
    }
    assert there == named - {None}


def kill(process: subprocess.Popen[str], victim: str) -> None:
    """Kill the whole run, or one kind of its processes, where it has not ended yet."""
    if process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if victim == "all":
                os.killpg(process.pid, signal.SIGKILL)
            elif victim == "coordinator":
                process.kill()
            else:
                found = find_fork_servers(process.pid) if victim == "server" else find_workers(process.pid)
                for one in found[: 1 if victim == "worker" else None]:
                    one.kill()
    output, _ = process.communicate(timeout=300)
    if victim in {"worker", "server"}:
        assert process.returncode == 0, output
    if process.returncode > 0:  # the run saw the fault itself: then it says so in a line or two
        assert "Traceback" not in output


@contextlib.contextmanager
def start_cluster(n_workers: int = 2) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a scheduler and its workers as processes of their own; gives the address, and the scheduler."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    module = [sys.executable, "-m"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    scheduler = start([*module, "distributed.cli.dask_scheduler", *options])
    options = ["--nthreads", "1", "--no-dashboard", "--death-timeout", "20"]
    workers = [start([*module, "distributed.cli.dask_worker", address, *options]) for _ in range(n_workers)]
    try:
        yield address, scheduler
    finally:
        for process in (scheduler, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=30)


def kill_a_scheduler(source: Path, store: Path, delay: float) -> None:
    with start_cluster() as (address, scheduler):
        process = start_run(source, store, "--scheduler", address)
        time.sleep(delay)
        scheduler.kill()
        output, _ = process.communicate(timeout=240)
    assert process.returncode in (0, 2), output
    assert "Traceback" not in output


@pytest.mark.parametrize(("victim", "number"), KILLS)
def test_a_killed_run_ends_with_the_same_bytes(source, undisturbed, tmp_path, victim, number):
    expected, seconds = undisturbed
    moments = random.Random(f"{victim} {number}")
    path = tmp_path / "s"
    for _ in range(1 if number == 0 else 2):
        delay = moments.uniform(0.2 * seconds, 0.9 * seconds)
        if victim == "scheduler":
            kill_a_scheduler(source, path, delay)
        else:
            process = start_run(source, path)
            time.sleep(delay)
            kill(process, victim)
        assert read_what_is_named(path) <= N_WINDOWS
        if has_commits(path):
            assert run_command(["verify", str(path)]) == 0
    finish(start_run(source, path))
    check_end(path, expected)


@contextlib.contextmanager
def mount(folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system that lives in memory."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts file systems as Linux does")
@pytest.mark.parametrize("share", [0.3, pytest.param(0.9, marks=pytest.mark.long)])
def test_a_disk_that_is_full_stops_the_run_and_harms_nothing(source, undisturbed, tmp_path, share):
    expected, _ = undisturbed
    n_bytes = sum(-(-file.stat().st_size // 4096) * 4096 for file in expected.path.rglob("*") if file.is_file())
    with mount(tmp_path / "disk", f"size={int(share * n_bytes) // 4096 * 4}k"):
        store = tmp_path / "disk/s"
        process = start_run(source, store, *PLACES["serial"])
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 2, output
        assert "No space left on device" in output
        assert "make room" in output
        assert "Traceback" not in output
        assert read_what_is_named(store) < N_WINDOWS
        assert run_command(["verify", str(store)]) == 0
        remount(tmp_path / "disk", "size=64m")
        finish(start_run(source, store, *PLACES["serial"]))
        check_end(store, expected)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts file systems as Linux does")
def test_a_store_that_is_read_only_can_be_read_and_is_not_written(source, undisturbed, tmp_path):
    expected, _ = undisturbed
    with mount(tmp_path / "disk", "size=64m"):
        for name in ("whole", "part"):
            shutil.copytree(expected.path, tmp_path / "disk" / name)
        cut_log(tmp_path / "disk/part", expected.n_commits - 2)
        remount(tmp_path / "disk", "ro")
        finish(start_run(source, tmp_path / "disk/whole", *PLACES["serial"]))  # there is nothing to do
        assert run_command(["verify", str(tmp_path / "disk/part")]) == 0
        assert run_command(["verify", str(tmp_path / "disk/part"), "--clean"]) == 2
        process = start_run(source, tmp_path / "disk/part", *PLACES["serial"])
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 2, output
        assert re.search(r"cannot be written: .*Read-only file system", output), output
        assert "Traceback" not in output
        remount(tmp_path / "disk", "rw")
        finish(start_run(source, tmp_path / "disk/part", *PLACES["serial"]))
        check_end(tmp_path / "disk/part", expected)


@contextlib.contextmanager
def make_network() -> Iterator[tuple[str, list[str]]]:
    """Make a network namespace with a cable to this one; gives this end's address, and how to run something there."""
    name, here, there = f"dm{os.getpid()}", f"dmh{os.getpid()}", f"dmt{os.getpid()}"
    address = "10.231.77.1"
    commands = [
        f"ip netns add {name}",
        f"ip link add {here} type veth peer name {there} netns {name}",
        f"ip addr add {address}/30 dev {here}",
        f"ip link set {here} up",
        f"ip -n {name} addr add 10.231.77.2/30 dev {there}",
        f"ip -n {name} link set {there} up",
        f"ip -n {name} link set lo up",
    ]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network can be made here: {command}: {done.stderr.strip()}")
        yield address, ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs the command ip, of Linux")
@pytest.mark.parametrize("n_commits", [1, 6])
def test_a_worker_that_is_cut_off_the_network_is_done_without(source, undisturbed, tmp_path, n_commits):
    from distributed import Client

    expected, _ = undisturbed
    module = [sys.executable, "-m"]
    with make_network() as (address, there), contextlib.ExitStack() as stack:

        def begin(command: list[str]) -> subprocess.Popen[str]:
            process = start(command)
            stack.callback(process.communicate, timeout=30)
            stack.callback(os.killpg, process.pid, signal.SIGKILL)
            return process

        scheduler = f"tcp://{address}:8786"
        begin([*module, "distributed.cli.dask_scheduler", "--host", address, "--port", "8786", "--no-dashboard"])
        options = [scheduler, "--nthreads", "1", "--no-dashboard", "--death-timeout", "120"]
        begin([*module, "distributed.cli.dask_worker", *options])
        begin([*there, *module, "distributed.cli.dask_worker", *options])
        with Client(scheduler, timeout=120, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        process = start_run(source, tmp_path / "s", "--scheduler", scheduler)
        while process.poll() is None and not (tmp_path / f"s/commits/{n_commits:08d}.json").exists():
            time.sleep(0.01)
        assert process.poll() is None
        subprocess.run(["ip", "link", "set", f"dmh{os.getpid()}", "down"], check=True)
        # The scheduler's own address goes with the cable: the worker here is reached again when it is back.
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        stack.callback(subprocess.run, ["ip", "addr", "del", f"{address}/32", "dev", "lo"], check=True)
        finish(process)
        check_end(tmp_path / "s", expected)
