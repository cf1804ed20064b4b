"""Ingestion over months: against one run over everything, the scale and place of the map, and what one window costs.

    python tests/benchmarks/bench_ingest.py drift      # trust and drift of ingested maps beside those of one run
    python tests/benchmarks/bench_ingest.py gauge      # scale, centre and turn of a map over 500 ingested windows
    python tests/benchmarks/bench_ingest.py cost       # one more window in stores of 10, 100 and 1,000

By hand, on an otherwise idle machine; tests/pipeline/ingestion/test_ingest_long.py holds the bars.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.data_sets import DataSet, is_available, load

from driftmap.engine.layout.procrustes import fit_similarity
from driftmap.engine.quality.measures import trustworthiness
from driftmap.engine.relations.relations import relate_ids
from driftmap.pipeline import ingest, open_store, run

SETS = ("baseball_batters", "numpy_commits", "house_votes")
KINDS = ("whole", "grown")
N_FIRST = 6
"""Windows of the run that an ingested store begins with."""


def compare(name: str, folder: Path) -> dict[str, dict[str, float]]:
    """Measure the maps of one run over everything, and of a short run and ingests after it.

    Drift is over the maps' spread; `moved1` and `moved5` are the same in the maps' unit.
    """
    from tests.benchmarks.measures import measure

    data = load(name)
    write_windows(data, folder / "rows", range(N_FIRST))
    options: dict[str, Any] = {"by": "window", "id": "id", "vectors": "v", "scheduler": "serial"}
    run(folder / "rows", folder / "grown", **options)
    write_windows(data, folder / "rows", range(N_FIRST, len(data)))
    ingest(folder / "grown", scheduler="serial", complete=True)
    run(folder / "rows", folder / "whole", **options)
    maps = {kind: read_maps(folder / kind) for kind in KINDS}
    return {kind: _add_moves(measure(data, maps[kind]), maps[kind]) for kind in KINDS}


def _add_moves(figures: dict[str, float], maps: list[np.ndarray[Any, Any]]) -> dict[str, float]:
    """Add the maps' spread, and how far rows move in the maps' own unit, which is that of `min_dist` and `spread`."""
    spread = float(np.sqrt(np.mean([np.nanvar(places, axis=0).mean() for places in maps])))
    return {**figures, "spread": spread, **{f"moved{n}": spread * figures[f"drift{n}"] for n in (1, 5)}}


def write_windows(data: DataSet, folder: Path, windows: range) -> None:
    """Write one file for each window; the row's number in the data set is kept beside its id."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = chain_ids(data)
    for t in windows:
        vectors = pa.array(list(data.windows[t]))
        table = pa.table({"window": pa.array([t] * len(ids[t])), "id": pa.array(ids[t]), "v": vectors})
        pq.write_table(table, folder / f"{t:04}.parquet")


def chain_ids(data: DataSet) -> list[np.ndarray[Any, Any]]:
    """Number the entities along their relations; rows without an older one are new."""
    ids = [np.arange(len(data.windows[0]))]
    n_ids = len(ids[0])
    for old, relation in zip(range(len(data) - 1), data.relations, strict=True):
        own = np.full(len(data.windows[old + 1]), -1, dtype=np.int64)
        is_there = relation >= 0
        own[relation[is_there]] = ids[old][is_there]
        new = np.flatnonzero(own < 0)
        own[new] = n_ids + np.arange(len(new))
        n_ids += len(new)
        ids.append(own)
    return ids


def read_maps(path: Path) -> list[np.ndarray[Any, Any]]:
    """Read the maps of a store in the order of the rows of its files."""
    store, maps = open_store(path), []
    for window in range(store.n_windows):
        ids, positions = store.embedding(window)
        wanted = pq.read_table(path.parent / "rows" / f"{window:04}.parquet")["id"].to_numpy()
        maps.append(positions[relate_ids(wanted, ids)])
    return maps


def follow_gauge(
    folder: Path, n_windows: int, n_rows: int = 150, n_first: int = 10
) -> dict[str, list[dict[str, float]]]:
    """Map a stationary stream by one run and by ingests, and compare each window's map with that of one early window.

    Entities come and go, a fifth of them with every window, and belong to one of eight groups that stay. After five
    windows none of the reference's rows is left, so place and turn are those of the groups' centres. What the map of
    one run over all windows does is the noise that no layout of such rows is without.

    Returns
    -------
    For `whole` and `grown` the figures of each window, as `compare_centres` has them, and its trust.
    """
    write_stream(folder / "rows", range(n_first), n_rows)
    options: dict[str, Any] = {"by": "window", "id": "id", "label": "group", "vectors": "v", "scheduler": "serial"}
    run(folder / "rows", folder / "grown", **options)
    write_stream(folder / "rows", range(n_first, n_windows), n_rows)
    ingest(folder / "grown", scheduler="serial", complete=True)
    run(folder / "rows", folder / "whole", **options)
    figures = {}
    for kind in KINDS:
        store = open_store(folder / kind)
        figures[kind] = compare_centres(store, n_first, n_windows)
        for row, window in zip(figures[kind], range(n_first, n_windows), strict=True):
            row["trust"] = _trust(store, window, pq.read_table(folder / "rows" / f"{window:05}.parquet"))
    return figures


def compare_centres(store: Any, first: int, n_windows: int) -> list[dict[str, float]]:
    """Measure each window's groups against those of the window `first`.

    Scale and turn (degrees) of the groups' centres, how far the centre of all is from the reference's, and the spread
    of all rows, both over the reference's spread.
    """
    reference, spread = _centres(store, first), _spread(store, first)
    figures = []
    for window in range(first, n_windows):
        centres = _centres(store, window)
        similarity = fit_similarity(centres, reference, with_scale=True)
        turn = np.degrees(np.arctan2(similarity.rotation[1, 0], similarity.rotation[0, 0]))
        away = np.linalg.norm(centres.mean(axis=0) - reference.mean(axis=0)) / spread
        figures.append(
            {
                "window": window,
                "scale": 1 / float(similarity.scale),
                "turn": float(turn),
                "away": float(away),
                "spread": _spread(store, window) / spread,
            }
        )
    return figures


def write_stream(folder: Path, windows: range, n_rows: int) -> None:
    """Write windows of a stationary stream: a fifth of the entities is new in each."""
    folder.mkdir(parents=True, exist_ok=True)
    centres = np.random.default_rng(7).normal(size=(8, 12)) * 2
    n_new = n_rows // 5
    for window in windows:
        ids = np.arange(window * n_new, window * n_new + n_rows)
        own = np.stack([np.random.default_rng([1, i]).normal(size=12) for i in ids.tolist()])
        noise = np.random.default_rng([2, window]).normal(size=own.shape) * 0.2
        vectors = (centres[ids % 8] + own + noise).astype(np.float32)
        table = pa.table(
            {
                "window": pa.array([window] * n_rows),
                "id": pa.array(ids),
                "group": pa.array(ids % 8),
                "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 12),
            }
        )
        pq.write_table(table, folder / f"{window:05}.parquet")


def measure_cost(folder: Path, sizes: tuple[int, ...], n_rows: int, n_repeats: int = 5) -> dict[int, dict[str, float]]:
    """Measure `driftmap ingest` of one more window, in processes of their own, on stores of several sizes.

    Processor seconds, start of Python and imports included, and peak memory; medians.
    """
    for size in sizes:
        place = folder / f"{size}"
        write_stream(place / "rows", range(6), n_rows)
        options: dict[str, Any] = {"by": "window", "id": "id", "vectors": "v", "n_epochs": 6, "scheduler": "serial"}
        run(place / "rows", place / "store", **options)
        write_stream(place / "rows", range(6, size), n_rows)
        ingest(place / "store", scheduler="serial", complete=True)
    costs: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    for repeat in range(n_repeats + 1):
        for size in sizes:  # in turn: a machine's pace changes within minutes
            write_stream(folder / f"{size}" / "rows", range(size + repeat, size + repeat + 1), n_rows)
            cost = _time_ingest(folder / f"{size}" / "store")
            if repeat:  # the first may compile
                costs[size].append(cost)
    medians = {
        size: [statistics.median(values) for values in zip(*found, strict=True)] for size, found in costs.items()
    }
    return {size: dict(zip(("seconds", "peak_mb"), values, strict=True)) for size, values in medians.items()}


def _time_ingest(store: Path) -> tuple[float, float]:
    """Processor seconds and peak MB of one `driftmap ingest`."""
    # Not ru_maxrss, which a process begins with what its parent has.
    code = (
        "import re, sys; from pathlib import Path; from driftmap.pipeline.cli.app import run_command; "
        f"code = run_command(['ingest', {str(store)!r}, '--complete']); "
        "print(re.search('VmHWM:\\\\s+(.*) kB', Path('/proc/self/status').read_text())[1]); sys.exit(code)"
    )
    started = _children_seconds()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return _children_seconds() - started, int(done.stdout.split()[-1]) / 1024


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _show(*parts: object) -> None:
    sys.stdout.write(" ".join(map(str, parts)) + "\n")
    sys.stdout.flush()


def _centres(store: Any, window: int) -> np.ndarray[Any, Any]:
    _, positions = store.embedding(window)
    groups = store.window_labels(window)["group"]
    return np.stack([np.nanmedian(positions[groups == group], axis=0) for group in range(8)]).astype(np.float32)


def _trust(store: Any, window: int, table: pa.Table) -> float:
    ids, positions = store.embedding(window)
    vectors = table["v"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    return trustworthiness(vectors, positions[relate_ids(table["id"].to_numpy(), ids)])


def _spread(store: Any, window: int) -> float:
    return float(np.sqrt(np.nanvar(store.positions(window), axis=0).mean()))


def main() -> None:
    """Print the figures of one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["drift", "gauge", "cost"])
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--rows", type=int, default=150)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-ingest-"))
    try:
        if given.part == "drift":
            for name in filter(is_available, given.sets):
                for kind, figures in compare(name, folder / name).items():
                    _show(name, kind, {key: round(value, 4) for key, value in figures.items()})
        elif given.part == "gauge":
            for kind, rows in follow_gauge(folder, given.windows, given.rows).items():
                for row in rows[:: max(1, given.windows // 20)]:
                    _show(kind, {key: round(value, 3) for key, value in row.items()})
        else:
            for size, figures in measure_cost(folder, (10, 100, 1000), given.rows).items():
                _show(size, figures)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
