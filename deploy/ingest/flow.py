"""Ingestion as a plain function, for any scheduler of Python tasks; it needs none of them.

`prefect_flow.py`, `airflow_dag.py` and `dagster_maps.py` wrap it as their schedulers want it; keep it beside them.
Retries are safe, and so are overlapping starts: the store has a lock.
"""

from __future__ import annotations

import sys
from typing import Any

from driftmap.pipeline import ingest
from driftmap.pipeline.errors import StoreBusyError
from driftmap.pipeline.ingestion.watch.alarms import find_alarms
from driftmap.pipeline.ingestion.watch.monitoring import describe_growth


class MapAlarmError(Exception):
    """A threshold is passed."""


def ingest_maps(store: str, *, alarms: tuple[str, ...] = (), wait: str = "10m", **options: Any) -> dict[str, Any]:
    """Take new windows into a store.

    Parameters
    ----------
    store
        The store, made by `driftmap run`.
    alarms
        Thresholds such as `behind>2D`; one that is passed fails the task, after the windows are in.
    wait
        How long to wait for another ingest. One that is still at work then does what this would have done.
    **options
        As `driftmap.pipeline.ingest` takes them: `grace`, `on_bad`, `scheduler`, ...

    Returns
    -------
    What was done, as JSON; `busy` when another was at work.
    """
    try:
        report = ingest(store, wait=wait, **options)
    except StoreBusyError:
        return {"busy": True}
    passed = find_alarms(describe_growth(report.store), alarms)
    if passed:
        raise MapAlarmError("; ".join(map(str, passed)))
    return {"busy": False, **report.to_json()}


if __name__ == "__main__":
    sys.stdout.write(f"{ingest_maps(sys.argv[1])}\n")
