"""Ingestion as a DAG of Airflow 3, every hour; copy it and `flow.py` into the folder of DAGs.

The store is the Airflow variable `driftmap_store`, or the environment variable `AIRFLOW_VAR_DRIFTMAP_STORE`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Variable, dag, task
from airflow.sdk.exceptions import AirflowFailException


# One at a time: a second start would only wait for the lock of the store. Hours that were missed need no own starts.
@dag(schedule="7 * * * *", start_date=datetime(2024, 1, 1), catchup=False, max_active_runs=1, tags=["driftmap"])
def driftmap_ingest() -> None:
    """Take new windows of a growing source into its maps."""

    @task(retries=2, retry_delay=timedelta(minutes=1))
    def take_in(options: dict[str, Any]) -> dict[str, Any]:
        """Take new windows into a store; a passed threshold fails the task, and is not tried again."""
        from flow import MapAlarmError, ingest_maps  # late: Airflow reads this file every few seconds

        try:
            return ingest_maps(Variable.get("driftmap_store"), **options)
        except MapAlarmError as alarm:
            raise AirflowFailException(str(alarm)) from alarm

    @task
    def name_windows(report: dict[str, Any]) -> list[str]:
        """Name the windows that came, for what is to be done with each (`.expand`)."""
        return report.get("new", [])

    name_windows(take_in({"grace": "2h"}))


driftmap_ingest()
