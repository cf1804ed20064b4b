"""Progress of a run in the terminal, with rich."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from driftmap.pipeline.cli.lines import describe_blocks, say_on_stderr

if TYPE_CHECKING:
    from types import TracebackType

    from driftmap.pipeline.orchestration.stages import Progress as RunState

LINE_SECONDS = 10.0
"""Between two lines of progress where stderr is no terminal."""
MIN_MEASURED_SECONDS = 2.0
"""Of a stage, before its remaining time is estimated from it."""
MIN_MEASURED_SHARE = 0.05
"""The same of its rows."""


class RunProgress:
    """Progress of a run on stderr: bars where that is a terminal, elsewhere a line every ten seconds.

    Call it with what `driftmap.pipeline.run` reports.

    Parameters
    ----------
    kind
        "auto"; "lines": lines in a terminal too; or "none".
    """

    def __init__(self, kind: str = "auto") -> None:
        self.last: dict[str, RunState] = {}
        """The last report of each stage."""
        self._is_quiet = kind == "none"
        self._line_due = time.monotonic() + LINE_SECONDS
        self._bars = Progress(
            TextColumn("{task.description:<7}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[windows]:>12} windows"),
            TextColumn("{task.fields[epochs]:>11}"),
            TextColumn("{task.fields[speed]:>14}", style="cyan"),
            TextColumn("{task.fields[left]:>12}"),
            console=Console(stderr=True),
            disable=kind != "auto" or not sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if not self._bars.disable:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._bars.disable:  # older versions of rich end even what is disabled with an empty line
            self._bars.stop()

    def __call__(self, state: RunState) -> None:
        """Show one report."""
        if not self.last and not self._is_quiet:
            self._say_compiling(state.compiling_workers)
        self.last[state.stage] = state
        if state.stage not in self._tasks:
            self._tasks[state.stage] = self._bars.add_task(state.stage, windows="", epochs="", speed="", left="")
            if state.windows_in_blocks and not self._is_quiet:
                line = describe_blocks(state.windows_in_blocks, state.row_blocks)
                self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        windows = f"{state.windows_done:,}/{state.windows_total:,}"
        speed = f"{state.rows_done / state.seconds:,.0f} rows/s" if state.rows_done > state.seconds else ""
        left = describe_time_left(state)
        epochs = f"epochs {100 * state.epochs_done // state.epochs_total}%" if state.epochs_total else ""
        self._bars.update(
            self._tasks[state.stage],
            total=state.rows_total,
            completed=state.rows_done,
            windows=windows,
            epochs=epochs,
            speed=speed,
            left=left,
        )
        if self._bars.disable and not self._is_quiet and time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + LINE_SECONDS
            facts = ", ".join(fact for fact in (f"{windows} windows", epochs, speed, left) if fact)
            say_on_stderr(f"{state.stage}: {facts}")

    def _say_compiling(self, n_workers: int | None) -> None:
        if n_workers:
            who = (
                f"{n_workers:,} workers of the cluster compile" if n_workers > 1 else "1 worker of the cluster compiles"
            )
            line = f"{who} kernels first, once, which takes about half a minute of a core; nothing moves meanwhile."
        elif n_workers is None and not _has_compiled_kernels():
            line = "First run on this machine: kernels are compiled, once, which takes about half a minute of a core."
        else:
            return
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _has_compiled_kernels() -> bool:
    from driftmap.engine import has_compiled_kernels  # late: numba, which a cluster's client does without

    return has_compiled_kernels()


def describe_time_left(state: RunState) -> str:
    """Say how long a stage still takes, by what it took so far; nothing as long as that says little."""
    is_measured = state.seconds >= MIN_MEASURED_SECONDS and state.rows_done >= MIN_MEASURED_SHARE * state.rows_total
    if not is_measured or not 0 < state.rows_done < state.rows_total:
        return ""
    seconds = round(state.seconds * (state.rows_total - state.rows_done) / state.rows_done)
    minutes, seconds = divmod(max(1, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
