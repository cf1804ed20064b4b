"""The kNN search beside pynndescent, faiss and hnswlib, and what the graph kernels cost to compile; run by hand.

    python tests/benchmarks/bench_knn.py                    # sizes from 10,000 to 200,000 rows, and real data
    python tests/benchmarks/bench_knn.py --sizes 14000x784
    python tests/benchmarks/bench_knn.py --compile          # cold compilation of each module, with an empty cache

CPU seconds of one thread, after one call on few rows in the same process; every size runs in a process of its own. Of
each peer the cheapest of a few settings whose recall is at least `RECALL`: rows that are as near as the k-th neighbour
count, whoever they are. faiss-cpu and hnswlib are left out where they are not installed.
`search.EXACT_WORK` follows from these figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

SIZES = (
    *("10000x64", "14000x64", "20000x64", "50000x32", "200000x32", "10000x768", "50000x384"),
    *("big_mnist", "big_numpy_commits_384"),
)
RECALL = 0.98

COMPARE = """
import time
import numpy as np
from driftmap.engine import limit_threads
from driftmap.engine.neighbours import search
from tests.benchmarks.data_sets import load, make_stream

name, k = {name!r}, 15
if "x" in name:
    n, d = map(int, name.split("x"))
    rows, _ = make_stream(1, n, n, d)
else:
    rows = load(name).windows[0]
some = np.random.default_rng(0).choice(len(rows), 1000, replace=False)

def clock(work):
    started = time.process_time()
    found = work()
    return time.process_time() - started, found

def measure_recall(indices, exact):
    if len(indices) != len(rows):
        return 0.0
    apart = np.linalg.norm(rows[indices[some]].astype(np.float64) - rows[some, None], axis=2)
    is_other = indices[some] != some[:, None]
    bound = exact.distances[some, -1:] * (1 + 1e-5)
    return float(np.minimum((is_other & (apart <= bound)).sum(axis=1), k - 1).mean() / (k - 1))

def by_pynndescent(rows, max_candidates=60):
    import pynndescent
    index = pynndescent.NNDescent(rows, n_neighbors=k, random_state=0, n_jobs=1, max_candidates=max_candidates)
    return index.neighbor_graph[0]

def by_faiss(rows, m, ef):
    import faiss
    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(rows.shape[1], m)
    index.hnsw.efConstruction, index.hnsw.efSearch = ef, ef
    index.add(rows)
    return index.search(rows, k)[1]

def by_hnswlib(rows, m, ef):
    import hnswlib
    index = hnswlib.Index(space="l2", dim=rows.shape[1])
    index.init_index(max_elements=len(rows), M=m, ef_construction=ef)
    index.set_num_threads(1)
    index.add_items(rows)
    index.set_ef(ef)
    return index.knn_query(rows, k=k)[0].astype(np.int64)

GRID = {{
    "pynndescent": (by_pynndescent, [(20,), (60,), (120,)]),
    "faiss HNSW": (by_faiss, [(12, 32), (16, 48), (24, 80), (32, 160)]),
    "hnswlib": (by_hnswlib, [(12, 32), (16, 48), (24, 80), (32, 160)]),
}}

def run_peer(work, settings, exact):
    best = None
    work(rows[:2000], *settings[0])
    for values in settings:
        seconds, found = clock(lambda: work(rows, *values))
        recall = measure_recall(found, exact)
        if recall >= {recall} and (best is None or seconds < best[0]):
            best = seconds, recall
    return best

with limit_threads(1):
    for n_rows in (50, 3000):
        search.find_exact(rows[:n_rows], k, "euclidean")
    search.find_in_partitions(rows[:3000], k, "euclidean", 0, {recall})
    exact_seconds, exact = clock(lambda: search.build_knn_graph(rows, k, recall=1.0))
    seconds, found = clock(lambda: search.build_knn_graph(rows, k, recall={recall}))
    ours = f"{{seconds:>7.2f}} ({{measure_recall(found.indices, exact):.4f}})"
    parts = [f"{{name:>22}}", ours, f"{{exact_seconds:>7.2f}}"]
    for work, settings in GRID.values():
        try:
            best = run_peer(work, settings, exact)
        except ImportError:
            parts.append(f"{{'-':>16}}")
            continue
        parts.append(f"{{'below recall':>16}}" if best is None else f"{{best[0]:>7.2f}} ({{best[1]:.4f}})")
print("  ".join(parts))
"""

SETUP = """
import time
import numpy as np
from driftmap.engine.core import jit as compiling
from driftmap.engine.types import FuzzyGraph, KnnGraph
n, k = 60, 8
rows = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
order = np.argsort(((rows[:, None] - rows[None]) ** 2).sum(axis=2), axis=1)[:, :k]
graph = KnnGraph(order.astype(np.int32), np.tile(np.arange(k, dtype=np.float32), (n, 1)))
columns = np.sort(order[:, 1:]).astype(np.int32).ravel()
fuzzy = FuzzyGraph(np.arange(n + 1) * (k - 1), columns, np.ones(n * (k - 1), np.float32))
"""

MODULES = {
    "selection (exact kNN)": ("driftmap.engine.neighbours.search", "build_knn_graph(rows, k)"),
    "fuzzy": ("driftmap.engine.graph.fuzzy", "build_fuzzy_graph(graph)"),
    "overlap (alignment weights)": (
        "driftmap.engine.relations.relations",
        "alignment_weights(fuzzy, fuzzy, np.arange(n, dtype=np.int32))",
    ),
    "ranks (trustworthiness; with selection)": (
        "driftmap.engine.quality.measures",
        "trustworthiness(rows, rows[:, :2], k)",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="ROWSxFEATURES|DATA")
    parser.add_argument("--compile", action="store_true", help="time cold compilation instead")
    options = parser.parse_args()
    if options.compile:
        report_compilation()
        return
    say(f"{'':>22}  {'ours (recall)':>16}  {'exact':>7}  {'pynndescent':>16}  {'faiss HNSW':>16}  {'hnswlib':>16}")
    for size in options.sizes:
        say(run(COMPARE.format(name=size, recall=RECALL)))


def report_compilation() -> None:
    say(f"{'module':<42} {'cold s':>8} {'cached s':>8}")
    for name, (module, call) in MODULES.items():
        code = f"{SETUP}\nimport {module} as module\nstarted = time.perf_counter()\nmodule.{call}\n"
        code += "print(f'{time.perf_counter() - started:.2f}')"
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (run(code, NUMBA_CACHE_DIR=folder) for _ in range(2))
        say(f"{name:<42} {cold:>8} {warm:>8}")


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
