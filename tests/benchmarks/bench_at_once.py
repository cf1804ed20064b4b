"""Blocks in parallel on one and on two workers, what their parts take, and from that what more workers would bring."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tests.benchmarks.data_sets import make_stream
from tests.benchmarks.schedule import Costs, forecast
from tests.benchmarks.tables import format_table

from driftmap.engine.layout.pace import N_EXCHANGES
from driftmap.pipeline.planning.blocks import EXCHANGE_CORE_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

N_ROWS, STRIDE = 2_000, 1_000
PARTS = ("read", "carry", "move", "write")
WORKERS = (1, 2, 10, 100, 1_000)
N_FORECAST = 1_000
N_EMPTY = 400


class Layout(NamedTuple):
    """One layout, measured."""

    wall_seconds: float
    read_seconds: list[float]
    carry_seconds: list[float]
    move_seconds: list[float]
    write_seconds: list[float]
    """Of each block, on its worker."""


def compare_workers(n_windows: int = 32, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Time a layout on one and on two workers of one thread, and play a longer one through with its parts' times."""
    with tempfile.TemporaryDirectory() as folder:
        one, two = (time_layout(n_windows, n_workers, Path(folder)) for n_workers in (1, 2))
        hop, schedule = time_dask()
    costs = find_costs(one, n_windows, hop, schedule)
    measured = {1: one.wall_seconds, 2: two.wall_seconds}
    rows = []
    for n_workers, seconds in measured.items():
        played = forecast(n_windows, n_workers, N_EXCHANGES, costs).seconds
        rows.append([str(n_workers), f"{seconds:.2f}", f"{played:.2f}", f"{one.wall_seconds / seconds:.2f}"])
    title = f"{n_windows} windows of {N_ROWS:,} rows in blocks of {EXCHANGE_CORE_WINDOWS[1]}: workers"
    say(format_table([title, "wall s", "played s", "speed-up"], rows))
    total = sum(sum(part) for part in one[1:])
    say(f"carry pass {sum(one.carry_seconds) / total:.1%} of the work, reading {sum(one.read_seconds) / total:.1%}")
    say(f"of a window: {', '.join(f'{name} {value * 1e3:.2f} ms' for name, value in costs._asdict().items())}\n")
    return {"measured": measured, "costs": costs._asdict(), "forecast": show_forecast(costs, say=say)}


def show_forecast(
    costs: Costs, workers: Sequence[int] = WORKERS, say: Callable[[str], None] = print
) -> dict[int, dict[str, float]]:
    """Play a long layout through on more and more workers."""
    found = {n: forecast(N_FORECAST, n, N_EXCHANGES, costs, EXCHANGE_CORE_WINDOWS[1]) for n in workers}
    rows = [
        [
            f"{n:,}",
            f"{played.seconds:.1f}",
            f"{played.bound_seconds:.1f}",
            f"{played.carry_seconds / played.work_seconds:.1%}",
            f"{played.work_seconds / played.seconds:.1f}",
        ]
        for n, played in found.items()
    ]
    header = [f"{N_FORECAST:,} windows, played: workers", "seconds", "bound", "carry pass of the work", "speed-up"]
    say(format_table(header, rows) + "\n")
    return {n: played._asdict() for n, played in found.items()}


def find_costs(layout: Layout, n_windows: int, hop: float, schedule: float) -> Costs:
    """Divide the times of a layout by its windows; its first block carries the run's first window."""
    n_blocks = len(layout.carry_seconds)
    n_first = n_windows // n_blocks
    carry = sum(layout.carry_seconds[1:]) / (n_windows - n_first)
    return Costs(
        read=sum(layout.read_seconds) / n_windows,
        carry=carry,
        first=layout.carry_seconds[0] - (n_first - 1) * carry,
        move=sum(layout.move_seconds) / n_windows,
        write=sum(layout.write_seconds) / n_windows,
        hop=hop,
        schedule=schedule,
    )


def time_layout(n_windows: int, n_workers: int, folder: Path) -> Layout:
    """Lay a stream out on workers of one thread; graphs are built before, and kernels are warm."""
    from driftmap.pipeline import run
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.commits import CommitLog

    rows, _ = make_stream(n_windows, N_ROWS, STRIDE)
    path = folder / f"{n_workers}.zarr"
    options = {"rows": N_ROWS, "row_stride": STRIDE, "layout": "exchange", "block_windows": EXCHANGE_CORE_WINDOWS[1]}
    source = {"vectors": rows, "id": np.arange(len(rows))}
    moments: list[float] = []

    def note(report: Any) -> None:
        if report.stage == "layout" or report.windows_done == report.windows_total:
            moments.append(time.perf_counter())

    with _start(n_workers) as executor:
        run(source, path, scheduler=executor.client, progress=note, **options)
    blocks = [commit.payload for commit in CommitLog(Location(path)).read_new() if commit.kind == "layout"]
    parts = ([block[f"{part}_seconds"] for block in blocks] for part in PARTS)
    return Layout(moments[-1] - moments[0], *parts)


def time_dask() -> tuple[float, float]:
    """Return the seconds of a hop between two workers, and of the scheduler for each task, measured on empty tasks."""
    from driftmap.pipeline.executors.base import LinkedTask

    chain = [LinkedTask(f"link {n}", (), (n - 1,) if n else (), n) for n in range(N_EMPTY)]
    apart = [LinkedTask(f"task {n}", (), (), n) for n in range(N_EMPTY)]
    with _start(2) as executor:
        times = []
        for tasks in (apart, chain, apart, chain):
            started = time.perf_counter()
            list(executor.run_linked(do_nothing, tasks, "empty"))
            times.append((time.perf_counter() - started) / N_EMPTY)
    schedule, link = times[2:]
    return max(0.0, link - schedule), schedule


def do_nothing(*_: object) -> None:
    """Take no time."""


@contextmanager
def _start(n_workers: int) -> Iterator[Any]:
    """Start workers of one thread each, whatever the machine has."""
    from distributed import Client, LocalCluster

    from driftmap.pipeline.executors import DaskExecutor
    from driftmap.pipeline.layout.exchange_task import warm_up

    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield DaskExecutor(client, warm_up=warm_up)
