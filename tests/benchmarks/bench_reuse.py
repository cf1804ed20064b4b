"""What it brings to keep neighbours from window to window, at several overlaps of the windows."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from tests.benchmarks.data_sets import make_stream
from tests.benchmarks.tables import format_table

from driftmap.engine import GraphSettings, build_knn_graph, relate_ids
from driftmap.engine.neighbours import incremental as reuse

if TYPE_CHECKING:
    from collections.abc import Callable

OVERLAPS = (0.5, 0.75, 0.9)
SIZES = ((4_000, 64), (4_000, 384))
SPARES = (0, 5, 10, 20)
N_WINDOWS = 5


def compare_reuse(say: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Search the windows of a stream one by one and with what the window before knew, turn by turn."""
    found = []
    for n_rows, n_features in SIZES:
        for overlap in OVERLAPS:
            stride = round(n_rows * (1 - overlap))
            rows, _ = make_stream(N_WINDOWS, n_rows, stride, n_features)
            windows = [rows[start : start + n_rows] for start in range(0, stride * N_WINDOWS, stride)]
            found += [
                {
                    "rows": n_rows,
                    "features": n_features,
                    "overlap": overlap,
                    "spare": spare,
                    **_race(windows, stride, spare),
                }
                for spare in SPARES
            ]
    rows = [[f"{f['rows']:,} x {f['features']}", f"{f['overlap']:.0%}", str(f["spare"]), *_describe(f)] for f in found]
    say(format_table(["window", "overlap", "spare", "alone, s", "kept, s", "faster", "compared with all"], rows) + "\n")
    return found


def _race(windows: list[Any], stride: int, spare: int) -> dict[str, float]:
    n_rows = len(windows[0])
    step = relate_ids(np.arange(n_rows), np.arange(stride, stride + n_rows))
    settings = [GraphSettings()] * len(windows)
    n_compared: list[int] = []
    compare = reuse._compare_with_all

    def count(window: Any, own: Any, lists: Any, bars: Any) -> bool:
        n_compared.append(len(own))
        return compare(window, own, lists, bars)

    seconds: list[tuple[float, float]] = []
    with mock.patch.object(reuse, "SPARE", spare), mock.patch.object(reuse, "_compare_with_all", count):
        kept = reuse.find_in_sequence(windows, [step] * (len(windows) - 1), settings)
        for rows in windows:
            times = [time.perf_counter()]
            build_knn_graph(rows, settings[0].n_neighbors)
            times.append(time.perf_counter())
            next(kept)
            times.append(time.perf_counter())
            seconds.append((times[1] - times[0], times[2] - times[1]))
    alone, with_kept = (statistics.median(column) for column in zip(*seconds[1:], strict=True))
    return {"alone": alone, "kept": with_kept, "compared": sum(n_compared[1:]) / (n_rows * (len(windows) - 1))}


def _describe(figures: dict[str, Any]) -> list[str]:
    faster = figures["alone"] / figures["kept"]
    return [f"{figures['alone']:.3f}", f"{figures['kept']:.3f}", f"{faster:.1f}x", f"{figures['compared']:.0%}"]
