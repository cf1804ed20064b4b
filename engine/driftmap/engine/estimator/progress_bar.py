"""A progress bar over epochs, for `verbose=True`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.engine.layout.optimiser import EpochCallback


@contextmanager
def show_epochs(callback: EpochCallback | None, *, verbose: bool) -> Iterator[EpochCallback | None]:
    """Yield a callback that draws a bar on standard error and passes every call on."""
    if not verbose:
        yield callback
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("epochs", total=None)

        def watch(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)
            if callback is not None:
                callback(done, total)

        yield watch
