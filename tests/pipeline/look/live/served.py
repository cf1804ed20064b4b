"""A store whose page is served in windows and samples, however small it is."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap import AlignedUMAP
from driftmap.pipeline import open_store
from driftmap.pipeline.look.fitted_store import write_fitted
from driftmap.pipeline.look.live.session import LiveOptions
from driftmap.pipeline.look.view import PageServer

N_ROWS = 400


def make_window(t: int, n: int = N_ROWS, *, label: str | None = None) -> SmallWindow:
    """Two heaps, the second of which moves up; a tenth of the ids are others in each window."""
    rng = np.random.default_rng(5)
    kinds = np.repeat(["calm", "rising"], n // 2)
    places = rng.uniform(-1, 1, (n, 2)) + np.where(kinds == "rising", 3, -3)[:, None] * [1, 0]
    places[:, 1] += np.where(kinds == "rising", 0.5 * t, 0)
    ids = np.arange(n)
    ids[::10] += 10_000 * t
    columns = {"kind": kinds, "weight": np.linspace(0, 1, n)}
    return SmallWindow(label or f"w{t}", np.array([f"id {i:05}" for i in ids]), places, columns)


def make_run(path, n_windows: int = 3, n: int = N_ROWS):
    return make_store(path, [make_window(t, n) for t in range(n_windows)])


def make_talk(path, n: int = 60):
    """A store with clusters and words: two heaps of rows, and in the last of three windows a third one."""
    rows = np.arange(2 * n)
    kinds = np.where(rows >= n + 10, 2, rows % 2)
    places = np.random.default_rng(0).normal(size=(2 * n, 6)) + 12 * np.eye(6)[kinds]
    words = np.array(["even", "odd", "late"])[kinds]
    ids = [rows[:n], rows[10 : n + 10], rows[20:]]
    mapper = AlignedUMAP(n_epochs=30, random_state=0).fit([places[one] for one in ids], ids=ids)
    text = [[f"{word} talk" for word in words[one]] for one in ids]
    return write_fitted(mapper, path, names=["May", "June", "July"], text=text)


@contextmanager
def serve(path, max_rows=0, **options):
    """Serve the page, live whatever the store's size unless `max_rows` says otherwise."""
    bounds = LiveOptions(**{"poll_seconds": 0.3, **options})
    with PageServer(open_store(path), max_rows=max_rows, options=bounds) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
