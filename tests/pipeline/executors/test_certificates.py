"""An authority and its certificates: who may read them, how long they hold, and what they are good for."""

from __future__ import annotations

import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SecurityError
from driftmap.pipeline.executors import certificates
from driftmap.pipeline.executors.certificates import ROLES, make_certificates
from driftmap.pipeline.executors.tls import SecureAddress, find_tls_files


def read_certificate(folder):
    return x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())


def usages(folder):
    return set(read_certificate(folder).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def shake_hands(server_folder, client_folder):
    """Let two sides talk in memory, both asking for certificates; raises what OpenSSL raises."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server_folder / "ca.crt")
    server_side.load_cert_chain(server_folder / "tls.crt", server_folder / "tls.key")
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=client_folder / "ca.crt")
    client_side.load_cert_chain(client_folder / "tls.crt", client_folder / "tls.key")
    client_side.check_hostname = False
    for context in (server_side, client_side):
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 asks for by itself
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert server.getpeercert()
    assert client.getpeercert()


@pytest.fixture
def folder(tmp_path):
    make_certificates(tmp_path / "certs")
    return tmp_path / "certs"


def test_each_role_gets_its_three_files_and_only_their_owner_may_read_them(folder):
    assert {path.name for path in folder.iterdir()} == {"authority", *ROLES}
    for role in ROLES:
        assert {path.name for path in (folder / role).iterdir()} == {"ca.crt", "tls.crt", "tls.key"}
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_authoritys_key_is_in_its_own_folder_alone(folder):
    keys = {path.read_bytes() for path in folder.rglob("*.key")}
    assert len(keys) == 1 + len(ROLES)


def test_life_is_short_and_never_longer_than_the_authoritys(tmp_path):
    now = datetime.now(UTC)
    made = {made.role: made for made in make_certificates(tmp_path / "a")}
    assert made["worker"].expires - now < timedelta(days=30, minutes=1)
    assert made["authority"].expires - now < timedelta(days=365, minutes=1)
    assert read_certificate(made["worker"].folder).not_valid_before_utc < now
    made = {made.role: made for made in make_certificates(tmp_path / "b", days=30, authority_days=7)}
    assert made["client"].expires == made["authority"].expires
    assert read_certificate(made["client"].folder).not_valid_after_utc == made["client"].expires


def test_new_certificates_come_from_the_authority_that_is_there(folder):
    authority = (folder / "worker" / "ca.crt").read_bytes()
    before = read_certificate(folder / "worker")
    make_certificates(folder, days=3)
    after = read_certificate(folder / "worker")
    assert (folder / "worker" / "ca.crt").read_bytes() == authority
    assert after.serial_number != before.serial_number
    assert after.public_key() != before.public_key()
    shake_hands(folder / "scheduler", folder / "client")


def test_folders_that_are_there_and_empty_are_filled(tmp_path):
    for role in ("authority", *ROLES):
        (tmp_path / role).mkdir()
    make_certificates(tmp_path)
    shake_hands(tmp_path / "scheduler", tmp_path / "client")


@pytest.mark.parametrize(("server", "client"), [("scheduler", "client"), ("scheduler", "worker"), ("worker", "worker")])
def test_sides_that_belong_together_take_each_other(folder, server, client):
    shake_hands(folder / server, folder / client)


def test_a_client_cannot_pose_as_scheduler_or_worker(folder):
    assert usages(folder / "client") == {ExtendedKeyUsageOID.CLIENT_AUTH}
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake_hands(folder / "client", folder / "worker")


def test_another_authoritys_certificate_is_not_taken(folder, tmp_path):
    make_certificates(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder / "scheduler", tmp_path / "other" / "client")


def test_the_folder_is_what_a_run_takes(folder):
    assert find_tls_files(folder).key == folder / "client" / "tls.key"
    assert find_tls_files(folder / "worker").key == folder / "worker" / "tls.key"
    assert SecureAddress("tls://host:8786", find_tls_files(folder)).files.ca == folder / "client" / "ca.crt"


def test_a_damaged_or_expired_authority_is_named(folder, monkeypatch):
    monkeypatch.setattr(certificates, "_now", lambda: datetime.now(UTC) + timedelta(days=366))
    with pytest.raises(SecurityError, match=r"expired on 20.*name another folder"):
        make_certificates(folder)
    monkeypatch.undo()
    make_certificates(folder.parent / "other")
    (folder / "authority" / "tls.key").write_bytes((folder.parent / "other" / "authority" / "tls.key").read_bytes())
    with pytest.raises(SecurityError, match="does not belong to its certificate"):
        make_certificates(folder)
    (folder / "authority" / "tls.key").write_bytes(b"nothing")
    with pytest.raises(SecurityError, match="cannot be read"):
        make_certificates(folder)


@pytest.mark.parametrize("option", ["days", "authority_days"])
@pytest.mark.parametrize("days", [0, -1, 36_501, 10**12, 10**22])
def test_a_life_of_no_days_or_of_too_many_is_refused(tmp_path, option, days):
    with pytest.raises(ConfigError, match=f"{option} is {days}; give 1 to 36,500"):
        make_certificates(tmp_path / "c", **{option: days})
    assert not (tmp_path / "c").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SecurityError, match=r"file.* cannot be written .*name another folder"):
        make_certificates(tmp_path / "file" / "certs")


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert run_command(["certs", str(tmp_path / "c")]) == 2
    assert "pip install 'driftmap[tls]'" in capsys.readouterr().err


def test_the_command_says_what_it_made(tmp_path, capsys):
    assert run_command(["certs", str(tmp_path / "c"), "--days", "2"]) == 0
    shown = capsys.readouterr().out
    for role in ("authority", *ROLES):
        assert str(tmp_path / "c" / role) in shown
    assert f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}" in shown
