"""How a run reaches a scheduler safely. Dask unpickles what it is sent, so whoever reaches a scheduler owns it.

No Dask here: this file decides, `executors` connects.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from driftmap.pipeline.errors import ConfigError, SecurityError

if TYPE_CHECKING:
    from distributed import Client

CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.crt", "tls.crt", "tls.key"
"""The names that a Kubernetes secret of certificates has, so that a mounted one is such a folder too."""

CLIENT_FOLDER = "client"

PROBE_SECONDS = 10

_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH

_REASONS = {
    "CERTIFICATE_EXPIRED": "the certificate in {tls} has expired; make new ones: driftmap certs",
    "CERTIFICATE_REQUIRED": "it wants a certificate, and none was shown",
    "UNKNOWN_CA": "the certificate in {tls} is from another authority than the scheduler's",
    "CERTIFICATE_UNKNOWN": "it does not take the certificate in {tls}",
    "UNSUPPORTED_CERTIFICATE": "the certificate in {tls} is not made for this use; take the one of a client",
    "BAD_CERTIFICATE": "it does not take the certificate in {tls}",
    "WRONG_VERSION_NUMBER": "it does not speak TLS; start it with certificates (deploy/README.md says how)",
    "RECORD_LAYER_FAILURE": "it does not speak TLS; start it with certificates (deploy/README.md says how)",
}
"""What a failed handshake says, by the end of OpenSSL's name for it."""


class InsecureSchedulerWarning(UserWarning):
    """A scheduler on a network is reached without TLS."""


class TlsFiles(NamedTuple):
    """What one side of a connection shows, and whom it believes."""

    ca: Path
    certificate: Path
    key: Path


class SecureAddress(NamedTuple):
    """A scheduler that is spoken to by TLS."""

    url: str
    files: TlsFiles


def settle_scheduler(
    scheduler: str | Client | None, tls: str | os.PathLike[str] | Literal[True] | None = None
) -> str | Client | SecureAddress | None:
    """Decide how a scheduler is reached, before any work; with a folder, its address must begin with `tls://`.

    Parameters
    ----------
    scheduler
        As for `run`.
    tls
        Folder with `ca.crt`, `tls.crt` and `tls.key`, or one that `driftmap certs` made. True: no folder, but a network
        must not be crossed without TLS.

    Returns
    -------
    What `make_executor` takes: with its files where it is a `tls://` address.

    Raises
    ------
    ConfigError
        When address and folder do not go together, TLS is wanted and the address has none, or a client is asynchronous.
    SecurityError
        When the folder lacks a file, or others may read its key.

    Warns
    -----
    InsecureSchedulerWarning
        When a network is crossed without TLS.
    """
    folder = None if isinstance(tls, bool) else tls
    if scheduler is None or scheduler == "serial":
        if folder is not None:
            raise ConfigError("tls is given, but no scheduler's address; it goes with one such as tls://host:8786")
        return scheduler
    url = _find_url(scheduler)
    if isinstance(scheduler, str) and re.search(r"[@?#]", url):  # not shown: it may be a password
        raise ConfigError(
            "the scheduler's address holds a user, a password or a query, which Dask has no use for; give one such as "
            "tls://host:8786"
        )
    if not is_private(url):
        _object(url, is_refused=tls is True)
    if not isinstance(scheduler, str):
        if folder is not None:
            raise ConfigError("tls is given with a connected client, which has its own security; leave it out")
        return scheduler
    if not url.startswith("tls://"):
        if folder is not None:
            raise ConfigError(f"tls is given, but the scheduler's address is {url}; give tls://{_bare(url)}")
        return url
    if folder is None:
        raise ConfigError(
            f"{url} wants certificates; give tls, a folder with {CA_FILE}, {CERTIFICATE_FILE} and {KEY_FILE} "
            "(driftmap certs makes one)"
        )
    return SecureAddress(url, find_tls_files(Path(folder)))


def _find_url(scheduler: str | Client) -> str:
    if isinstance(scheduler, str):
        return scheduler
    if not hasattr(scheduler, "scheduler"):
        raise ConfigError(
            f"scheduler is {scheduler!r}; an address such as 'tls://host:8786', 'serial' or a distributed.Client was "
            "expected"
        )
    if hasattr(scheduler, "get_client"):  # a cluster itself
        raise ConfigError(f"scheduler is a {type(scheduler).__name__}; give its client, get_client(), or its address")
    if getattr(scheduler, "asynchronous", False):
        raise ConfigError("scheduler is an asynchronous Client; give one without asynchronous=True, or its address")
    return str(getattr(scheduler.scheduler, "address", ""))


def is_private(url: str) -> bool:
    """Say whether nobody between, or beside, can reach a scheduler: it speaks TLS or does not leave this machine."""
    scheme, _, rest = url.rpartition("://")
    if scheme in ("tls", "wss", "inproc", "unix"):
        return True
    host = urlsplit(f"//{rest}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_tls_files(folder: Path) -> TlsFiles:
    """Find a client's files in a folder, or in the one for clients below it.

    Raises
    ------
    SecurityError
        When a file is missing or cannot be read, or anyone on the machine may read the key.
    """
    home = folder.expanduser().absolute()
    if not (home / KEY_FILE).exists() and (home / CLIENT_FOLDER).is_dir():
        home /= CLIENT_FOLDER
    files = TlsFiles(home / CA_FILE, home / CERTIFICATE_FILE, home / KEY_FILE)
    for file in files:
        if not file.is_file():
            raise SecurityError(f"{home} has no {file.name}; a folder made by driftmap certs was expected")
        if not os.access(file, os.R_OK):
            raise SecurityError(f"{file} may not be read by this user; make it theirs, or copy the folder for them")
    if os.name == "posix" and files.key.stat().st_mode & _OTHERS:
        raise SecurityError(f"{files.key} is open to everyone on this machine; close it: chmod 600 {files.key}")
    return files


def try_handshake(address: SecureAddress) -> None:
    """Shake hands with a scheduler once, since Dask would try for long and not say what is wrong.

    A scheduler that cannot be reached at all is left for Dask to wait for.

    Raises
    ------
    SecurityError
        When either side does not take the other's certificate.
    """
    context = _make_context(address)
    parts = urlsplit(address.url)
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PROBE_SECONDS) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.recv(1)  # a scheduler speaks first; one that refuses the certificate says so only now (TLS 1.3)
    except ssl.SSLCertVerificationError as error:
        raise SecurityError(
            f"the certificate of the scheduler at {address.url} is not to be trusted ({error.verify_message}); "
            f"it must come from the authority in {address.files.ca}, and not have expired"
        ) from error
    except ssl.SSLError as error:
        raise SecurityError(f"the scheduler at {address.url} refuses: {_explain(error, address.files)}") from error
    except OSError:
        return


def _make_context(address: SecureAddress) -> ssl.SSLContext:
    files = address.files
    try:
        context = ssl.create_default_context(cafile=files.ca)
        context.load_cert_chain(files.certificate, files.key)
    except ssl.SSLError as error:
        raise SecurityError(
            f"the certificates in {files.ca.parent} cannot be used ({error.reason or error}); make new ones"
        ) from error
    # As Dask does: the authority is the cluster's own and signs nobody else, and hosts go by their addresses.
    context.check_hostname = False
    return context


def _object(url: str, *, is_refused: bool) -> None:
    why = (
        f"the scheduler at {url} is reached without TLS. Dask runs what it is sent, so whoever reaches its port, or "
        "sits between, can run anything as its user, and read the data"
    )
    mend = f"driftmap certs makes certificates; then give tls://{_bare(url)} and tls"
    if is_refused:
        raise ConfigError(f"{why}. TLS is required: {mend}")
    warnings.warn(f"{why}. To close it: {mend}", InsecureSchedulerWarning, stacklevel=4)


def _explain(error: ssl.SSLError, files: TlsFiles) -> str:
    name = error.reason or ""
    reason = next((text for end, text in _REASONS.items() if name.endswith(end)), "{error}")
    return reason.format(tls=files.certificate.parent, error=error)


def _bare(url: str) -> str:
    return url.rpartition("://")[2]
