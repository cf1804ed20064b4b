"""The kNN search beside pynndescent, faiss and hnswlib, and what the graph kernels cost to compile; run by hand.

    python tests/benchmarks/bench_knn.py                    # sizes from 10,000 to 250,000 rows, and real data
    python tests/benchmarks/bench_knn.py --sizes 14000x784 large:50000x384 big_mnist big_mnist:all
    python tests/benchmarks/bench_knn.py --compile          # cold compilation of each module, with an empty cache

CPU seconds of one thread, after one call on few rows in the same process; every size runs in a process of its own. Of
each peer the first of a few settings, from cheap to dear, whose recall is at least `RECALL`: of 1,000 rows those found
count that are as near as the k-th neighbour, whoever they are. faiss-cpu and hnswlib are left out where they are not
installed. ROWSxFEATURES are blobs of noise, uniform: and normal: noise alone, large: text-like embeddings (large.py
beside the data sets), a data set's name its first window, and with :all its rows of all windows, each once.
`search.EXACT_WORK` follows from these figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

SIZES = (
    *("10000x64", "14000x64", "20000x64", "50000x32", "50000x128", "200000x32", "200000x128"),
    *("uniform:50000x32", "normal:50000x32", "uniform:50000x128", "normal:50000x128", "normal:200000x64"),
    *("10000x768", "50000x384", "50000x768", "large:50000x384", "large:250000x384", "large:100000x768"),
    *("big_mnist", "big_mnist:all", "numpy_commits:all", "big_numpy_commits_384:all"),
)
MAX_EXACT = 2e12
"""Multiplications that the exact search is timed up to."""
RECALL = 0.98

COMPARE = """
import time
import numpy as np
from driftmap.engine import limit_threads
from driftmap.engine.neighbours import search
from tests.benchmarks.data_sets import load_rows

name, k = {name!r}, 15
rows = load_rows(name)
some = np.random.default_rng(0).choice(len(rows), 1000, replace=False)

def clock(work):
    started = time.process_time()
    found = work()
    return time.process_time() - started, found

def bound_nearest():
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    norms = np.square(centred).sum(axis=1)
    bounds = []
    for own in np.array_split(some, 20):
        squared = norms - 2.0 * centred[own] @ centred.T + norms[own, None]
        squared[np.arange(len(own)), own] = -1.0
        bounds.append(np.partition(squared, k - 1, axis=1)[:, k - 1])
    return np.sqrt(np.concatenate(bounds))[:, None] * (1 + 1e-5)

def measure_recall(indices):
    if len(indices) != len(rows):
        return 0.0
    apart = np.linalg.norm(rows[indices[some]].astype(np.float64) - rows[some, None], axis=2)
    is_other = indices[some] != some[:, None]
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

def run_peer(work, settings):
    work(rows[:2000], *settings[0])
    for values in settings:
        seconds, found = clock(lambda: work(rows, *values))
        recall = measure_recall(found)
        if recall >= {recall}:
            return f"{{seconds:>7.2f}} ({{recall:.4f}})"
    return "below recall"

bound = bound_nearest()
with limit_threads(1):
    for n_rows in (50, 3000):
        search.find_exact(rows[:n_rows], k, "euclidean")
    search.find_in_partitions(rows[:3000], k, "euclidean", 0, {recall})
    is_soon = len(rows) ** 2 * rows.shape[1] <= {max_exact}
    exact = f"{{clock(lambda: search.find_exact(rows, k, 'euclidean'))[0]:>7.2f}}" if is_soon else f"{{'-':>7}}"
    seconds, found = clock(lambda: search.build_knn_graph(rows, k, recall={recall}))
    ours = f"{{seconds:>7.2f}} ({{measure_recall(found.indices):.4f}})"
    parts = [f"{{name:>25}}", ours, exact]
    for work, settings in GRID.values():
        try:
            parts.append(f"{{run_peer(work, settings):>16}}")
        except ImportError:
            parts.append(f"{{'-':>16}}")
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
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="[KIND:]ROWSxFEATURES|DATA[:all]")
    parser.add_argument("--compile", action="store_true", help="time cold compilation instead")
    options = parser.parse_args()
    if options.compile:
        report_compilation()
        return
    say(f"{'':>25}  {'ours (recall)':>16}  {'exact':>7}  {'pynndescent':>16}  {'faiss HNSW':>16}  {'hnswlib':>16}")
    for size in options.sizes:
        say(run(COMPARE.format(name=size, recall=RECALL, max_exact=MAX_EXACT)))


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
