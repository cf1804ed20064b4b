"""Bad rows of a source, found before windows are made of the others: on the workers where there are many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.sources.row_ranges import rows_to_runs
from driftmap.pipeline.sources.rows.bad_rows import find_bad_rows_task, list_ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.sources import Source

    FindPlace = Callable[[], Workplace]

STAGE = "bad rows"
"""What Dask's dashboard calls these tasks."""


def find_dropped(source: Source, find_place: FindPlace | None, runs: Int64Array | None = None) -> Int64Array | None:
    """Find the rows of a source that are dropped; None where it says that such rows are refused.

    Parameters
    ----------
    source
        The source.
    find_place
        Gives where rows are read, if they are many; None: in this process.
    runs
        int64 (r, 2): the row ranges to look at; None: all rows.

    Returns
    -------
    int64 (b,) their numbers, ascending.
    """
    if source.spec.on_bad_rows != "drop":
        return None
    parts = list_ranges(source, runs)
    place = find_place() if find_place is not None and len(parts) > 1 and source.spec.path else None
    if place is None or place.scheduler == "serial":
        found = [source.find_bad_rows(part) for part in parts]
    else:
        tasks = [Task(f"rows {part[0, 0]}-{part[-1, 1] - 1}", (source.spec, part)) for part in parts]
        with place.start_aside(len(tasks)) as executor:
            found = list(executor.map_unordered(find_bad_rows_task, tasks, STAGE))
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *found]))


def drop_bad_rows(source: Source, rows: Int64Array, find_place: FindPlace | None = None) -> Int64Array:
    """Leave the bad ones out of some rows, given by ascending numbers, where the source says so (`on_bad_rows`)."""
    bad = find_dropped(source, find_place, rows_to_runs(rows))
    return rows if bad is None else rows[~np.isin(rows, bad)]
