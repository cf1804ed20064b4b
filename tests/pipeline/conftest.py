"""Fixtures of the pipeline's tests."""

from __future__ import annotations

import itertools
import logging
import os
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from tests.pipeline.browsing import CHROMIUM, FLAGS, WIDE, set_time, settle

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


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a file as `visit(path)`, at its first window; afterwards no network may have been asked, no error shown."""
    contexts, requests, complaints = [], [], []

    def open_page(path, *, viewport=WIDE, script=None, first=True, address="", **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        context.route("**/*", lambda route: (requests.append(route.request.url), route.continue_()))
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto(path.as_uri() + address)
        page.wait_for_selector("html[data-ready]", state="attached")
        if first:
            set_time(page, 0)
            settle(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(url.startswith("file:") for url in requests)
    assert len(requests) == len(contexts)
