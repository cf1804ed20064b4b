"""Runs a command of driftmap that stops itself at one of the moments at which it changes files.

As a program: `interrupted.py SETTINGS COMMAND ...`, with SETTINGS as JSON: `event`, the number of the change before
which it stops (0: never; their number is written to `count`), `signal`, `shift` of the clock in seconds, and `quick`:
leases of the lock that a test can wait for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import obstore
import psutil


class Counter:
    """Counts changes of files, and stops the process before one of them."""

    def __init__(self, event: int, number: int) -> None:
        self.n_changes = 0
        self._event, self._signal = event, number
        self._lock = threading.Lock()

    def watch(self, owner, name):
        """Count the calls of a function."""
        function = getattr(owner, name)

        def counted(*args, **options):
            with self._lock:
                self.n_changes += 1
                if self.n_changes == self._event:
                    os.kill(os.getpid(), self._signal)
            return function(*args, **options)

        setattr(owner, name, counted)


def shift_clock(seconds: float) -> None:
    """Set the clock of this process, with what follows from it: when other processes were started."""
    now, start = time.time, psutil.Process.create_time
    time.time = lambda: now() + seconds
    psutil.Process.create_time = lambda process: start(process) + seconds


def main() -> int:
    """Run the command; returns its exit code."""
    settings = json.loads(sys.argv[1])
    counter = Counter(settings.get("event", 0), getattr(signal, settings.get("signal", "SIGKILL")))
    for owner, name in ((obstore, "put"), (obstore, "delete"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
        counter.watch(owner, name)
    if shift := settings.get("shift"):
        shift_clock(shift)
    from driftmap.pipeline.cli.app import run_command
    from driftmap.pipeline.store.log import lock

    if settings.get("quick"):
        lock.BEAT_SECONDS, lock.LEASE_SECONDS, lock.WATCH_SECONDS = 0.2, 1.0, 1.0
    code = run_command(sys.argv[2:])
    if count := settings.get("count"):
        Path(count).write_text(str(counter.n_changes))
    return code


if __name__ == "__main__":
    sys.exit(main())
