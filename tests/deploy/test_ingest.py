"""What `deploy/ingest` holds: units, cron line and plain function do what the page says."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys

import click
import pytest
from tests.deploy.clusters import HOSTS, read_environment_file
from tests.pipeline.growing import make_store, write_days

from driftmap.pipeline.cli.app import cli
from driftmap.pipeline.store.log.lock import hold_lock

INGEST = HOSTS.parent / "ingest"


def check_command(words):
    """Parse a command line as the program would; its options and their values are what it knows."""
    assert words[:2] == ["/opt/driftmap/bin/driftmap", "ingest"]
    command = cli.get_command(click.Context(cli), "ingest")
    return command.make_context("ingest", words[2:]).params


def test_systemd_has_nothing_to_say(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in [*INGEST.glob("*.service"), *INGEST.glob("*.timer")]:
        text = unit.read_text().replace("/opt/driftmap/bin/driftmap", sys.executable)
        (tmp_path / unit.name).write_text(text)
    for name in ("driftmap-ingest.service", "driftmap-ingest.timer"):
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False
        )
        assert done.stdout + done.stderr == ""


def test_the_service_starts_an_ingest_with_its_settings():
    settings = read_environment_file(INGEST / "ingest.env")
    (line,) = re.findall(r"(?m)^ExecStart=(.*)", (INGEST / "driftmap-ingest.service").read_text())
    assert set(re.findall(r"\$\{(\w+)\}", line)) == {name for name in settings if not name.startswith("NUMBA_")}
    params = check_command([re.sub(r"\$\{(\w+)\}", lambda m: settings[m[1]], word) for word in line.split()])
    assert params["store"] == "/srv/driftmap/posts-maps.zarr"
    assert params["alarm"] == ("behind>2D",)
    assert params["wait"] == "10m"


def test_the_cron_line_starts_an_ingest():
    (line,) = [line for line in (INGEST / "driftmap.cron").read_text().splitlines() if not line.startswith("#")]
    fields = line.split(None, 6)
    assert re.fullmatch(r"\d+ \* \* \* \*", " ".join(fields[:5]))
    assert fields[5] == "driftmap"
    assert "%" not in line  # cron would cut the line there
    command, _, log = fields[6].partition(" 2>> ")
    assert log.startswith("/var/lib/driftmap/")
    assert check_command(shlex.split(command))["grace"] == "2h"


def test_the_function_is_a_task(tmp_path):
    flow = runpy.run_path(str(INGEST / "flow.py"))
    store = make_store(tmp_path / "days", tmp_path / "store")
    write_days(tmp_path / "days", range(6, 8))
    with hold_lock(store.location):
        assert flow["ingest_maps"](str(store.path), wait="1s", scheduler="serial") == {"busy": True}
    done = flow["ingest_maps"](str(store.path), scheduler="serial")
    assert done["new"] == ["2024-01-06"]
    assert flow["ingest_maps"](str(store.path), scheduler="serial")["new"] == []
    with pytest.raises(flow["MapAlarmError"], match="pending>1: it is 120"):
        flow["ingest_maps"](str(store.path), scheduler="serial", alarms=("pending>1",))
