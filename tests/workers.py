"""Worker processes: of a cluster to run on, and of a run, to be looked at or killed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
from distributed import Client, LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def start_two_workers(threads: int = 1, memory: str = "2GB") -> Iterator[Client]:
    """Start a cluster of two workers, each a process of its own, and reach it."""
    options = {"n_workers": 2, "threads_per_worker": threads, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, memory_limit=memory) as cluster, Client(cluster, set_as_default=False) as found:
        yield found


def find_workers(process: int) -> list[psutil.Process]:
    """Find the workers of a process: forked off the server that it started, or spawned by it."""
    forked = [worker for server in find_fork_servers(process) for worker in server.children()]
    return [*_find_children(process, "spawn_main"), *forked]


def find_fork_servers(process: int) -> list[psutil.Process]:
    """Find what the workers of a process are forked from: one process, once it is there."""
    return _find_children(process, "forkserver")


def _find_children(process: int, started_by: str) -> list[psutil.Process]:
    return [child for child in psutil.Process(process).children() if started_by in " ".join(child.cmdline())]
