"""What `deploy/monitoring` holds asks for metrics that are written, as Prometheus' own parser reads them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.deploy.clusters import HOSTS
from tests.pipeline.growing import make_day, make_store, write_days

from driftmap.pipeline.cli.app import run_command

MONITORING = HOSTS.parent / "monitoring"


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """Families of a store that grew, and whose last ingest is blocked."""
    parser = pytest.importorskip("prometheus_client.parser")
    place = tmp_path_factory.mktemp("store")
    make_store(place / "days", place / "store")
    write_days(place / "days", range(6, 17))
    command = ["ingest", str(place / "store"), "--scheduler", "serial", "--prometheus", str(place / "m.prom")]
    assert run_command(command) == 0
    table = make_day(17)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.full(len(table) * 6, np.nan, dtype=np.float32)), 6)
    pq.write_table(table.set_column(3, "v", vectors), place / "days" / "day-017.parquet")
    write_days(place / "days", range(18, 20))
    assert run_command(command) == 2
    return {family.name: family for family in parser.text_string_to_metric_families((place / "m.prom").read_text())}


def name_samples(metrics):
    return {sample.name for family in metrics.values() for sample in family.samples}


def find_names(expression):
    return set(re.findall(r"driftmap_\w+", expression))


def test_metrics_follow_the_conventions(metrics):
    for name, family in metrics.items():
        assert re.fullmatch(r"driftmap_[a-z][a-z0-9_]*[a-z0-9]", name)
        assert family.documentation
        assert family.type in ("gauge", "counter")
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)
        assert not any(unit in name for unit in ("milliseconds", "_ms", "_kb", "minutes", "hours"))
    (blocked,) = metrics["driftmap_blocked"].samples
    assert blocked.labels["window"]
    assert "day-017.parquet: vectors hold NaN" in blocked.labels["reason"]
    stages = {sample.labels["stage"]: sample.value for sample in metrics["driftmap_last_stage_seconds"].samples}
    assert {"look", "graphs"} <= stages.keys()
    assert all(seconds >= 0 for seconds in stages.values())
    assert metrics["driftmap_newest_final_strength"].samples[0].value > 0
    assert metrics["driftmap_newest_final_quality"].samples


def test_alerts_ask_for_what_is_written(metrics):
    yaml = pytest.importorskip("yaml")
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names) > 5
    for rule in group["rules"]:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert find_names(rule["expr"])
        assert find_names(rule["expr"]) <= name_samples(metrics)
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert re.fullmatch(r"\d+[smhdw]", rule.get("for", "0s"))
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            used = [sample for name in find_names(rule["expr"]) for sample in metrics[name].samples]
            assert all(label in sample.labels for sample in used)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    file = tmp_path / "m.prom"
    assert run_command(["ingest", str(tmp_path / "store"), "--scheduler", "serial", "--prometheus", str(file)]) == 0
    for command, text in ((["rules", str(MONITORING / "alerts.yaml")], ""), (["metrics"], file.read_text())):
        done = subprocess.run(["promtool", "check", *command], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promql_of_alerts_and_panels_can_be_read(metrics):
    promql = pytest.importorskip("promql_parser")
    yaml = pytest.importorskip("yaml")
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    for expression in [rule["expr"] for rule in rules] + [t["expr"] for panel in panels for t in panel["targets"]]:
        promql.parse(expression)


def test_the_dashboard_shows_what_is_written(metrics):
    board = json.loads((MONITORING / "dashboard.json").read_text())
    asked = set()
    places = []
    for panel in board["panels"]:
        assert panel["type"] in ("stat", "table", "timeseries")
        assert panel["targets"]
        asked |= {name for target in panel["targets"] for name in find_names(target["expr"])}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        places += [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
    assert len(set(places)) == len(places)  # no panel lies on another
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert asked <= name_samples(metrics)
    for kind in ("exit_code", "success", "blocked", "rows_pending", "stage_seconds", "strength", "quality"):
        assert any(kind in name for name in asked)
