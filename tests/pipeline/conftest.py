"""Fixtures of the pipeline's tests."""

from __future__ import annotations

import itertools
import logging
import os
from typing import TYPE_CHECKING
from unittest import mock

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "the-secret-of-the-tests"

# One series for all servers of a process: moto keeps their buckets together.
_BUCKETS = itertools.count()


@pytest.fixture(scope="session")
def s3() -> Callable[[], str]:
    """An S3 server of this machine, named by the environment; each call gives the URL of a bucket of its own."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # each request is a line otherwise
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def make_bucket() -> str:
        bucket = f"maps-{next(_BUCKETS)}"
        boto3.client("s3").create_bucket(Bucket=bucket)
        return f"s3://{bucket}"

    with mock.patch.dict(os.environ, settings):
        yield make_bucket
    server.stop()
