"""Which addresses a run takes, with what certificates, and what it says of those that are not safe."""

from __future__ import annotations

import socket
import threading
import warnings
from types import SimpleNamespace

import pytest

from driftmap.pipeline import run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SecurityError
from driftmap.pipeline.executors.certificates import make_certificates
from driftmap.pipeline.executors.tls import (
    InsecureSchedulerWarning,
    SecureAddress,
    find_tls_files,
    is_private,
    settle_scheduler,
    try_handshake,
)

LOCAL = ["tcp://127.0.0.1:8786", "tcp://127.9.9.9:1", "tcp://localhost:8786", "tcp://[::1]:8786", "localhost:8786"]
OPEN = ["tcp://10.0.0.1:8786", "tcp://head:8786", "head:8786", "tcp://[fe80::1]:8786", "ws://head:8786", "ucx://head:1"]


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls") / "certs"
    make_certificates(folder)
    return folder


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize("url", LOCAL)
def test_this_machine_needs_no_tls(url):
    assert is_private(url)
    assert settle_scheduler(url) == settle_scheduler(url, True) == url


@pytest.mark.parametrize("url", OPEN)
def test_a_network_without_tls_is_warned_of_or_refused(url):
    assert not is_private(url)
    with pytest.warns(InsecureSchedulerWarning, match="can run anything as its user.*driftmap certs") as caught:
        assert settle_scheduler(url) == url
    assert len(caught) == 1
    with pytest.raises(ConfigError, match="TLS is required: driftmap certs"):
        settle_scheduler(url, True)


def test_a_cluster_is_no_client():
    cluster = SimpleNamespace(scheduler=SimpleNamespace(address="tcp://127.0.0.1:8786"), get_client=None)
    with pytest.raises(ConfigError, match=r"scheduler is a SimpleNamespace; give its client, get_client\(\), or its"):
        settle_scheduler(cluster)


def test_a_client_is_looked_at_like_an_address(certs):
    client = SimpleNamespace(scheduler=SimpleNamespace(address="tcp://10.0.0.1:8786"))
    with pytest.warns(InsecureSchedulerWarning):
        assert settle_scheduler(client) is client
    with pytest.raises(ConfigError, match="TLS is required"):
        settle_scheduler(client, True)
    secure = SimpleNamespace(scheduler=SimpleNamespace(address="tls://10.0.0.1:8786"))
    assert settle_scheduler(secure, True) is secure
    with pytest.raises(ConfigError, match="has its own security"):
        settle_scheduler(secure, certs)


def test_tls_address_and_folder_go_together(certs):
    settled = settle_scheduler("tls://head:8786", certs)
    assert settled == SecureAddress("tls://head:8786", find_tls_files(certs / "client"))
    for tls in (None, True):
        with pytest.raises(ConfigError, match="tls://head:8786 wants certificates; give tls"):
            settle_scheduler("tls://head:8786", tls)
    with pytest.raises(ConfigError, match=r"give tls://127.0.0.1:8786"):
        settle_scheduler("tcp://127.0.0.1:8786", certs)
    for place in (None, "serial"):
        assert settle_scheduler(place, True) == place
        with pytest.raises(ConfigError, match="no scheduler's address"):
            settle_scheduler(place, certs)


def test_a_missing_or_open_file_is_named(tmp_path):
    make_certificates(tmp_path / "certs")
    client = tmp_path / "certs" / "client"
    (client / "tls.key").chmod(0o644)
    with pytest.raises(SecurityError, match=r"tls.key is open to everyone on this machine; close it: chmod 600"):
        find_tls_files(client)
    (client / "tls.key").chmod(0o440)  # as a group that owns a mounted secret has it
    assert find_tls_files(client).key == client / "tls.key"
    (client / "ca.crt").unlink()
    with pytest.raises(SecurityError, match=r"has no ca.crt"):
        find_tls_files(client)
    with pytest.raises(SecurityError, match=r"has no ca.crt; a folder made by driftmap certs was expected"):
        find_tls_files(tmp_path / "nothing")


def test_what_speaks_no_tls_is_told_from_what_is_not_there(certs, listener):
    port = listener.getsockname()[1]

    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"this is not TLS, whatever it is")

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(SecurityError, match="it does not speak TLS"):
        try_handshake(settle_scheduler(f"tls://127.0.0.1:{port}", certs))
    thread.join()
    listener.close()
    try_handshake(settle_scheduler(f"tls://127.0.0.1:{port}", certs))  # nobody there: for Dask to wait for


def test_files_that_are_no_certificates_are_named(tmp_path):
    make_certificates(tmp_path)
    (tmp_path / "client" / "tls.crt").write_text("nothing")
    with pytest.raises(SecurityError, match=r"client cannot be used .*make new ones"):
        try_handshake(settle_scheduler("tls://127.0.0.1:9", tmp_path))


def test_run_decides_before_it_makes_anything(tmp_path):
    with pytest.raises(ConfigError, match="TLS is required"):
        run(tmp_path / "none.parquet", tmp_path / "s", scheduler="tcp://10.0.0.1:8786", tls=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["", "require_tls = true", "tls = true"])
def test_the_command_warns_or_refuses(tmp_path, capsys, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(f'source = "none.parquet"\nscheduler = "tcp://10.0.0.1:8786"\n{line}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run_command(["run", "run.toml"]) == 2
    shown = capsys.readouterr().err
    assert ("Warning: the scheduler at tcp://10.0.0.1:8786" in shown) == (line == "")
    assert ("TLS is required" in shown) == (line != "")
    assert run_command(["run", "run.toml", "--require-tls"]) == 2
    assert "Error: the scheduler at tcp://10.0.0.1:8786" in capsys.readouterr().err


def test_a_folder_in_toml_is_seen_from_the_file(tmp_path, capsys, monkeypatch, certs):
    (tmp_path / "run.toml").write_text('source = "x.parquet"\nscheduler = "tls://10.0.0.1:8786"\ntls = "certs"\n')
    assert run_command(["run", str(tmp_path / "run.toml")]) == 2
    assert f"{tmp_path / 'certs'} has no ca.crt" in capsys.readouterr().err.replace("\n", " ")
