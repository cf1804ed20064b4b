"""Bad rows of a source, found before windows are planned: on the workers where there are many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.sources.rows.bad_rows import find_bad_rows_task, list_ranges

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.sources import Source

STAGE = "bad rows"
"""What Dask's dashboard calls these tasks."""


def find_dropped(source: Source, place: Workplace | None) -> Int64Array | None:
    """Find the rows of a source that are dropped; None where it says that such rows are refused.

    Parameters
    ----------
    source
        The source.
    place
        Where rows are read; None: in this process.
    """
    if source.spec.on_bad_rows != "drop":
        return None
    ranges = list_ranges(source)
    if place is None or place.scheduler == "serial" or len(ranges) == 1 or not source.spec.path:
        found = [source.find_bad_rows(np.array([rows], dtype=np.int64)) for rows in ranges]
    else:
        tasks = [Task(f"rows {first}-{last - 1}", (source.spec, first, last)) for first, last in ranges]
        with place.start_aside(len(tasks)) as executor:
            found = list(executor.map_unordered(find_bad_rows_task, tasks, STAGE))
    return np.sort(np.concatenate(found))
