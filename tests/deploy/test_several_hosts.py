"""Three hosts with TLS between them; one is cut off in the middle, and the run ends with the same bytes all the same.

By hand: `pytest -m long tests/deploy/test_several_hosts.py`, as root, with `iproute2`.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from tests.deploy.clusters import start_unit, start_workers, wait_for_line, write_walk
from tests.deploy.hosts import make_hosts, why_not

from driftmap.pipeline import open_store, run
from driftmap.pipeline.store.commits import has_commits
from driftmap.pipeline.store.location import Location

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

OPTIONS = {"by": "step", "id": "entity", "vectors": "v", "n_epochs": 40, "block_windows": 8}
N_WINDOWS = 40


@pytest.fixture(scope="module")
def hosts():
    if reason := why_not():
        pytest.skip(f"no hosts can be made: {reason}")
    with make_hosts(3) as made:
        yield made


@pytest.fixture(scope="module")
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


def test_a_host_that_is_cut_off_costs_only_its_unfinished_windows(hosts, three_hosts, certs, source, tmp_path):
    alone = run(source, tmp_path / "alone", scheduler="serial", **OPTIONS)
    flags = [part for name, value in OPTIONS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    place = ["--store", str(tmp_path / "maps"), "--scheduler", three_hosts, "--tls", str(certs)]
    command = [*hosts.enter(0), sys.executable, "-m", "driftmap.pipeline.cli", "run", str(source), *flags, *place]
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
    together = open_store(tmp_path / "maps")
    assert together.is_complete
    for window in range(N_WINDOWS):
        assert together.positions(window).tobytes() == alone.positions(window).tobytes()
