"""Fixtures of the deployment's tests: one cluster with TLS for all that are short."""

from __future__ import annotations

import pytest
from tests.deploy.clusters import Processes, start_hosts
from tests.pipeline.conftest import s3  # noqa: F401 - a fixture

from driftmap.pipeline.executors.certificates import make_certificates


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """Certificates of the cluster."""
    folder = tmp_path_factory.mktemp("tls") / "certs"
    make_certificates(folder)
    return folder


@pytest.fixture(scope="session")
def processes(tmp_path_factory):
    """Processes of the cluster, which all see the object store's address and credentials; ended after the tests."""
    place = Processes(tmp_path_factory.mktemp("processes"))
    yield place
    place.end_all()


@pytest.fixture(scope="session")
def cluster(s3, certs, processes):  # noqa: F811 - the fixture
    """Address of a scheduler with two workers, started as the units of `deploy/hosts` do."""
    return start_hosts(processes, certs)
