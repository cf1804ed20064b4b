"""What a job takes: measure on a machine like those of the cluster, then estimate for other sizes.

    python deploy/sizing.py measure --out sizing.json           # some minutes on one core
    python deploy/sizing.py table sizing.json --features 384 --neighbours 15
    python deploy/sizing.py check sizing.json                   # three small jobs, beside what is estimated for them

Seconds are of one core's work, so that a busy machine measures the same. Between measured windows, a graph's seconds go
with a power of its rows, and with the last of these beyond them; what is beyond is estimated and not seen.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import (
    build_window_graph,
    find_pieces,
    follow_clusters,
    fuzzy_graph_bytes,
    graph_bytes,
    limit_threads,
)
from driftmap.engine.settings import GraphSettings
from driftmap.pipeline import run
from driftmap.pipeline.planning.blocks import block_bytes, choose_exchange_core
from driftmap.pipeline.planning.estimates.layout_choice import share_layout
from driftmap.pipeline.planning.estimates.memory import AFAR_BYTES, KEY_BYTES, LAYOUT_WORKER_BYTES, WORKER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES, NEIGHBOURS = (64, 384, 768), (15, 30)
GRAPH_ROWS = (3_000, 12_000, 48_000)
"""Windows whose graphs are built."""
LAYOUT_ROWS, LAYOUT_WINDOWS = 5_000, 6
CLUSTER_ROWS = 24_000
"""Of the two windows of which the second's clusters are followed from the first's."""

REACH, LOOKAHEAD = 3, 3
"""As a run has them when nothing else is said."""
CHECKED = ((5, 10_000), (20, 2_000), (3, 30_000))
"""Windows and their rows of the jobs that `check` runs."""

TOTALS, WINDOWS, WORKERS = (10**6, 10**8, 10**10), (100, 1_000), (1, 10, 100, 1_000)

MAX_WORKER_BYTES, MAX_COORDINATOR_BYTES, MAX_SECONDS = 64 * 2**30, 512 * 2**30, 7 * 86_400
"""Beyond these a size is said to break: what hosts commonly have, and what one waits for."""
MAX_TASKS_PER_SECOND = 200
"""What Dask's scheduler is commonly said to hand out without being the brake."""


@dataclass(frozen=True)
class Measured:
    """Core seconds and bytes of one kind of data."""

    n_features: int
    n_neighbors: int
    graph_seconds: dict[str, float]
    """For the graph of a window, by its rows."""
    layout_seconds: float
    """For a row of the layout, in order."""
    piece_seconds: float
    """For a row, to find what clusters may be cut along: by window."""
    cluster_seconds: float
    """For a row, to find its window's clusters: in order, also where blocks are laid out in parallel."""
    store_bytes: float
    """For a row of the store."""

    def find_graph_seconds(self, n_rows: float) -> float:
        """Seconds of one core for the graph of a window."""
        sizes = sorted((int(rows), seconds) for rows, seconds in self.graph_seconds.items())
        (n, low), (m, high) = next((pair for pair in pairwise(sizes) if n_rows <= pair[1][0]), sizes[-2:])
        power = max(1.0, math.log(high / low) / math.log(m / n))
        return low * (n_rows / n) ** power


@dataclass(frozen=True)
class Size:
    """What a job of one size takes on some workers."""

    graph_seconds: float
    layout_seconds: float
    """With clusters."""
    worker_bytes: float
    coordinator_bytes: float
    store_bytes: float
    network_bytes: float
    """That a worker reads and writes in a second, while graphs are built."""
    breaks: str
    """What breaks first, or is the brake."""


def estimate(measured: Measured, n_rows: float, n_windows: int, n_workers: int) -> Size:
    """Estimate what a job takes.

    Parameters
    ----------
    measured
        Of data like the job's.
    n_rows
        Of all windows together.
    n_windows, n_workers
        Windows, and worker processes of one core.
    """
    window_rows = n_rows / n_windows
    settings = GraphSettings(n_neighbors=measured.n_neighbors)
    graph_seconds = math.ceil(n_windows / n_workers) * measured.find_graph_seconds(window_rows)
    moves, pieces = n_rows * measured.layout_seconds, n_rows * measured.piece_seconds
    chain = n_rows * measured.cluster_seconds
    n_blocks = math.ceil(n_windows / choose_exchange_core(n_windows))
    shared = share_layout(moves, n_blocks, n_workers) + (pieces + chain) / min(n_workers, n_blocks)
    read_bytes = 4 * measured.n_features * n_rows
    # The smallest block: one new window, those it reads and those it looks ahead to.
    n_block = min(n_windows, 1 + REACH + LOOKAHEAD)
    layout_bytes = block_bytes(
        int(n_block * window_rows),
        int(window_rows),
        n_block,
        n_neighbors=measured.n_neighbors,
        n_components=2,
        reach=REACH,
        id_bytes=4 * 8,
    )
    n_window = int(window_rows)
    graph = WORKER_BYTES + max(
        graph_bytes(n_window, measured.n_features, settings), fuzzy_graph_bytes(n_window, settings)
    )
    size = Size(
        graph_seconds=graph_seconds,
        layout_seconds=min(moves + pieces + chain, max(shared, chain)),
        worker_bytes=max(graph, LAYOUT_WORKER_BYTES + layout_bytes),
        coordinator_bytes=AFAR_BYTES + KEY_BYTES * n_rows,
        store_bytes=measured.store_bytes * n_rows,
        network_bytes=(read_bytes + measured.store_bytes * n_rows) / min(n_workers, n_windows) / graph_seconds,
        breaks="",
    )
    return Size(**{**vars(size), "breaks": _find_break(size, chain, n_windows, n_workers)})


def _find_break(size: Size, chain: float, n_windows: int, n_workers: int) -> str:
    graphs, layout = size.graph_seconds, size.layout_seconds
    reasons = (
        (size.worker_bytes > MAX_WORKER_BYTES, "a worker's memory: windows are too large"),
        (size.coordinator_bytes > MAX_COORDINATOR_BYTES, "the coordinator's memory: keys of all rows"),
        (max(graphs, layout) > MAX_SECONDS, "time: " + ("graphs" if graphs > layout else "layout")),
        (n_windows / graphs > MAX_TASKS_PER_SECOND, "Dask's scheduler: tasks too short"),
        (n_workers > n_windows, "nothing; workers idle, more than windows"),
        (chain == layout > graphs, "nothing; clusters, found in order, are the brake"),
        (layout > graphs, "nothing; layout is the brake"),
    )
    return next((reason for is_so, reason in reasons if is_so), "nothing; graphs are the brake")


def make_rows(n_rows: int, n_features: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Make rows in forty clusters with a few directions each, as embeddings have."""
    rng = np.random.default_rng([seed, n_features])
    basis = rng.normal(size=(40, 12, n_features)) / math.sqrt(n_features)
    clusters = rng.integers(0, 40, n_rows)
    rows = np.einsum("nk,nkd->nd", rng.normal(size=(n_rows, 12)), basis[clusters]) + 3 * basis[clusters, 0]
    return (rows + 0.05 * rng.normal(size=rows.shape)).astype(np.float32)


def measure(n_features: int, n_neighbors: int) -> Measured:
    """Measure one kind of data, on one core."""
    settings = GraphSettings(n_neighbors=n_neighbors)
    windows = [make_rows(n_rows, n_features, 0) for n_rows in GRAPH_ROWS]
    seconds = {str(len(rows)): _clock(lambda rows=rows: build_window_graph(rows, settings, 0)) for rows in windows}
    layout_seconds, store_bytes = _measure_run(n_features, n_neighbors)
    return Measured(
        n_features, n_neighbors, seconds, layout_seconds, *measure_clusters(settings, n_features), store_bytes
    )


def measure_clusters(settings: GraphSettings, n_features: int) -> tuple[float, float]:
    """Measure the core seconds of a row while a window is cut into pieces, and while its clusters are followed."""
    base = make_rows(CLUSTER_ROWS, n_features, 1)
    moved = base + np.random.default_rng(2).normal(size=base.shape).astype(np.float32) * np.float32(0.02)
    old, new = (build_window_graph(rows, settings, 0).fuzzy for rows in (base, moved))
    before, pieces = follow_clusters(old, 0), find_pieces(new, 1)
    relation = np.arange(CLUSTER_ROWS, dtype=np.int32)
    cut = _clock(lambda: find_pieces(new, 1))
    follow = _clock(lambda: follow_clusters(new, 1, old, before, relation, pieces))
    return cut / CLUSTER_ROWS, follow / CLUSTER_ROWS


def check(measured: Measured, n_windows: int, window_rows: int) -> tuple[float, float]:
    """Run a job of some windows on one core; returns the seconds that are estimated, and those that it took."""
    estimated = estimate(measured, n_windows * window_rows, n_windows, 1)
    source, options = _make_job(measured.n_features, measured.n_neighbors, n_windows, window_rows)
    with tempfile.TemporaryDirectory() as folder:
        seconds = _clock(lambda: run(source, Path(folder) / "s", **options))
    return estimated.graph_seconds + estimated.layout_seconds, seconds


def _make_job(n_features: int, n_neighbors: int, n_windows: int, window_rows: int) -> tuple[dict[str, Any], Any]:
    base = make_rows(window_rows, n_features, 1)
    noise = np.random.default_rng(2).normal(size=(n_windows, *base.shape)) * 0.02
    source = {
        "vectors": (base + noise).reshape(n_windows * window_rows, -1).astype(np.float32),
        "id": np.tile(np.arange(window_rows), n_windows),
        "window": np.repeat(np.arange(n_windows), window_rows),
    }
    return source, {"by": "window", "n_neighbors": n_neighbors, "scheduler": "serial"}


def _measure_run(n_features: int, n_neighbors: int, window_rows: int = LAYOUT_ROWS) -> tuple[float, float]:
    n_rows = window_rows * LAYOUT_WINDOWS
    source, options = _make_job(n_features, n_neighbors, LAYOUT_WINDOWS, window_rows)

    def seconds(n_epochs: int | None) -> tuple[float, int]:
        with tempfile.TemporaryDirectory() as folder, limit_threads(1):
            started = time.process_time()
            store = run(source, Path(folder) / "s", n_epochs=n_epochs, **options)
            return time.process_time() - started, sum(window.bytes or 0 for window in store.state())

    without_layout, n_bytes = seconds(1)
    with_layout, _ = seconds(None)
    return max(0.0, with_layout - without_layout) / n_rows, n_bytes / n_rows


def _clock(function: Callable[[], object]) -> float:
    """Core seconds of a call."""
    with limit_threads(1):
        started = time.process_time()
        function()
        return time.process_time() - started


def show_measured(all_measured: list[Measured]) -> str:
    """Write the measured figures as a table, for a million rows."""
    head = "| features | neighbours | graphs, windows of 10,000 | of 100,000 | layout | clusters | store |"
    lines = [head, "|---" * 7 + "|"]
    for each in all_measured:
        graphs = (each.find_graph_seconds(n_rows) * 1e6 / n_rows for n_rows in (10_000, 100_000))
        rest = (each.layout_seconds * 1e6, (each.piece_seconds + each.cluster_seconds) * 1e6)
        cells = [f"{seconds:,.0f} s" for seconds in (*graphs, *rest)]
        lines.append(f"| {each.n_features} | {each.n_neighbors} | {' | '.join(cells)} | {each.store_bytes:,.0f} MB |")
    return "\n".join(lines)


def show_table(measured: Measured) -> str:
    """Write what jobs of many sizes take as a table."""
    head = "| rows | windows | workers | graphs | layout | a worker | coordinator | store | network | breaks first |"
    lines = [head, "|---" * 10 + "|"]
    for n_rows, n_windows, n_workers in product(TOTALS, WINDOWS, WORKERS):
        size = estimate(measured, n_rows, n_windows, n_workers)
        cells = [f"10^{round(math.log10(n_rows))}", f"{n_windows:,}", f"{n_workers:,}"]
        cells += [_show_seconds(size.graph_seconds), _show_seconds(size.layout_seconds)]
        cells += [_show_bytes(value) for value in (size.worker_bytes, size.coordinator_bytes, size.store_bytes)]
        lines.append("| " + " | ".join([*cells, f"{_show_bytes(size.network_bytes)}/s", size.breaks]) + " |")
    return "\n".join(lines)


def _show_seconds(seconds: float) -> str:
    for length, name in ((86_400 * 365, "years"), (86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}"
    return f"{seconds:,.0f} s" if seconds >= 1 else "< 1 s"


def _show_bytes(n_bytes: float) -> str:
    power = min(5, max(2, int(math.log10(max(n_bytes, 1)) // 3)))
    value = n_bytes / 1000**power
    return f"{value:,.{0 if value >= 10 else 1}f} {('MB', 'GB', 'TB', 'PB')[power - 2]}"


def load_measured(file: Path, n_features: int, n_neighbors: int) -> Measured:
    """Read one kind of data from what `measure` wrote."""
    kinds = [Measured(**each) for each in json.loads(file.read_text())]
    for each in kinds:
        if (each.n_features, each.n_neighbors) == (n_features, n_neighbors):
            return each
    there = ", ".join(f"{each.n_features} and {each.n_neighbors}" for each in kinds)
    raise SystemExit(f"{file} has no {n_features} features and {n_neighbors} neighbours, but: {there}")


def main() -> None:
    """Measure, or show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="measure on this machine")
    measuring.add_argument("--out", default="sizing.json", type=Path)
    measuring.add_argument("--features", type=int, nargs="+", default=list(FEATURES))
    measuring.add_argument("--neighbours", type=int, nargs="+", default=list(NEIGHBOURS))
    showing = commands.add_parser("table", help="estimate from what was measured")
    checking = commands.add_parser("check", help="run three small jobs, and compare")
    for command in (showing, checking):
        command.add_argument("file", type=Path)
        command.add_argument("--features", type=int, default=384)
        command.add_argument("--neighbours", type=int, default=15)
    given = parser.parse_args()
    if given.command == "measure":
        _measure_run(8, 15, 200)  # compiles
        all_measured = [measure(*kind) for kind in product(given.features, given.neighbours)]
        given.out.write_text(json.dumps([vars(each) for each in all_measured], indent=1) + "\n")
        print(show_measured(all_measured))
        return
    measured = load_measured(given.file, given.features, given.neighbours)
    if given.command == "table":
        print(show_table(measured))
        return
    _measure_run(8, 15, 200)
    for n_windows, window_rows in CHECKED:
        estimated, seconds = check(measured, n_windows, window_rows)
        ratio = estimated / seconds
        print(
            f"{n_windows} windows of {window_rows:,}: {estimated:.1f} s estimated, {seconds:.1f} s taken ({ratio:.2f})"
        )


if __name__ == "__main__":
    main()
