"""Worker processes of a run, to be looked at or killed."""

from __future__ import annotations

import psutil


def find_workers(process: int) -> list[psutil.Process]:
    """Find the workers of a process: forked off the server that it started, or spawned by it."""
    forked = [worker for server in find_fork_servers(process) for worker in server.children()]
    return [*_find_children(process, "spawn_main"), *forked]


def find_fork_servers(process: int) -> list[psutil.Process]:
    """Find what the workers of a process are forked from: one process, once it is there."""
    return _find_children(process, "forkserver")


def _find_children(process: int, started_by: str) -> list[psutil.Process]:
    return [child for child in psutil.Process(process).children() if started_by in " ".join(child.cmdline())]
