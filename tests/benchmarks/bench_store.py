"""What a store's log costs: opening it, one more commit and one look for news, at 100, 1,000 and 10,000 windows.

Run by hand: `python -m tests.benchmarks.bench_store`. The windows are receipts without arrays, so that nothing but
the log is timed. Wall time, median of five opens; in brackets, the same store without its checkpoints.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import click

from driftmap.pipeline.store import Store
from driftmap.pipeline.store.log import checkpoints

SIZES = (100, 1_000, 10_000)


def make_store(path: Path, n_windows: int) -> Store:
    """Make a store whose every window has a graph, and every block of ten a map."""
    windows = [
        {"label": f"window {n}", "n_rows": 2000, "start": f"2024-{n:05}", "end": f"2024-{n + 1:05}", "digest": "0" * 16}
        for n in range(n_windows)
    ]
    store = Store.create(path, config={"n_neighbors": 15}, windows=windows, fingerprint={"rows": 1})
    for n in range(n_windows):
        store.commit_graph(
            {"index": n, "label": f"window {n}", "attempt": "0" * 16, "n_rows": 2000, "n_edges": 44_000,
             "has_ids": True, "label_columns": ["topic"], "seconds": 0.5, "bytes": 600_000}
        )  # fmt: skip
        if n % 10 == 9:
            core = list(range(n - 9, n + 1))
            store.commit_layout({"block": n // 10, "attempt": "1" * 16, "final": core, "provisional": [], "seconds": 1})
    return store


def time_opening(path: Path) -> float:
    """Seconds to open a store."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        Store.open(path)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def main() -> None:
    """Print one line for each size."""
    for n_windows in SIZES:
        folder = Path(tempfile.mkdtemp())
        started = time.perf_counter()
        store = make_store(folder / "s", n_windows)
        each = (time.perf_counter() - started) / (store.n_commits - 1)
        opened = time_opening(folder / "s")
        started = time.perf_counter()
        for _ in range(100):
            store.refresh()
        looked = (time.perf_counter() - started) / 100
        shutil.rmtree(folder / "s" / checkpoints.FOLDER, ignore_errors=True)
        plain = time_opening(folder / "s")
        click.echo(
            f"{n_windows:6,} windows, {store.n_commits:6,} commits: {each * 1e3:.2f} ms a commit, "
            f"open {opened * 1e3:.0f} ms [{plain * 1e3:.0f}], look for news {looked * 1e3:.2f} ms"
        )
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
