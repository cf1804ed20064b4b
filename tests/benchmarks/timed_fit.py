"""One model fitted in a process of its own, and timed: what bench_speed.py runs as a module.

Imports nothing at first but numpy: a cold run is timed from the start of Python.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np


def save_windows(path, windows, relations):
    """Write what `read_windows` reads; a relation is int32 (n,), -1 where there is none."""
    steps = {f"step_{t}": step for t, step in enumerate(relations)}
    np.savez(path, **{f"rows_{t}": rows for t, rows in enumerate(windows)}, **steps)


def read_windows(path):
    """Return the windows and, as dicts, their relations."""
    with np.load(path) as kept:
        n = sum(name.startswith("rows_") for name in kept)
        windows, steps = [kept[f"rows_{t}"] for t in range(n)], [kept[f"step_{t}"] for t in range(n - 1)]
    relations = []
    for step in steps:
        old = np.flatnonzero(step >= 0)
        relations.append(dict(zip(old.tolist(), step[old].tolist(), strict=True)))
    return windows, relations


def make_model(who: str) -> Any:
    """Return an unfitted model: our defaults, or umap-learn's with the settings that both are compared at."""
    if who == "driftmap":
        from driftmap.engine import AlignedUMAP

        return AlignedUMAP(random_state=42)
    from umap import AlignedUMAP as Peer

    warnings.simplefilter("ignore")
    return Peer(random_state=42, n_epochs=200)


def time_fit(who: str, windows: Any, relations: Any) -> tuple[dict[str, Any], Any]:
    """Fit once; ours with the seconds of its parts."""
    if who == "driftmap":
        from tests.benchmarks.parts import time_parts
    else:
        time_parts = nullcontext
    model = make_model(who)
    with time_parts() as parts:
        return clock(lambda: model.fit(windows, relations=list(relations)), parts), model


def time_update(who: str, windows: Any, relations: Any) -> tuple[dict[str, Any], Any]:
    """Fit all windows but two, add one that compiles what there is to compile, and time the last."""
    model = make_model(who).fit(windows[:-2], relations=list(relations[:-2]))
    model.update(windows[-2], relations=relations[-2])
    return clock(lambda: model.update(windows[-1], relations=relations[-1]), None), model


def clock(work: Any, parts: Any) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    seconds = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return seconds if parts is None else {**seconds, "parts": dict(parts)}


def digest(maps: Any) -> str:
    """Hash the bytes of all maps."""
    import hashlib

    return hashlib.sha256(b"".join(np.ascontiguousarray(places).tobytes() for places in maps)).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="windows, as save_windows writes them")
    parser.add_argument("--warm-up", help="windows of a fit before, not timed")
    parser.add_argument("--who", choices=("driftmap", "umap-learn"), default="driftmap")
    parser.add_argument("--work", choices=("fit", "update", "cold"), default="fit")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    windows, relations = read_windows(options.file)
    if options.work == "cold":
        make_model(options.who).fit(windows, relations=relations)
        say({})
        return
    if options.warm_up:
        some, related = read_windows(options.warm_up)
        make_model(options.who).fit(some, relations=related)
    do = time_fit if options.work == "fit" else time_update
    runs = []
    for _ in range(options.repeats):
        run, model = do(options.who, windows, relations)
        runs.append(run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux
    say({"runs": runs, "digest": digest(model.embeddings_), "peak_mb": peak})


def say(result: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
