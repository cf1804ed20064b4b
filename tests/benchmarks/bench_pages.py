"""What the page of a large run weighs, with its river, labels, clusters and sentences."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree
from tests.pipeline.small_stores import SmallWindow, add_graph, add_maps, read_page_header

from driftmap.engine.types import KnnGraph
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"10 x 20,000": (10, 20_000, 2.5), "10 x 100,000": (10, 100_000, 6.0)}
"""Windows, rows of each, and the most that the page may take, in MB of 10^6 bytes."""

N_GROUPS, N_NEIGHBOURS = 30, 10
DRIFT, SHARE_NEW = 0.05, 0.05
"""Of each step: how far rows move, over the spread; share of ids that are new."""


def weigh_pages(say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Write the page of a run of each size, and say how large it is."""
    found = {}
    for name, (n_windows, n_rows, most) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            store = make_run(Path(folder) / "run.zarr", n_windows, n_rows)
            started = time.perf_counter()
            path = write_report(store, Path(folder) / "page.html")
            seconds, size = time.perf_counter() - started, path.stat().st_size / 1e6
            header = read_page_header(path)
        is_sample, verdict = len(header["entities"]) < header["n_entities"], "under" if size < most else "OVER"
        found[name] = {"megabytes": round(size, 3), "most": most, "seconds": round(seconds, 1), "is_sample": is_sample}
        shown = "a sample of the rows" if is_sample else "all rows"
        say(f"{name:14} {size:.2f} MB, {verdict} {most} MB, {shown}, written in {seconds:.0f} s")
    return found


def make_run(path: Path, n_windows: int, n_rows: int) -> Store:
    """Make a store of groups that drift, of which some rows are replaced in each window."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, N_GROUPS, n_rows)
    centres = rng.normal(scale=3, size=(N_GROUPS, 2))
    places = centres[groups] + rng.normal(scale=0.6, size=(n_rows, 2))
    ids, n_known = np.arange(n_rows), n_rows
    windows = []
    for t in range(n_windows):
        if t:
            places = places + rng.normal(scale=DRIFT * places.std(), size=places.shape)
            new = rng.choice(n_rows, round(SHARE_NEW * n_rows), replace=False)
            ids, groups = ids.copy(), groups.copy()
            ids[new] = np.arange(n_known, n_known + len(new))
            groups[new] = rng.integers(0, N_GROUPS, len(new))
            places[new] = centres[groups[new]] + rng.normal(scale=0.6, size=(len(new), 2))
            n_known += len(new)
        columns = {"group": np.array([f"group {k}" for k in range(N_GROUPS)])[groups]}
        windows.append(SmallWindow(f"2024-{t + 1:02}", ids, places, columns))
    planned = [{"label": w.label, "n_rows": n_rows, "start": None, "end": None, "digest": "d"} for w in windows]
    store = Store.create(path, config={}, windows=planned, fingerprint={})
    for index, window in enumerate(windows):
        lengths, near = cKDTree(window.positions).query(window.positions, N_NEIGHBOURS)
        add_graph(store, index, window, KnnGraph(near.astype(np.int32), lengths.astype(np.float32)))
    add_maps(store, [window.positions for window in windows])
    return store
