"""A source that is delivered day by day with all that goes wrong, and the starts of a schedule that takes it in."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.growing import OPTIONS, make_day

from driftmap.pipeline import ingest, open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import PlanWarning
from driftmap.pipeline.store.log import lock

if TYPE_CHECKING:
    from pathlib import Path

FIRST = 6
"""Days that the store is made of."""

SETTINGS = {**OPTIONS, "window": "1D", "stride": None, "on_bad_rows": "drop"}
PERIOD = 13
EMPTY, LATE, CORRECTED, HALF, WIDER, BAD = 1, 4, 6, 8, 10, 12
"""Days of each period on which something is other than it should be."""


def good_rows(day: int) -> pa.Table | None:
    """Give the rows of a day as they are in the end, but for those that come late."""
    if is_special(day, EMPTY):
        return None
    return make_day(day, first=10 * (day % 3), seed=int(is_special(day + 2, CORRECTED)))


def late_rows(day: int) -> pa.Table:
    """Give the rows that come two days late."""
    return make_day(day - 2, n_rows=3, first=900)


def is_special(day: int, what: int) -> bool:
    """Whether something is other than it should be on a day."""
    return day >= FIRST and day % PERIOD == what


def deliver(folder: Path, day: int, renamed: int) -> None:
    """Write what a day brings, whole or not; from the day `renamed` on rows have their vectors in another column."""

    def write(table: pa.Table, name: str, of: int) -> None:
        pq.write_table(rename(table) if of >= renamed else table, folder / f"{name}-{of:03}.parquet")

    if is_special(day - 1, HALF):
        write(good_rows(day - 1), "day", day - 1)
    if is_special(day, LATE):
        write(late_rows(day), "late", day - 2)
    if is_special(day, CORRECTED):
        write(good_rows(day - 2), "day", day - 2)
    table = make_day(day, first=10 * (day % 3))  # before it is corrected
    file = folder / f"day-{day:03}.parquet"
    if is_special(day, WIDER):
        table = table.append_column("more", pa.array(np.linspace(0, 1, table.num_rows)))
    if is_special(day, BAD):
        table = pa.concat_tables([table, _spoil(table.slice(0, 1))])
    if not is_special(day, EMPTY):
        write(table, "day", day)
    if is_special(day, HALF):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])


def rename(table: pa.Table) -> pa.Table:
    """Give the same vectors under another name and as another type of numbers."""
    kind = pa.list_(pa.float64(), 6)
    return table.set_column(table.column_names.index("v"), "embedding", table["v"].cast(kind))


def _spoil(row: pa.Table) -> pa.Table:
    """Make a row of an entity of its own whose vector is not finite."""
    vector = pa.FixedSizeListArray.from_arrays(pa.array(np.full(6, np.nan, np.float32)), 6)
    row = row.set_column(row.schema.get_field_index("v"), "v", vector)
    return row.set_column(row.schema.get_field_index("who"), "who", pa.array(["nobody"]))


def run_over_good_rows(place: Path, n_days: int) -> None:
    """Make a store of everything at once, as if nothing had ever gone wrong."""
    (place / "good").mkdir()
    for day in range(n_days):
        table = good_rows(day)
        if table is not None:
            pq.write_table(table, place / "good" / f"day-{day:03}.parquet")
        if is_special(day, LATE):
            pq.write_table(late_rows(day), place / "good" / f"late-{day - 2:03}.parquet")
    with pytest.warns(PlanWarning, match="left out"):  # the empty days
        run(place / "good", place / "whole", scheduler="serial", **SETTINGS)


@dataclass
class Schedule:
    """The starts of a job, one a day or more.

    Parameters
    ----------
    place
        Folder for source, store and quarantine.
    killed, overlapping, full, away
        Days on which a start is killed, two start at once, the disk is full, the source is not there.
    renamed
        Day on which the column of vectors changes for good, and someone says so (`--accept-schema`).
    """

    place: Path
    renamed: int
    killed: tuple[int, ...] = ()
    overlapping: tuple[int, ...] = ()
    full: tuple[int, ...] = ()
    away: tuple[int, ...] = ()
    n_killed: int = 0
    codes: dict[int, list[int]] = field(default_factory=dict)
    """Exit codes of the starts of each day."""

    def begin(self) -> None:
        """Make the store."""
        (self.place / "days").mkdir(parents=True)
        for day in range(FIRST):
            deliver(self.place / "days", day, self.renamed)
        run(self.place / "days", self.place / "store", scheduler="serial", **SETTINGS)

    def live_through(self, days: range) -> None:
        """Deliver each day, and start."""
        for day in days:
            source, aside = self.place / "days", self.place / "aside"
            if day in self.away and source.exists():
                source.rename(aside)
            elif day not in self.away and aside.exists():
                aside.rename(source)
            deliver(aside if day in self.away else source, day, self.renamed)
            if day in self.killed:
                self._start_and_kill()
            if day == self.renamed:
                assert self._start_refused() == f"day-{day:03}.parquet"
                self.codes[day] = [self._start("--accept-schema")]
                continue
            starts = self._start_twice if day in self.overlapping else lambda: [self._start()]
            self.codes[day] = [self._start_on_a_full_disk()] if day in self.full else []
            # Its lock found no space to be released, and its process, this one, lives: the lease is waited for.
            leased = {"BEAT_SECONDS": 0.5, "LEASE_SECONDS": 5.0, "WATCH_SECONDS": 2.0} if day in self.full else {}
            with mock.patch.dict(vars(lock), leased):
                self.codes[day] += starts()

    def finish(self) -> None:
        """Take in the last day too."""
        assert run_command([*self._words, "--complete"]) == 0

    @property
    def _words(self) -> list[str]:
        aside = str(self.place / "quarantine")
        words = ["ingest", str(self.place / "store"), "--on-bad", "skip", "--quarantine", aside, "--wait", "2min"]
        return [*words, "--scheduler", "serial"]

    def _start(self, *more: str) -> int:
        return run_command([*self._words, *more])

    def _start_refused(self) -> str:
        """Start as ever, and find the day's file set aside with its reason; put it back."""
        assert self._start() == 0
        (reason,) = (self.place / "quarantine").glob("*.reason.txt")
        assert "no column 'v'" in (said := reason.read_text()), said
        assert "on purpose (accept_schema)" in said
        name = reason.name.removesuffix(".reason.txt")
        (self.place / "quarantine" / name).rename(self.place / "days" / name)
        shutil.rmtree(self.place / "quarantine")
        return name

    def _start_twice(self) -> list[int]:
        codes: list[int] = []
        threads = [threading.Thread(target=lambda: codes.append(self._ingest())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    def _ingest(self) -> int:
        """Start without the command, whose handling of warnings is the process's."""
        options = {"on_bad": "skip", "quarantine": self.place / "quarantine", "wait": "2min"}
        ingest(self.place / "store", scheduler="serial", **options)
        return 0

    def _start_on_a_full_disk(self) -> int:
        """Start, and find no room left at the sixth file."""
        put, n_left = obstore.put, [5]

        def put_while_there_is_room(*given, **options):
            n_left[0] -= 1
            if n_left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return put(*given, **options)

        with mock.patch.object(obstore, "put", put_while_there_is_room):
            return self._start()

    def _start_and_kill(self) -> None:
        """Start a process, and kill it when it has written some of a window."""
        before = self._list_files()
        command = [sys.executable, "-m", "driftmap.pipeline.cli", *self._words]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            while child.poll() is None and self._list_files() == before:
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
            self.n_killed += child.wait() == -signal.SIGKILL

    def _list_files(self) -> set[Path]:
        """List files of the newest windows, which are those that are built: to list a year's would take too long."""
        newest = sorted((self.place / "store" / "windows").iterdir())[-5:]
        return {*newest, *(file for window in newest for file in window.rglob("*"))}


def read_contents(store: Path) -> dict[str, tuple[bytes, ...]]:
    """Read ids, labels and graph of every window."""
    opened = open_store(store)
    found = {}
    for window in opened.state():
        graph = opened.fuzzy_graph(window.index)
        arrays = (opened.window_keys(window.index), opened.window_labels(window.index)["kind"])
        arrays += (graph.indptr, graph.indices, graph.data)
        found[window.label] = tuple(np.asarray(array).tobytes() for array in arrays)
    return found
