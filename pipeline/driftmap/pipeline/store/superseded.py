"""What the log says by now of groups that are gone: who opened a store earlier finds them so, and not damaged."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from driftmap.pipeline.errors import StoreError, StoreWarning
from driftmap.pipeline.store.log.commits import has_commits
from driftmap.pipeline.store.log_view import LogView

if TYPE_CHECKING:
    from driftmap.pipeline.store.disk.location import Location


def read_log_again(location: Location) -> LogView | None:
    """Read what the log says by now; None where it cannot be read.

    Raises
    ------
    StoreError
        When the whole store is gone.
    """
    if not has_commits(location):
        raise location.explain_gone()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            return LogView(location)
    except StoreError:
        return None


def is_named(log: LogView, index: int, attempt: str, *, is_graph: bool) -> bool:
    """Whether the log names an attempt at a window, in the newest generation or an older one.

    Parameters
    ----------
    log
        As it is by now.
    index
        Of the window.
    attempt
        Its name.
    is_graph
        Whether an array is asked for that goes with the graph, when this is pruned.
    """
    for windows in (log.state(), *log.growth.older.values()):
        if index >= len(windows) or (window := windows[index]).pruned == "map":
            continue
        if window.pruned == "graph" and is_graph:
            continue
        if attempt in (window.graph_attempt, window.layout_attempt, (window.clusters or {}).get("attempt")):
            return True
    return False
