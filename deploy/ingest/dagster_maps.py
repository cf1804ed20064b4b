"""Ingestion as assets of Dagster whose partitions are the windows; `flow.py` lies beside it.

    DRIFTMAP_STORE=/srv/driftmap/posts-maps.zarr DRIFTMAP_TABLES=/srv/driftmap/tables dagster dev -f dagster_maps.py

`maps` is the store: each hour an ingest adds what came. `window_table`, one Parquet file for each window, stands for
whatever is to be made of windows: a sensor asks for those that are new, and again for those that moved since.
"""

# Dagster reads types where they stand: no `from __future__ import annotations` here.
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
from flow import ingest_maps

from driftmap.pipeline import open_store

windows = dg.DynamicPartitionsDefinition(name="windows")


class MapStore(dg.ConfigurableResource):
    """Where the store is, and where tables of its windows go."""

    store: str
    tables: str
    grace: str = "2h"


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=2, delay=60))
def maps(context: dg.AssetExecutionContext, place: MapStore) -> dg.MaterializeResult:
    """Take new windows into the store; each is a partition from then on."""
    report = ingest_maps(place.store, grace=place.grace)
    context.instance.add_dynamic_partitions("windows", open_store(place.store).labels)
    return dg.MaterializeResult(metadata={"new": report.get("new", []), "busy": report["busy"]})


@dg.asset(partitions_def=windows, deps=[maps])
def window_table(context: dg.AssetExecutionContext, place: MapStore) -> dg.MaterializeResult:
    """Write the map of one window as a table."""
    label = context.partition_key
    store = open_store(place.store)
    table = store.to_table([label])
    path = Path(place.tables) / f"{label}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    state = next(window for window in store.state() if window.label == label)
    return dg.MaterializeResult(metadata={"rows": table.num_rows, "state": state.status, "path": str(path)})


table_job = dg.define_asset_job("table_job", selection=[window_table], partitions_def=windows)


@dg.sensor(job=table_job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def moved_windows(context: dg.SensorEvaluationContext, place: MapStore) -> Iterator[dg.RunRequest]:
    """Ask for the table of every window whose map is another since it was last asked for."""
    known = set(context.instance.get_dynamic_partitions("windows"))
    for window in open_store(place.store).state():
        if window.label in known:
            yield dg.RunRequest(run_key=f"{window.label} {window.layout_attempt}", partition_key=window.label)


definitions = dg.Definitions(
    assets=[maps, window_table],
    schedules=[dg.ScheduleDefinition(name="hourly", target=[maps], cron_schedule="7 * * * *")],
    sensors=[moved_windows],
    resources={
        "place": MapStore(store=os.environ.get("DRIFTMAP_STORE", ""), tables=os.environ.get("DRIFTMAP_TABLES", ""))
    },
)
