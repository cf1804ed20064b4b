"""Object storage and web servers as obstore has them, opened by their URLs; credentials come from the environment."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from driftmap.pipeline.errors import StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

    Remote = S3Store | GCSStore | AzureStore | HTTPStore

BUCKETS = ("s3", "gs", "az")
"""Schemes of object storage: that of AWS and its like, of Google, and of Azure."""

WEB = ("https", "http")
"""Schemes of servers that are only read, file by file."""

_BUCKET = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:/([^?#@]*))?")

_RETRIES: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(seconds=90)}
"""Waits of .1 s, doubled each time: a network that is away for less than 25 s is not noticed."""

_TIMEOUTS: ClientConfig = {"connect_timeout": "10s", "timeout": "120s"}
"""The longest request is the upload of a chunk of 64 MiB."""


def normalise_url(scheme: str, rest: str) -> str | None:
    """Write a URL in one form, without what its path says twice; None where it names no bucket, or asks a query."""
    found = _BUCKET.fullmatch(rest) if scheme in BUCKETS else re.fullmatch(r"([^/?#@]+)(?:/([^?#@]*))?", rest)
    if found is None:
        return None
    return "/".join([f"{scheme}://{found[1]}", *(part for part in (found[2] or "").split("/") if part)])


def is_bucket(url: str) -> bool:
    """Whether a URL names a whole bucket or server."""
    return "/" not in url.partition("://")[2]


def open_remote(url: str) -> Remote:
    """Open what is below a URL that `normalise_url` gave.

    Raises
    ------
    StoreError
        When credentials cannot be read.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme == "s3":
        return _open_s3(bucket, prefix or None)
    if scheme == "gs":
        options: ClientConfig = {**_TIMEOUTS, "allow_http": True}  # of an emulator; Google's own address is https
        return GCSStore(bucket, prefix=prefix or None, client_options=options, retry_config=_RETRIES)
    if scheme == "az":
        return AzureStore(bucket, prefix=prefix or None, client_options=_TIMEOUTS, retry_config=_RETRIES)
    options = {**_TIMEOUTS, "allow_http": scheme == "http"}
    return HTTPStore.from_url(url, client_options=options, retry_config=_RETRIES)


def _open_s3(bucket: str, prefix: str | None) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options: ClientConfig = {**_TIMEOUTS, "allow_http": endpoint.startswith("http://")}
    settings: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    session = _find_profile()
    if session is not None:
        from obstore.auth.boto3 import Boto3CredentialProvider

        settings["credential_provider"] = Boto3CredentialProvider(session)
        if session.region_name and not os.environ.get("AWS_REGION"):
            settings["region"] = session.region_name
    return S3Store(bucket, prefix=prefix, client_options=options, retry_config=_RETRIES, **settings)


def _find_profile() -> Any:
    # obstore itself knows the environment, web identities and the roles of containers and machines, but no profiles.
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    named = os.environ.get("AWS_PROFILE")
    file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    if not named and not file.is_file():
        return None
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise StoreError(
            f"the AWS profile {named or 'default'!r} is read by boto3, which is not installed: pip install boto3; "
            "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    try:
        return boto3.Session()
    except BotoCoreError as error:
        raise StoreError(f"the AWS profile {named!r} cannot be used: {error}") from error
