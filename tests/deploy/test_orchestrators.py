"""The examples for Prefect, Dagster and Airflow, each run by the real package in its local mode.

pip install '.[test,orchestrators]' && pytest -m long tests/deploy/test_orchestrators.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.deploy.clusters import HOSTS
from tests.pipeline.growing import make_store, write_days

from driftmap.pipeline import open_store

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

EXAMPLES = HOSTS.parent / "ingest"
NEW = ["2024-01-06", "2024-01-07"]


@pytest.fixture
def place(tmp_path):
    """A store of five windows, and a source that has two more."""
    make_store(tmp_path / "days", tmp_path / "store")
    write_days(tmp_path / "days", range(6, 9))
    return tmp_path


def run_script(place, script, **variables):
    """Run a script in a process of its own, beside the examples; its last line is JSON."""
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES), "PYTHONWARNINGS": "ignore", **variables}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def test_a_flow_of_prefect_takes_windows_in(place):
    pytest.importorskip("prefect")
    script = """
import json
from prefect.testing.utilities import prefect_test_harness
from prefect_flow import keep_maps, take_in
with prefect_test_harness():
    first = keep_maps("store", {"scheduler": "serial"})
    again = keep_maps("store", {"scheduler": "serial"})
    alarm = keep_maps("store", {"scheduler": "serial", "alarms": ["pending>1"]}, return_state=True)
print()
print(json.dumps([first["new"], again["new"], alarm.type.value, alarm.message]))
"""
    (first, again, alarm, said), logs = run_script(place, script, PREFECT_HOME=str(place / "prefect"))
    assert (first, again, alarm) == (NEW, [], "FAILED")
    assert "pending>1: it is" in said
    assert "Retry" not in logs
    assert "new windows of store: 2024-01-06, 2024-01-07" in logs
    assert open_store(place / "store").labels[-2:] == NEW


def test_windows_are_partitions_of_an_asset_of_dagster(place):
    pytest.importorskip("dagster")
    script = """
import json
import dagster as dg
import dagster_maps
found = {}
with dg.DagsterInstance.local_temp("home") as instance:
    def ask():
        with dg.build_sensor_context(instance=instance, resources={"place": PLACE}) as context:
            return list(dagster_maps.moved_windows(context))
    PLACE = dagster_maps.MapStore(store="store", tables="tables", grace="1min")
    def make(**options):
        return dg.materialize(instance=instance, resources={"place": PLACE}, **options)
    found["before"] = [request.partition_key for request in ask()]
    made = make(assets=[dagster_maps.maps])
    found["new"] = made.asset_materializations_for_node("maps")[0].metadata["new"].value
    found["partitions"] = list(instance.get_dynamic_partitions("windows"))
    requests = ask()
    found["asked"] = [request.partition_key for request in requests]
    for request in requests[-2:]:
        make(assets=[dagster_maps.maps, dagster_maps.window_table], selection=[dagster_maps.window_table],
             partition_key=request.partition_key)
    found["made"] = sorted(instance.get_materialized_partitions(dagster_maps.window_table.key))
    found["same"] = {request.run_key for request in ask()} == {request.run_key for request in requests}
print()
print(json.dumps(found))
"""
    (place / "home").mkdir()
    found, _ = run_script(place, script, DAGSTER_HOME=str(place / "home"))
    labels = open_store(place / "store").labels
    assert found["before"] == []
    assert found["new"] == NEW
    assert sorted(found["partitions"]) == labels
    assert found["asked"] == labels
    assert found["made"] == NEW
    assert found["same"]
    assert sorted(path.stem for path in (place / "tables").iterdir()) == NEW


def test_a_dag_of_airflow_takes_windows_in(place, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(place / "airflow"))  # it is read, and made, when Airflow is imported
    pytest.importorskip("airflow")
    variables = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{place}/airflow/airflow.db",
        "AIRFLOW_VAR_DRIFTMAP_STORE": str(place / "store"),
    }
    migrated = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr[-3000:]
    script = """
import json
import airflow_dag
ran = airflow_dag.driftmap_ingest().test()
states = {instance.task_id: str(instance.state) for instance in ran.get_task_instances()}
print()
print(json.dumps([getattr(ran.state, 'value', ran.state), states]))
"""
    (state, tasks), logs = run_script(place, script, **variables)
    assert state == "success", logs[-5000:]
    assert set(tasks) == {"take_in", "name_windows"}
    assert open_store(place / "store").labels[-1] in NEW
