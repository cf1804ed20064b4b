"""`driftmap view` of large stores: time to the first picture, memory of the server, heap of the page's script."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from tests.pipeline.browsing import CHROMIUM, FLAGS
from tests.pipeline.small_stores import SmallWindow

from driftmap.engine import RowTerms
from driftmap.engine.types import FuzzyGraph, KnnGraph, WindowGraph
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import write_clusters, write_graph, write_positions
from driftmap.pipeline.store.row_traits import pack_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = {"2 x 1,000,000": (2, 1_000_000), "2 x 10,000,000": (2, 10_000_000)}
"""Windows, rows of each."""
MOST = {"picture_seconds": 3.0, "server_mb": 1000.0, "heap_mb": 500.0}
N_KINDS, SHARE_NEW = 20, 0.05


def time_views(names: list[str], folder: Path | None = None, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """View stores of these sizes; they are made where `folder` holds none of this name."""
    found = {}
    for name in names:
        n_windows, n_rows = SIZES.get(name) or tuple(int(part.replace(",", "")) for part in name.split(" x "))
        with tempfile.TemporaryDirectory() as scratch:
            path = (folder or Path(scratch)) / f"view-{n_windows}-{n_rows}.zarr"
            if not path.exists():
                started = time.perf_counter()
                make_large(path, n_windows, n_rows)
                say(f"{name}: store made in {time.perf_counter() - started:.0f} s")
            found[name] = figures = time_view(path, n_windows)
        verdicts = [f"{key} {figures[key]:,} ({_judge(figures[key], most)} {most:g})" for key, most in MOST.items()]
        say(f"{name}: {', '.join(verdicts)}; {figures}")
    say("Frames a second are not judged: Chromium draws in software here.")
    return found


def time_view(path: Path, n_windows: int) -> dict[str, float]:
    """Start the command, open the page, let it read all windows, and zoom in; all as a user does."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--enable-precise-memory-info"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        started = time.perf_counter()
        command = [sys.executable, "-m", "driftmap", "view", str(path), "--no-open"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                url = re.search(r"http://\S+", (process.stdout or sys.stdin).readline())
                served = time.perf_counter()
                page.goto(url[0] if url else "about:blank")
                page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
                seen = time.perf_counter()
                look_through(page, n_windows)
                read = time.perf_counter()
                explain_newest(page)
                explained = time.perf_counter()
                heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
                server = psutil.Process(process.pid)
                peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())[1]) * 1024 / 1e6
                spent = server.cpu_times()
            finally:
                process.terminate()
        browser.close()
    return {
        "start_seconds": round(served - started, 2),
        "picture_seconds": round(seen - served, 2),
        "all_windows_seconds": round(read - served, 2),
        "reasons_seconds": round(explained - read, 2),
        "server_cpu_seconds": round(spent.user + spent.system, 2),
        "server_mb": round(peak),
        "heap_mb": round(heap),
    }


def look_through(page: Any, n_windows: int) -> None:
    """Go to every window, and wait until its rows are there."""
    from playwright.sync_api import expect

    page.keyboard.press("Home")
    for t in range(n_windows):
        expect(page.locator("#time")).to_have_value(str(t), timeout=60_000)
        expect(page.locator("#count")).not_to_contain_text("reading", timeout=60_000)
        page.keyboard.press("ArrowRight")
    for _ in range(3):  # closer: all rows that are seen
        page.click("#closer")
    expect(page.locator("#count")).to_contain_text("here", timeout=60_000)


def explain_newest(page: Any) -> None:
    """Wait for the words of the newest window and the one before, and for who moved most into it."""
    from playwright.sync_api import expect

    expect(page.locator("#reasons")).to_contain_text("drawn of these two windows", timeout=120_000)
    expect(page.locator("#movers tr").first).to_be_visible(timeout=120_000)


def make_large(path: Path, n_windows: int, n_rows: int) -> Store:
    """Make a store of kinds that drift and have words of their own, some ids replaced in each window."""
    facts = {"n_rows": n_rows, "start": None, "end": None, "digest": "d"}
    planned = [{"label": f"2024-{t + 1:02}", **facts} for t in range(n_windows)]
    store = Store.create(path, config={}, windows=planned, fingerprint={})
    records = {}
    for index, (window, turnover) in enumerate(_make_windows(n_windows, n_rows)):
        attempt, rows = store.new_attempt(index), np.arange(n_rows, dtype=np.int32)
        knn = KnnGraph(rows[:, None], np.zeros((n_rows, 1), np.float32))
        fuzzy = FuzzyGraph(np.arange(n_rows + 1, dtype=np.int64), np.roll(rows, 1), np.ones(n_rows, np.float32))
        words = pack_terms(_make_terms(window.columns["kind"], index))
        n_bytes = write_graph(attempt, window.ids, window.columns, WindowGraph(knn, fuzzy), words)
        facts = {"index": index, "label": attempt.label, "attempt": attempt.name, "n_rows": n_rows, "n_edges": 0}
        facts |= {"has_ids": True, "label_columns": ["kind"], "seconds": 0.1, "bytes": n_bytes}
        store.commit_graph({**facts, "traits": {"has_terms": True, "columns": []}})
        write_positions(store.new_attempt(index, "one"), window.positions)
        write_clusters(store.new_attempt(index, "groups"), window.columns["kind"].astype(np.int32), turnover)
        found = {"attempt": "groups", "n_clusters": N_KINDS, "n_known": N_KINDS, "passages": []}
        records[str(index)] = {**found, "has_turnover": index > 0}
    layout = {"block": 0, "attempt": "one", "seconds": 1.0, "strengths": {}, "final": [*range(n_windows - 1)]}
    layout["provisional"] = [n_windows - 1]
    store.commit_layout({**layout, "clusters": records})
    return store


def _make_windows(n_windows: int, n_rows: int) -> Iterator[tuple[SmallWindow, np.ndarray | None]]:
    rng = np.random.default_rng(0)
    ids, kinds = np.arange(n_rows), rng.integers(0, N_KINDS, n_rows).astype(np.int8)
    centres = rng.normal(scale=3, size=(N_KINDS, 2)).astype(np.float32)
    places = centres[kinds] + rng.normal(scale=0.6, size=(n_rows, 2)).astype(np.float32)
    for t in range(n_windows):
        turnover = None
        if t:
            places += rng.normal(scale=0.1, size=(N_KINDS, 2)).astype(np.float32)[kinds]
            new = rng.choice(n_rows, round(SHARE_NEW * n_rows), replace=False)
            ids[new] = n_rows * t + np.arange(len(new))
            turnover = rng.integers(1, 60, n_rows).astype(np.uint8)
            turnover[new] = 0
        yield SmallWindow(f"2024-{t + 1:02}", ids, places, {"kind": kinds}), turnover


def _make_terms(kinds: np.ndarray, seed: int) -> RowTerms:
    """Give each row two words of its kind and two that all kinds have, of 100 each."""
    rng = np.random.default_rng(seed)
    starts = [kinds.astype(np.int32) * 100, kinds.astype(np.int32) * 100 + 50]
    starts += [np.full(len(kinds), N_KINDS * 100 + half, dtype=np.int32) for half in (0, 50)]
    chosen = np.stack([start + rng.integers(0, 50, len(kinds), dtype=np.int32) for start in starts], axis=1)
    words = np.array([f"word{number:05}" for number in range((N_KINDS + 1) * 100)])
    return RowTerms(words, np.arange(len(kinds) + 1, dtype=np.int64) * len(starts), chosen.ravel())


def _judge(value: float, most: float) -> str:
    return "under" if value < most else "OVER"
