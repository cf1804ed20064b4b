"""Three years of NumPy's commits, week by week through `ingest`: once in peace, once with kills, and both compared.

    python tests/benchmarks/replay_ingest.py --weeks 156 --kills 20

A child process adds the file of each week and ingests; its parent kills it, -9 and its workers with it, at random
moments, and starts it again. Needs the shared data sets.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.places import SHARED_DATA

from driftmap.pipeline import ingest, open_store, run

FIRST = np.datetime64("2019-01-07")  # a Monday
N_FIRST_WEEKS = 16
OPTIONS = {
    "time": "when",
    "id": "commit",
    "label": "area",
    "vectors": "v",
    "window": "13W",
    "stride": "1W",
    "n_epochs": 40,
}
"""Few epochs: what is compared is bytes, and the kills come as often."""


def write_weeks(data: Path, folder: Path, weeks: range) -> None:
    """Write one file for each week, whole or not at all."""
    loaded = np.load(data)
    when, label, vectors = loaded["time"].astype("datetime64[s]"), loaded["row_label"], loaded["X"]
    folder.mkdir(parents=True, exist_ok=True)
    for week in weeks:
        file = folder / f"week-{week:04}.parquet"
        if file.exists():
            continue
        start = FIRST + np.timedelta64(7 * week, "D")
        here = np.flatnonzero((when >= start) & (when < start + np.timedelta64(7, "D")))
        table = pa.table(
            {
                "when": pa.array(when[here]),
                "commit": pa.array(here),
                "area": pa.array(label[here]),
                "v": pa.array(list(vectors[here].astype(np.float32))),
            }
        )
        pq.write_table(table, folder / f".{file.name}")
        (folder / f".{file.name}").rename(file)


def replay(data: Path, folder: Path, n_weeks: int) -> None:
    """Go on from wherever an earlier call stopped: add each week's file, ingest, and so to the end."""
    write_weeks(data, folder / "weeks", range(N_FIRST_WEEKS))
    if len(list((folder / "weeks").glob("*.parquet"))) == N_FIRST_WEEKS:
        run(folder / "weeks", folder / "store", scheduler="serial", **OPTIONS)
    ingest(folder / "store", scheduler="serial", clock=False)
    for week in range(N_FIRST_WEEKS, n_weeks):
        if not (folder / "weeks" / f"week-{week:04}.parquet").exists():
            write_weeks(data, folder / "weeks", range(week, week + 1))
            ingest(folder / "store", scheduler="serial")


def replay_with_kills(data: Path, folder: Path, n_weeks: int, n_kills: int, seconds: float) -> int:
    """Replay in a child that is killed at random moments; returns how often it was killed."""
    moments = random.Random(1)
    killed = 0
    while True:
        child = start_child(data, folder, n_weeks)
        try:
            if killed < n_kills:
                child.wait(moments.uniform(0.3, 1.7) * seconds / (n_kills + 1))
            else:
                child.wait()
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            killed += 1
            continue
        if child.returncode:
            msg = f"the replay failed with exit code {child.returncode}"
            raise RuntimeError(msg)
        return killed


def start_child(data: Path, folder: Path, n_weeks: int) -> subprocess.Popen[bytes]:
    """Start a process group of its own."""
    command = [sys.executable, __file__, "--child", str(folder), "--data", str(data), "--weeks", str(n_weeks)]
    return subprocess.Popen(command, start_new_session=True)


def compare(one: Path, two: Path) -> dict[str, object]:
    """Compare two stores window by window: their bytes, states and labels."""
    stores = [open_store(path / "store") for path in (one, two)]
    facts = [[(w.label, w.n_rows, w.status, w.digest) for w in store.state()] for store in stores]
    differing = [
        window.label
        for window in stores[0].state()
        if any(
            np.asarray(read(stores[0])).tobytes() != np.asarray(read(stores[1])).tobytes()
            for read in (
                lambda store, i=window.index: store.positions(i),
                lambda store, i=window.index: store.window_ids(i),
                lambda store, i=window.index: store.fuzzy_graph(i).data,
            )
        )
    ]
    return {"windows": len(facts[0]), "equal_facts": facts[0] == facts[1], "differing": differing}


def main() -> None:
    """Replay twice and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=156)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "numpy_commits.npz")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        replay(given.data, given.child, given.weeks)
        return
    folder = Path(tempfile.mkdtemp(prefix="replay-"))
    try:
        started = time.perf_counter()
        start_child(given.data, folder / "peace", given.weeks).wait()
        seconds = time.perf_counter() - started
        killed = replay_with_kills(given.data, folder / "kills", given.weeks, given.kills, seconds)
        result = {"seconds": round(seconds, 1), "killed": killed, **compare(folder / "peace", folder / "kills")}
        sys.stdout.write(json.dumps(result) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
