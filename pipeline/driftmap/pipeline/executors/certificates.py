"""A private authority for one cluster, and short-lived certificates for its scheduler, workers and clients."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from driftmap.pipeline.errors import ConfigError, SecurityError
from driftmap.pipeline.executors.tls import CA_FILE, CERTIFICATE_FILE, CLIENT_FOLDER, KEY_FILE

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_FOLDER = "authority"
ROLES = ("scheduler", "worker", CLIENT_FOLDER)

DAYS = 30
AUTHORITY_DAYS = 365
MAX_DAYS = 36_500
"""A hundred years; a date after the year 9999 cannot be written."""

CLOCK_SKEW = timedelta(minutes=5)
"""Certificates hold from a little before now: clocks of a cluster differ."""


class Authority(NamedTuple):
    """Who signs: whoever has its key can make certificates that the whole cluster takes."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


class Made(NamedTuple):
    """One folder of certificates."""

    role: str
    folder: Path
    expires: datetime


def make_certificates(
    folder: str | os.PathLike[str], days: int = DAYS, authority_days: int = AUTHORITY_DAYS
) -> list[Made]:
    """Make an authority and certificates for each role, or new certificates from the authority that is there.

    Parameters
    ----------
    folder
        Gets `authority`, whose key stays here, and `scheduler`, `worker` and `client`, each with `ca.crt`, `tls.crt`
        and `tls.key`. Only their owner may read them.
    days
        How long the certificates hold; never longer than the authority.
    authority_days
        How long a new authority holds.

    Returns
    -------
    What was made, the authority first.

    Raises
    ------
    ConfigError
        When a number of days cannot be used, or the folder is an empty text or a URL.
    SecurityError
        When the library `cryptography` is missing, or an authority there is damaged or has expired.
    """
    if not os.fspath(folder) or "://" in os.fspath(folder):  # else keys would lie in this folder, or in one named file:
        raise ConfigError(f"certificates are to go to {os.fspath(folder)!r}; a folder of this machine was expected")
    for name, value in (("days", days), ("authority_days", authority_days)):
        if not 1 <= value <= MAX_DAYS:
            raise ConfigError(f"{name} is {value}; give 1 to {MAX_DAYS:,}")
    _refuse_missing_library()
    home = Path(folder).expanduser().absolute()
    try:
        _make_folder(home)
        authority = _load_authority(home) or _make_authority(home, authority_days)
        until = min(_now() + timedelta(days=days), authority.certificate.not_valid_after_utc)
        made = [Made(AUTHORITY_FOLDER, home / AUTHORITY_FOLDER, authority.certificate.not_valid_after_utc)]
        for role in ROLES:
            _issue(authority, role, home / role, until)
            made.append(Made(role, home / role, until))
    except OSError as error:
        raise SecurityError(
            f"{error.filename or home} cannot be written ({error.strerror}); name another folder"
        ) from error
    return made


def _refuse_missing_library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise SecurityError(
            "making certificates needs the library cryptography; install it: pip install 'driftmap[tls]'"
        ) from error


def _load_authority(home: Path) -> Authority | None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    place = home / AUTHORITY_FOLDER
    if not any((place / name).exists() for name in (CA_FILE, KEY_FILE)):
        return None
    advice = "name another folder to make a new one"
    try:
        certificate = x509.load_pem_x509_certificate((place / CA_FILE).read_bytes())
        key = load_pem_private_key((place / KEY_FILE).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise SecurityError(f"the authority in {place} cannot be read ({error}); {advice}") from error
    if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SecurityError(f"the authority's key in {place} does not belong to its certificate; {advice}")
    if certificate.not_valid_after_utc <= _now():
        raise SecurityError(f"the authority in {place} expired on {certificate.not_valid_after_utc:%Y-%m-%d}; {advice}")
    return Authority(certificate, key)


def _make_authority(home: Path, days: int) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("driftmap authority")
    builder = _start(name, name, key, _now() + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    authority = Authority(builder.sign(key, hashes.SHA256()), key)
    place = home / AUTHORITY_FOLDER
    _make_folder(place)
    _write(place / KEY_FILE, _key_bytes(key))
    _write(place / CA_FILE, _certificate_bytes(authority.certificate))
    return authority


def _issue(authority: Authority, role: str, folder: Path, until: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    # Scheduler and workers call each other; a client only calls, so its certificate cannot pose as either of them.
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH] + [ExtendedKeyUsageOID.SERVER_AUTH] * (role != CLIENT_FOLDER)
    builder = _start(_name(f"driftmap {role}"), authority.certificate.subject, key, until)
    for extension, is_critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage(uses), False),
        (x509.SubjectAlternativeName([x509.DNSName(f"{role}.driftmap.internal")]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=is_critical)
    _make_folder(folder)
    _write(folder / KEY_FILE, _key_bytes(key))
    _write(folder / CERTIFICATE_FILE, _certificate_bytes(builder.sign(authority.key, hashes.SHA256())))
    _write(folder / CA_FILE, _certificate_bytes(authority.certificate))


def _start(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - CLOCK_SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_bytes(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate_bytes(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _write(file: Path, content: bytes) -> None:
    # Closed from its first byte on, and whole when it has its name.
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    unfinished.replace(file)


def _now() -> datetime:
    return datetime.now(UTC)
