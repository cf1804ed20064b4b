"""A cluster of processes that speaks TLS: a run works with the right certificates, and nothing gets in without them."""

from __future__ import annotations

import shutil
import socket
import ssl
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from tests.deploy.clusters import WALK_OPTIONS, start_workers, wait_for_line, write_walk

import driftmap
import driftmap.engine
import driftmap.pipeline
from driftmap.pipeline import run
from driftmap.pipeline.errors import SecurityError
from driftmap.pipeline.executors import certificates
from driftmap.pipeline.executors.certificates import make_certificates
from driftmap.pipeline.executors.tls import SecureAddress, find_tls_files, settle_scheduler, try_handshake
from driftmap.pipeline.executors.worker_process import WorkerError


@pytest.fixture(scope="module")
def strangers(certs, tmp_path_factory):
    """Folders that must not get in: from another authority, and one whose time is over."""
    other = tmp_path_factory.mktemp("other") / "certs"
    make_certificates(other)
    for role in certificates.ROLES:  # they know the true authority, which is no secret
        shutil.copy(certs / "client" / "ca.crt", other / role / "ca.crt")
    expired = tmp_path_factory.mktemp("expired") / "certs"
    shutil.copytree(certs, expired)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "_now", lambda: datetime.now(UTC) - timedelta(days=40))
        make_certificates(expired, days=30)
    return {"another authority": other, "expired": expired}


@pytest.fixture(scope="module")
def ports(cluster, processes):
    """Every port that the cluster speaks Dask on: scheduler, workers, and the nannies that start workers."""
    found = {}
    for process in processes.started:
        for each in (root := psutil.Process(process.pid), *root.children(recursive=True)):
            for line in each.net_connections():
                if line.status == psutil.CONN_LISTEN:
                    found[line.laddr.port] = line.laddr.ip
    dashboards = {port for port in found if speaks_http(port)}
    assert {found[port] for port in dashboards} == {"127.0.0.1"}
    assert len(found) - len(dashboards) == 5
    return sorted(found.keys() - dashboards)


def speaks_http(port):
    """Whether a port is a dashboard's; they are on loopback, and seen by whoever is on the machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            return plain.recv(4) == b"HTTP"
        except ConnectionResetError:
            return False


def test_a_run_over_tls_gives_the_same_bytes(cluster, certs, tmp_path):
    source = write_walk(tmp_path / "walk.parquet")
    alone = run(source, tmp_path / "alone", scheduler="serial", **WALK_OPTIONS)
    together = run(source, tmp_path / "together", scheduler=cluster, tls=certs, **WALK_OPTIONS)
    for window in range(alone.n_windows):
        assert together.positions(window).tobytes() == alone.positions(window).tobytes()


def test_the_right_certificate_is_taken_at_every_port(ports, certs):
    for port in ports:
        try_handshake(SecureAddress(f"tls://127.0.0.1:{port}", find_tls_files(certs)))


@pytest.mark.parametrize(
    ("who", "role", "why"),
    [
        ("another authority", "client", "from another authority"),
        ("another authority", "worker", "from another authority"),
        ("expired", "client", "has expired"),
        ("expired", "worker", "has expired"),
    ],
)
def test_a_stranger_gets_in_nowhere(ports, strangers, who, role, why):
    for port in ports:
        with pytest.raises(SecurityError, match=why):
            try_handshake(SecureAddress(f"tls://127.0.0.1:{port}", find_tls_files(strangers[who] / role)))


def test_without_a_certificate_nobody_gets_in_anywhere(ports, certs):
    context = ssl.create_default_context(cafile=certs / "client" / "ca.crt")
    context.check_hostname = False
    for port in ports:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain) as secure,
            pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
        ):
            secure.recv(1)


def test_without_tls_nobody_gets_an_answer(ports):
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"\x00" * 64)
            try:
                answer = plain.recv(64)
            except ConnectionResetError:
                answer = b""
            assert not answer or answer[0] == 21  # a TLS alert


def test_a_run_with_strangers_certificates_is_told_why(cluster, strangers, tmp_path):
    source = write_walk(tmp_path / "walk.parquet")
    for who, why in (("another authority", "from another authority"), ("expired", "has expired; make new ones")):
        with pytest.raises(SecurityError, match=why):
            run(source, tmp_path / "s", scheduler=cluster, tls=strangers[who], **WALK_OPTIONS)


def test_a_scheduler_of_another_authority_is_not_trusted(cluster, strangers, tmp_path):
    own = tmp_path / "own"
    make_certificates(own)
    with pytest.raises(SecurityError, match=r"not to be trusted .*; it must come from the authority in"):
        try_handshake(settle_scheduler(cluster, own))


def test_workers_that_run_something_else_are_refused_before_any_work(cluster, certs, processes, tmp_path):
    """A worker with another driftmap, and another numpy, joins; and leaves again."""
    other = tmp_path / "other"
    for package in (driftmap.engine, driftmap.pipeline):
        shutil.copytree(package.__path__[0], other / "driftmap" / package.__name__.rpartition(".")[2])
    shutil.copy(driftmap.__file__, other / "driftmap")
    with (other / "driftmap" / "engine" / "kernels.py").open("a") as file:
        file.write("# changed\n")
    (other / "numpy-9.9.9.dist-info").mkdir()
    (other / "numpy-9.9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n")
    log = start_workers(processes, "odd", cluster, certs, 1, PYTHONPATH=str(other))
    try:
        odd = wait_for_line(log, r"Start worker at: +(tls://\S+)")[1]
        with pytest.raises(WorkerError) as caught:
            run(write_walk(tmp_path / "w.parquet"), tmp_path / "s", scheduler=cluster, tls=certs, **WALK_OPTIONS)
    finally:
        processes.end(-1)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("driftmap: ")
    assert lines[1].endswith(f"at {odd}")
    assert lines[2].startswith("numpy: ")
    assert lines[2].endswith(f"here, 9.9.9 at {odd}")
