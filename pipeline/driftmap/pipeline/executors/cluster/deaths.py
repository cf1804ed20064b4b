"""Why workers died that tried a task, or why it was given up, as far as Dask knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftmap.pipeline.executors.machine import format_size
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from concurrent.futures import CancelledError

    from distributed import Client, KilledWorker


def explain_deaths(client: Client, name: str, beside: list[str], error: KilledWorker) -> str:
    """Say why the workers died that tried a task, as far as Dask knows; `beside` are tasks that were sent with it."""
    worker = error.last_worker
    events = client.get_events("worker-restart-memory") or ()
    over = [event["rss"] for _, event in events if event["worker"] == worker.address]
    others = f" (or one of those sent with it: {name_some(beside)})" if beside else ""
    remedy = "give workers more memory, use fewer of them, or make windows smaller"
    if not over:
        return f"{name}: each worker that tried it died, most likely out of memory{others}; {remedy}"
    taken = f"{format_size(over[-1])} of {format_size(worker.memory_limit)}"
    return (
        f"{name}: each worker that tried it was stopped for taking more memory than it may, {taken}{others}; {remedy}"
    )


def explain_cancelled(error: CancelledError) -> str:
    """Say in one line which task was given up, and why: Dask's own text has several, and names the task by its key."""
    key, reason = getattr(error, "key", None), getattr(error, "reason", None) or " ".join(str(error).split())
    name = f"{key[1]}: " if isinstance(key, tuple) and len(key) > 1 else ""
    return f"{name}given up by the Dask scheduler ({reason}); run again to go on"
