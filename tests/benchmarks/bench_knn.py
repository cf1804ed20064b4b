"""Where exact kNN search stops paying, and what the graph kernels cost to compile. Run by hand, in some minutes.

    python tests/benchmarks/bench_knn.py                    # sizes on both sides of the crossover
    python tests/benchmarks/bench_knn.py --sizes 14000x784
    python tests/benchmarks/bench_knn.py --compile          # cold compilation of each module, with an empty cache

Every size runs in a process of its own: what pynndescent compiles at its first call is the point.
`knn.EXACT_WORK` follows from these figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

SIZES = ("2000x64", "20000x64", "70000x64", "2000x784", "14000x784", "36000x784")

COMPARE = """
import time
import numpy as np
from driftmap.engine.neighbours import search as knn
from driftmap.engine.neighbours import inverted_file as partitions

n, d = {n}, {d}
rng = np.random.default_rng(0)
centres = rng.normal(size=(50, d)) * 0.7
rows = (centres[rng.integers(0, 50, n)] + rng.normal(size=(n, d))).astype(np.float32)

def clock(work):
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found

knn.find_exact(rows[:50], 15, "euclidean")
partitions.find_in_partitions(rows[:3000], 15, "euclidean", 0)
exact_seconds, exact = clock(lambda: knn.find_exact(rows, 15, "euclidean"))
parts_seconds, parts = clock(lambda: partitions.find_in_partitions(rows, 15, "euclidean", 0))
first_seconds, found = clock(lambda: knn.find_by_descent(rows, 15, "euclidean", {{}}, 0))
later_seconds, found = clock(lambda: knn.find_by_descent(rows, 15, "euclidean", {{}}, 0))
some = rng.choice(n, 1000)
recalls = [
    np.mean([np.isin(a[1:], b[1:]).mean() for a, b in zip(exact.indices[some], by.indices[some])])
    for by in (parts, found)
]
work = n * n * (d + 180) / knn.EXACT_WORK
seconds = f"{{exact_seconds:>8.2f}} {{parts_seconds:>8.2f}} {{first_seconds:>8.1f}} {{later_seconds:>8.2f}}"
print(f"{{n:>7}} {{d:>5}} {{work:>7.3f}} {{seconds}} {{recalls[0]:>8.3f}} {{recalls[1]:>8.3f}}")
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
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="ROWSxFEATURES")
    parser.add_argument("--compile", action="store_true", help="time cold compilation instead")
    options = parser.parse_args()
    if options.compile:
        report_compilation()
        return
    say(f"{'':>21} {'exact':>8} {'parts':>8} {'descent: first':>17} {'shares found':>17}")
    say(f"{'rows':>7} {'d':>5} {'work':>7} {'s':>8} {'s':>8} {'s':>8} {'later s':>8} {'parts':>8} {'descent':>8}")
    for size in options.sizes:
        n, d = map(int, size.split("x"))
        say(run(COMPARE.format(n=n, d=d)))


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
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
