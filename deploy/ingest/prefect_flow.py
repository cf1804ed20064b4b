"""Ingestion as a flow of Prefect, every hour; `flow.py` lies beside it.

    python prefect_flow.py /srv/driftmap/posts-maps.zarr

One start by hand is `keep_maps("/srv/driftmap/posts-maps.zarr")`.
"""

from __future__ import annotations

import sys
from typing import Any

from flow import MapAlarmError, ingest_maps
from prefect import flow, get_run_logger, task


def is_worth_a_retry(task: Any, run: Any, state: Any) -> bool:  # noqa: ARG001 - Prefect gives all three
    """Try again what another moment may mend: a passed threshold is no failure of the task."""
    try:
        state.result()
    except MapAlarmError:
        return False
    except Exception:
        return True
    return False


@task(retries=2, retry_delay_seconds=60, retry_condition_fn=is_worth_a_retry)
def take_in(store: str, options: dict[str, Any]) -> dict[str, Any]:
    """Take new windows into a store."""
    return ingest_maps(store, **options)


@flow(name="driftmap-ingest")
def keep_maps(store: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Take new windows into a store, and say which.

    Parameters
    ----------
    store
        The store, made by `driftmap run`.
    options
        Of `ingest_maps`: `alarms`, `grace`, `on_bad`, `quarantine`, `scheduler`, ...
    """
    report = take_in(store, options or {})
    get_run_logger().info("new windows of %s: %s", store, ", ".join(report.get("new", [])) or "none")
    return report


if __name__ == "__main__":
    keep_maps.serve(name="every hour", cron="7 * * * *", parameters={"store": sys.argv[1], "options": {"grace": "2h"}})
