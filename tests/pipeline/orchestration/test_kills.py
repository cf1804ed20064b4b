"""Commands of every kind are killed or stopped at any moment: what was there stays, and the next call ends the same.

All of it, 60 kills and the stops of 30 s: `pytest -n 0 -s -m long -k kills tests/pipeline/orchestration/test_kills.py`.
Kills of workers, servers and schedulers are in test_faults.py.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import OPTIONS, make_day, make_store, read_maps, take_in, write_days

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.verify import check_log, find_damage, find_orphans

SCRIPT = Path(__file__).with_name("interrupted.py")
VERSION_1 = Path(__file__).resolve().parents[1] / "data" / "store-version-1.zip"
SERIAL = ("--scheduler", "serial")
RUN = [word for name, value in OPTIONS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
COMMANDS = {
    "run": ("run", "days", *RUN, *SERIAL, "--store", "store"),
    "exchange": ("run", "days", *RUN, *SERIAL, "--layout", "exchange", "--store", "store"),
    "ingest": ("ingest", "store", *SERIAL),
    "reopen": ("ingest", "store", "--reopen-from", "2024-01-04", *SERIAL),
    "prune": ("prune", "store", "--keep", "1"),
    "place": ("place", "store", "rows.parquet", "-o", "out.parquet"),
    "migrate": ("migrate", "store"),
    "export": ("export", "store", "-o", "out.parquet"),
    "report": ("report", "store", "-o", "out.html"),
}
OUTPUTS = {"place": "out.parquet", "export": "out.parquet", "report": "out.html"}
LONG = [pytest.mark.long, pytest.mark.timeout(2 * 3600)]
N_KILLS = 60
SOME = ["ingest", *(pytest.param(name, marks=LONG) for name in ("run", "prune"))]
"""Commands that stand still: one in CI."""
OLD = b"what was there before"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Per command, the folder in which it is given."""
    base = tmp_path_factory.mktemp("kills")
    grown = base / "ingest"
    make_store(grown / "days", grown / "store", 6)
    write_days(grown / "days", range(6, 9))
    pq.write_table(make_day(5), grown / "rows.parquet")
    shutil.copytree(grown, base / "prune")
    take_in(base / "prune", reopen_from="2024-01-04")
    for name in ("place", "export", "report"):
        shutil.copytree(grown, base / name)
        (base / name / OUTPUTS[name]).write_bytes(OLD)
    shutil.copytree(base / "prune", base / "reopen")
    for name in ("run", "exchange"):
        write_days(base / name / "days", range(6))
    (base / "migrate").mkdir()
    with zipfile.ZipFile(VERSION_1) as archive:
        archive.extractall(base / "migrate")
    return base


def start(folder, *arguments, **settings):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(settings), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process, code=0):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def read_end(name, folder):
    """Read what a command leaves: an output file, or a store's maps and how its log stands."""
    if name in OUTPUTS:
        return (folder / OUTPUTS[name]).read_bytes()
    store = open_store(folder / "store")
    facts = [(window.label, window.status, window.pruned) for window in store.state()]
    maps = {} if any(window.pruned == "map" for window in store.state()) else read_maps(store)
    return facts, maps, store.generation, store.is_chained


@pytest.fixture(scope="module")
def ends(places, tmp_path_factory):
    """Per command that was asked for, how it ends undisturbed, and how many changes of files it makes."""
    found = {}

    def find(name):
        if name not in found:
            folder = tmp_path_factory.mktemp("ends") / name
            shutil.copytree(places / name, folder)
            finish(start(folder, *COMMANDS[name], count=str(folder / "count")))
            found[name] = read_end(name, folder), int((folder / "count").read_text())
        return found[name]

    return find


def check_whole(name, folder, expected):
    """Check that after a kill an output is the one before, or the new one, and that nothing of a store is damaged."""
    if name in OUTPUTS:
        assert (folder / OUTPUTS[name]).read_bytes() in (OLD, expected)
    if has_commits(folder / "store"):
        store = open_store(folder / "store")
        assert check_log(store) == []
        assert find_damage(store) == []


def check_end(name, folder, expected):
    assert read_end(name, folder) == expected
    if name not in OUTPUTS:
        assert run_command(["verify", str(folder / "store"), "--clean"]) == 0
        assert find_orphans(open_store(folder / "store")) == {}


def choose_command(name, folder):
    """Give the command again; what was reopened is taken in by the next ingest, and would be reopened once more."""
    is_reopened = name == "reopen" and has_commits(folder / "store") and open_store(folder / "store").generation == 2
    return COMMANDS["ingest" if is_reopened else name]


def kill_once(name, places, ends, folder, chance):
    """Kill a command at any of its changes, give it again, and compare."""
    expected, n_changes = ends(name)
    shutil.copytree(places / name, folder)
    n_kills = 0
    for _ in range(2 if chance.random() < 0.3 else 1):
        process = start(folder, *choose_command(name, folder), event=chance.randrange(1, n_changes + 1))
        process.communicate(timeout=300)
        assert process.returncode in (-signal.SIGKILL, 0)  # a second time, less may be left to do
        n_kills += process.returncode == -signal.SIGKILL
        check_whole(name, folder, expected)
    finish(start(folder, *choose_command(name, folder)))
    check_end(name, folder, expected)
    shutil.rmtree(folder)
    return n_kills


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_kills_of_a_command(places, ends, tmp_path, name):
    assert kill_once(name, places, ends, tmp_path / "a", random.Random(f"once {name}")) >= 1


@pytest.mark.parametrize("n_kills", [pytest.param(N_KILLS, marks=LONG)])
def test_kills_of_all_commands(places, ends, tmp_path, n_kills):
    chance, found = random.Random(n_kills), Counter()
    while found.total() < n_kills:
        name = list(COMMANDS)[sum(found.values()) % len(COMMANDS)]
        found[name] += kill_once(name, places, ends, tmp_path / "a", chance)
    print(f"{found.total()} kills: {dict(found)}")  # noqa: T201 - with -s, the figures


def wait_until_stopped(process):
    one = psutil.Process(process.pid)
    while one.status() != psutil.STATUS_STOPPED:
        assert process.poll() is None, "it ended before it stopped"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=LONG)])
@pytest.mark.parametrize("name", SOME)
def test_kills_by_stop_of_a_command_that_goes_on_later(places, ends, tmp_path, name, seconds):
    """Another is refused while it stands still, and it ends as if nothing had been."""
    expected, n_changes = ends(name)
    shutil.copytree(places / name, tmp_path / "a")
    stopped = start(tmp_path / "a", *COMMANDS[name], event=n_changes // 2, signal="SIGSTOP")
    wait_until_stopped(stopped)
    assert "is in use by" in finish(start(tmp_path / "a", *COMMANDS[name]), code=2)
    time.sleep(seconds)
    os.kill(stopped.pid, signal.SIGCONT)
    finish(stopped)
    check_end(name, tmp_path / "a", expected)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, *(pytest.param(share, marks=LONG) for share in (0.2, 0.35, 0.65, 0.8))])
@pytest.mark.parametrize("name", SOME)
def test_kills_by_stop_of_a_command_that_another_took_over(places, ends, tmp_path, name, share):
    """One that stands still for longer than its lease wakes to a store that is another's, and harms nothing."""
    expected, n_changes = ends(name)
    shutil.copytree(places / name, tmp_path / "a")
    stopped = start(tmp_path / "a", *COMMANDS[name], event=int(share * n_changes), signal="SIGSTOP", quick=True)
    wait_until_stopped(stopped)
    time.sleep(1.5)
    finish(start(tmp_path / "a", *COMMANDS[name], quick=True))
    os.kill(stopped.pid, signal.SIGCONT)
    output, _ = stopped.communicate(timeout=300)
    assert "Traceback" not in output
    assert stopped.returncode == 0 or (stopped.returncode == 2 and "took over the store" in output), output
    check_whole(name, tmp_path / "a", expected)
    check_end(name, tmp_path / "a", expected)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-7200, pytest.param(7200, marks=LONG)])
@pytest.mark.parametrize("name", SOME)
def test_kills_and_a_clock_that_was_set(places, ends, tmp_path, name, shift):
    """By another clock a holder that stands still is no more dead, and one that is killed is."""
    expected, n_changes = ends(name)
    shutil.copytree(places / name, tmp_path / "a")
    stopped = start(tmp_path / "a", *COMMANDS[name], event=n_changes // 2, signal="SIGSTOP")
    wait_until_stopped(stopped)
    os.kill(stopped.pid, signal.SIGCONT)
    output, _ = start(tmp_path / "a", *COMMANDS[name], shift=shift).communicate(timeout=300)
    assert "Traceback" not in output
    finish(stopped)
    check_end(name, tmp_path / "a", expected)
    shutil.rmtree(tmp_path / "a")
    shutil.copytree(places / name, tmp_path / "a")
    killed = start(tmp_path / "a", *COMMANDS[name], event=n_changes // 2)
    killed.communicate(timeout=300)
    finish(start(tmp_path / "a", *COMMANDS[name], shift=shift))
    check_end(name, tmp_path / "a", expected)
