"""Time of `fit` and `update` beside umap-learn, of two threads beside one, of imports, and of the parts of a fit.

Every case is a process of its own. Warm: after a short fit of the same kind in the process, which both sides get.
Cold: a new process whose disk caches are warm, from the start of Python to the maps.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks import peer
from tests.benchmarks.data_sets import DataSet, load
from tests.benchmarks.parts import NAMES
from tests.benchmarks.tables import format_table
from tests.benchmarks.timed_fit import save_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARM_UP_WINDOWS, WARM_UP_ROWS = 3, 4_500
"""Of the fit before a timed one. umap-learn compares all rows up to 4,096 and compiles its search above."""
CHILD_SECONDS = 3_600
ROOT = Path(__file__).resolve().parents[2]
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Case:
    title: str
    data: str
    bar: float
    aim: float
    unit: str = "x"
    """Of bar and aim: how many times as fast as umap-learn, or seconds of ours."""
    work: str = "fit"
    n_windows: int | None = None
    repeats: int = 5
    peer_repeats: int = 1


CASES = {
    "digits": Case("digits, 10 windows x 400: fit, warm", "digits", 60, 100, repeats=9, peer_repeats=3),
    "cold": Case("the same, cold process", "digits", 1.3, 1.0, " s", work="cold", peer_repeats=2),
    "update": Case("update with one window of 400", "digits", 100, 150, work="update", repeats=9, peer_repeats=3),
    "house_votes": Case("house_votes, 37 windows x 434: fit, warm", "house_votes", 90, 120),
    "big_mnist": Case("big_mnist, 3 windows x 14,000 x 784: fit, warm", "big_mnist", 8, 16, n_windows=3, repeats=3),
}
THREADS_BAR, THREADS_AIM = 1.7, 1.9
THREADS_ROUNDS = 5
IMPORT_BAR, IMPORT_AIM = 0.5, 0.25


def compare_speed(
    cases: Sequence[str], *, has_peer: bool = True, say: Callable[[str], None] = print
) -> dict[str, dict[str, Any]]:
    """Run the named cases, a process after the other; says tables as it goes and returns all figures."""
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for key in cases:
            data = load(CASES[key].data)
            results[key] = _compare_case(CASES[key], data.first(CASES[key].n_windows or len(data)), folder, has_peer)
            say(format_cases({key: results[key]}) + "\n")
    if len(results) > 1:
        say(format_cases(results) + "\n")
    say(format_parts(results) + "\n")
    return results


def compare_threads(say: Callable[[str], None] = print) -> dict[str, Any]:
    """Fit 10 windows of 5,000 rows on one thread, on two, and twice at once on one, in turn.

    Two fits at once, in processes that share nothing, show what a second core is worth: on a shared host it can be a
    third of one, for seconds. Then two threads take more CPU seconds than one for the same work.
    """
    data = load("stream")
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        files = _save(data, folder)
        for _ in range(THREADS_ROUNDS):
            one, two = (_finish(_start_threads(files, n)) for n in (1, 2))
            beside = [_finish(process) for process in [_start_threads(files, 1) for _ in range(2)]]
            rounds.append({"1": one, "2": two, "at_once": beside})
            threads, processes = _measure_round(rounds[-1])
            say(f"round {len(rounds)}: 2 threads {threads:.2f} times as fast as 1, 2 processes {processes:.2f}")
    ratio, most = (statistics.median(values) for values in zip(*map(_measure_round, rounds), strict=True))
    one, two = (_middle([found[n]["runs"][0] for found in rounds]) for n in ("1", "2"))
    rows = [[name, *(f"{run['parts'][name]:.2f}" for run in (one, two))] for name in NAMES]
    rows.append(["fit, wall s", *(f"{run['wall_seconds']:.2f}" for run in (one, two))])
    rows.append(["fit, CPU s", *(f"{run['cpu_seconds']:.2f}" for run in (one, two))])
    say("\n" + format_table(["10 windows x 5,000, medians", "1 thread", "2 threads"], rows))
    say(f"2 processes {most:.2f} times as fast as 1")
    say(f"2 threads {ratio:.2f} times as fast as 1: bar {THREADS_BAR}, aim {THREADS_AIM}")
    is_same = len({found[n]["digest"] for found in rounds for n in ("1", "2")}) == 1
    say(f"{'the same bytes' if is_same else 'NOT the same bytes'} on both\n")
    return {"rounds": rounds, "ratio": ratio, "two_processes": most}


def _start_threads(files: tuple[str, str], n_threads: int) -> subprocess.Popen[str]:
    return _start(files, "driftmap", "fit", 1, dict.fromkeys(THREADS, str(n_threads)))


def _measure_round(found: dict[str, Any]) -> tuple[float, float]:
    """Return how many times as fast two threads are as one, and two fits at once as one after the other."""
    one, two, *beside = (run["runs"][0]["wall_seconds"] for run in (found["1"], found["2"], *found["at_once"]))
    return one / two, 2.0 * one / statistics.mean(beside)


def compare_imports(say: Callable[[str], None] = print) -> dict[str, float]:
    """CPU seconds of a new process, the least of some: what comes on top is the machine's."""
    commands = {
        "python, nothing more": [sys.executable, "-c", "pass"],
        "import driftmap.engine": [sys.executable, "-c", "import driftmap.engine"],
        "driftmap --help": [_find_command(), "--help"],
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import umap": [sys.executable, "-c", "import umap"],
    }
    seconds = {name: min(_cpu_seconds(command) for _ in range(5)) for name, command in commands.items()}
    say(format_table(["process", "CPU s"], [[name, f"{value:.2f}"] for name, value in seconds.items()]))
    say(f"bar {IMPORT_BAR}, aim {IMPORT_AIM} for ours\n")
    return seconds


def format_cases(results: dict[str, dict[str, Any]]) -> str:
    """Table of wall seconds, ours beside the peer's."""
    rows = []
    for key, result in results.items():
        case, ours, theirs = CASES[key], result["ours"], result["peer"]
        ratio = _middle(theirs["runs"])["wall_seconds"] / _middle(ours["runs"])["wall_seconds"] if theirs else None
        faster = "" if ratio is None else f"{ratio:.1f}x"
        bounds = [f"{bound}{case.unit}" for bound in (case.bar, case.aim)]
        rows.append([case.title, _describe(ours), _describe(theirs), faster, *bounds])
    return format_table(["wall s (CPU s; least to most; peak)", "driftmap", peer.NAME, "faster", "bar", "aim"], rows)


def format_parts(results: dict[str, dict[str, Any]]) -> str:
    """Table of where the time of a warm fit goes."""
    rows = []
    for key, result in results.items():
        run = _middle(result["ours"]["runs"])
        if "parts" in run:
            rest = run["wall_seconds"] - sum(run["parts"].values())
            seconds = [*(run["parts"][name] for name in NAMES), rest, run["wall_seconds"]]
            rows.append([CASES[key].title, *(f"{value:.3f}" for value in seconds)])
    return format_table(["where the time goes, s", *NAMES, "rest", "all"], rows) if rows else ""


def _compare_case(case: Case, data: DataSet, folder: str, has_peer: bool) -> dict[str, Any]:
    files = _save(data, folder)
    run = _run_cold if case.work == "cold" else _run
    ours = run(files, "driftmap", case.work, case.repeats)
    return {"ours": ours, "peer": run(files, peer.NAME, case.work, case.peer_repeats) if has_peer else None}


def _save(data: DataSet, folder: str) -> tuple[str, str]:
    """Write the windows, and those of the warm-up: the first one several times, every row tied."""
    paths = str(Path(folder) / "all.npz"), str(Path(folder) / "some.npz")
    save_windows(paths[0], data.windows, data.relations)
    first = data.windows[0][:WARM_UP_ROWS]
    every = np.arange(len(first), dtype=np.int32)
    save_windows(paths[1], [first] * WARM_UP_WINDOWS, [every] * (WARM_UP_WINDOWS - 1))
    return paths


def _run(files: tuple[str, str], who: str, work: str, repeats: int) -> dict[str, Any]:
    """Time warm runs in a process."""
    return _finish(_start(files, who, work, repeats))


def _start(
    files: tuple[str, str], who: str, work: str, repeats: int, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    command = [*_command(files, who, work), "--warm-up", files[1], "--repeats", str(repeats)]
    environment = {**os.environ, **(environment or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        said, _ = process.communicate(timeout=CHILD_SECONDS)
    finally:
        process.kill()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return json.loads(said.splitlines()[-1])


def _run_cold(files: tuple[str, str], who: str, work: str, repeats: int) -> dict[str, Any]:
    """Time processes from their start to the maps; the first fills the disk caches and does not count.

    Python's bytecode is one of them: it is kept in a folder of its own, also where the environment forbids to write it.
    """
    runs = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        for _ in range(repeats + 1):
            started = time.perf_counter()
            cpu = _cpu_seconds(_command(files, who, work), environment)
            runs.append({"wall_seconds": time.perf_counter() - started, "cpu_seconds": cpu})
    return {"runs": runs[1:]}


def _command(files: tuple[str, str], who: str, work: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.timed_fit", files[0], "--who", who, "--work", work]


def _middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the run of median wall time (the faster of two in the middle)."""
    wall = statistics.median_low(run["wall_seconds"] for run in runs)
    return next(run for run in runs if run["wall_seconds"] == wall)


def _describe(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    middle = _middle(result["runs"])
    walls = [run["wall_seconds"] for run in result["runs"]]
    facts = [f"{middle['cpu_seconds']:.2f}"] if "cpu_seconds" in middle else []
    facts += [f"{min(walls):.2f} to {max(walls):.2f}"] if len(walls) > 1 else []
    facts += [f"{result['peak_mb']:.0f} MB"] if "peak_mb" in result else []
    return f"{middle['wall_seconds']:.3f} ({'; '.join(facts)})"


def _find_command() -> str:
    beside = Path(sys.executable).with_name("driftmap")
    found = str(beside) if beside.exists() else shutil.which("driftmap")
    if found is None:
        msg = "the command driftmap is not installed; run pip install -e . first."
        raise FileNotFoundError(msg)
    return found


def _cpu_seconds(command: Sequence[str], environment: dict[str, str] | None = None) -> float:
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return usage.ru_utime + usage.ru_stime
