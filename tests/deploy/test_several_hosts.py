"""Three hosts with TLS between them; one is cut off, during the graphs or while blocks move in parallel on both.

The run ends with the same bytes as one in one process all the same.

By hand: `pytest -m long tests/deploy/test_several_hosts.py`, as root, with `iproute2`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from tests.deploy.clusters import Processes, start_unit, start_workers, wait_for_line, write_walk
from tests.deploy.hosts import make_hosts, why_not

from driftmap.pipeline import open_store, run
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log.commits import has_commits

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

OPTIONS = {"by": "step", "id": "entity", "vectors": "v", "n_epochs": 40, "block_windows": 8}
N_WINDOWS = 40
FLAGS = [part for name, value in OPTIONS.items() for part in (f"--{name.replace('_', '-')}", str(value))]

RUN_AND_TELL = """
import json, sys
from driftmap.pipeline import run

def tell(report):
    print(report.stage, report.windows_done, f"{report.rows_done / report.rows_total:.2f}", flush=True)

if __name__ == "__main__":
    source, store, options = sys.argv[1:]
    run(source, store, progress=tell, **json.loads(options))
"""
"""A run that says how far it is."""


@pytest.fixture
def hosts():
    if reason := why_not():
        pytest.skip(f"no hosts can be made: {reason}")
    with make_hosts(3) as made:
        yield made


@pytest.fixture
def processes(tmp_path):
    """Of these hosts, which last for one test."""
    place = Processes(tmp_path)
    yield place
    place.end_all()


@pytest.fixture
def three_hosts(hosts, certs, processes):
    """Scheduler on the first host, a worker on each of the others."""
    tls = certs / "scheduler"
    listen = {"LISTEN": hosts.address(0), "PORT": "8786"}
    log = start_unit(processes, "head", "scheduler", tls, hosts.enter(0), **listen)
    address = wait_for_line(log, r"Scheduler at: +(tls://\S+)")[1]
    assert address == f"tls://{hosts.address(0)}:8786"
    for number in (1, 2):
        log = start_workers(processes, f"host-{number}", address, certs, 1, before=hosts.enter(number))
        assert wait_for_line(log, r"Start worker at: +tls://([\d.]+)")[1] == hosts.address(number)
    return address


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "walk.parquet"
    return write_walk(path, n_windows=N_WINDOWS, n_rows=2500, n_dimensions=64)


def count_graphs(store):
    if not has_commits(Location(store)):
        return 0
    return sum(window.graph_attempt is not None for window in open_store(store).state())


def check_bytes(store, alone):
    together = open_store(store)
    assert together.is_complete
    for window in range(N_WINDOWS):
        assert together.positions(window).tobytes() == alone.positions(window).tobytes()


def test_a_host_that_is_cut_off_costs_only_its_unfinished_windows(hosts, three_hosts, certs, source, tmp_path):
    alone = run(source, tmp_path / "alone", scheduler="serial", **OPTIONS)
    place = ["--store", str(tmp_path / "maps"), "--scheduler", three_hosts, "--tls", str(certs)]
    command = [*hosts.enter(0), sys.executable, "-m", "driftmap.pipeline.cli.app", "run", str(source), *FLAGS, *place]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while count_graphs(tmp_path / "maps") < 4:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        hosts.pull_cable(2)
        n_when_cut = count_graphs(tmp_path / "maps")
        output, _ = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert n_when_cut < N_WINDOWS - 8
    check_bytes(tmp_path / "maps", alone)


def test_a_host_that_is_cut_off_while_blocks_move_costs_no_byte(hosts, three_hosts, processes, certs, source, tmp_path):
    options = {**OPTIONS, "layout": "exchange"}
    alone = run(source, tmp_path / "alone", scheduler="serial", **options)
    place = {"scheduler": three_hosts, "tls": str(certs)}
    command = [sys.executable, "-c", RUN_AND_TELL, str(source), str(tmp_path / "maps"), json.dumps(options | place)]
    log = processes.start("run", command, hosts.enter(0))
    wait_for_line(log, r"layout 0 0\.[3-7]", seconds=900)
    hosts.pull_cable(2)
    assert open_store(tmp_path / "maps").n_blocks_done == 0
    assert processes.started[-1].wait(timeout=900) == 0, log.read_text()[-3000:]
    check_bytes(tmp_path / "maps", alone)
